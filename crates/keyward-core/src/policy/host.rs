//! Where a key is about to be sent, and whether a policy's host pattern covers it.

/// Where a request goes, as far as a policy asks: the scheme and the host.
///
/// It takes parts that a URL parser has already told apart, so that there are no two opinions on
/// where a URL leads. `keyward` makes it from a URL.
///
/// ```
/// use keyward_core::{Endpoint, KeyPolicy};
///
/// let policy = KeyPolicy::standard();
/// assert!(policy.admit_endpoint(&Endpoint::new("https", "api.openai.com")).is_ok());
/// assert!(policy.admit_endpoint(&Endpoint::new("http", "api.openai.com")).is_err());
/// assert!(policy.admit_endpoint(&Endpoint::new("https", "api.openai.com.example")).is_err());
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Endpoint<'a> {
    scheme: &'a str,
    host: &'a str,
}

impl<'a> Endpoint<'a> {
    /// A scheme (`https`) and a host without a port; an IPv6 address with or without brackets.
    #[must_use]
    pub fn new(scheme: &'a str, host: &'a str) -> Self {
        Self { scheme, host }
    }

    /// The scheme.
    #[must_use]
    pub fn scheme(&self) -> &'a str {
        self.scheme
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &'a str {
        self.host
    }

    /// Whether the host is an address of this machine: 127.0.0.0/8 or `::1`.
    ///
    /// The name `localhost` is none: what it leads to is for a resolver to say.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        unbracketed(self.host).parse().is_ok_and(|ip: core::net::IpAddr| ip.is_loopback())
    }

    pub(super) fn is_confidential(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("https")
            || (self.scheme.eq_ignore_ascii_case("http") && self.is_loopback())
    }
}

/// Whether a host, in any case, is covered by a pattern in lower case.
pub(super) fn matches(pattern: &str, host: &str) -> bool {
    // A trailing dot names the same host, and so do brackets around an IPv6 address.
    let host = unbracketed(host.strip_suffix('.').unwrap_or(host));
    let pattern = unbracketed(pattern);
    match pattern.strip_prefix('*') {
        None => host.eq_ignore_ascii_case(pattern),
        Some(suffix) => {
            is_host(host)
                && host.len() > suffix.len()
                && host[host.len() - suffix.len()..].eq_ignore_ascii_case(suffix)
        }
    }
}

/// A name, an address, or `*.` and a name of at least two labels.
pub(super) fn is_pattern(text: &str) -> bool {
    let is_ip = |host: &str| unbracketed(host).parse::<core::net::IpAddr>().is_ok();
    match text.strip_prefix("*.") {
        None => is_host(text) || is_ip(text),
        Some(name) => is_host(name) && name.contains('.') && !is_ip(name),
    }
}

fn is_host(host: &str) -> bool {
    !host.is_empty()
        && !host.starts_with('.')
        && !host.ends_with('.')
        && !host.contains("..")
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, is_pattern, matches};

    #[test]
    fn patterns_cover_whole_labels_alone() {
        for (pattern, host, expected) in [
            ("api.openai.com", "api.openai.com", true),
            ("api.openai.com", "API.OpenAI.com", true),
            ("api.openai.com", "api.openai.com.", true),
            ("api.openai.com", "eu.api.openai.com", false),
            ("api.openai.com", "api.openai.com.evil.example", false),
            ("*.api.openai.com", "eu.api.openai.com", true),
            ("*.api.openai.com", "a.b.api.openai.com", true),
            ("*.api.openai.com", "api.openai.com", false),
            ("*.api.openai.com", "evilapi.openai.com", false),
            ("*.api.openai.com", ".api.openai.com", false),
            ("*.api.openai.com", "", false),
            ("*.api.openai.com", "é.api.openai.com", false),
            ("*.api.openai.com", "..api.openai.com", false),
            ("*.api.openai.com", "evil.example;.api.openai.com", false),
            ("*.api.openai.com", "evil.example,.api.openai.com", false),
            ("::1", "[::1]", true),
            ("[::1]", "::1", true),
            ("::1", "[::2]", false),
        ] {
            assert_eq!(matches(pattern, host), expected, "{pattern} {host}");
        }
    }

    #[test]
    fn patterns_are_hosts() {
        for (text, expected) in [
            ("api.openai.com", true),
            ("*.api.openai.com", true),
            ("127.0.0.1", true),
            ("::1", true),
            ("[::1]", true),
            ("localhost", true),
            ("*", false),
            ("*.com", false),
            ("a.*.com", false),
            ("https://api.openai.com", false),
            ("api.openai.com:443", false),
            ("", false),
        ] {
            assert_eq!(is_pattern(text), expected, "{text}");
        }
    }

    #[test]
    fn http_is_for_this_machine() {
        for (scheme, host, expected) in [
            ("https", "api.openai.com", true),
            ("HTTPS", "api.openai.com", true),
            ("http", "127.0.0.1", true),
            ("http", "127.8.8.8", true),
            ("http", "[::1]", true),
            ("http", "localhost", false),
            ("https", "localhost", true),
            ("http", "localhost.example", false),
            ("http", "api.openai.com", false),
            ("ws", "127.0.0.1", false),
        ] {
            assert_eq!(Endpoint::new(scheme, host).is_confidential(), expected, "{scheme} {host}");
        }
    }
}
