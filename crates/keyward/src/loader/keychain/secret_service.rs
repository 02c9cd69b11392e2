//! The Secret Service of a Linux desktop, through libdbus.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::thread;
use std::time::Duration;

use dbus_secret_service::{EncryptionType, Error as ServiceError, SecretService};
use keyring_core::CredentialStore;
use keyward_core::find;

use super::trouble::Trouble;

/// The right to ask the Secret Service, of one thread of the process at a time, and the way there.
pub(super) struct Turn {
    bus: MutexGuard<'static, Option<Bus>>,
    /// Whether the way was there before.
    is_old: bool,
}

/// Two connections: the library that keeps entries does not lend its own.
struct Bus {
    entries: Arc<CredentialStore>,
    locks: SecretService,
}

impl Turn {
    /// Takes a turn, unless `is_over` says first that it is too late for one.
    ///
    /// The process keeps its connections, because gnome-keyring 42 aborts now and then when one
    /// client leaves as another comes; and its threads wait here for one another, because the
    /// library gives an answer two seconds, and of a crowd some would leave without theirs. What is
    /// shared so is the way to a service of which a session has one, and holds no setting.
    pub(super) fn take(is_over: impl Fn() -> bool) -> Option<Self> {
        static BUS: Mutex<Option<Bus>> = Mutex::new(None);
        loop {
            match BUS.try_lock() {
                Ok(bus) => return Some(Self { is_old: bus.is_some(), bus }),
                Err(TryLockError::Poisoned(poisoned)) => {
                    let mut bus = poisoned.into_inner();
                    *bus = None;
                    BUS.clear_poison();
                    return Some(Self { bus, is_old: false });
                }
                Err(TryLockError::WouldBlock) if is_over() => return None,
                Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    /// The keychain, if the entry is not locked, nor the keyring that it would be in. To ask for a
    /// locked one would be to ask a person: the library would do that, and wait for a year.
    pub(super) fn unlocked(
        &mut self,
        service: &str,
        user: &str,
    ) -> Result<Arc<CredentialStore>, Trouble> {
        let bus = match &mut *self.bus {
            Some(bus) => bus,
            none => none.insert(Bus {
                // No secret passes on this one, so nothing needs to be encrypted.
                locks: SecretService::connect_with_max_prompt_timeout(EncryptionType::Plain, 0)
                    .map_err(|error| of(&error))?,
                entries: open()?,
            }),
        };
        if is_locked(&bus.locks, service, user).map_err(|error| of(&error))? {
            return Err(Trouble::Locked);
        }
        Ok(Arc::clone(&bus.entries))
    }

    /// Gives up connections over which something failed; tells whether it may have failed because
    /// the service that they led to is gone, so that it is worth another try.
    pub(super) fn hang_up(mut self) -> bool {
        *self.bus = None;
        self.is_old
    }
}

pub(super) fn open() -> Result<Arc<CredentialStore>, Trouble> {
    Ok(dbus_secret_service_keyring_store::Store::new().map_err(Trouble::of)?)
}

fn is_locked(bus: &SecretService, service: &str, user: &str) -> Result<bool, ServiceError> {
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
