//! [`Protection`], and the one allocation that a key's text stands in.

#[cfg(feature = "locked")]
use alloc::boxed::Box;
use core::fmt;

use secrecy::{ExposeSecret as _, SecretString};

use crate::SecretText;

#[cfg(all(feature = "locked", unix))]
mod page;
#[cfg(all(
    feature = "memfd-secret",
    target_os = "linux",
    target_pointer_width = "64",
    any(target_arch = "aarch64", target_arch = "x86_64")
))]
mod secret;
#[cfg(all(feature = "locked", unix))]
mod share;

/// What keeps the memory that a key's text stands in from others, the weakest first.
///
/// Without the feature `locked` it is [`Wiped`](Self::Wiped). With it a key gets the best that can
/// be had at the moment when it is made, and [`ApiKey::protection`](crate::ApiKey::protection)
/// tells what that was: a key is never refused for it.
///
/// | | in swap | in a core dump | in a forked child | read through `/proc/PID/mem`, a debugger |
/// |---|---|---|---|---|
/// | `Wiped` | can be | yes | yes | by root and the same user |
/// | `Undumped` | can be | no | no | by root and the same user |
/// | `Locked` | no | no on Linux | no on Linux | by root and the same user |
/// | `Secret` | no | no | yes | by nobody |
///
/// Each is wiped when the last clone of the key is dropped. Up to 1024 keys at once get a page; the
/// rest is `Wiped`.
///
/// # Security
///
/// It is about the place where the key is kept. The text comes to it through the caller's own
/// memory, which is wiped as soon as the key is there. A child that is forked, and starts no other
/// program, must neither use nor drop such a key: it is told from its parent by its process id, which
/// in a new PID namespace can be the same.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Protection {
    /// It stands in ordinary memory.
    Wiped,
    /// It stands in a page of its own that no core dump has and no forked child inherits, and that
    /// could not be locked, because `RLIMIT_MEMLOCK` is used up. Linux alone tells pages apart so.
    Undumped,
    /// It stands in a page of its own that is locked in memory and so never in swap. On Linux no
    /// core dump has it (`MADV_DONTDUMP`) and no forked child inherits it (`MADV_DONTFORK`).
    Locked,
    /// It stands in `memfd_secret(2)`: the kernel has taken the page out of its own map of memory,
    /// so that neither it nor root reads it for anybody, by `/proc/PID/mem`, `ptrace` or a dump.
    /// A child that is forked, and does not start another program, shares it.
    Secret,
}

impl Protection {
    /// The protection as one word in `snake_case`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wiped => "wiped",
            Self::Undumped => "undumped",
            Self::Locked => "locked",
            Self::Secret => "secret",
        }
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A key's text, ASCII, in the best memory that can be had; wiped on drop.
pub(crate) enum Memory {
    Heap(SecretString),
    #[cfg(feature = "locked")]
    Guarded(Box<dyn Guarded>),
}

/// Memory of the system's that holds a text.
#[cfg(feature = "locked")]
pub(crate) trait Guarded: Send + Sync {
    fn bytes(&self) -> &[u8];
    fn protection(&self) -> Protection;
}

impl Memory {
    /// Holds the bytes `start..end`. The caller has checked that they are ASCII.
    pub(crate) fn holding(text: SecretText, start: usize, end: usize) -> Self {
        #[cfg(feature = "locked")]
        if let Some(guarded) = guarded(&text.as_bytes()[start..end]) {
            return Self::Guarded(guarded);
        }
        Self::Heap(text.into_secret(start, end))
    }

    pub(crate) fn protection(&self) -> Protection {
        match self {
            Self::Heap(_) => Protection::Wiped,
            #[cfg(feature = "locked")]
            Self::Guarded(guarded) => guarded.protection(),
        }
    }

    pub(crate) fn text(&self) -> &str {
        match self {
            // EXPOSE: the one read of the bytes; it stays inside of `ApiKey` but for its
            // `expose_secret`.
            #[allow(clippy::disallowed_methods, reason = "the marked door")]
            Self::Heap(secret) => secret.expose_secret(),
            // It is ASCII: nothing is lost.
            #[cfg(feature = "locked")]
            Self::Guarded(guarded) => core::str::from_utf8(guarded.bytes()).unwrap_or_default(),
        }
    }
}

#[cfg(feature = "locked")]
fn guarded(text: &[u8]) -> Option<Box<dyn Guarded>> {
    #[cfg(all(
        feature = "memfd-secret",
        target_os = "linux",
        target_pointer_width = "64",
        any(target_arch = "aarch64", target_arch = "x86_64")
    ))]
    if let Some(secret) = secret::Secret::holding(text) {
        return Some(Box::new(secret));
    }
    #[cfg(unix)]
    if let Some(page) = page::Page::holding(text) {
        return Some(Box::new(page));
    }
    let _ = text;
    None
}

/// See [`ApiKey::prefer_secret_memory`](crate::ApiKey::prefer_secret_memory).
#[cfg(feature = "memfd-secret")]
pub(crate) fn prefer_secret() -> Protection {
    #[cfg(all(
        target_os = "linux",
        target_pointer_width = "64",
        any(target_arch = "aarch64", target_arch = "x86_64")
    ))]
    secret::prefer();
    guarded(b"probe").map_or(Protection::Wiped, |guarded| guarded.protection())
}
