//! Lists of services.

use crate::Service;

/// Sorts `services` and joins those that overlap or touch, so that no port is in two of them.
pub fn union(services: impl IntoIterator<Item = Service>) -> Vec<Service> {
    let mut sorted: Vec<Service> = services.into_iter().collect();
    sorted.sort_unstable();
    let mut joined: Vec<Service> = Vec::with_capacity(sorted.len());
    for service in sorted {
        let with_last = joined.last().and_then(|last| last.joined(&service));
        if let Some(both) = with_last {
            joined.pop();
            joined.push(both);
        } else {
            joined.push(service);
        }
    }
    joined
}

/// Maximum number of ports in one knock, including each port of a range: `too-many-ports`.
pub const MOST_PORTS: u32 = 64;

/// The number of ports, including each port of a range. `services` must be a [`union`], or ports are counted
/// twice.
pub fn ports(services: &[Service]) -> u32 {
    services.iter().map(|service| u32::from(service.width())).sum()
}

/// Whether every port of `wanted` is covered by `allowed`, which must be a [`union`].
pub fn all_covered(wanted: &Service, allowed: &[Service]) -> bool {
    allowed.iter().any(|service| service.covers(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_union_joins_what_touches() {
        let parse =
            |text: &str| text.split(' ').map(|s| s.parse().unwrap()).collect::<Vec<Service>>();
        assert_eq!(
            union(parse("tcp/24 tcp/22-23 udp/22 tcp/1-65535 udp/5")),
            parse("tcp/1-65535 udp/5 udp/22")
        );
        assert_eq!(union(parse("tcp/24 tcp/22")), parse("tcp/22 tcp/24"));
    }
}
