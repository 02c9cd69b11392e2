//! [`Trouble`]: what goes wrong with a keychain, without anything that was in it.

use std::borrow::Cow;
use std::time::Duration;

use keyring_core::Error;
use zeroize::Zeroize as _;

use super::Keychain;
use super::item::Item;
use crate::{LoadError, LoadErrorKind};

/// Why a keychain did not do what it was asked for.
///
/// It is made of the library's error and has nothing of it that the library took from elsewhere:
/// some of those hold what was read.
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "the others tell less"))]
pub(crate) enum Trouble {
    /// There is no such keychain at work.
    Absent(&'static str),
    /// Several entries have the name.
    Ambiguous,
    /// Too many earlier questions are without an answer.
    Crowded,
    Denied,
    /// By a name that the keychain gave it, or why else.
    Failed(Cow<'static, str>),
    /// A setting that cannot be used.
    Invalid(&'static str),
    Locked,
    /// Another process has been writing all the time.
    #[cfg(all(feature = "store", unix))]
    LockedByOther,
    /// One message was not answered within the library's own time; it may be sent again.
    Silent,
    TimedOut,
    /// More than so many bytes.
    TooLong(u32),
    /// This system has no such keychain.
    Unsupported,
}

impl Trouble {
    /// What the library's error amounts to, which is wiped.
    pub(super) fn of(error: Error) -> Self {
        match error {
            Error::BadEncoding(mut bytes) | Error::BadDataFormat(mut bytes, _) => {
                bytes.zeroize();
                Self::Failed("what it holds is no text".into())
            }
            Error::Ambiguous(_) => Self::Ambiguous,
            Error::Invalid(_, _) => Self::Invalid("the keychain does not take this name"),
            #[cfg(target_os = "linux")]
            Error::NoStorageAccess(error) => platform_trouble(&*error).unwrap_or(Self::Denied),
            #[cfg(not(target_os = "linux"))]
            Error::NoStorageAccess(_) => Self::Denied,
            #[cfg(target_os = "linux")]
            Error::PlatformFailure(error) => platform_trouble(&*error)
                .unwrap_or_else(|| Self::Failed("the keychain failed".into())),
            Error::TooLong(_, most) => Self::TooLong(most),
            _ => Self::Failed("the keychain failed".into()),
        }
    }

    pub(super) fn into_load_error(self, item: &Item) -> LoadError {
        let kind = match self {
            Self::Absent(_) => LoadErrorKind::Unreachable,
            Self::Ambiguous => LoadErrorKind::Conflict,
            Self::Crowded | Self::Silent | Self::TimedOut => LoadErrorKind::TimedOut,
            Self::Denied => LoadErrorKind::Denied,
            Self::Failed(_) => LoadErrorKind::Unreadable,
            Self::Invalid(_) | Self::Unsupported => LoadErrorKind::Invalid,
            Self::Locked => LoadErrorKind::Locked,
            #[cfg(all(feature = "store", unix))]
            Self::LockedByOther => LoadErrorKind::TimedOut,
            Self::TooLong(_) => LoadErrorKind::TooLarge,
        };
        let (what, fix) = self.told(item);
        LoadError::new(kind, item.source(), what, fix)
    }

    /// What happened, and the fix.
    pub(crate) fn told(self, item: &Item) -> (Cow<'static, str>, Cow<'static, str>) {
        let name = item.keychain.name();
        let seconds = |time: Duration| format!("{} s", time.as_secs_f32());
        match self {
            Self::Absent(what) => (what.into(), item.keychain.how_to_start().into()),
            Self::Ambiguous => {
                ("several entries have this service and user".into(), "delete all but one".into())
            }
            Self::Crowded => (
                format!("{name} has left earlier questions unanswered").into(),
                item.keychain.how_to_start().into(),
            ),
            Self::Denied => (
                format!("{name} does not let this program in").into(),
                item.keychain.how_to_be_let_in().into(),
            ),
            Self::Failed(what) => (what, "look at the entry with the system's own tool".into()),
            Self::Invalid(what) => (what.into(), "give it another service or user".into()),
            Self::Locked => (
                format!("{name} is locked").into(),
                "unlock it, as a login at the desktop does, or let it ask with `may_prompt`".into(),
            ),
            #[cfg(all(feature = "store", unix))]
            Self::LockedByOther => (
                format!("others have been writing it for {}", seconds(item.time_out)).into(),
                "look for a process that hangs".into(),
            ),
            Self::Silent | Self::TimedOut => (
                format!("{name} did not answer within {}", seconds(item.time_out)).into(),
                "see whether it waits for somebody, or restart it".into(),
            ),
            Self::TooLong(most) => {
                (format!("{name} holds {most} bytes at most").into(), "keep it elsewhere".into())
            }
            Self::Unsupported => (
                format!("{name} is not of this system").into(),
                "choose the keychain with `Keychain::of_this_system`".into(),
            ),
        }
    }
}

#[cfg(target_os = "linux")]
fn platform_trouble(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Option<Trouble> {
    super::secret_service::trouble(error).or_else(|| super::keyutils::trouble(error))
}

impl Keychain {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Apple => "the macOS keychain",
            Self::Keyutils => "the kernel's keyring",
            Self::SecretService => "the Secret Service",
            Self::Windows => "the Credential Manager",
        }
    }

    fn how_to_start(self) -> &'static str {
        match self {
            Self::Apple => "log in at the desktop, or run it as a launch agent of the user",
            Self::Keyutils => "run it with `keyctl session - COMMAND`",
            Self::SecretService => {
                "start a keyring such as gnome-keyring in this session, or keep the key in a file \
                 on a machine that has none"
            }
            Self::Windows => "run it as a user who is logged in",
        }
    }

    fn how_to_be_let_in(self) -> &'static str {
        match self {
            Self::Apple => "allow it in Keychain Access, under Access Control of the entry",
            Self::Keyutils => {
                "join a session that holds the key: `keyctl session - COMMAND`, or pam_keyinit"
            }
            Self::SecretService => "allow it in the keyring's own settings",
            Self::Windows => "run it as the user who wrote the entry",
        }
    }
}
