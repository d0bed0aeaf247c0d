//! The ephemeral ports of this network namespace.

use std::fs;

/// The kernel's default for `net.ipv4.ip_local_port_range`, if it cannot be read. It applies to IPv6, too.
const DEFAULT: (u16, u16) = (32_768, 60_999);

/// Spans of ports, both ends included, in ascending order: the range without reserved ports
/// (`net.ipv4.ip_local_reserved_ports`).
pub(crate) fn look() -> Vec<(u16, u16)> {
    let read = |name: &str| fs::read_to_string(format!("/proc/sys/net/ipv4/{name}"));
    let range = read("ip_local_port_range").unwrap_or_default();
    left(&range, &read("ip_local_reserved_ports").unwrap_or_default())
}

/// The part of `range`, such as `32768 60999`, that is not in `reserved`, such as `40000,50000-50010`.
fn left(range: &str, reserved: &str) -> Vec<(u16, u16)> {
    let ends: Vec<u16> = range.split_whitespace().filter_map(|end| end.parse().ok()).collect();
    let (mut next, last) = if let [first, last] = *ends { (first, last) } else { DEFAULT };
    let mut left = Vec::new();
    let mut spans: Vec<(u16, u16)> = reserved.trim().split(',').filter_map(span).collect();
    spans.sort_unstable();
    for (from, to) in spans {
        if next < from && next <= last {
            // No underflow: `from` is greater than `next`.
            left.push((next, last.min(from - 1)));
        }
        match to.checked_add(1) {
            Some(after) => next = next.max(after),
            None => return left,
        }
    }
    if next <= last {
        left.push((next, last));
    }
    left
}

fn span(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((first.parse().ok()?, last.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::left;

    #[test]
    fn what_is_reserved_is_not_chosen() {
        assert_eq!(left("32768\t60999\n", "\n"), [(32_768, 60_999)]);
        assert_eq!(left("", ""), [(32_768, 60_999)]);
        assert_eq!(left("100 200", "150"), [(100, 149), (151, 200)]);
        assert_eq!(left("100 200", "90-110,120-130,190-300\n"), [(111, 119), (131, 189)]);
        assert_eq!(left("100 200", "1-65535"), []);
        assert_eq!(left("1 65535", "65535"), [(1, 65_534)]);
        assert_eq!(left("100 200", "10,100,200"), [(101, 199)]);
    }
}
