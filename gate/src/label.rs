//! The comment on a grant's element: which knock, whose, so that `nft list` and a restarted gate can
//! tell without any file.

use sknock_types::{Serial, from_hex, hex};

use crate::cert_id::{CertId, OwnerName};

/// The longest comment, in bytes: nft's `NFTNL_UDATA_COMMENT_MAXLEN` (128) less its terminator.
pub const MAX_COMMENT: usize = 127;

/// Which knock and which certificate a grant belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GrantLabel {
    /// The beginning of the knock's id, which the audit log shows as well.
    pub knock: [u8; 8],
    /// Whose certificate it was.
    pub cert: CertId,
    /// What that certificate calls its owner.
    pub name: OwnerName,
}

impl GrantLabel {
    /// `k=<16 hex> i=<24 hex> s=<serial hex> n=<name, shortened and cleaned>`, at most [`MAX_COMMENT`] bytes.
    pub fn comment(&self) -> String {
        let (knock, issuer) = (hex(&self.knock), hex(&self.cert.issuer));
        let mut comment = format!("k={knock} i={issuer} s={} n=", self.cert.serial);
        // A clean name is ASCII, so it may end anywhere.
        let room = MAX_COMMENT.saturating_sub(comment.len());
        comment.extend(self.name.clean().chars().take(room));
        comment
    }

    /// Whether the name in the comment may be only the beginning of the name.
    pub fn may_be_cut(&self) -> bool {
        self.comment().len() == MAX_COMMENT
    }

    /// Reads a comment back, if it is one of ours.
    pub fn from_comment(comment: &str) -> Option<Self> {
        let rest = comment.strip_prefix("k=")?;
        let (knock, rest) = rest.split_once(" i=")?;
        let (issuer, rest) = rest.split_once(" s=")?;
        let (serial, name) = rest.split_once(" n=")?;
        let cert = CertId {
            issuer: from_hex(issuer)?.try_into().ok()?,
            serial: if serial == "00" { Serial::ZERO } else { Serial::new(&from_hex(serial)?)? },
        };
        let knock = from_hex(knock)?.try_into().ok()?;
        let label = Self { knock, cert, name: OwnerName::truncated(name) };
        // Other spellings of the same (upper-case digits, characters that `clean` replaces) are not ours.
        (label.comment() == comment).then_some(label)
    }

    /// Of an element that another program added to our sets.
    pub(crate) fn unlabelled() -> Self {
        Self { knock: [0; 8], cert: CertId::UNKNOWN, name: OwnerName::truncated("by-hand") }
    }

    /// Whether an element with this was added by another program: its comment is none of ours.
    pub fn is_unlabelled(&self) -> bool {
        *self == Self::unlabelled()
    }

    /// The comment as the kernel stores it and nft reads it: type 0, length, text, NUL.
    pub(crate) fn userdata(&self) -> Vec<u8> {
        let comment = self.comment();
        // At most MAX_COMMENT + 1, which is 128.
        let length = u8::try_from(comment.len() + 1).unwrap_or(u8::MAX);
        [&[0, length], comment.as_bytes(), &[0]].concat()
    }

    /// The label in an element's userdata, if it is one of ours.
    pub(crate) fn from_userdata(userdata: &[u8]) -> Option<Self> {
        // 0 is nft's type for a comment (`NFTNL_UDATA_SET_ELEM_COMMENT`).
        let [0, length, text @ ..] = userdata else { return None };
        let text = text.get(..usize::from(*length))?.strip_suffix(&[0])?;
        Self::from_comment(std::str::from_utf8(text).ok()?)
    }
}

impl std::fmt::Display for GrantLabel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { knock, cert, name } = self;
        write!(f, "knock={} certificate={cert} name={name}", hex(knock))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(serial: &[u8], name: &str) -> GrantLabel {
        GrantLabel {
            knock: [0, 1, 2, 3, 4, 5, 6, 0xff],
            cert: CertId {
                issuer: [0, 0xab, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
                serial: Serial::new(serial).unwrap(),
            },
            name: OwnerName::truncated(name),
        }
    }

    #[test]
    fn a_comment_is_read_back() {
        let label = label(&[0x1f, 0], "alice@example.org");
        assert_eq!(
            label.comment(),
            "k=00010203040506ff i=00ab00010203040506070809 s=1f00 n=alice@example.org"
        );
        assert_eq!(GrantLabel::from_comment(&label.comment()), Some(label));
        assert_eq!(GrantLabel::from_userdata(&label.userdata()), Some(label));
    }

    #[test]
    fn the_longest_comment_fits() {
        let comment = label(&[0xff; 20], &"n".repeat(64)).comment();
        assert_eq!(comment.len(), MAX_COMMENT);
        assert_eq!(GrantLabel::from_comment(&comment).unwrap().comment(), comment);
    }

    #[test]
    fn other_comments_are_not_ours() {
        let good = label(&[1], "a").comment();
        let bad = ["", "k=", "by hand", "k=0 i=0 s=0 n=", &good.replace("k=00", "k=+0")];
        for comment in
            bad.into_iter().chain([good.to_uppercase().as_str(), &good.replace("i=", "j=")])
        {
            assert_eq!(GrantLabel::from_comment(comment), None, "{comment:?}");
        }
        for userdata in [&[][..], &[0], &[0, 5, b'k'], &[1, 1, 0], &[0, 0]] {
            assert_eq!(GrantLabel::from_userdata(userdata), None, "{userdata:?}");
        }
    }
}
