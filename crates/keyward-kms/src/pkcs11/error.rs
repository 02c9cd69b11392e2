//! What a PKCS#11 module answers when it does not do what it was asked, as an [`Error`].

use cryptoki::context::Function;
use cryptoki::error::{Error as Module, RvError};

use crate::{Error, ErrorKind};

/// Why something was not done with a session.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    /// Whether it may be for the session's sake: it is broken, or was logged out of by others.
    pub(super) may_be_the_session: bool,
}

impl Failure {
    /// Of the module, which may say of a broken session that something went wrong and no more.
    pub(super) fn of_module(error: &Module) -> Self {
        use RvError as Code;
        let is_of_the_text = matches!(
            error,
            Module::Pkcs11(Code::EncryptedDataInvalid | Code::EncryptedDataLenRange, _)
        );
        Self { error: of_module(error), may_be_the_session: !is_of_the_text }
    }

    /// Whatever the session is.
    pub(super) fn certain(error: Error) -> Self {
        Self { error, may_be_the_session: false }
    }
}

/// Whether a login that ended so may have been counted by the token as a wrong PIN.
pub(super) fn is_refusal(error: &Module) -> bool {
    use RvError as Code;
    !matches!(
        error,
        Module::Pkcs11(
            Code::DeviceError
                | Code::DeviceMemory
                | Code::DeviceRemoved
                | Code::TokenNotPresent
                | Code::TokenNotRecognized
                | Code::UserAlreadyLoggedIn,
            _
        )
    )
}

/// Whether a PIN may be given to a token that says this of its user's.
pub(super) fn may_log_in(is_final_try: bool, is_locked: bool) -> Result<(), Error> {
    let (what, fix) = match (is_final_try, is_locked) {
        (_, true) => ("the user's PIN is locked", "set a new one as the token's security officer"),
        (true, false) => (
            "the token locks at one more wrong PIN, so none is tried",
            "log in with the right PIN by the token's own tool, and start anew",
        ),
        (false, false) => return Ok(()),
    };
    Err(Error::new(ErrorKind::Unauthenticated, what, fix))
}

/// An error of the module, without its words.
pub(super) fn of_module(error: &Module) -> Error {
    match error {
        Module::Pkcs11(code, function) => of_code(code, *function),
        Module::LibraryLoading(_) | Module::MissingSymbol(_) => Error::new(
            ErrorKind::Invalid,
            "the PKCS#11 module cannot be loaded",
            "check its path, and that it is for this kind of machine",
        ),
        _ => Error::new(
            ErrorKind::Unexpected,
            "the PKCS#11 module does not do what the standard says",
            "update it",
        ),
    }
}

fn of_code(code: &RvError, function: Function) -> Error {
    use RvError as Code;
    let opens = matches!(function, Function::Decrypt);
    let (kind, what, fix) = match code {
        // SoftHSM says no more of a tag that does not fit than that something went wrong.
        Code::EncryptedDataInvalid | Code::EncryptedDataLenRange => undecryptable(),
        Code::GeneralError | Code::FunctionFailed | Code::DataInvalid if opens => undecryptable(),
        Code::PinIncorrect | Code::PinInvalid | Code::PinLenRange => (
            ErrorKind::Unauthenticated,
            "the token refuses the PIN, which is not tried again",
            "give the user's PIN, and start anew",
        ),
        Code::PinExpired | Code::PinLocked | Code::UserPinNotInitialized => (
            ErrorKind::Unauthenticated,
            "the user's PIN is locked, expired or was never set",
            "set a new one as the token's security officer",
        ),
        Code::KeyFunctionNotPermitted
        | Code::KeyHandleInvalid
        | Code::KeySizeRange
        | Code::KeyTypeInconsistent => (
            ErrorKind::KeyUnusable,
            "the token's key may not be used for this",
            "let the key encrypt and decrypt, or take another one",
        ),
        Code::FunctionNotSupported | Code::MechanismInvalid | Code::MechanismParamInvalid => (
            ErrorKind::KeyUnusable,
            "the token has no AES-GCM as it is asked for here",
            "take a token that has CKM_AES_GCM with a nonce of 12 bytes that is given to it",
        ),
        Code::DataLenRange => {
            (ErrorKind::TooLarge, "more than the token seals at once", "check what is sealed")
        }
        Code::DeviceError
        | Code::DeviceRemoved
        | Code::SlotIdInvalid
        | Code::TokenNotPresent
        | Code::TokenNotRecognized => (
            ErrorKind::Unreachable,
            "the token is not there, or not at work",
            "put it in, and look at the module's own log",
        ),
        _ => (
            ErrorKind::Unreachable,
            "the PKCS#11 module fails",
            "look at the module's own log, and try again",
        ),
    };
    Error::new(kind, what, fix)
}

fn undecryptable() -> (ErrorKind, &'static str, &'static str) {
    (
        ErrorKind::Undecryptable,
        "the token does not open it",
        "give the key and the context that it was sealed by",
    )
}

#[cfg(test)]
mod tests {
    use cryptoki::context::Function;
    use cryptoki::error::{Error as Module, RvError};

    use super::{Failure, is_refusal, may_log_in, of_code};
    use crate::ErrorKind;

    #[test]
    fn only_what_the_text_is_to_blame_for_leaves_the_session_good() {
        for (code, may_be_the_session) in [
            (RvError::EncryptedDataInvalid, false),
            (RvError::EncryptedDataLenRange, false),
            (RvError::GeneralError, true),
            (RvError::FunctionFailed, true),
            (RvError::DataInvalid, true),
            (RvError::SessionHandleInvalid, true),
            (RvError::UserNotLoggedIn, true),
            (RvError::KeyHandleInvalid, true),
        ] {
            let failure = Failure::of_module(&Module::Pkcs11(code, Function::Decrypt));
            assert_eq!(failure.may_be_the_session, may_be_the_session, "{code:?}");
        }
    }

    #[test]
    fn a_login_that_the_token_may_have_counted_is_a_refusal() {
        for (code, refused) in [
            (RvError::PinIncorrect, true),
            (RvError::PinLocked, true),
            (RvError::GeneralError, true),
            (RvError::FunctionFailed, true),
            (RvError::VendorDefined(1), true),
            (RvError::UserAlreadyLoggedIn, false),
            (RvError::DeviceError, false),
            (RvError::DeviceRemoved, false),
            (RvError::TokenNotPresent, false),
        ] {
            assert_eq!(is_refusal(&Module::Pkcs11(code, Function::Login)), refused, "{code:?}");
        }
    }

    #[test]
    fn the_last_try_is_not_spent() {
        assert!(may_log_in(false, false).is_ok());
        for (is_final_try, is_locked, says) in [
            (true, false, "one more wrong PIN"),
            (false, true, "locked"),
            (true, true, "is locked"),
        ] {
            let error = may_log_in(is_final_try, is_locked).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unauthenticated);
            assert!(error.to_string().contains(says), "{error}");
        }
    }

    #[test]
    fn a_code_tells_the_kind() {
        for (code, function, kind) in [
            (RvError::EncryptedDataInvalid, Function::Decrypt, ErrorKind::Undecryptable),
            (RvError::GeneralError, Function::Decrypt, ErrorKind::Undecryptable),
            (RvError::GeneralError, Function::Encrypt, ErrorKind::Unreachable),
            (RvError::PinIncorrect, Function::Login, ErrorKind::Unauthenticated),
            (RvError::PinLocked, Function::Login, ErrorKind::Unauthenticated),
            (RvError::KeyFunctionNotPermitted, Function::DecryptInit, ErrorKind::KeyUnusable),
            (RvError::MechanismInvalid, Function::DecryptInit, ErrorKind::KeyUnusable),
            (RvError::DeviceRemoved, Function::OpenSession, ErrorKind::Unreachable),
            (RvError::HostMemory, Function::Decrypt, ErrorKind::Unreachable),
        ] {
            assert_eq!(of_code(&code, function).kind(), kind, "{code:?}");
        }
    }
}
