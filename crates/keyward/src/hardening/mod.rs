//! What a program does once, at its start, so that nobody reads its keys out of its memory.
//!
//! Nothing here happens by itself: each is felt by the whole process, so it is the program's to
//! call, at the beginning of `main`, and a library has no business with it.
//!
//! ```no_run
//! # #[cfg(feature = "memfd-secret")]
//! use keyward::{ApiKey, hardening};
//! # #[cfg(not(feature = "memfd-secret"))]
//! # use keyward::hardening;
//!
//! // Before any key is in memory.
//! hardening::warm_up();
//! # #[cfg(feature = "memfd-secret")]
//! ApiKey::prefer_secret_memory();
//!
//! // … the key is loaded here …
//!
//! // After a loader that wipes the environment block has loaded, because a process that may not be
//! // read is kept from reading itself too.
//! let forbidden = hardening::forbid_dumps();
//! println!("core files: {}, reading: {}", forbidden.core_files, forbidden.reading);
//! ```
//!
//! | against | what helps |
//! |---|---|
//! | a core dump | `forbid_dumps`; for the key alone the feature `locked` |
//! | swap | the feature `locked` |
//! | another process of the same user | `forbid_dumps`; the feature `memfd-secret` |
//! | root | the feature `memfd-secret`, unless root makes the process read its own memory |
//! | copies that a panic or a backtrace makes | `warm_up` |
//! | the environment block | [`EnvLoader::wiping_environment`](crate::EnvLoader::wiping_environment), or a file instead of a variable |

use std::backtrace::Backtrace;
use std::hint::black_box;

#[cfg(target_os = "linux")]
pub(crate) mod environment_block;

/// Panics once, and takes a backtrace once, so that those which come later copy no key.
///
/// The first panic and the first backtrace of a process have the dynamic linker look up the
/// functions that they need, and it saves the processor's vector registers on the stack while it
/// does so. Whoever copied a key just before has left it in those registers. What is looked up once
/// is not looked up again.
///
/// Nothing is printed, and the panic hook is neither called nor replaced, so it does not matter what
/// other threads do. With `panic = "abort"` there is no panic to get used to. A statically linked
/// program, and one that is started with `LD_BIND_NOW=1`, has no use for it.
///
/// # Security
///
/// Call it before a key is loaded: it would make the copies that it is to prevent.
pub fn warm_up() {
    // Shown too, which looks up more.
    drop(black_box(Backtrace::force_capture().to_string()));
    #[cfg(panic = "unwind")]
    {
        // Unlike `panic!` it calls no hook.
        let unwound = std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new(())));
        debug_assert!(unwound.is_err());
    }
}

/// What [`forbid_dumps`] could do.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Forbidden {
    /// No core file is written, of this process and of what it starts: `RLIMIT_CORE` is 0 and
    /// cannot be raised. On Unix.
    pub core_files: bool,
    /// No core dump is taken, a dump that is handed to a program included, and of the other
    /// processes only those of root can read this one's memory, its environment block in
    /// `/proc/PID/environ`, and its open files, or attach a debugger: `PR_SET_DUMPABLE` is 0. On
    /// Linux.
    pub reading: bool,
}

/// Forbids core dumps of this process, and other processes of its user to read it.
///
/// It tells what took effect; nothing fails. It does not get undone, but by the program that the
/// process turns itself into, which can be read again.
///
/// The files below `/proc/self` belong to root from then on, so a process that is not root cannot
/// list its own open files there, nor wipe its environment block: let the loader that does so load
/// first. Profilers and debuggers of the same user no longer work, as is the point.
///
/// # Security
///
/// Root is stopped by none of it.
#[must_use = "it tells what took effect"]
pub fn forbid_dumps() -> Forbidden {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "nothing can be forbidden there"))]
    let mut forbidden = Forbidden::default();
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let none = Rlimit { current: Some(0), maximum: Some(0) };
        forbidden.core_files = setrlimit(Resource::Core, none).is_ok();
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        forbidden.reading = set_dumpable_behavior(DumpableBehavior::NotDumpable).is_ok();
    }
    forbidden
}
