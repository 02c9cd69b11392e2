//! [`ApiKey`]: the one type that holds a key's text.

use alloc::sync::Arc;
use core::fmt;

use subtle::ConstantTimeEq as _;

use crate::memory::Memory;
use crate::parse::{self, ParseError, ParseReason};
use crate::{KeyFingerprint, KeyKind, Protection, SecretText, redacted};

/// An API key in memory: wiped on drop, never printed.
///
/// The text stands in one allocation. A clone shares it; it is wiped when the last clone is
/// dropped. What else keeps it from others is told by [`protection`](Self::protection). `Debug`
/// shows the kind and the fingerprint. There is no `Display`, no `Serialize`, no `Default` and no
/// `From<&str>`.
///
/// Equality takes the same time wherever two keys of one length differ.
///
/// # Security
///
/// The text can be read in one way, [`expose_secret`](Self::expose_secret), so that a search for
/// that name finds every place where it leaves. What wiping cannot reach is told in the
/// repository's `SECURITY.md`: copies that others made before (the environment block, a caller's
/// grown `String`) and after (an HTTP stack's write buffer).
///
/// # Example
///
/// ```
/// use keyward_core::{ApiKey, KeyKind};
///
/// # let text = keyward_testkit::keys::admin_key(&mut keyward_testkit::keys::KeyRng::seeded(1));
/// let key = ApiKey::parse(text)?;
/// assert_eq!(key.kind(), KeyKind::Admin);
/// assert!(format!("{key:?}").starts_with("ApiKey { kind: Admin, fingerprint: "));
/// # Ok::<(), keyward_core::ParseError>(())
/// ```
#[derive(Clone)]
pub struct ApiKey {
    shared: Arc<Shared>,
}

struct Shared {
    memory: Memory,
    kind: KeyKind,
    fingerprint: KeyFingerprint,
}

impl ApiKey {
    /// Takes a key's text by value, and wipes it whether it is accepted or not.
    ///
    /// White space around the text and a byte order mark are dropped. What stays is the key, of
    /// whatever [kind](KeyKind), known or not: whether it may be used is the
    /// [policy](crate::KeyPolicy)'s question. Every accepted text consists of characters that an
    /// `Authorization` header can carry, so that building one cannot fail.
    ///
    /// # Errors
    ///
    /// A [`ParseError`] with the [reason](ParseReason) and the length, never the text, for what
    /// cannot be a key: nothing, control or non-ASCII characters, quotes, a pasted `Bearer `, a
    /// URL, an unexpanded variable, a placeholder, a redacted value, an identifier, an absurd
    /// length.
    ///
    /// # Security
    ///
    /// This is the door for keys that people and tools write down. The text handed in is wiped.
    pub fn parse(text: impl Into<SecretText>) -> Result<Self, ParseError> {
        let text = text.into();
        let (start, end) = parse::check(text.as_bytes())?;
        Ok(Self::build(text, start, end, None))
    }

    /// Takes a value that the issuer itself has just answered, whatever it looks like.
    ///
    /// A minted key is shown once, so its value must survive a format that this version does not
    /// know; its kind is then [`KeyKind::Unknown`]. Checked is only what a header demands: visible
    /// ASCII, not empty, at most [`MAX_KEY_LEN`](crate::MAX_KEY_LEN) bytes. Nothing is trimmed.
    ///
    /// # Errors
    ///
    /// A [`ParseError`] when the value cannot be carried by a header.
    ///
    /// # Security
    ///
    /// This is the door for mint responses. The text handed in is wiped.
    pub fn issued(text: impl Into<SecretText>) -> Result<Self, ParseError> {
        let text = text.into();
        let len = text.as_bytes().len();
        parse::check_header_safe(text.as_bytes())?;
        Ok(Self::build(text, 0, len, None))
    }

    /// Takes an access token that a workload identity exchange has answered.
    ///
    /// Such a token has no format of its own, so the exchange, not the text, says what it is: its
    /// kind is [`KeyKind::AccessToken`].
    ///
    /// # Errors
    ///
    /// A [`ParseError`] when the value is no bearer token (RFC 6750), or, with
    /// [`ParseReason::NotAnAccessToken`], when it is recognizably something else: a key of any
    /// known kind must not pass as a token.
    ///
    /// # Security
    ///
    /// This is the door for token exchanges. The text handed in is wiped.
    pub fn access_token(text: impl Into<SecretText>) -> Result<Self, ParseError> {
        let text = text.into();
        let bytes = text.as_bytes();
        let len = bytes.len();
        parse::check_bearer_token(bytes)?;
        if KeyKind::classify(bytes) != KeyKind::Unknown || bytes.starts_with(b"sk-") {
            return Err(ParseError::new(ParseReason::NotAnAccessToken, len, None));
        }
        Ok(Self::build(text, 0, len, Some(KeyKind::AccessToken)))
    }

    fn build(text: SecretText, start: usize, end: usize, kind: Option<KeyKind>) -> Self {
        let bytes = &text.as_bytes()[start..end];
        let kind = kind.unwrap_or_else(|| KeyKind::classify(bytes));
        let fingerprint = KeyFingerprint::of(bytes);
        Self {
            shared: Arc::new(Shared {
                memory: Memory::holding(text, start, end),
                kind,
                fingerprint,
            }),
        }
    }

    /// What the key is, by its prefix and marker.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.shared.kind
    }

    /// The short hash of the key: what may be logged, compared and used as a label.
    #[must_use]
    pub fn fingerprint(&self) -> KeyFingerprint {
        self.shared.fingerprint
    }

    /// What keeps the memory of this key from others.
    ///
    /// ```
    /// # use keyward_core::ApiKey;
    /// use keyward_core::Protection;
    ///
    /// # let text = keyward_testkit::keys::project_key(
    /// #     &mut keyward_testkit::keys::KeyRng::seeded(1));
    /// let key = ApiKey::parse(text)?;
    /// if key.protection() < Protection::Locked {
    ///     // It can be swapped out: warn, or refuse to start.
    /// }
    /// # Ok::<(), keyward_core::ParseError>(())
    /// ```
    #[must_use]
    pub fn protection(&self) -> Protection {
        self.shared.memory.protection()
    }

    /// Asks that keys which are made from now on stand in `memfd_secret(2)`, and tells what a key
    /// gets now.
    ///
    /// It is for the whole process, and there is no way back, so it is the program's to call, once,
    /// before it loads a key; a library has no business with it. It is not the feature alone that
    /// does it, because such memory is felt elsewhere: while it is in use the machine does not
    /// hibernate, each key holds a file descriptor, and a process that is forked, and starts no
    /// other program, shares the memory.
    ///
    /// Up to 64 keys get it. The rest, and all where the kernel has no such memory
    /// (`CONFIG_SECRETMEM`, since Linux 5.14; `secretmem.enable=1` at boot before 6.5) or
    /// `RLIMIT_MEMLOCK` is used up, get the next best.
    ///
    /// # Security
    ///
    /// Reading the key is reading memory, so it is safe from everything that reads this process from
    /// outside, and from nothing that runs inside of it: a debugger that makes the process read its
    /// own memory included. Forbid that one too.
    #[cfg(feature = "memfd-secret")]
    #[allow(clippy::must_use_candidate, reason = "what it is for is what it does")]
    pub fn prefer_secret_memory() -> Protection {
        crate::memory::prefer_secret()
    }

    /// Whether a redacted form, as the Admin API lists it, can be of this key.
    ///
    /// `sk-abc...def` matches every key that begins with `sk-abc` and ends with `def`; dots, an
    /// ellipsis and asterisks are understood. How much OpenAI shows is not documented, so two keys
    /// can match one form: take it as a hint, and an id as proof. A form that shows fewer than
    /// four characters matches nothing.
    ///
    /// ```
    /// # use keyward_core::ApiKey;
    /// # let text = keyward_testkit::keys::project_key(
    /// #     &mut keyward_testkit::keys::KeyRng::seeded(1));
    /// # let end = text[text.len() - 4..].to_owned();
    /// let key = ApiKey::parse(text)?;
    /// assert!(key.matches_redacted(&format!("sk-pro...{end}")));
    /// assert!(!key.matches_redacted("sk-svc...ab12"));
    /// # Ok::<(), keyward_core::ParseError>(())
    /// ```
    #[must_use]
    pub fn matches_redacted(&self, redacted: &str) -> bool {
        redacted::matches(self.text(), redacted)
    }

    /// Whether a text that others wrote has a piece of this key in it: twelve letters and digits in
    /// a row, whatever stands between them.
    ///
    /// It is for what a server says before it is kept or shown. [`find`](crate::find) knows keys by
    /// their look; this knows the one that was sent.
    #[must_use]
    pub fn is_echoed_in(&self, text: &str) -> bool {
        redacted::echoes(self.text(), text)
    }

    /// The key's text.
    ///
    /// # Security
    ///
    /// This is the explicit door out. Whoever calls it answers for every copy made from then on.
    /// Mark the call with an `EXPOSE:` comment that gives the reason, as keyward does; clippy's
    /// `disallowed-methods` can hold a code base to it.
    #[must_use]
    pub fn expose_secret(&self) -> &str {
        self.text()
    }

    /// What `read` tells of the bytes, for those of this crate who look for keys in text.
    pub(crate) fn with_bytes<T>(&self, read: impl FnOnce(&[u8]) -> T) -> T {
        read(self.text().as_bytes())
    }

    /// Where this key stands in a text.
    pub(crate) fn find_in(&self, text: &[u8]) -> Option<usize> {
        memchr::memmem::find(text, self.text().as_bytes())
    }

    fn text(&self) -> &str {
        self.shared.memory.text()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey")
            .field("kind", &self.kind())
            .field("fingerprint", &self.fingerprint())
            .finish()
    }
}

impl Eq for ApiKey {}

impl PartialEq for ApiKey {
    fn eq(&self, other: &Self) -> bool {
        self.text().as_bytes().ct_eq(other.text().as_bytes()).into()
    }
}
