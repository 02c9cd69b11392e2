//! [`WorkloadIdentity`]: no key at all. The platform says who the workload is, and OpenAI answers
//! with a token that soon expires.

use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use keyward_core::{Endpoint, KeySource, Timestamp, find};
use reqwest::Url;
use zeroize::Zeroizing;

use self::subject::Fetched;
pub use self::subject::{AzureMetadata, GithubActions, GoogleMetadata, SubjectToken};
use super::place::Place;
use super::{FileLoader, KeyLoader, LoadError, LoadErrorKind, LoadedKey, Threads};
use crate::http_call::{self, Call};
use crate::{Clock, Environment};

mod answer;
mod subject;

/// Exchanges a token in which the platform says who the workload is for an access token of a
/// service account (RFC 8693, OpenAI's workload identity federation). No key is kept anywhere.
///
/// Who is who is set up at OpenAI: an identity provider, which is the issuer of the platform's
/// tokens, and a federation rule, which says whose tokens stand for the service account
/// (`keyward-admin` has both). The platform's token is the [`SubjectToken`].
///
/// Each load makes one exchange. A [`LiveKey`](crate::LiveKey) makes the next ahead of the expiry:
/// twenty minutes before it, or when half of a shorter life is over; and once, at once, after a
/// [401](crate::LiveKey::rejected).
///
/// ```
/// use keyward::workload_identity::GithubActions;
/// use keyward::{FileLoader, WorkloadIdentity};
///
/// // Kubernetes: a `serviceAccountToken` volume, which the kubelet replaces.
/// let token = FileLoader::mounted_secret("/var/run/secrets/openai/token");
/// let kubernetes = WorkloadIdentity::new("idp_123", "svc_acct_456", token);
///
/// let token = GithubActions::new("https://api.openai.com/v1");
/// let github = WorkloadIdentity::new("idp_123", "svc_acct_456", token);
///
/// // `OPENAI_IDENTITY_PROVIDER_ID`, `OPENAI_SERVICE_ACCOUNT_ID`, `OPENAI_IDENTITY_TOKEN_FILE`.
/// let from_env = WorkloadIdentity::from_env();
/// # let _ = (kubernetes, github, from_env);
/// ```
///
/// | what happens | |
/// |---|---|
/// | OpenAI answers with a token | the key, of the kind [`AccessToken`](keyward_core::KeyKind::AccessToken) |
/// | none of the three variables is set ([`from_env`](Self::from_env)) | [`NotConfigured`](LoadErrorKind::NotConfigured) |
/// | some of them are | [`Conflict`](LoadErrorKind::Conflict): a chain stops |
/// | there is no subject token | as its source says |
/// | OpenAI refuses (4xx) | [`Denied`](LoadErrorKind::Denied), with the code and OpenAI's own words |
/// | it is at fault (5xx), or cannot be reached | [`Unreachable`](LoadErrorKind::Unreachable) |
/// | it answers too many (429) | [`Throttled`](LoadErrorKind::Throttled) |
/// | it redirects | [`Unreadable`](LoadErrorKind::Unreadable) |
/// | it answers what is no token | [`Invalid`](LoadErrorKind::Invalid) |
/// | the time is over | [`TimedOut`](LoadErrorKind::TimedOut) |
///
/// # Security
///
/// The subject token goes to [the endpoint](Self::endpoint) and nowhere else: over https, across no
/// redirect, and by a proxy only inside of TLS. It and the access token are wiped; what the HTTP and
/// TLS stacks keep in their buffers is beyond reach. An error shows what the server said only as
/// far as nothing in it looks like a token or repeats a piece of the one that was sent. What is no
/// token of three parts (a JWT) is never sent, so that a key in its place stays here.
///
/// The call is made on a thread of its own, which needs no runtime, and which nothing waits for
/// when the process ends.
#[derive(Clone)]
pub struct WorkloadIdentity {
    identity: Identity,
    endpoint: String,
    loopback: bool,
    limit: Duration,
    token_type: SubjectTokenType,
    clock: Clock,
}

/// Where the identity is told.
#[derive(Clone)]
enum Identity {
    /// The file that it names is another at each load, if need be; what hangs is counted together.
    Environment(Environment, Threads),
    Named(Named),
}

#[derive(Clone)]
struct Named {
    provider: Place,
    account: Place,
    subject: SubjectToken,
}

/// What OpenAI is told the subject token is.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SubjectTokenType {
    /// An id token of OpenID Connect.
    IdToken,
    /// A JSON Web Token, which an id token is too.
    #[default]
    Jwt,
}

impl WorkloadIdentity {
    /// The identity that a subject token proves to an identity provider, for a service account:
    /// their ids at OpenAI.
    #[must_use]
    pub fn new(
        identity_provider_id: impl Into<String>,
        service_account_id: impl Into<String>,
        subject_token: impl Into<SubjectToken>,
    ) -> Self {
        Self::of(Identity::Named(Named {
            provider: Place::new(identity_provider_id.into()),
            account: Place::new(service_account_id.into()),
            subject: subject_token.into(),
        }))
    }

    /// The identity that the environment tells of: `OPENAI_IDENTITY_PROVIDER_ID`,
    /// `OPENAI_SERVICE_ACCOUNT_ID`, and in `OPENAI_IDENTITY_TOKEN_FILE` the path of the file with
    /// the subject token, which is read like a
    /// [mounted secret](FileLoader::mounted_secret). They are read at each load.
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_environment(Environment::process())
    }

    /// The same, from these variables instead of the process's.
    #[must_use]
    pub fn from_environment(environment: Environment) -> Self {
        Self::of(Identity::Environment(environment, Threads::default()))
    }

    fn of(identity: Identity) -> Self {
        Self {
            identity,
            endpoint: ENDPOINT.to_owned(),
            loopback: false,
            limit: Duration::from_secs(10),
            token_type: SubjectTokenType::default(),
            clock: Clock::system(),
        }
    }

    /// Exchanges at this URL, which must be https. `https://auth.openai.com/oauth/token` unless
    /// set.
    #[must_use]
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = url.into();
        self
    }

    /// Lets the endpoint be http at an address of this machine, for tests.
    #[must_use]
    pub fn allow_loopback(mut self) -> Self {
        self.loopback = true;
        self
    }

    /// Gives each call so much time: the exchange, and where the subject token is fetched by HTTP or
    /// read from a file that too. 10 seconds unless set. Without a runtime, a file is read on the
    /// thread that polls, for as long as that takes.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Tells OpenAI that the subject token is of this type. A JWT unless set.
    #[must_use]
    pub fn subject_token_type(mut self, token_type: SubjectTokenType) -> Self {
        self.token_type = token_type;
        self
    }

    /// Goes by this clock instead of the system's, for tests.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Who the workload is; of an environment, as it is now.
    fn named(&self) -> Result<Named, LoadError> {
        let (environment, threads) = match &self.identity {
            Identity::Named(named) => return Ok(named.clone()),
            Identity::Environment(environment, threads) => (environment, threads),
        };
        let values = VARIABLES.map(|name| {
            let value = environment.path(name.as_ref()).map(std::path::PathBuf::into_os_string);
            value.filter(|value| !value.is_empty())
        });
        let missing: Vec<_> = VARIABLES
            .iter()
            .zip(&values)
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| *name)
            .collect();
        let [Some(provider), Some(account), Some(file)] = values else {
            let is_bare = missing.len() == VARIABLES.len();
            let kind = if is_bare { LoadErrorKind::NotConfigured } else { LoadErrorKind::Conflict };
            let what = match &*missing {
                _ if is_bare => "not set".to_owned(),
                [one] => format!("{one} is not set, and the others are"),
                all => format!("{} are not set, and the other is", all.join(" and ")),
            };
            let fix = format!("set {}", VARIABLES.join(", "));
            return Err(LoadError::new(kind, self.source(), what, fix));
        };
        let file = Place::new(file);
        if !file.as_path().is_absolute() {
            // The value is not shown: it may be the token itself.
            let what = format!("{} is not an absolute path", VARIABLES[2]);
            let fix = "set it to the whole path of a file";
            return Err(LoadError::new(LoadErrorKind::Invalid, self.source(), what, fix));
        }
        let subject = FileLoader::mounted_secret(file.as_path()).with_threads(threads).into();
        Ok(Named { provider: Place::new(provider), account: Place::new(account), subject })
    }

    /// The subject token, or why there is none, as an error of this loader.
    async fn subject(&self, named: &Named, source: &KeySource) -> Result<Fetched, LoadError> {
        let error = match named.subject.fetch(self.limit, self.loopback).await {
            Ok(fetched) => return Ok(fetched),
            Err(error) => error,
        };
        let is_named = matches!(self.identity, Identity::Environment(..));
        let kind = match error.kind() {
            // Somebody said that it is there, so a chain must not go on to another source.
            LoadErrorKind::NotFound if is_named => LoadErrorKind::Unreadable,
            kind => kind,
        };
        let what = format!("no subject token: {}: {}", error.key_source(), error.what());
        Err(LoadError::new(kind, source.clone(), what, error.fix().to_owned()))
    }

    /// The exchange of a subject token, as a call.
    fn call(
        &self,
        named: &Named,
        subject: &Fetched,
        source: &KeySource,
    ) -> Result<Call, LoadError> {
        let invalid = |what, fix| LoadError::new(LoadErrorKind::Invalid, source.clone(), what, fix);
        let url = endpoint(&self.endpoint, self.loopback).map_err(|what| {
            invalid(what, "write it as https://HOST/PATH, or leave the one that is built in")
        })?;
        let ids = [&named.provider, &named.account].map(|id| id.as_os_str().to_str());
        let [Some(provider), Some(account)] = ids.map(|id| id.filter(|id| is_id(id))) else {
            let what = "the ids of the identity provider and the service account are not both ids";
            return Err(invalid(what, "copy them from the organization's settings"));
        };
        let body = body(provider, account, self.token_type, subject.text());
        Ok(Call::post(url, body, self.limit))
    }
}

impl KeyLoader for WorkloadIdentity {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        let named = self.named()?;
        let source = KeySource::new("wif", format!("{}/{}", named.provider, named.account));
        let subject = self.subject(&named, &source).await?;
        let call = self.call(&named, &subject, &source)?;
        // Before it is sent: the life of the token begins somewhere in between.
        let now = Timestamp::from(self.clock.now());
        let answer = http_call::send(call)
            .await
            .map_err(|problem| problem.at(source.clone(), self.limit, "the token endpoint"))?;
        let token = answer::token(&answer, &subject, &source)?;
        let at = |life| now.saturating_add(Duration::from_secs(life));
        Ok(LoadedKey::new(token.key, source)
            .expires_at(token.life.map(at))
            .refresh_at(token.life.map(|life| at(life - AHEAD.min(life / 2))))
            .variables(self.variables()))
    }

    /// `wif:PROVIDER/SERVICE_ACCOUNT`.
    fn source(&self) -> KeySource {
        let place = match &self.identity {
            Identity::Named(named) => format!("{}/{}", named.provider, named.account),
            Identity::Environment(..) => format!("${}/${}", VARIABLES[0], VARIABLES[1]),
        };
        KeySource::new("wif", place)
    }

    fn variables(&self) -> Vec<OsString> {
        match &self.identity {
            Identity::Named(named) => named.subject.variables(),
            Identity::Environment(..) => VARIABLES.map(OsString::from).to_vec(),
        }
    }
}

impl fmt::Debug for WorkloadIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("WorkloadIdentity");
        shown.field("source", &self.source().to_string());
        if let Identity::Named(named) = &self.identity {
            shown.field("subject", &named.subject);
        }
        shown.field("token_type", &self.token_type).field("limit", &self.limit);
        shown.finish_non_exhaustive()
    }
}

const ENDPOINT: &str = "https://auth.openai.com/oauth/token";

const VARIABLES: [&str; 3] =
    ["OPENAI_IDENTITY_PROVIDER_ID", "OPENAI_SERVICE_ACCOUNT_ID", "OPENAI_IDENTITY_TOKEN_FILE"];

/// A token is exchanged so many seconds before it expires, as OpenAI's own clients do.
const AHEAD: u64 = 1200;

/// Where a subject token may be sent: over https, or to this machine where that is allowed.
fn endpoint(text: &str, loopback: bool) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "the endpoint is no URL")?;
    let host = url.host_str().unwrap_or_default();
    let is_here = loopback && Endpoint::new(url.scheme(), host).is_loopback();
    if url.scheme() != "https" && !(url.scheme() == "http" && is_here) {
        return Err("the endpoint is not https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the endpoint has a user name in front of its host");
    }
    Ok(url)
}

/// Whether a text can be an id. A key that was passed in the place of one is not sent.
fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 256
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && !find::contains_key(text)
}

/// The request's body, in one buffer of exactly its size. Nothing in it needs an escape: ids and
/// tokens are letters, digits and `-_.`.
fn body(
    provider: &str,
    account: &str,
    token_type: SubjectTokenType,
    token: &str,
) -> Zeroizing<Vec<u8>> {
    let token_type = match token_type {
        SubjectTokenType::IdToken => "id_token",
        SubjectTokenType::Jwt => "jwt",
    };
    let parts = [
        r#"{"grant_type":"urn:ietf:params:oauth:grant-type:token-exchange","#,
        r#""subject_token_type":"urn:ietf:params:oauth:token-type:"#,
        token_type,
        r#"","identity_provider_id":""#,
        provider,
        r#"","service_account_id":""#,
        account,
        r#"","subject_token":""#,
        token,
        r#""}"#,
    ];
    let len = parts.iter().map(|part| part.len()).sum();
    let mut body = Zeroizing::new(Vec::with_capacity(len));
    for part in parts {
        body.extend_from_slice(part.as_bytes());
    }
    body
}

#[cfg(test)]
mod tests {
    use super::{SubjectTokenType, body, endpoint, is_id};

    #[test]
    fn a_subject_token_goes_over_https_or_stays_here() {
        for (url, loopback, expected) in [
            ("https://auth.openai.com/oauth/token", false, true),
            ("https://127.0.0.1:1/", false, true),
            ("http://127.0.0.1:1/oauth/token", true, true),
            ("http://[::1]:1/", true, true),
            ("http://127.0.0.1:1/", false, false),
            ("http://localhost:1/", true, false),
            ("http://auth.openai.com/", true, false),
            ("http://127.0.0.1.example/", true, false),
            ("https://auth.openai.com@evil.example/", false, false),
            ("https://:password@auth.openai.com/", false, false),
            ("ftp://127.0.0.1/", true, false),
            ("auth.openai.com/oauth/token", false, false),
            ("", false, false),
        ] {
            assert_eq!(endpoint(url, loopback).is_ok(), expected, "{url} {loopback}");
        }
    }

    #[test]
    fn ids_are_ids() {
        let key = format!("sk-proj-{}", "a1B2".repeat(12));
        for (text, expected) in [
            ("idp_68f0", true),
            ("svc_acct-1.2", true),
            ("", false),
            ("a\"b", false),
            ("a b", false),
            (&key, false),
        ] {
            assert_eq!(is_id(text), expected, "{text}");
        }
    }

    #[test]
    fn the_body_is_json_in_a_buffer_of_its_size() {
        let body = body("p", "a", SubjectTokenType::IdToken, "x.y.z");
        assert_eq!(body.capacity(), body.len());
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let expected = serde_json::json!({
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
            "subject_token": "x.y.z",
            "identity_provider_id": "p",
            "service_account_id": "a",
        });
        assert_eq!(json, expected);
    }
}
