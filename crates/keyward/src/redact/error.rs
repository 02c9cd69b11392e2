//! [`chain()`] and [`display`]: what is shown, with the keys in it masked.

use std::error::Error;
use std::fmt::{self, Write as _};

use keyward_core::find::KeyFinder;

use super::Redactor;

/// Shows an error and its causes in one line, with a colon between, and the keys in it masked.
///
/// It is for the report that ends a program, whatever made the error: `anyhow` and `eyre` errors
/// give themselves as a `&dyn Error` (`error.as_ref()`).
///
/// ```
/// use std::io;
///
/// # let key = keyward_testkit::keys::project_key(&mut keyward_testkit::keys::KeyRng::seeded(1));
/// let error = io::Error::other(format!("cannot parse `{key}`"));
/// let shown = keyward::redact::chain(&error).to_string();
/// assert!(shown.starts_with("cannot parse `[openai project key "));
/// ```
pub fn chain<'a>(error: &'a (dyn Error + 'a)) -> impl fmt::Display + 'a {
    chain_with(&KeyFinder::new(), error)
}

/// Shows an error and its causes as [`chain()`] does, and masks what this finder finds, such as keys
/// that are registered with it.
pub fn chain_with<'a>(
    finder: &KeyFinder,
    error: &'a (dyn Error + 'a),
) -> impl fmt::Display + use<'a> {
    display_with(finder, Chain(error))
}

/// Shows a value with the keys in it masked, also those that it shows in pieces.
///
/// `{:#}` shows it in its alternate form.
///
/// ```
/// # let key = keyward_testkit::keys::session_token(&mut keyward_testkit::keys::KeyRng::seeded(1));
/// let shown = keyward::redact::display(format_args!("cookie: {key}")).to_string();
/// assert!(shown.starts_with("cookie: [openai session key "));
/// ```
pub fn display<T: fmt::Display>(value: T) -> impl fmt::Display {
    display_with(&KeyFinder::new(), value)
}

/// Shows a value as [`display`] does, and masks what this finder finds, such as keys that are
/// registered with it.
///
/// ```
/// use keyward::ApiKey;
/// use keyward::find::KeyFinder;
/// use keyward::redact;
///
/// let token = "gateway.7f3a.secret";
/// let finder = KeyFinder::new().with_key(&ApiKey::issued(token.to_owned())?);
/// let shown = redact::display_with(&finder, format_args!("token: {token}")).to_string();
/// assert!(!shown.contains("secret"));
/// # Ok::<(), keyward::ParseError>(())
/// ```
pub fn display_with<T: fmt::Display>(finder: &KeyFinder, value: T) -> impl fmt::Display + use<T> {
    Redacted { finder: finder.clone(), value }
}

struct Chain<'a>(&'a (dyn Error + 'a));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            write!(f, ": {cause}")?;
            next = cause.source();
        }
        Ok(())
    }
}

struct Redacted<T> {
    finder: KeyFinder,
    value: T,
}

impl<T: fmt::Display> fmt::Display for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_alternate = f.alternate();
        let redactor = Redactor::with_finder(self.finder.clone());
        let mut masking = Masking { redactor, out: Vec::new(), to: f };
        match is_alternate {
            true => write!(masking, "{:#}", self.value)?,
            false => write!(masking, "{}", self.value)?,
        }
        masking.redactor.finish(&mut masking.out);
        masking.pass_on()
    }
}

/// Text on its way through a redactor.
struct Masking<'a, 'f> {
    redactor: Redactor,
    out: Vec<u8>,
    to: &'a mut fmt::Formatter<'f>,
}

impl Masking<'_, '_> {
    fn pass_on(&mut self) -> fmt::Result {
        // Text is never cut within a character: what is held back is ASCII, or ends where it ended.
        let done = self.to.write_str(&String::from_utf8_lossy(&self.out));
        self.out.clear();
        done
    }
}

impl fmt::Write for Masking<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.redactor.push(text.as_bytes(), &mut self.out);
        self.pass_on()
    }
}
