//! Services that a certificate allows: read from, and written for, its subject alternative names.
//!
//! Two forms. A certificate may contain any number of both; the union applies:
//!
//! - otherName 1.3.6.1.4.1.19518, a UTF-8 string of single ports: `1.2000,0.8000`, where 1 is TCP
//!   and 0 is UDP. The original's form.
//! - URI `sknock:tcp/22` or `sknock:udp/60000-61000`, which any CA product can issue.
//!
//! A malformed item ends its own list: the items before it are valid, and other lists are not affected. The
//! malformed text is kept for the log.

use x509_parser::asn1_rs::{Any, Class, FromDer, Tag, Utf8String, oid};
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::Oid;
use x509_parser::prelude::X509Certificate;

use crate::{Service, Transport, service};

/// The type of the otherName, as the numbers of its object identifier.
pub const OTHER_NAME_OID: [u64; 7] = [1, 3, 6, 1, 4, 1, 19518];

/// Prefix of a service URI.
pub const URI_SCHEME: &str = "sknock:";

/// Maximum number of items read from one certificate; further ones are ignored.
///
/// Far more than a knock can carry (a certificate of 1001 bytes holds about 240), and it keeps the
/// work bounded for certificates that come from elsewhere.
pub const MAX_ITEMS: usize = 1024;

const OTHER_NAME: Oid<'static> = oid!(1.3.6.1.4.1.19518);

/// The bytes are no certificate, or its subject alternative names cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an X.509 certificate with readable subject alternative names. Reissue it")]
pub struct UnreadableCertificate;

/// The services that `certificate` (DER) names: ascending, without overlap, empty if it names none.
///
/// Reads only; does not verify the certificate.
pub fn allowed_services(certificate: &[u8]) -> Result<Vec<Service>, UnreadableCertificate> {
    let (_, certificate) =
        X509Certificate::from_der(certificate).map_err(|_| UnreadableCertificate)?;
    named_by(&certificate).map(|named| named.services)
}

/// The services that a certificate names.
pub(crate) struct Named {
    /// Ascending, without overlap.
    pub(crate) services: Vec<Service>,
    /// Entries that were meant to name a service and do not: at most [`MAX_MALFORMED`], and of each at most
    /// [`MAX_SHOWN`] characters.
    pub(crate) malformed: Vec<String>,
}

/// Malformed entries that are kept of one certificate.
const MAX_MALFORMED: usize = 4;

/// Characters that are kept of each.
const MAX_SHOWN: usize = 64;

/// Like [`allowed_services`], for a certificate that is already parsed.
pub(crate) fn named_by(certificate: &X509Certificate<'_>) -> Result<Named, UnreadableCertificate> {
    let names = certificate.subject_alternative_name().map_err(|_| UnreadableCertificate)?;
    let names = names.map_or(&[][..], |names| &names.value.general_names);
    let (mut services, mut malformed) = (Vec::new(), Vec::new());
    for entry in names.iter().flat_map(entries_of) {
        match entry {
            Ok(service) if services.len() < MAX_ITEMS => services.push(service),
            Err(Malformed(text)) if malformed.len() < MAX_MALFORMED => malformed.push(text),
            _ => {}
        }
    }
    Ok(Named { services: service::union(services), malformed })
}

/// The beginning of an entry that names no service, though it should.
#[derive(Debug, Eq, PartialEq)]
struct Malformed(String);

impl Malformed {
    fn new(form: &str, text: &str) -> Self {
        Self(form.chars().chain(text.chars()).take(MAX_SHOWN).collect())
    }
}

fn entries_of(name: &GeneralName<'_>) -> Vec<Result<Service, Malformed>> {
    match name {
        GeneralName::OtherName(kind, value) if *kind == OTHER_NAME => match utf8(value) {
            Some(text) => listed(&text),
            None => vec![Err(Malformed::new("otherName:", "not a UTF-8 string"))],
        },
        GeneralName::URI(uri) => match uri.strip_prefix(URI_SCHEME).map(str::parse) {
            Some(Ok(service)) => vec![Ok(service)],
            Some(Err(_)) => vec![Err(Malformed::new("", uri))],
            None => misplaced("", uri),
        },
        GeneralName::DNSName(text) => misplaced("DNS:", text),
        GeneralName::RFC822Name(text) => misplaced("email:", text),
        _ => Vec::new(),
    }
}

/// Our scheme in another spelling or another kind of name: RFC 3986 treats `SKNOCK:` as `sknock:`; we do not.
fn misplaced(form: &str, text: &str) -> Vec<Result<Service, Malformed>> {
    let scheme = text.trim_start().split_once(':').map_or("", |(scheme, _)| scheme.trim_end());
    let is_ours = scheme.eq_ignore_ascii_case(URI_SCHEME.trim_end_matches(':'));
    if is_ours { vec![Err(Malformed::new(form, text))] } else { Vec::new() }
}

/// The text of `[0] EXPLICIT UTF8String`, and nothing else.
fn utf8(value: &[u8]) -> Option<String> {
    let (rest, tagged) = Any::from_der(value).ok()?;
    tagged.header.assert_class(Class::ContextSpecific).ok()?;
    tagged.header.assert_tag(Tag(0)).ok()?;
    let (inner_rest, text) = Utf8String::from_der(tagged.data).ok()?;
    (rest.is_empty() && inner_rest.is_empty()).then(|| text.string())
}

/// The services in a list like `1.2000,0.8000`, up to and including its first malformed item.
fn listed(text: &str) -> Vec<Result<Service, Malformed>> {
    let mut found = Vec::new();
    // Items that name no service do not fill `services`: without this limit they would all be read.
    for text in text.split(',').take(MAX_ITEMS) {
        let Ok(service) = item(text) else {
            found.push(Err(Malformed::new("otherName:", text)));
            break;
        };
        found.extend(service.map(Ok));
    }
    found
}

/// Not integers between dots.
struct MalformedItem;

/// One item, which may be well-formed and yet name no service.
///
/// As in the original, an item is any number of integers between dots, of which only pairs of a
/// transport and a port mean something.
fn item(text: &str) -> Result<Option<Service>, MalformedItem> {
    let numbers: Vec<Option<u16>> = text.split('.').map(integer).collect::<Result<_, _>>()?;
    Ok(match numbers[..] {
        [Some(1), Some(port)] => Service::tcp(port),
        [Some(0), Some(port)] => Service::udp(port),
        _ => None,
    })
}

/// A decimal integer as the original reads it: white space around it, a sign and leading zeros are
/// allowed. `None` if it does not fit 16 bits.
fn integer(text: &str) -> Result<Option<u16>, MalformedItem> {
    let text = text.trim_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let decimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    // `parse` accepts a leading + and refuses a -: `-22` is well-formed, and no port (PROTOCOL,
    // Certificates).
    if decimal { Ok(text.parse().ok()) } else { Err(MalformedItem) }
}

/// The otherName's text for `services`; empty if this form can express none of them.
///
/// The form has no ranges, so only single ports are named; [`uri`] can express every service.
pub fn other_name_text(services: &[Service]) -> String {
    let items = services.iter().filter(|service| service.width() == 1).map(|service| {
        let transport = match service.transport() {
            Transport::Tcp => 1,
            Transport::Udp => 0,
        };
        format!("{transport}.{}", service.first())
    });
    items.collect::<Vec<_>>().join(",")
}

/// The URI for `service`.
pub fn uri(service: &Service) -> String {
    format!("{URI_SCHEME}{service}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services(text: &str) -> Vec<Service> {
        text.split_whitespace().map(|service| service.parse().unwrap()).collect()
    }

    fn good(text: &str) -> Vec<Service> {
        listed(text).into_iter().flatten().collect()
    }

    #[test]
    fn entries_that_are_meant_for_us_and_malformed_are_kept() {
        for uri in [
            "sknock:TCP/22",
            "SKNOCK:tcp/22",
            "Sknock:tcp/22",
            " sknock:tcp/22",
            "sknock :tcp/22",
            "sknock:tcp/22 ",
            "sknock: tcp/22",
            "sknock://tcp/22",
            "sknock:tcp/22,tcp/80",
            "sknock:tcp/22;udp/53",
            "sknock:",
            "sknock:tcp/022",
            "sknock:22/tcp",
            "sknock:tcp/0",
        ] {
            let malformed = Malformed(uri.into());
            assert_eq!(entries_of(&GeneralName::URI(uri)), [Err(malformed)], "{uri}");
        }
        for other in ["http://sknock:tcp/22", "sknocker:tcp/22", "sknock", "", "urn:sknock:tcp/22"]
        {
            assert_eq!(entries_of(&GeneralName::URI(other)), [], "{other}");
        }
        let dns = entries_of(&GeneralName::DNSName("sknock:tcp/22"));
        assert_eq!(dns, [Err(Malformed("DNS:sknock:tcp/22".into()))]);
        assert_eq!(entries_of(&GeneralName::DNSName("sknock.example.org")), []);
        assert_eq!(listed("1.5,x,1.6")[1], Err(Malformed("otherName:x".into())));
        let long = format!("sknock:{}", "ü".repeat(500));
        let Err(Malformed(shown)) = &entries_of(&GeneralName::URI(&long))[0] else { panic!() };
        assert_eq!(shown.chars().count(), MAX_SHOWN);
    }

    #[test]
    fn an_other_name_lists_ports() {
        for (text, expected) in [
            ("1.2000,1.3000,0.8000", "tcp/2000 tcp/3000 udp/8000"),
            (" 1.2000,1 . 3000\n", "tcp/2000 tcp/3000"),
            ("01.02000,+1.+3", "tcp/2000 tcp/3"),
            ("2.22,1.22", "tcp/22"),
            ("1,1.2.3,1.22", "tcp/22"),
            ("1.0,1.65536,1.99999999999999999999,1.-5,1.22", "tcp/22"),
        ] {
            assert_eq!(good(text), services(expected), "{text:?}");
        }
    }

    #[test]
    fn a_malformed_item_ends_its_list() {
        for text in ["1.5,,1.6", "1.5,x,1.6", "1.5,1.6-7,1.6", "1.5,1._6,1.6", "1.5,1.٦,1.6"] {
            assert_eq!(good(text), services("tcp/5"), "{text:?}");
            assert!(listed(text)[1].is_err(), "{text:?}");
        }
        for text in ["", "*", "tcp/5", "1.5 6", "1.", ".5", "1.++5", "1.+", "1.\u{a0}5"] {
            assert_eq!(good(text), [], "{text:?}");
            assert!(listed(text)[0].is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let some = services("tcp/22 udp/8000 udp/60000-61000");
        assert_eq!(other_name_text(&some), "1.22,0.8000");
        assert_eq!(good(&other_name_text(&some)), services("tcp/22 udp/8000"));
        assert_eq!(other_name_text(&services("tcp/1-2")), "");
        for service in some {
            let uri = uri(&service);
            assert_eq!(entries_of(&GeneralName::URI(&uri)), [Ok(service)]);
        }
    }

    #[test]
    fn the_value_is_exactly_one_utf8_string() {
        let good = [0xa0, 5, 0x0c, 3, b'1', b'.', b'5'];
        assert_eq!(utf8(&good).as_deref(), Some("1.5"));
        for bad in [
            &[0xa0, 5, 0x16, 3, b'1', b'.', b'5'][..], // an IA5String
            &[0xa0, 5, 0x04, 3, b'1', b'.', b'5'],     // an OCTET STRING
            &[0xa1, 5, 0x0c, 3, b'1', b'.', b'5'],     // another tag
            &[0xa0, 5, 0x0c, 2, b'1', b'.', b'5'],     // a byte more than the string
            &[0xa0, 5, 0x0c, 3, b'1', b'.', b'5', 0],  // a byte more than the value
            &[0xa0, 3, 0x0c, 1, 0xff],                 // not UTF-8
            &good[..6],
            &[],
        ] {
            assert_eq!(utf8(bad), None, "{bad:02x?}");
        }
    }
}
