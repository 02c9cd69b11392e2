//! The keyring of the Linux kernel.

use std::error::Error;
use std::sync::Arc;

use keyring_core::CredentialStore;
#[cfg(feature = "store")]
use keyring_core::{Entry, Error as KeyringError};
use linux_keyutils::{KeyError, KeyRing, KeyRingIdentifier};
#[cfg(feature = "store")]
use zeroize::Zeroizing;

use super::trouble::Trouble;

pub(super) fn open() -> Result<Arc<CredentialStore>, Trouble> {
    Ok(linux_keyutils_keyring_store::Store::new().map_err(Trouble::of)?)
}

pub(super) const NO_SESSION: Trouble =
    Trouble::Absent("this process has joined no session that has a keyring");

/// Whether this process has joined a session. If not, the kernel lends it the user's default one,
/// and what it writes goes into one that only the writing thread will ever see.
pub(super) fn has_session() -> bool {
    let id = |keyring| KeyRing::from_special_id(keyring, false).ok();
    id(KeyRingIdentifier::Session) != id(KeyRingIdentifier::UserSession)
}

/// Whether the kernel keeps a keyring for the user beside the sessions'. If not, the library writes
/// to the session's alone and says nothing.
#[cfg(feature = "store")]
pub(super) fn is_shared() -> bool {
    KeyRing::get_persistent(KeyRingIdentifier::Session).is_ok()
}

#[cfg(feature = "store")]
const NOT_SHARED: Trouble = Trouble::Absent(
    "there is no persistent keyring, so another session would not see what is written, and would \
     write its own (`keyctl get_persistent @s` tells why; a container often has none)",
);

/// Writes the entry, if other sessions see it then. The library puts it into the session's keyring first and then links it to the
/// user's, and leaves it in the one where the other fails: what was there before is put back.
#[cfg(feature = "store")]
pub(super) fn set(entry: &Entry, secret: &[u8], is_shared: bool) -> Result<(), Trouble> {
    if !is_shared {
        return Err(NOT_SHARED);
    }
    let before = match entry.get_secret().map(Zeroizing::new) {
        Ok(before) => Some(before),
        Err(KeyringError::NoEntry) => None,
        // There may be one, and it could not be put back.
        Err(error) => return Err(Trouble::of(error)),
    };
    entry.set_secret(secret).map_err(|error| {
        let _ = match before {
            Some(before) => entry.set_secret(&before),
            None => entry.delete_credential(),
        };
        Trouble::of(error)
    })
}

/// What a platform's error amounts to, if it is one of the kernel's keyring.
pub(super) fn trouble(error: &(dyn Error + Send + Sync + 'static)) -> Option<Trouble> {
    Some(match error.downcast_ref::<KeyError>()? {
        KeyError::AccessDenied | KeyError::PermissionDenied => Trouble::Denied,
        KeyError::QuotaExceeded => {
            Trouble::Failed("the kernel's keyring holds as much as this user may keep".into())
        }
        KeyError::KeyringDoesNotExist | KeyError::OperationNotSupported => {
            Trouble::Absent("there is no keyring of the kernel here")
        }
        error => Trouble::Failed(format!("the kernel's keyring failed: {error}").into()),
    })
}

#[cfg(all(feature = "store", test))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::any::Any;
    use std::sync::Mutex;

    use keyring_core::api::CredentialApi;
    use keyring_core::{Credential, Error, Result};

    use super::*;

    /// What the library does where the user's keyring takes no link: it writes, and then fails.
    #[derive(Debug, Default)]
    struct WritesAndFails(Mutex<Option<Vec<u8>>>, bool);

    impl CredentialApi for WritesAndFails {
        fn set_secret(&self, secret: &[u8]) -> Result<()> {
            *self.0.lock().unwrap() = Some(secret.to_owned());
            Err(Error::PlatformFailure(KeyError::QuotaExceeded.into()))
        }

        fn get_secret(&self) -> Result<Vec<u8>> {
            if self.1 {
                return Err(Error::NoStorageAccess(KeyError::AccessDenied.into()));
            }
            self.0.lock().unwrap().clone().ok_or(Error::NoEntry)
        }

        fn delete_credential(&self) -> Result<()> {
            self.0.lock().unwrap().take().map(drop).ok_or(Error::NoEntry)
        }

        fn get_credential(&self) -> Result<Option<Arc<Credential>>> {
            Ok(None)
        }

        fn get_specifiers(&self) -> Option<(String, String)> {
            None
        }

        fn as_any(&self) -> &dyn Any {
            self
        }
    }

    #[test]
    fn a_write_that_failed_leaves_what_was_there() {
        for before in [None, Some(b"the old one".to_vec())] {
            let credential = Arc::new(WritesAndFails(Mutex::new(before.clone()), false));
            let entry = Entry::new_with_credential(credential.clone());
            let trouble = set(&entry, b"the new one", true).expect_err("it fails");
            assert!(matches!(&trouble, Trouble::Failed(what) if what.contains("holds as much")));
            assert_eq!(*credential.0.lock().unwrap(), before);
        }
    }

    #[test]
    fn what_could_not_be_read_is_not_deleted() {
        let before = Some(b"the old one".to_vec());
        let credential = Arc::new(WritesAndFails(Mutex::new(before.clone()), true));
        let entry = Entry::new_with_credential(credential.clone());
        let trouble = set(&entry, b"the new one", true).expect_err("it fails");
        assert!(matches!(trouble, Trouble::Denied));
        assert_eq!(*credential.0.lock().unwrap(), before);
    }

    #[test]
    fn what_no_other_session_would_see_is_not_written() {
        let credential = Arc::new(WritesAndFails::default());
        let entry = Entry::new_with_credential(credential.clone());
        let trouble = set(&entry, b"the new one", false).expect_err("it fails");
        assert!(matches!(trouble, Trouble::Absent(what) if what.contains("persistent")));
        assert_eq!(*credential.0.lock().unwrap(), None);
    }
}
