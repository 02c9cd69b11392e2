//! [`Item`]: one entry of a keychain, and how it is asked for within its time.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread;
use std::time::{Duration, Instant};

use keyring_core::{CredentialStore, Entry, Error};
use keyward_core::KeySource;
use zeroize::Zeroizing;

use super::Keychain;
use super::detached::{Ended, detached};
#[cfg(target_os = "linux")]
use super::secret_service::Turn;
use super::trouble::Trouble;
use crate::loader::place::Place;

/// One entry of a keychain: which, and how long to wait for it. Nothing is read before it is asked.
#[derive(Clone)]
pub(crate) struct Item {
    pub(crate) keychain: Keychain,
    pub(crate) may_prompt: bool,
    pub(crate) time_out: Duration,
    service: Place,
    user: Place,
    late: Arc<AtomicUsize>,
}

impl Item {
    pub(crate) fn new(keychain: Keychain, service: String, user: String) -> Self {
        Self {
            keychain,
            may_prompt: false,
            time_out: Duration::from_secs(10),
            service: Place::new(service),
            user: Place::new(user),
            late: Arc::default(),
        }
    }

    /// Does something with the entry on a thread of its own, within the time-out.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Session) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Trouble> {
        if self.service().is_empty() || self.user().is_empty() {
            return Err(Trouble::Invalid("the service or the user is empty"));
        }
        let (item, until) = (self.clone(), Instant::now().checked_add(self.time_out));
        let question = move || question(&Session::new(item, until));
        match detached(self.time_out, &self.late, question).await {
            Ended::Crowded => Err(Trouble::Crowded),
            Ended::Died => Err(Trouble::Failed("its library failed".into())),
            Ended::Done(Err(Trouble::Silent)) | Ended::Late => Err(Trouble::TimedOut),
            Ended::Done(done) => done,
        }
    }

    pub(crate) fn source(&self) -> KeySource {
        let scheme = match self.keychain {
            Keychain::Keyutils => "keyutils",
            _ => "keychain",
        };
        KeySource::new(scheme, format!("{}/{}", self.service, self.user))
    }

    /// How a person puts a key there.
    pub(super) fn how_to_write(&self) -> String {
        let (service, user) = (self.service.quoted(), self.user.quoted());
        match self.keychain {
            Keychain::Apple => {
                format!("write it with `security add-generic-password -s {service} -a {user} -w`")
            }
            Keychain::Keyutils => {
                let name = Place::new(format!("keyring:{}@{}", self.user, self.service)).quoted();
                format!("write it with `keyctl padd user {name} @s`")
            }
            Keychain::SecretService => format!(
                "write it with `secret-tool store --label=openai service {service} username {user}`"
            ),
            Keychain::Windows => format!(
                "write it in the Credential Manager, as the generic credential {}.{}",
                self.user, self.service
            ),
        }
    }

    fn service(&self) -> &str {
        self.service.as_os_str().to_str().unwrap_or_default()
    }

    fn user(&self) -> &str {
        self.user.as_os_str().to_str().unwrap_or_default()
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Item")
            .field("keychain", &self.keychain)
            .field("service", &self.service)
            .field("user", &self.user)
            .field("may_prompt", &self.may_prompt)
            .field("time_out", &self.time_out)
            .finish_non_exhaustive()
    }
}

/// The way to a keychain that is kept open between questions, where there is one.
#[cfg(target_os = "linux")]
type Way = Option<Turn>;
#[cfg(not(target_os = "linux"))]
type Way = ();

/// A thread's way to an [`Item`], for as long as its time-out.
pub(crate) struct Session {
    item: Item,
    /// No limit if it is not there.
    until: Option<Instant>,
    /// What the entry is asked through, opened once.
    entry: RefCell<Option<Arc<Entry>>>,
    #[cfg(target_os = "linux")]
    has_keyring: bool,
}

impl Session {
    fn new(item: Item, until: Option<Instant>) -> Self {
        Self {
            item,
            until,
            entry: RefCell::default(),
            // Asked first: the library gives the thread a keyring that dies with it.
            #[cfg(target_os = "linux")]
            has_keyring: super::keyutils::has_session(),
        }
    }

    /// What the entry holds; `None` if there is none.
    pub(crate) fn get(&self) -> Result<Option<Zeroizing<Vec<u8>>>, Trouble> {
        self.patiently(|entry| match read(entry) {
            Ok(bytes) => Ok(Some(bytes)),
            #[cfg(target_os = "linux")]
            Err(Error::NoEntry)
                if self.item.keychain == Keychain::Keyutils && !self.has_keyring =>
            {
                Err(super::keyutils::NO_SESSION)
            }
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(Trouble::of(error)),
        })
    }

    /// Writes the entry, or leaves it as it was; with [`Trouble::Silent`] nobody knows which.
    #[cfg(all(feature = "store", unix))]
    pub(crate) fn set(&self, secret: &[u8]) -> Result<(), Trouble> {
        self.patiently(|entry| match self.item.keychain {
            #[cfg(target_os = "linux")]
            Keychain::Keyutils if !self.has_keyring => Err(super::keyutils::NO_SESSION),
            #[cfg(target_os = "linux")]
            Keychain::Keyutils => super::keyutils::set(entry, secret, super::keyutils::is_shared()),
            _ => entry.set_secret(secret).map_err(Trouble::of),
        })
    }

    /// Whether the time-out is over.
    pub(crate) fn is_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Does it, and does it again while one message alone was not answered in its own short time,
    /// which on a busy machine says little. Writing the same again is writing it once.
    fn patiently<T>(&self, act: impl Fn(&Entry) -> Result<T, Trouble>) -> Result<T, Trouble> {
        loop {
            #[cfg(target_os = "linux")]
            let mut turn = self.turn()?;
            #[cfg(not(target_os = "linux"))]
            let mut turn = ();
            let done = self.entry(&mut turn).and_then(|entry| act(&entry));
            let Err(trouble) = &done else { return done };
            let is_silent = matches!(trouble, Trouble::Silent);
            let has_failed = matches!(trouble, Trouble::Absent(_) | Trouble::Failed(_));
            if !is_silent && !has_failed {
                return done;
            }
            // What was opened may lead to a service that is gone.
            self.entry.take();
            #[cfg(target_os = "linux")]
            let is_stale = turn.is_some_and(Turn::hang_up);
            #[cfg(not(target_os = "linux"))]
            let is_stale = false;
            if !is_silent && !is_stale || self.is_over() {
                return done;
            }
            // A service that died answers for itself soon.
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until no other thread of this process asks the Secret Service. Who may ask a person
    /// does without: it would be in the way of the others for so long.
    #[cfg(target_os = "linux")]
    fn turn(&self) -> Result<Option<Turn>, Trouble> {
        if self.item.keychain != Keychain::SecretService || self.item.may_prompt {
            return Ok(None);
        }
        Turn::take(|| self.is_over()).map(Some).ok_or(Trouble::Silent)
    }

    fn entry(&self, way: &mut Way) -> Result<Arc<Entry>, Trouble> {
        if let Some(entry) = &*self.entry.borrow() {
            return Ok(Arc::clone(entry));
        }
        let entry = Arc::new(self.open(way)?);
        self.entry.replace(Some(Arc::clone(&entry)));
        Ok(entry)
    }

    /// Opens the keychain, by its own handle: the library's global one is the application's.
    fn open(&self, way: &mut Way) -> Result<Entry, Trouble> {
        #[cfg(not(target_os = "linux"))]
        let () = *way;
        let (service, user) = (self.item.service(), self.item.user());
        let store: Arc<CredentialStore> = match self.item.keychain {
            #[cfg(target_os = "macos")]
            Keychain::Apple => {
                apple_native_keyring_store::keychain::Store::new().map_err(Trouble::of)?
            }
            #[cfg(target_os = "linux")]
            Keychain::Keyutils => super::keyutils::open()?,
            #[cfg(target_os = "linux")]
            Keychain::SecretService => match way {
                Some(turn) => turn.unlocked(service, user)?,
                None => super::secret_service::open()?,
            },
            #[cfg(windows)]
            Keychain::Windows => windows_native_keyring_store::Store::new().map_err(Trouble::of)?,
            _ => return Err(Trouble::Unsupported),
        };
        let modifiers: Option<&HashMap<&str, &str>> = None;
        store.build(service, user, modifiers).map_err(Trouble::of)
    }
}

/// Windows' own tools write UTF-16, which `get_password` knows; others write bytes.
#[cfg(windows)]
fn read(entry: &Entry) -> Result<Zeroizing<Vec<u8>>, Error> {
    entry.get_password().map(|text| Zeroizing::new(text.into_bytes()))
}

#[cfg(not(windows))]
fn read(entry: &Entry) -> Result<Zeroizing<Vec<u8>>, Error> {
    entry.get_secret().map(Zeroizing::new)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_time_out_without_an_end_is_none() {
        let mut item = Item::new(Keychain::of_this_system(), "billing".into(), "openai".into());
        item.time_out = Duration::MAX;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let asked = runtime.block_on(item.ask(|session| Ok(session.is_over())));
        assert!(matches!(asked, Ok(false)));
    }
}
