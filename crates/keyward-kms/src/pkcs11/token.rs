//! [`Token`]: the connection: a module, a token of it, and the thread that calls it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as ModuleError, RvError};
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::error::{Failure, is_refusal, may_log_in, of_module};
use crate::place::shown;
use crate::{Error, ErrorKind};

/// A token of a PKCS#11 module, which is logged in to as its user. Clones share the login.
///
/// Making one loads nothing and asks nothing. All calls are made by one thread, which a load waits
/// for until its deadline, and the drop of the last clone for a second: a module that hangs holds
/// up neither the service nor its exit for longer. A process that ends while the module is at work
/// all the same may be brought down by it: SoftHSM does so.
///
/// ```no_run
/// use keyward_kms::pkcs11::{Pin, Token};
///
/// fn token(pin: String) -> Token {
///     Token::new("/usr/lib/softhsm/libsofthsm2.so", "billing", Pin::from(pin))
/// }
/// ```
#[derive(Clone)]
pub struct Token(Arc<Inner>);

struct Inner {
    module: PathBuf,
    label: String,
    pin: Pin,
    /// Whether the token has refused the PIN, on whatever thread.
    refused: Arc<AtomicBool>,
    /// Once there is one.
    thread: Mutex<Option<Thread>>,
}

/// The thread that calls the module.
struct Thread {
    calls: Sender<Call>,
    /// Nothing comes of it but its end, which is that of the thread.
    ended: Receiver<()>,
}

/// Waits a moment until the session is closed: a module may bring a process down that ends while
/// it is at work.
impl Drop for Inner {
    fn drop(&mut self) {
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Thread { calls, ended }) = thread {
            drop(calls);
            let _ = ended.recv_timeout(MOMENT);
        }
    }
}

/// What the thread does, with a session that is logged in or the reason why there is none.
type Call = Box<dyn FnOnce(&mut Worker) + Send>;

/// The PIN of a token's user: wiped on drop, never printed.
#[derive(Clone)]
pub struct Pin(AuthPin);

impl From<String> for Pin {
    fn from(pin: String) -> Self {
        let pin = Zeroizing::new(pin);
        Self(AuthPin::new(pin.as_str().into()))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pin").finish_non_exhaustive()
    }
}

impl Token {
    /// The token with this label, which the module at this path leads to.
    #[must_use]
    pub fn new(module: impl Into<PathBuf>, label: impl Into<String>, pin: impl Into<Pin>) -> Self {
        Self(Arc::new(Inner {
            module: module.into(),
            label: label.into(),
            pin: pin.into(),
            refused: Arc::default(),
            thread: Mutex::new(None),
        }))
    }

    /// Does something with a session, on the token's thread; twice, if a session that was used
    /// before may be to blame that it was not done.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        work: impl Fn(&Session) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Error> {
        let (tell, told) = oneshot::channel();
        let call: Call = Box::new(move |worker| {
            // Nobody waits for it any more.
            if tell.is_closed() {
                return;
            }
            // What was not waited for is dropped, and wiped by that.
            let _ = tell.send(worker.run(work));
        });
        self.send(call)?;
        told.await.unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Unexpected,
                "the PKCS#11 module brought its thread down",
                "update the module",
            ))
        })
    }

    fn send(&self, call: Call) -> Result<(), Error> {
        let mut thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let call = match thread.as_ref() {
            Some(thread) => match thread.calls.send(call) {
                Ok(()) => return Ok(()),
                // The thread was brought down.
                Err(mpsc::SendError(call)) => call,
            },
            None => call,
        };
        let (calls, receiver) = mpsc::channel();
        let (ends, ended) = mpsc::channel();
        let worker = Worker {
            module: self.0.module.clone(),
            label: self.0.label.clone(),
            pin: self.0.pin.clone(),
            session: None,
            refused: self.0.refused.clone(),
        };
        let name = "keyward-pkcs11".to_owned();
        let begun = thread::Builder::new().name(name).spawn(move || {
            worker.work(&receiver);
            drop::<Sender<()>>(ends);
        });
        begun.map_err(|_| {
            Error::new(ErrorKind::Unexpected, "no thread can be had", "look at the limits")
        })?;
        let _ = calls.send(call);
        *thread = Some(Thread { calls, ended });
        Ok(())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("module", &shown(&self.0.module.to_string_lossy()))
            .field("label", &shown(&self.0.label))
            .finish_non_exhaustive()
    }
}

/// What the thread has.
struct Worker {
    module: PathBuf,
    label: String,
    pin: Pin,
    session: Option<Session>,
    refused: Arc<AtomicBool>,
}

impl Worker {
    /// Ends when the last [`Token`] is gone.
    fn work(mut self, calls: &Receiver<Call>) {
        while let Ok(call) = calls.recv() {
            call(&mut self);
        }
    }

    fn run<T>(&mut self, work: impl Fn(&Session) -> Result<T, Failure>) -> Result<T, Error> {
        if let Some(session) = self.session.take() {
            match work(&session) {
                Err(failure) if failure.may_be_the_session => {}
                done => return self.keep(session, done),
            }
        }
        let session = self.log_in()?;
        let done = work(&session);
        self.keep(session, done)
    }

    /// Keeps a session for the next call, unless it may be to blame.
    fn keep<T>(&mut self, session: Session, done: Result<T, Failure>) -> Result<T, Error> {
        if !done.as_ref().is_err_and(|failure| failure.may_be_the_session) {
            self.session = Some(session);
        }
        done.map_err(|failure| failure.error)
    }

    fn log_in(&self) -> Result<Session, Error> {
        if self.refused.load(Ordering::Relaxed) {
            return Err(of_module(&refused()));
        }
        let module = load(&self.module).map_err(|error| of_module(&error))?;
        let (slot, session) = find(&module, &self.label)?;
        // By another session of this process: the login is the application's.
        if is_logged_in(&session) {
            return Ok(session);
        }
        let info = module.get_token_info(slot).map_err(|error| of_module(&error))?;
        may_log_in(info.user_pin_final_try(), info.user_pin_locked())?;
        match session.login(UserType::User, Some(&self.pin.0)) {
            Ok(()) | Err(ModuleError::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
            Err(error) => {
                self.refused.fetch_or(is_refusal(&error), Ordering::Relaxed);
                Err(of_module(&error))
            }
        }
    }
}

/// Whether the token's user is logged in, by this session or another of this process.
pub(super) fn is_logged_in(session: &Session) -> bool {
    session.get_session_info().is_ok_and(|info| {
        matches!(info.session_state(), SessionState::RoUser | SessionState::RwUser)
    })
}

/// How long the drop of the last token waits.
const MOMENT: Duration = Duration::from_secs(1);

/// As the token itself would say it of a PIN that it refuses.
fn refused() -> ModuleError {
    ModuleError::Pkcs11(RvError::PinIncorrect, cryptoki::context::Function::Login)
}

fn load(module: &Path) -> Result<Pkcs11, ModuleError> {
    let module = Pkcs11::new(module)?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        // By somebody else in this process. For the same reason it is never finalized.
        Ok(()) | Err(ModuleError::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(module),
        Err(error) => Err(error),
    }
}

/// A session with the token of this label.
fn find(module: &Pkcs11, label: &str) -> Result<(Slot, Session), Error> {
    let slots = module.get_slots_with_initialized_token().map_err(|error| of_module(&error))?;
    let mut found = slots.into_iter().filter(|slot| {
        module.get_token_info(*slot).is_ok_and(|token| token.label().trim_end() == label)
    });
    match (found.next(), found.next()) {
        (Some(slot), None) => {
            let session = module.open_ro_session(slot).map_err(|error| of_module(&error))?;
            Ok((slot, session))
        }
        (None, _) => Err(Error::new(
            ErrorKind::Unreachable,
            "the module has no token with this label",
            "put the token in, or correct the label",
        )),
        (Some(_), Some(_)) => Err(Error::new(
            ErrorKind::Invalid,
            "the module has several tokens with this label",
            "give each a label of its own",
        )),
    }
}
