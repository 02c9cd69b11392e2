//! What can be a key's text and what cannot, and how to say so without showing it.

use core::fmt;

use crate::formats::{IDENTIFIERS, MARKER};

/// The longest text that is taken for a key, in bytes.
///
/// The longest key seen is 167 bytes; access tokens may be signed documents of a few thousand.
pub const MAX_KEY_LEN: usize = 8 * 1024;

/// The shortest text that is taken for a key, in bytes. The shortest seen is 25 (a gateway's).
const MIN_KEY_LEN: usize = 16;

/// A text that cannot be a key: why, and how long it was; never the text.
///
/// `Display` is one line that tells the reason and the fix.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ParseError {
    reason: ParseReason,
    len: usize,
    at: Option<usize>,
}

impl ParseError {
    pub(crate) fn new(reason: ParseReason, len: usize, at: Option<usize>) -> Self {
        Self { reason, len, at }
    }

    /// Why the text cannot be a key.
    #[must_use]
    pub fn reason(&self) -> ParseReason {
        self.reason
    }

    /// The length of the text in bytes, white space around it not counted.
    #[allow(clippy::len_without_is_empty, reason = "the length of the refused text, not of this")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The offset in bytes of the character at fault, where it is one character.
    #[must_use]
    pub fn offset(&self) -> Option<usize> {
        self.at
    }

    /// How to mend it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        self.reason.fix()
    }
}

impl core::error::Error for ParseError {}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not an API key: {} (", self.reason.why())?;
        if let Some(at) = self.at {
            write!(f, "at byte {at} of ")?;
        }
        write!(f, "{} bytes); {}", self.len, self.fix())
    }
}

/// Why a text cannot be a key.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ParseReason {
    /// It is an assignment, such as a whole line of a `.env` file.
    Assignment,
    /// It begins with `Bearer `.
    BearerPrefix,
    /// It has a character that no bearer token has.
    Character,
    /// It has a control character: a second line, a tab, a NUL.
    ControlCharacter,
    /// It is empty, or nothing but white space.
    Empty,
    /// It is the id of an organization, a project, a key, …
    Identifier,
    /// It has a character outside of ASCII.
    NonAscii,
    /// It was handed in as an access token and is a key of some kind.
    NotAnAccessToken,
    /// It is a placeholder: `your-api-key`, `sk-...`, `<…>`.
    Placeholder,
    /// It is, or begins or ends, in quotes.
    Quoted,
    /// It is what a dashboard shows instead of a key: `sk-proj-****ab12`.
    Redacted,
    /// It has a space in it.
    Space,
    /// It is the name of an OpenSSH key type.
    SshKeyType,
    /// It is longer than [`MAX_KEY_LEN`].
    TooLong,
    /// It is shorter than any key.
    TooShort,
    /// It is a variable that nothing has put a value in: `$NAME`, `${NAME}`, `{{ name }}`.
    UnexpandedVariable,
    /// It is a URL, or a reference into a secret manager.
    Url,
}

impl ParseReason {
    /// The reason as one word in `snake_case`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.texts().0
    }

    fn why(self) -> &'static str {
        self.texts().1
    }

    fn fix(self) -> &'static str {
        self.texts().2
    }

    fn texts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Assignment => (
                "assignment",
                "it is an assignment, not a value",
                "keep only what stands behind the `=`",
            ),
            Self::BearerPrefix => (
                "bearer_prefix",
                "it begins with `Bearer`",
                "store the key alone, without the header's scheme",
            ),
            Self::Character => (
                "character",
                "it has a character that no key has",
                "copy the key again, without what stands around it",
            ),
            Self::ControlCharacter => (
                "control_character",
                "it has a control character, such as a second line",
                "store one key and nothing else",
            ),
            Self::Empty => ("empty", "it is empty", "set it to the key, or remove it"),
            Self::Identifier => (
                "identifier",
                "it is the id of something, not a secret",
                "store the key itself, which begins with `sk-`",
            ),
            Self::NonAscii => (
                "non_ascii",
                "it has a character outside of ASCII",
                "copy the key again; save the file as UTF-8 or ASCII",
            ),
            Self::NotAnAccessToken => (
                "not_an_access_token",
                "it is an API key where an access token was expected",
                "load an API key with a loader of its own",
            ),
            Self::Placeholder => {
                ("placeholder", "it is a placeholder", "put the real key in its place")
            }
            Self::Quoted => (
                "quoted",
                "it has quotes around it",
                "remove the quotes: the value is taken as it stands",
            ),
            Self::Redacted => (
                "redacted",
                "it is a redacted form, as dashboards show it",
                "a key is shown whole only when it is made: make a new one",
            ),
            Self::Space => ("space", "it has a space in it", "store one key and nothing else"),
            Self::SshKeyType => (
                "ssh_key_type",
                "it is the name of an OpenSSH key type",
                "store the OpenAI key, which begins with `sk-proj-` or `sk-svcacct-`",
            ),
            Self::TooLong => (
                "too_long",
                "it is far longer than any key",
                "check that the source holds one key and nothing else",
            ),
            Self::TooShort => {
                ("too_short", "it is shorter than any key", "check that the whole key was copied")
            }
            Self::UnexpandedVariable => (
                "unexpanded_variable",
                "it is a variable that was not expanded",
                "check that the tool that fills in the value has run",
            ),
            Self::Url => (
                "url",
                "it is a URL or a reference, not a key",
                "resolve the reference first, or name it to the loader of its store",
            ),
        }
    }
}

impl fmt::Display for ParseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where in the text the key stands, or why there is none.
pub(crate) fn check(text: &[u8]) -> Result<(usize, usize), ParseError> {
    let unmarked = text.strip_prefix(BOM).unwrap_or(text);
    let key = unmarked.trim_ascii();
    let start =
        (text.len() - unmarked.len()) + (unmarked.len() - unmarked.trim_ascii_start().len());
    let fail = |reason, at| Err(ParseError::new(reason, key.len(), at));

    if key.is_empty() {
        return fail(ParseReason::Empty, None);
    }
    if key.len() > MAX_KEY_LEN {
        return fail(ParseReason::TooLong, None);
    }
    // What people paste is told apart before single characters are, so that the reason is the
    // mistake and not its symptom.
    if let Some(reason) = pasted(key) {
        return fail(reason, None);
    }
    check_bearer_token(key)?;
    if IDENTIFIERS.iter().any(|id| {
        key.strip_prefix(id.as_bytes()).is_some_and(|r| r.iter().all(u8::is_ascii_alphanumeric))
    }) {
        return fail(ParseReason::Identifier, None);
    }
    if is_placeholder(key) {
        return fail(ParseReason::Placeholder, None);
    }
    if key.len() < MIN_KEY_LEN {
        return fail(ParseReason::TooShort, None);
    }
    Ok((start, start + key.len()))
}

/// Whether every character is one of RFC 6750's `b64token`, and there are not too few or too many.
pub(crate) fn check_bearer_token(text: &[u8]) -> Result<(), ParseError> {
    let fail = |reason, at| Err(ParseError::new(reason, text.len(), at));
    if text.is_empty() {
        return fail(ParseReason::Empty, None);
    }
    if text.len() > MAX_KEY_LEN {
        return fail(ParseReason::TooLong, None);
    }
    for (at, byte) in text.iter().enumerate() {
        let reason = match byte {
            b' ' => ParseReason::Space,
            0..=31 | 127 => ParseReason::ControlCharacter,
            128.. => ParseReason::NonAscii,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => continue,
            b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=' => continue,
            _ => ParseReason::Character,
        };
        return fail(reason, Some(at));
    }
    Ok(())
}

/// What a header demands of a value that its issuer vouches for.
pub(crate) fn check_header_safe(text: &[u8]) -> Result<(), ParseError> {
    let fail = |reason, at| Err(ParseError::new(reason, text.len(), at));
    if text.is_empty() {
        return fail(ParseReason::Empty, None);
    }
    if text.len() > MAX_KEY_LEN {
        return fail(ParseReason::TooLong, None);
    }
    match text.iter().position(|b| !b.is_ascii_graphic()) {
        None => Ok(()),
        Some(at) => match text[at] {
            b' ' => fail(ParseReason::Space, Some(at)),
            128.. => fail(ParseReason::NonAscii, Some(at)),
            _ => fail(ParseReason::ControlCharacter, Some(at)),
        },
    }
}

const BOM: &[u8] = b"\xEF\xBB\xBF";
const ELLIPSIS: &[u8] = "…".as_bytes();
const BULLET: &[u8] = "•".as_bytes();

/// What was pasted in place of a key, as far as characters that no key has give it away.
fn pasted(key: &[u8]) -> Option<ParseReason> {
    let first = key.first().copied().unwrap_or_default();
    let last = key.last().copied().unwrap_or_default();
    let is_quote = |b| matches!(b, b'"' | b'\'' | b'`');

    if is_quote(first) || is_quote(last) {
        return Some(ParseReason::Quoted);
    }
    if starts_with_ignoring_case(key, b"bearer ")
        || starts_with_ignoring_case(key, b"bearer\t")
        || starts_with_ignoring_case(key, b"authorization:")
    {
        return Some(ParseReason::BearerPrefix);
    }
    // An assignment first: `KEY=$VALUE` and `KEY=op://…` are assignments above all.
    if is_assignment(key) {
        return Some(ParseReason::Assignment);
    }
    if contains(key, b"://") {
        return Some(ParseReason::Url);
    }
    if first == b'$'
        || contains(key, b"${")
        || contains(key, b"$(")
        || contains(key, b"{{")
        || (first == b'%' && last == b'%')
    {
        return Some(ParseReason::UnexpandedVariable);
    }
    if matches!((first, last), (b'<', b'>') | (b'[', b']') | (b'{', b'}')) {
        return Some(ParseReason::Placeholder);
    }
    if key.ends_with(b"...") || key.ends_with(ELLIPSIS) {
        return Some(ParseReason::Placeholder);
    }
    if key.contains(&b'*')
        || contains(key, b"...")
        || contains(key, ELLIPSIS)
        || contains(key, BULLET)
    {
        return Some(ParseReason::Redacted);
    }
    // A service account of 2024 may have been called `ssh-…`; then the marker is there.
    let is_ssh = key.starts_with(b"sk-ssh-") || key.starts_with(b"sk-ecdsa-sha2-");
    if is_ssh && !contains(key, MARKER) {
        return Some(ParseReason::SshKeyType);
    }
    None
}

/// `name=…` or `export name=…`, and not a token that ends in base64 padding.
fn is_assignment(key: &[u8]) -> bool {
    let key = key.strip_prefix(b"export ").unwrap_or(key);
    let Some(at) = key.iter().position(|&b| b == b'=') else {
        return false;
    };
    let (name, value) = (key[..at].trim_ascii_end(), &key[at + 1..]);
    !name.is_empty()
        && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
        && value.iter().any(|&b| b != b'=')
}

/// Words that people put where a key belongs.
///
/// A real key must never be taken for one, so a text with the marker or with a digit is none on
/// account of a word, and a run must be longer than chance makes it (for ten of hexadecimal: 1 in 10^9).
fn is_placeholder(key: &[u8]) -> bool {
    const WORDS: [&[u8]; 10] = [
        b"your",
        b"example",
        b"placeholder",
        b"changeme",
        b"change-me",
        b"change_me",
        b"replace",
        b"api-key",
        b"api_key",
        b"insert",
    ];
    const RUN: usize = 10;

    if contains(key, MARKER) {
        return false;
    }
    let body = key.rsplit(|&b| b == b'-').next().unwrap_or(key);
    let has_run = |n| key.windows(n).any(|w| w.iter().all(|b| *b == w[0]));
    let is_filler = body.len() >= 3 && body.iter().all(|b| b.eq_ignore_ascii_case(&b'x'));
    is_filler
        || has_run(RUN)
        || (!key.iter().any(u8::is_ascii_digit)
            && WORDS
                .iter()
                .any(|w| key.windows(w.len()).any(|window| window.eq_ignore_ascii_case(w))))
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

fn starts_with_ignoring_case(text: &[u8], prefix: &[u8]) -> bool {
    text.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}
