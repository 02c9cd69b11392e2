//! [`panic_hook`]: what is told of a panic, with the keys in it masked.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::Write;
use std::panic::PanicHookInfo;
use std::thread;

use keyward_core::find::KeyFinder;

use super::text_with;

/// A hook that tells of a panic as the standard one does, with the keys in its message masked.
///
/// It writes to what `writer` gives, at each panic, and does not fail where that fails. A backtrace
/// follows where `RUST_BACKTRACE` asks for one. It takes the place of the hook before it, which would
/// print the message as it is.
///
/// ```
/// use std::{io, panic};
///
/// use keyward::redact;
///
/// panic::set_hook(Box::new(redact::panic_hook(io::stderr)));
/// ```
///
/// # Security
///
/// The message itself stays what it is: whoever catches the panic can read it. A panic copies
/// registers to the stack, which may hold pieces of a key; no hook helps against that.
pub fn panic_hook<W: Write>(
    writer: impl Fn() -> W + Send + Sync + 'static,
) -> impl Fn(&PanicHookInfo<'_>) + Send + Sync + 'static {
    panic_hook_with(KeyFinder::new(), writer)
}

/// A hook as [`panic_hook`] gives it, which masks what this finder finds, such as keys that are
/// registered with it.
///
/// # Security
///
/// As for [`panic_hook`]. The keys that are registered live as long as the hook.
pub fn panic_hook_with<W: Write>(
    finder: KeyFinder,
    writer: impl Fn() -> W + Send + Sync + 'static,
) -> impl Fn(&PanicHookInfo<'_>) + Send + Sync + 'static {
    move |info| {
        let payload = info.payload();
        let message = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("a value that is no text");
        let thread = thread::current();
        let name = thread.name().unwrap_or("<unnamed>");
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let (name, message) = (text_with(&finder, name), text_with(&finder, message));
        let told = format!("thread '{name}' panicked at {place}:\n{message}\n");
        let backtrace = Backtrace::capture();
        let mut writer = writer();
        // There is nowhere to tell that this failed.
        let _ = writer.write_all(told.as_bytes());
        if backtrace.status() == BacktraceStatus::Captured {
            let _ = writer.write_all(format!("stack backtrace:\n{backtrace}").as_bytes());
        }
        let _ = writer.flush();
    }
}
