//! What a PKCS#11 module answers when it does not do what it was asked, as an [`Error`].

use cryptoki::context::Function;
use cryptoki::error::{Error as Module, RvError};

use crate::{Error, ErrorKind};

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
    use cryptoki::error::RvError;

    use super::of_code;
    use crate::ErrorKind;

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
