//! Text with keys planted in it, and text that only looks as if: what a finder of keys is measured
//! on.
//!
//! ```
//! use keyward_testkit::corpus;
//! use keyward_testkit::keys::{self, KeyRng};
//!
//! let rng = &mut KeyRng::seeded(1);
//! let key = keys::project_key(rng);
//! for context in corpus::contexts() {
//!     let line = context.plant(&key);
//!     assert!(line.range.len() >= key.len(), "{}", context.name());
//! }
//! let classes = corpus::look_alikes();
//! assert!(classes.len() >= 48);
//! assert!(!classes[0].generate(rng).is_empty());
//! ```

use std::ops::Range;

use crate::base64;
use crate::keys::{self, Family, KeyRng, KeyShape, MARKER};

/// Where a key can stand, from an env file to base64 within JSON.
#[must_use]
pub fn contexts() -> &'static [Context] {
    CONTEXTS
}

/// A place in which a key stands: what is before it, what is after it, and how it is written.
#[derive(Debug)]
pub struct Context {
    name: &'static str,
    before: &'static str,
    after: &'static str,
    form: Form,
}

/// A line with a key in it.
#[derive(Debug)]
pub struct Planted {
    /// The line, without its end.
    pub line: Vec<u8>,
    /// The bytes of the line that have the key in them.
    pub range: Range<usize>,
}

impl Context {
    /// The name of the context: `env_file`, `base64_1`, …
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether the key stands there as it is.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        matches!(self.form, Form::Plain)
    }

    /// A line with `key` in this place.
    #[must_use]
    pub fn plant(&self, key: &str) -> Planted {
        let (before, after) = (self.before.as_bytes(), self.after.as_bytes());
        match self.form {
            Form::Plain => joined(before, key.as_bytes(), after),
            Form::Signs(escape) => joined(before, &escaped(key, escape, false), after),
            Form::All(escape) => joined(before, &escaped(key, escape, true), after),
            Form::Utf16Le => {
                let wide = |text: &[u8]| text.iter().flat_map(|b| [*b, 0]).collect::<Vec<_>>();
                joined(&wide(before), &wide(key.as_bytes()), &wide(after))
            }
            Form::Utf16Be => {
                let wide = |text: &[u8]| text.iter().flat_map(|b| [0, *b]).collect::<Vec<_>>();
                joined(&wide(before), &wide(key.as_bytes()), &wide(after))
            }
            Form::Base64(alphabet, lead) => {
                // As many bytes before the key as bring it to each place of a group.
                let inner = [&b"k=\""[..lead], key.as_bytes(), b"\";end"].concat();
                let text = base64::encode(alphabet, &inner);
                let (start, end) = (lead * 8 / 6, ((lead + key.len()) * 8).div_ceil(6));
                let line = [before, text.as_bytes(), after].concat();
                Planted { line, range: before.len() + start..before.len() + end }
            }
        }
    }
}

fn joined(before: &[u8], key: &[u8], after: &[u8]) -> Planted {
    let range = before.len()..before.len() + key.len();
    Planted { line: [before, key, after].concat(), range }
}

fn escaped(key: &str, escape: Escape, all: bool) -> Vec<u8> {
    let mut out = String::new();
    for byte in key.bytes() {
        if !all && byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
            continue;
        }
        out.push_str(&match escape {
            Escape::Backslash => format!("\\{}", char::from(byte)),
            Escape::Hex => format!("\\x{byte:02x}"),
            Escape::Octal => format!("\\{byte:03o}"),
            Escape::Percent => format!("%{byte:02X}"),
            Escape::Unicode => format!("\\u{byte:04x}"),
        });
    }
    out.into_bytes()
}

#[derive(Clone, Copy, Debug)]
enum Escape {
    Backslash,
    Hex,
    Octal,
    Percent,
    Unicode,
}

#[derive(Debug)]
enum Form {
    All(Escape),
    Base64(&'static [u8; 64], usize),
    Plain,
    Signs(Escape),
    Utf16Be,
    Utf16Le,
}

const CONTEXTS: &[Context] = &[
    plain("bare", "", ""),
    plain("env_file", "OPENAI_API_KEY=", ""),
    plain("shell_export", "export OPENAI_API_KEY='", "'"),
    plain("double_quotes", "let key = \"", "\";"),
    plain("backticks", "The key is `", "`."),
    plain("json", "{\"api_key\":\"", "\",\"n\":1}"),
    plain("json_in_json", "{\"body\":\"{\\\"key\\\":\\\"", "\\\"}\"}"),
    plain("yaml", "  apiKey: ", " # of the service"),
    plain("toml", "api_key = \"", "\""),
    plain("header", "Authorization: Bearer ", "\r"),
    plain("url_query", "GET /v1/models?key=", "&limit=20 HTTP/1.1"),
    plain("url_user", "https://user:", "@api.example.com/"),
    plain("html", "<td>", "</td>"),
    plain("xml_attribute", "<add key=\"OpenAI\" value='", "'/>"),
    plain("csv", "7,", ",2026-11-29"),
    plain("before_comma", "keys are ", ", and more"),
    plain("before_dot", "wrong key: ", "."),
    plain("before_parenthesis", "rejected (", ") by the server"),
    plain("before_semicolon", "k=", "; path=/"),
    plain("glued_to_a_word", "token", " was sent"),
    plain("glued_to_a_path", "/srv/keys/key-", "/value"),
    plain("debug_string", "Some(\"", "\")"),
    plain("newline_escaped", "first\\n", "\\nlast"),
    plain("percent_quoted", "q=%22", "%22&x=1"),
    plain("command_line", "curl -H \"x-key: ", "\" -d '{}'"),
    with("percent_signs", "key=", "&x=1", Form::Signs(Escape::Percent)),
    with("percent_all", "key=", "&x=1", Form::All(Escape::Percent)),
    with("json_signs", "{\"k\":\"", "\"}", Form::Signs(Escape::Unicode)),
    with("json_all", "{\"k\":\"", "\"}", Form::All(Escape::Unicode)),
    with("hex_escapes", "b'", "'", Form::All(Escape::Hex)),
    with("markdown", "* key: ", " (revoked)", Form::Signs(Escape::Backslash)),
    with("regex_escape", "re.compile('", "')", Form::Signs(Escape::Backslash)),
    with("octal_signs", "printf '", "\\n'", Form::Signs(Escape::Octal)),
    with("octal_all", "\"", "\"", Form::All(Escape::Octal)),
    with("base64_0", "data: ", "==", Form::Base64(base64::STANDARD, 0)),
    with("base64_1", "Basic ", "", Form::Base64(base64::STANDARD, 1)),
    with("base64_2", "{\"b\":\"", "\"}", Form::Base64(base64::STANDARD, 2)),
    with("base64_3", "", "=", Form::Base64(base64::STANDARD, 3)),
    with("base64url_1", "?state=", "&x", Form::Base64(base64::URL_SAFE, 1)),
    with("base64url_2", "eyJh.", ".sig", Form::Base64(base64::URL_SAFE, 2)),
    with("utf16_le", "key=\"", "\"", Form::Utf16Le),
    with("utf16_be", "key=\"", "\"", Form::Utf16Be),
];

const fn plain(name: &'static str, before: &'static str, after: &'static str) -> Context {
    with(name, before, after, Form::Plain)
}

const fn with(
    name: &'static str,
    before: &'static str,
    after: &'static str,
    form: Form,
) -> Context {
    Context { name, before, after, form }
}

/// Classes of text that looks like a key of OpenAI and is none: placeholders, redacted forms, keys
/// of other vendors, hashes, tokens, names.
#[must_use]
pub fn look_alikes() -> Vec<LookAlike> {
    let mut classes: Vec<_> = keys::shapes()
        .iter()
        .filter(|shape| match shape.family() {
            Family::Own => shape.expected_kind() == "not_a_key",
            Family::Vendor => true,
            // Some rows are real keys in quotes and the like, which a strict parser refuses.
            Family::Lookalike => {
                let text = shape.generate(&mut KeyRng::seeded(1));
                !(text.contains("sk-") && text.contains(MARKER))
            }
        })
        .map(LookAlike::Shape)
        .collect();
    classes.extend(TEXTS.iter().map(|(name, make)| LookAlike::Text(name, *make)));
    classes
}

/// A class of text that is no key of OpenAI.
#[derive(Clone, Copy, Debug)]
pub enum LookAlike {
    /// A row of the table of [shapes](keys::shapes).
    Shape(&'static KeyShape),
    /// Some other text, by name.
    Text(&'static str, fn(&mut KeyRng) -> String),
}

impl LookAlike {
    /// The name of the class.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Shape(shape) => shape.id(),
            Self::Text(name, _) => name,
        }
    }

    /// A line of this class.
    pub fn generate(&self, rng: &mut KeyRng) -> String {
        let text = match self {
            Self::Shape(shape) => shape.generate(rng),
            Self::Text(_, make) => make(rng),
        };
        match rng.below(5) {
            0 => text,
            1 => format!("value = \"{text}\""),
            2 => format!("TOKEN={text}"),
            3 => format!("2026-11-29T22:37:54Z INFO sent {text}, ok"),
            _ => format!("{{\"id\":\"{text}\",\"n\":1}}"),
        }
    }
}

type Make = fn(&mut KeyRng) -> String;

const TEXTS: &[(&str, Make)] = &[
    ("md5", |rng| hex(rng, 32)),
    ("sha1_named_process", |rng| format!("process-{}", hex(rng, 40))),
    ("sha256", |rng| format!("sha256:{}", hex(rng, 64))),
    ("sha512", |rng| hex(rng, 128)),
    ("uuid", |rng| {
        let part = |rng: &mut KeyRng, n| hex(rng, n);
        format!(
            "{}-{}-4{}-a{}-{}",
            part(rng, 8),
            part(rng, 4),
            part(rng, 3),
            part(rng, 3),
            part(rng, 12)
        )
    }),
    ("task_named_like_a_key", |rng| format!("task-{}", rng.alphanumeric(40))),
    ("disk_by_id", |rng| format!("/dev/disk-{}-part1", hex(rng, 48))),
    ("week_column", |rng| format!("week_{}", hex(rng, 16))),
    ("session_cookie", |rng| format!("sess_{}", rng.alphanumeric(40))),
    ("session_named_by_a_hash", |rng| format!("sess-{}", hex(rng, 64))),
    ("session_named_by_a_commit", |rng| format!("sess-{}", hex(rng, 40))),
    ("short_session", |rng| format!("sess-{}", rng.alphanumeric(24))),
    ("long_name", |rng| format!("projects_service_accounts_api_keys_rotation_{}", rng.below(1000))),
    ("kebab_path", |rng| {
        format!("crates/keyward-admin/src/sk-resources/workload-identity-{}.rs", rng.below(100))
    }),
    ("base64_blob", |rng| {
        let bytes: Vec<u8> = (0..200).map(|_| rng.next_u64() as u8).collect();
        base64::encode(base64::STANDARD, &bytes)
    }),
    ("marker_in_a_blob", |rng| format!("{}{MARKER}{}", rng.alphanumeric(60), rng.alphanumeric(60))),
    ("marker_behind_a_short_prefix", |rng| {
        format!("sk-{}{MARKER}{}", rng.alphanumeric(8), rng.alphanumeric(30))
    }),
    ("placeholder_words", |rng| {
        format!("sk-proj-your-own-project-api-key-goes-here-please-{}", "x".repeat(rng.below(40)))
    }),
];

fn hex(rng: &mut KeyRng, digits: usize) -> String {
    (0..digits).map(|_| char::from(b"0123456789abcdef"[rng.below(16)])).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_plain_key_is_planted_whole() {
        let key = keys::project_key(&mut KeyRng::seeded(1));
        for context in contexts().iter().filter(|context| context.is_plain()) {
            let planted = context.plant(&key);
            assert_eq!(planted.line[planted.range], *key.as_bytes(), "{}", context.name);
        }
    }

    #[test]
    fn names_are_given_once() {
        let names: HashSet<_> = contexts().iter().map(Context::name).collect();
        assert_eq!(names.len(), contexts().len());
        let classes = look_alikes();
        let names: HashSet<_> = classes.iter().map(LookAlike::name).collect();
        assert_eq!(names.len(), classes.len());
    }
}
