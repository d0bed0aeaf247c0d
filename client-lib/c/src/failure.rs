//! Errors: a number for programs and a text for people, stored for each thread. Also stops panics before they
//! reach C.

#![expect(unsafe_code, reason = "C finds functions by their names")]

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use sknock::{
    BundleError, ConnectError, CredentialError, IdentityError, KnockError, SealError as V2,
    SealErrorV1 as V1, ServerCertificateError,
};

/// How a call ended: `SKNOCK_RESULT_OK`, or a negative number. New ones may be added.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub enum Outcome {
    /// It worked.
    Ok = 0,
    /// An argument is NULL, out of its range or invalid UTF-8, or no knock can be made with it.
    Argument = -1,
    /// A file cannot be read.
    File = -2,
    /// The password does not open the identity.
    Password = -3,
    /// The identity is invalid or damaged, or its key or certificate cannot be used for knocks.
    Identity = -4,
    /// The server's certificate is invalid, or its key cannot be a server's.
    Server = -5,
    /// The host's name has no address, or none of the wanted family.
    Resolve = -6,
    /// No knock could be sent: the network or a local firewall prevents it, or this machine's clock or memory
    /// does.
    NotSent = -7,
    /// Knocks were sent, and there is no sign that access was granted. Servers never answer refused knocks.
    NotConfirmed = -8,
    /// The server granted access, but nothing accepts connections at the port.
    NothingListens = -9,
    /// A bug in this library; the text describes it. Please report it.
    Internal = -10,
}

/// Why a call failed.
#[derive(Debug)]
pub(crate) struct CallFailure {
    pub(crate) outcome: Outcome,
    pub(crate) text: String,
}

thread_local! {
    /// The latest failure, its text as C reads it.
    static LAST: RefCell<Option<(Outcome, CString)>> = const { RefCell::new(None) };
}

/// Runs `work`. An error or a panic is stored for this thread.
pub(crate) fn caught<T>(work: impl FnOnce() -> Result<T, CallFailure>) -> Result<T, Outcome> {
    // A panic cannot leave an inconsistent state: all state is behind a mutex, and consistent there (see
    // `Client`).
    let failure = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => return Ok(done),
        Ok(Err(failure)) => failure,
        // `&*`: a reference to the box would be an `Any` of its own, of which no text can be taken.
        Err(panic) => CallFailure::bug(&*panic),
    };
    let outcome = failure.outcome;
    failure.remember();
    Err(outcome)
}

/// Drops an object that C returned. An error in a destructor cannot be reported.
pub(crate) fn free<T>(handed_back: Option<Box<T>>) {
    let _: Result<(), Outcome> = caught(|| {
        drop(handed_back);
        Ok(())
    });
}

impl CallFailure {
    pub(crate) fn new(outcome: Outcome, text: impl Into<String>) -> Self {
        Self { outcome, text: text.into() }
    }

    /// An unexpected NULL.
    pub(crate) fn null(name: &str) -> Self {
        Self::new(Outcome::Argument, format!("{name} is NULL"))
    }

    fn bug(panic: &(dyn Any + Send)) -> Self {
        let said = panic.downcast_ref::<&str>().copied();
        let said = said.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let said = said.unwrap_or("for an unknown reason");
        Self::new(Outcome::Internal, format!("a fault in libsknock; please report it: {said}"))
    }

    /// Stores it for [`sknock_error`] and [`sknock_error_text`].
    pub(crate) fn remember(self) {
        // A zero byte would end the text early: host names may come from any source.
        let text = CString::new(self.text.replace('\0', " ")).unwrap_or_default();
        // A thread that is ending has no thread-local storage any more.
        let _ = LAST.try_with(|last| *last.borrow_mut() = Some((self.outcome, text)));
    }
}

/// The reason of the latest failed call of this thread; `SKNOCK_RESULT_OK` if none failed.
///
/// A successful call does not change it.
#[unsafe(no_mangle)] // SAFETY: only this library calls its symbols sknock_
pub extern "C" fn sknock_error() -> Outcome {
    let known = LAST.try_with(|last| last.borrow().as_ref().map(|(outcome, _)| *outcome));
    known.ok().flatten().unwrap_or(Outcome::Ok)
}

/// The same as text: one English sentence or more, with a remedy; never NULL.
///
/// The text belongs to the library. It is valid until another call of this thread fails, or the thread ends:
/// copy it if you need it longer.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn sknock_error_text() -> *const c_char {
    let text = |last: &RefCell<Option<(Outcome, CString)>>| {
        last.borrow().as_ref().map(|(_, text)| text.as_ptr())
    };
    LAST.try_with(text).ok().flatten().unwrap_or(c"".as_ptr())
}

impl From<CredentialError> for CallFailure {
    fn from(error: CredentialError) -> Self {
        let outcome = match &error {
            CredentialError::Read { .. } | CredentialError::Folder { .. } => Outcome::File,
            CredentialError::Bundle { source: BundleError::WrongPassword, .. } => Outcome::Password,
            CredentialError::ServerCertificate { .. } => Outcome::Server,
            _ => Outcome::Identity,
        };
        Self::new(outcome, error.to_string())
    }
}

impl From<BundleError> for CallFailure {
    fn from(error: BundleError) -> Self {
        let wrong_password = error == BundleError::WrongPassword;
        let outcome = if wrong_password { Outcome::Password } else { Outcome::Identity };
        Self::new(outcome, error.to_string())
    }
}

impl From<IdentityError> for CallFailure {
    fn from(error: IdentityError) -> Self {
        Self::new(Outcome::Identity, error.to_string())
    }
}

impl From<ServerCertificateError> for CallFailure {
    fn from(error: ServerCertificateError) -> Self {
        Self::new(Outcome::Server, error.to_string())
    }
}

impl From<KnockError> for CallFailure {
    fn from(error: KnockError) -> Self {
        let outcome = match &error {
            KnockError::Seal(V2::CertificateTooLarge { .. })
            | KnockError::SealV1(V1::CertificateTooLarge { .. } | V1::NotP256) => Outcome::Identity,
            KnockError::Seal(V2::Library) | KnockError::SealV1(V1::Library | V1::Stamp) => {
                Outcome::NotSent
            }
            KnockError::Seal(_)
            | KnockError::SealV1(_)
            | KnockError::NotInV1(_)
            | KnockError::TooManyPorts(_)
            | KnockError::Host(_)
            | KnockError::Address(_) => Outcome::Argument,
            KnockError::Resolve { .. } | KnockError::NoAddress { .. } => Outcome::Resolve,
            KnockError::NotSent { .. } => Outcome::NotSent,
            KnockError::NothingListens { .. } => Outcome::NothingListens,
            _ => Outcome::NotConfirmed,
        };
        Self::new(outcome, error.to_string())
    }
}

impl From<ConnectError> for CallFailure {
    fn from(error: ConnectError) -> Self {
        let outcome = match error {
            ConnectError::Knock(knock) => return knock.into(),
            ConnectError::NoPort => Outcome::Argument,
            ConnectError::NothingListens { .. } => Outcome::NothingListens,
            _ => Outcome::NotConfirmed,
        };
        Self::new(outcome, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    type Work = fn() -> Result<(), CallFailure>;

    fn text() -> String {
        let pointer = sknock_error_text();
        LAST.with_borrow(|last| {
            let text = last.as_ref().map_or(c"", |(_, text)| text.as_c_str());
            assert!(last.is_none() || text.as_ptr() == pointer);
            CStr::to_string_lossy(text).into_owned()
        })
    }

    #[test]
    fn a_panic_becomes_an_outcome_and_a_text() {
        assert_eq!((sknock_error(), text()), (Outcome::Ok, String::new()));
        let panics: [(Work, &str); 3] = [
            (|| panic!("at the disco"), "at the disco"),
            (|| panic!("number {}", sknock_error() as i32), "number "),
            (|| std::panic::panic_any(7), "for an unknown reason"),
        ];
        for (panic, said) in panics {
            let outcome = caught(panic);
            assert_eq!((outcome, sknock_error()), (Err(Outcome::Internal), Outcome::Internal));
            assert!(text().contains(said), "{}", text());
        }
    }

    #[test]
    fn the_latest_failure_of_a_thread_stays_until_another() {
        let fail = |text: &str| caught::<()>(|| Err(CallFailure::new(Outcome::Resolve, text)));
        assert_eq!(fail("no \0 host"), Err(Outcome::Resolve));
        assert_eq!(caught(|| Ok(7)), Ok(7));
        assert_eq!((sknock_error(), text()), (Outcome::Resolve, "no   host".to_owned()));
        let other = std::thread::spawn(|| (sknock_error(), text())).join().unwrap();
        assert_eq!(other, (Outcome::Ok, String::new()));
        assert_eq!(fail("another"), Err(Outcome::Resolve));
        assert_eq!(text(), "another");
    }
}
