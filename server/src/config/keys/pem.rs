//! Finds the certificates in a PEM file that was edited by people and tools: with a byte order mark,
//! indented, joined without a line end, among other text. Each is found, or reported with its line. The
//! library decodes the base64.

use pki_types::CertificateDer;
use pki_types::pem::PemObject;

use super::KeyProblem;

/// A certificate and its line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Located {
    /// The line of its BEGIN, counted from 1.
    pub line: usize,
    /// DER.
    pub der: Vec<u8>,
}

/// An unused section of the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unused {
    /// The line of its BEGIN, counted from 1.
    pub line: usize,
    /// Its type and the reason; a remedy follows after a semicolon.
    pub why: String,
}

/// The content of a file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Contained {
    /// Certificates, at least one, in the file's order.
    pub certificates: Vec<Located>,
    /// The other sections.
    pub others: Vec<Unused>,
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// The second is an old name of the first.
const CERTIFICATE: [&str; 2] = ["CERTIFICATE", "X509 CERTIFICATE"];

/// Reads a PEM file. A certificate that is damaged is an error.
pub fn read(pem: &[u8]) -> Result<Contained, KeyProblem> {
    if pem.starts_with(b"\xff\xfe") || pem.starts_with(b"\xfe\xff") {
        return Err(KeyProblem::Wide);
    }
    // Certificates are ASCII; comments may be in any encoding.
    let text = String::from_utf8_lossy(pem);
    let mut contained = Contained::default();
    let mut place = 0;
    while let Some(found) = text[place..].find(BEGIN).map(|found| place + found) {
        place = section(&text, found, &mut contained)?;
    }
    if contained.certificates.is_empty() {
        return Err(contained.others.first().map_or(KeyProblem::EmptyPem, |other| {
            KeyProblem::NoCertificate { line: other.line, why: other.why.clone() }
        }));
    }
    Ok(contained)
}

/// Parses the section at `begin`; returns the position after it.
fn section(text: &str, begin: usize, contained: &mut Contained) -> Result<usize, KeyProblem> {
    let line = 1 + text[..begin].matches('\n').count();
    let damaged = |why: String| KeyProblem::Damaged { line, why };
    let after = begin + BEGIN.len();
    let before = text[..begin].rsplit('\n').next().unwrap_or_default();
    let before = before.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if before.starts_with('#') {
        return Ok(after);
    }
    let label = text[after..].lines().next().unwrap_or_default();
    let Some(label) = label.find(DASHES).map(|end| &label[..end]) else {
        return Err(damaged("its BEGIN line lacks the five dashes at the end".to_owned()));
    };
    let body = after + label.len() + DASHES.len();
    let mark = format!("{END}{label}{DASHES}");
    let next = text[body..].find(BEGIN).map_or(text.len(), |next| body + next);
    let Some(end) = text[body..next].find(&mark).map(|end| body + end) else {
        return Err(damaged(format!("no END {label} follows its BEGIN")));
    };
    if !before.is_empty() && !before.ends_with(DASHES) {
        let why = format!("{label} with text before it on its line. Put it on a line of its own");
        contained.others.push(Unused { line, why });
    } else if CERTIFICATE.contains(&label) {
        let der = decode(&text[body..end]).map_err(|error| damaged(error.to_string()))?;
        contained.certificates.push(Located { line, der });
    } else {
        contained.others.push(Unused { line, why: other(label) });
    }
    Ok(end + mark.len())
}

/// Decodes the lines without surrounding white space.
fn decode(body: &str) -> Result<Vec<u8>, pki_types::pem::Error> {
    let lines = body.lines().map(str::trim).filter(|line| !line.is_empty());
    let body = lines.collect::<Vec<_>>().join("\n");
    // The library knows only the first label.
    let [label, _] = CERTIFICATE;
    let whole = format!("{BEGIN}{label}{DASHES}\n{body}\n{END}{label}{DASHES}\n");
    CertificateDer::from_pem_slice(whole.as_bytes()).map(|der| der.to_vec())
}

fn other(label: &str) -> String {
    match label {
        "TRUSTED CERTIFICATE" => {
            "TRUSTED CERTIFICATE is a format of openssl only. Convert it with `openssl x509`"
                .to_owned()
        }
        label if label.ends_with("PRIVATE KEY") => {
            format!("{label}: a private key does not belong here. Remove it and keep it secret")
        }
        label => format!("{label} is not a certificate. Remove it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "-----BEGIN CERTIFICATE-----\nMAMC\nAQE=\n-----END CERTIFICATE-----";
    const DER: [u8; 5] = [0x30, 3, 2, 1, 1];

    fn lines(pem: &str) -> Vec<usize> {
        let contained = read(pem.as_bytes()).unwrap();
        assert!(contained.certificates.iter().all(|one| one.der == DER), "{contained:?}");
        contained.certificates.iter().map(|one| one.line).collect()
    }

    #[test]
    fn certificates_are_found_however_they_were_pasted() {
        assert_eq!(lines(&format!("{ONE}\n{ONE}\n")), [1, 5]);
        assert_eq!(lines(&format!("{ONE}{ONE}")), [1, 4], "glued");
        assert_eq!(lines(&format!("\u{feff}{ONE}")), [1], "byte order mark");
        assert_eq!(lines(&format!("a comment\n{}", ONE.replace('\n', "\r\n"))), [2]);
        assert_eq!(lines(&format!("  {}", ONE.replace('\n', "\n\t "))), [1], "indented");
        assert_eq!(lines(&ONE.replace(" CERT", " X509 CERT")), [1], "an old name");
        let latin1 = [b"# M\xfcller\n", ONE.as_bytes()].concat();
        assert_eq!(read(&latin1).unwrap().certificates[0].line, 2);
    }

    #[test]
    fn what_is_no_certificate_or_not_to_be_one_is_named_or_left() {
        let other = ONE.replace("CERTIFICATE", "TRUSTED CERTIFICATE");
        let contained = read(format!("{ONE}\n{other}\n> {ONE}").as_bytes()).unwrap();
        assert_eq!(contained.certificates.len(), 1);
        let told: Vec<_> = contained.others.iter().map(|one| (one.line, &one.why[..7])).collect();
        assert_eq!(told, [(5, "TRUSTED"), (9, "CERTIFI")]);
        let commented = format!("{ONE}\n# {}", ONE.replace('\n', "\n# "));
        let contained = read(commented.as_bytes()).unwrap();
        assert_eq!((contained.certificates.len(), contained.others.len()), (1, 0));
    }

    #[test]
    fn what_is_damaged_is_an_error_with_its_line() {
        for (pem, place) in [
            (format!("{ONE}\n{}", ONE.replace("MAMC", "MA*C")), 5),
            (format!("\n{}", ONE.replace("-----END", "----END")), 2),
            (format!("{}\n{ONE}", ONE.replace("END CERTIFICATE", "END X")), 1),
            ("\n\n-----BEGIN CERTIFICATE\n".to_owned(), 3),
        ] {
            let error = read(pem.as_bytes()).unwrap_err();
            assert!(matches!(error, KeyProblem::Damaged { line, .. } if line == place), "{error}");
        }
        assert!(matches!(read(b"\xff\xfe-\0-\0"), Err(KeyProblem::Wide)));
        assert!(matches!(read(b""), Err(KeyProblem::EmptyPem)));
        let other = ONE.replace("CERTIFICATE", "TRUSTED CERTIFICATE");
        let error = read(other.as_bytes()).unwrap_err();
        assert!(matches!(error, KeyProblem::NoCertificate { line: 1, .. }), "{error}");
    }
}
