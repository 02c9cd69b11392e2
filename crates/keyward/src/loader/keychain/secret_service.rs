//! The Secret Service of a Linux desktop, through libdbus.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use dbus_secret_service::{EncryptionType, Error as ServiceError, SecretService};
use keyring_core::CredentialStore;
use keyward_core::find;

use super::trouble::Trouble;

pub(super) fn open() -> Result<Arc<CredentialStore>, Trouble> {
    Ok(dbus_secret_service_keyring_store::Store::new().map_err(Trouble::of)?)
}

/// Whether the entry, or the keyring that it would be in, is locked, so that to ask for it would be
/// to ask a person. The library that keeps entries would do that, and wait for a year.
pub(super) fn is_locked(service: &str, user: &str) -> Result<bool, Trouble> {
    ask(service, user).map_err(|error| of(&error))
}

fn ask(service: &str, user: &str) -> Result<bool, ServiceError> {
    // No secret passes here, so nothing needs to be encrypted.
    let bus = SecretService::connect_with_max_prompt_timeout(EncryptionType::Plain, 0)?;
    let found = bus.search_items(HashMap::from([("service", service), ("username", user)]))?;
    if !found.locked.is_empty() {
        return Ok(true);
    }
    if !found.unlocked.is_empty() {
        return Ok(false);
    }
    // Not every service finds what is in a locked keyring, so of one nothing can be said.
    match bus.get_default_collection() {
        Ok(keyring) => keyring.is_locked(),
        Err(ServiceError::NoResult) => Ok(false),
        Err(error) => Err(error),
    }
}

/// What a platform's error amounts to, if it is one of the Secret Service.
pub(super) fn trouble(error: &(dyn Error + Send + Sync + 'static)) -> Option<Trouble> {
    error.downcast_ref::<ServiceError>().map(of)
}

fn of(error: &ServiceError) -> Trouble {
    match error {
        ServiceError::Dbus(error) => of_bus(error.name().unwrap_or_default()),
        ServiceError::Locked | ServiceError::Prompt => Trouble::Locked,
        ServiceError::NoResult => Trouble::Absent("the Secret Service has no default keyring"),
        ServiceError::Unavailable => Trouble::Absent("no Secret Service is at work"),
        _ => Trouble::Failed("the Secret Service answered what cannot be understood".into()),
    }
}

/// What an error of the bus amounts to, by the name that it has there.
fn of_bus(name: &str) -> Trouble {
    let is_one_of = |names: &[&str]| {
        name.strip_prefix("org.freedesktop.DBus.Error.").is_some_and(|name| names.contains(&name))
    };
    if is_one_of(&["NoReply", "Timeout", "TimedOut"]) {
        Trouble::Silent
    } else if is_one_of(&["NameHasNoOwner", "ServiceUnknown"]) || name.contains(".Spawn.") {
        Trouble::Absent("no Secret Service is at work")
    } else if is_one_of(&[
        "BadAddress",
        "Disconnected",
        "FileNotFound",
        "IOError",
        "NoNetwork",
        "NoServer",
        "NotSupported",
    ]) {
        Trouble::Absent("there is no D-Bus session")
    } else if is_one_of(&["AccessDenied", "AuthFailed"]) {
        Trouble::Denied
    } else if name == "org.freedesktop.Secret.Error.IsLocked" {
        Trouble::Locked
    } else {
        Trouble::Failed(format!("the Secret Service failed: {}", find::scrub(name)).into())
    }
}
