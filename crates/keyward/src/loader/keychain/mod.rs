//! [`KeychainLoader`]: a key in the keychain of the operating system. How a keychain is asked lives
//! in `item`, what is peculiar to one in a file of its own, and what keeps it from hanging the
//! process in `detached`.

use std::time::Duration;

use keyward_core::{ApiKey, KeySource};

pub(crate) use self::item::Item;
pub(crate) use self::item::Session;
#[cfg(all(feature = "store", unix))]
pub(crate) use self::trouble::Trouble;
use super::{KeyLoader, LoadError, LoadErrorKind, LoadedKey};

mod detached;
mod item;
#[cfg(target_os = "linux")]
mod keyutils;
#[cfg(target_os = "linux")]
mod secret_service;
mod trouble;

/// Loads a key from the keychain of the operating system.
///
/// An entry is named by a service and a user, as in every program that uses the crates `keyring`
/// and `keyring-core`, and holds the key and nothing else:
///
/// | [`Keychain`] | write it with |
/// |---|---|
/// | [`Apple`](Keychain::Apple) | `security add-generic-password -s SERVICE -a USER -w` |
/// | [`Keyutils`](Keychain::Keyutils) | `keyctl padd user keyring:USER@SERVICE @s` |
/// | [`SecretService`](Keychain::SecretService) | `secret-tool store --label=openai service SERVICE username USER` |
/// | [`Windows`](Keychain::Windows) | the Credential Manager, a generic credential `USER.SERVICE` |
///
/// Each of them asks for the key itself, so that it stands in no command line. With the feature
/// `store`, an entry can be a store too, as
/// [`KeychainPlace`](https://docs.rs/keyward/latest/keyward/store/struct.KeychainPlace.html) writes
/// it: its current key is loaded.
///
/// ```
/// use keyward::KeychainLoader;
///
/// let loader = KeychainLoader::new("billing", "openai");
/// # let _ = loader;
/// ```
///
/// # Time
///
/// A keychain may wait for a person, or for a service that has stopped answering. It is asked on a
/// thread that nobody waits for: after the [time-out](Self::with_time_out) the load fails with
/// [`LoadErrorKind::TimedOut`], and neither it nor the end of the process waits any longer.
///
/// A Secret Service that is locked is not asked to ask for its password, unless
/// [`may_prompt`](Self::may_prompt) allows it: there may be nobody to answer. The load fails with
/// [`LoadErrorKind::Locked`] at once. Whether it asks is the keychain's own decision on macOS,
/// where the time-out alone holds.
///
/// # Not there, and not found
///
/// An entry that does not exist is [`LoadErrorKind::NotFound`]. A keychain that does not exist, as
/// on a server where nobody is logged in, is [`LoadErrorKind::Unreachable`], and stops a chain: it
/// may have died a moment ago, with the newest key in it.
///
/// # Security
///
/// What the library hands over is wiped, and so is what it hands over in an error. Any program of
/// the same user can read an entry of the Secret Service that is unlocked, and of its session's
/// keyring; on macOS the keychain asks which program may. Over D-Bus the secret is encrypted, by a
/// library that draws its numbers from a generator that is not made for secrets: count on the
/// session bus being the user's own, and on nothing more.
#[derive(Clone, Debug)]
pub struct KeychainLoader {
    item: Item,
}

impl KeychainLoader {
    /// The entry of a service and a user in the [keychain of this system](Keychain::of_this_system).
    #[must_use]
    pub fn new(service: impl Into<String>, user: impl Into<String>) -> Self {
        Self { item: Item::new(Keychain::of_this_system(), service.into(), user.into()) }
    }

    /// Looks in this keychain instead.
    #[must_use]
    pub fn in_keychain(mut self, keychain: Keychain) -> Self {
        self.item.keychain = keychain;
        self
    }

    /// Lets the keychain ask a person for its password, within the time-out. Meant for programs
    /// that are started by hand; a service must not depend on it.
    #[must_use]
    pub fn may_prompt(mut self) -> Self {
        self.item.may_prompt = true;
        self
    }

    /// Waits so long for the keychain, instead of 10 seconds.
    #[must_use]
    pub fn with_time_out(mut self, time_out: Duration) -> Self {
        self.item.time_out = time_out;
        self
    }
}

impl KeyLoader for KeychainLoader {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        let source = self.source();
        let text = self
            .item
            .ask(Session::get)
            .await
            .map_err(|trouble| trouble.into_load_error(&self.item))?;
        let Some(mut text) = text else {
            return Err(LoadError::new(
                LoadErrorKind::NotFound,
                source,
                "no such entry",
                self.item.how_to_write(),
            ));
        };
        // No key begins so.
        #[cfg(feature = "store")]
        if text.first() == Some(&b'{') {
            return crate::store::current_of(&std::mem::take(&mut *text).into(), source);
        }
        ApiKey::parse(std::mem::take(&mut *text))
            .map(|key| LoadedKey::new(key, source.clone()))
            .map_err(|error| LoadError::invalid(source, error))
    }

    /// `keychain:SERVICE/USER`; `keyutils:SERVICE/USER` of the kernel's keyring.
    fn source(&self) -> KeySource {
        self.item.source()
    }
}

/// A keychain of an operating system.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Keychain {
    /// The login keychain of macOS.
    Apple,
    /// The keyring that the Linux kernel keeps for a session, and while it lives for its user. It
    /// is empty after a restart. The session must have one of its own: `pam_keyinit` gives it at
    /// login, `keyctl session` to a command, `KeyringMode=` to a unit of systemd.
    Keyutils,
    /// The Secret Service of a Linux desktop: GNOME Keyring, KWallet, KeePassXC.
    SecretService,
    /// The Credential Manager of Windows.
    Windows,
}

impl Keychain {
    /// The one that this system's programs use.
    #[must_use]
    pub const fn of_this_system() -> Self {
        if cfg!(target_vendor = "apple") {
            Self::Apple
        } else if cfg!(windows) {
            Self::Windows
        } else {
            Self::SecretService
        }
    }
}
