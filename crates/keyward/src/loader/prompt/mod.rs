//! [`PromptLoader`]: a key that a person types.

use keyward_core::{ApiKey, KeySource};
use zeroize::Zeroizing;

use self::platform::Terminal;
use super::detached::detached;
use super::{KeyLoader, LoadError, LoadErrorKind, LoadedKey};

#[cfg_attr(not(unix), path = "other.rs")]
#[cfg_attr(unix, path = "unix.rs")]
mod platform;

/// Asks the person at the terminal for the key, and does not show what is typed.
///
/// It is for tools, as the last of a chain. Without a terminal, or in its background, it has
/// nothing ([`NotConfigured`](LoadErrorKind::NotConfigured)), so that a chain goes on and a service
/// never waits for a person. The same is so of an empty line.
///
/// It waits for as long as the person takes, unless a chain limits it
/// ([`within`](crate::LoaderChain::within)); then, and when the load is dropped, the terminal is as
/// it was. A terminal passes on lines of up to 4,095 characters.
///
/// Do not put it under a [`LiveKey`](crate::LiveKey), nor behind another source in a chain that
/// [reports shadowed keys](crate::LoaderChain::report_shadowed): both ask again and again.
///
/// ```
/// use keyward::{EnvLoader, LoaderChain, PromptLoader};
///
/// let chain = LoaderChain::first("env", EnvLoader::new("OPENAI_ADMIN_KEY"))
///     .then("prompt", PromptLoader::new("OpenAI admin key: "));
/// # let _ = chain;
/// ```
///
/// # Security
///
/// On Unix it speaks to the controlling terminal, not to standard input or output, which may lead
/// elsewhere; what was typed before it asks is dropped. The line is read into one buffer, which is
/// wiped. The terminal's own buffer, its scroll-back and whoever watches the keyboard are beyond
/// reach.
///
/// Ctrl-C is the terminal's own signal. Unless the program handles it, it ends the process in the
/// middle of the question, and the terminal goes on showing nothing; most shells see to that, and
/// `stty echo` does where they do not. A tool that handles the signal and drops the load leaves the
/// terminal as it was.
#[derive(Clone, Debug)]
pub struct PromptLoader {
    prompt: String,
}

impl PromptLoader {
    /// Asks with this text.
    #[must_use]
    pub fn new(prompt: impl Into<String>) -> Self {
        Self { prompt: prompt.into() }
    }
}

impl KeyLoader for PromptLoader {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        let prompt = self.prompt.clone();
        let terminal = Restored(Terminal::default());
        let asks = terminal.0.clone();
        let asked = detached("keyward-prompt", move |awaited| asks.ask(&prompt, awaited)).await;
        let failed = |kind, what, fix| Err(LoadError::new(kind, self.source(), what, fix));
        let mut line = match asked.unwrap_or(Err(Problem::Unreadable)) {
            Ok(line) if line.iter().all(u8::is_ascii_whitespace) => {
                let (what, fix) = ("nothing was typed", "type the key, or paste it");
                return failed(LoadErrorKind::NotConfigured, what, fix);
            }
            Ok(line) => line,
            Err(Problem::NoTerminal) => {
                let (what, fix) = ("there is no terminal to ask at", "run it in a terminal");
                return failed(LoadErrorKind::NotConfigured, what, fix);
            }
            Err(Problem::Unreadable) => {
                let (what, fix) = ("the terminal cannot be read", "run it in another terminal");
                return failed(LoadErrorKind::Unreadable, what, fix);
            }
        };
        // EXPOSE: the door for keys that people type. The buffer goes into the key as it is.
        ApiKey::parse(std::mem::take(&mut *line))
            .map(|key| LoadedKey::new(key, self.source()))
            .map_err(|error| LoadError::invalid(self.source(), error))
    }

    /// `prompt:terminal`.
    fn source(&self) -> KeySource {
        KeySource::new("prompt", "terminal")
    }
}

/// Brings the terminal back, also when the load is dropped.
struct Restored(Terminal);

impl Drop for Restored {
    fn drop(&mut self) {
        self.0.restore();
    }
}

type Asked = Result<Zeroizing<Vec<u8>>, Problem>;

enum Problem {
    NoTerminal,
    Unreadable,
}
