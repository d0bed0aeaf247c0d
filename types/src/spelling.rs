//! Parses services as people write them: unambiguous forms are accepted, and errors show the correct form.
//! Certificates and knocks are parsed strictly, by [`PortRange`]'s own `FromStr`.

use core::fmt;

use crate::ports::{NotAService, PortRange};

/// The text is not a service in the expected form.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Misspelt {
    /// A port without its transport.
    Port(String),
    /// The word `ssh`, with a transport or without.
    Ssh,
    /// Several services in one word.
    Several(Vec<PortRange>),
    /// Another form of this service.
    Meant(PortRange),
    /// Not a service.
    Other(NotAService),
}

impl fmt::Display for Misspelt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(port) => {
                write!(f, "the transport is missing: write tcp/{port} or udp/{port}")
            }
            Self::Ssh => f.write_str("a service is a transport and a port: SSH is tcp/22"),
            Self::Several(services) => {
                f.write_str("write each service separately:")?;
                services.iter().try_for_each(|service| write!(f, " {service}"))
            }
            Self::Meant(service) => write!(f, "write {service}"),
            Self::Other(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Misspelt {}

impl PortRange {
    /// Reads `tcp/22` or `udp/60000-60010`, also in upper case.
    ///
    /// # Errors
    /// The correct form, as far as the intention is clear.
    pub fn spelt(text: &str) -> Result<Self, Misspelt> {
        let lower = text.to_ascii_lowercase();
        lower.parse().map_err(|error| meant(&lower).unwrap_or(Misspelt::Other(error)))
    }
}

fn meant(text: &str) -> Option<Misspelt> {
    let parts = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|part| !part.is_empty());
    let services: Result<Vec<PortRange>, _> = parts.map(str::parse).collect();
    match services.as_deref() {
        Ok([service]) => return Some(Misspelt::Meant(*service)),
        Ok([_, _, ..]) => return services.ok().map(Misspelt::Several),
        _ => {}
    }
    if is_port(text) {
        return Some(Misspelt::Port(text.to_owned()));
    }
    let words: Vec<&str> = text.split(['/', ':']).collect();
    match words[..] {
        ["ssh"] | ["ssh", "tcp"] | ["tcp", "ssh"] => Some(Misspelt::Ssh),
        [left, right] => {
            let forms =
                [format!("{left}/{right}"), format!("{right}/{left}"), ascending(left, right)];
            let mut services = forms.iter().filter_map(|text| text.parse().ok());
            services.next().map(Misspelt::Meant)
        }
        _ => None,
    }
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok_and(|port| port > 0) && !text.starts_with(['+', '0'])
}

/// The range with its lower end first.
fn ascending(transport: &str, ports: &str) -> String {
    let (last, first) = ports.split_once('-').unwrap_or((ports, ports));
    format!("{transport}/{first}-{last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unambiguous_forms_are_accepted_and_errors_show_the_correct_form() {
        let told = |text: &str| PortRange::spelt(text).map_err(|error| error.to_string());
        assert_eq!(told("TCP/22"), Ok(PortRange::tcp(22).unwrap()));
        for (text, expected) in [
            ("22", "write tcp/22 or udp/22"),
            ("22/tcp", "write tcp/22"),
            ("UDP:53", "write udp/53"),
            ("22:tcp", "write tcp/22"),
            (" tcp/22", "write tcp/22"),
            ("tcp/22,", "write tcp/22"),
            ("tcp/22-10", "write tcp/10-22"),
            ("ssh", "SSH is tcp/22"),
            ("tcp/22, udp/53", "each service separately: tcp/22 udp/53"),
            ("tcp/022", "write a service as"),
            ("tcp/0", "1 to 65535"),
            ("0", "1 to 65535"),
            ("+22", "write a service as"),
            ("a/b/c", "write a service as"),
            ("", "write a service as"),
        ] {
            assert!(told(text).unwrap_err().contains(expected), "{text:?}: {:?}", told(text));
        }
    }
}
