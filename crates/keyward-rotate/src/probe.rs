//! [`Probe`]: whether a key works. It is asked of a new key before anybody depends on it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use keyward::authorize::Authorizer;
use keyward::{AdmitContext, Admitted, ApiKey, Clock, KeyPolicy, KeySource, LoadedKey, Timestamp};
use serde::Deserialize;

use crate::event::TARGET;
use crate::{RotateError, RotateErrorKind, Slot};

/// What is known of a key after it was used once.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ProbeAnswer {
    /// It is not accepted: unknown, revoked, expired, or not known yet.
    Dead,
    /// It works.
    Live,
    /// It is accepted and its scopes do not allow what was asked.
    UnderScoped,
    /// It could not be told: no answer, or one about something else.
    Unknown,
}

/// Tells whether a key works, by using it once.
///
/// It is asked again with back-off while the answer is [`Dead`](ProbeAnswer::Dead) or
/// [`Unknown`](ProbeAnswer::Unknown), because a new key is not accepted at once, so one call is one
/// attempt.
///
/// # Security
///
/// The key goes to whatever the probe asks. Let it be asked over https, of a host that a policy
/// names, and print nothing of the answer: OpenAI's own 401 repeats a part of the key.
pub trait Probe: Send + Sync {
    /// Uses the key once.
    fn probe(&self, key: &LoadedKey, slot: &Slot) -> impl Future<Output = ProbeAnswer> + Send;

    /// Whether the key may be used at all, as it will be loaded: from this store, with this expiry.
    /// Nothing is sent. A key that may not is given up at once. Every key may, unless this is
    /// written.
    ///
    /// # Errors
    ///
    /// Why not, and how to mend it.
    fn check(&self, _key: &LoadedKey) -> Result<(), RotateError> {
        Ok(())
    }

    /// The same of a key that is not made yet: one of a service account, which will lie in this
    /// store and live for so long.
    ///
    /// # Errors
    ///
    /// As of [`check`](Self::check).
    fn foresee(&self, _store: &KeySource, _ttl: Duration) -> Result<(), RotateError> {
        Ok(())
    }
}

/// A [`Probe`] of any type. A clone is the same probe.
#[derive(Clone)]
pub struct DynProbe(Arc<dyn AnyProbe>);

impl DynProbe {
    /// A probe of any type.
    #[must_use]
    pub fn new(probe: impl Probe + 'static) -> Self {
        Self(Arc::new(probe))
    }
}

impl Probe for DynProbe {
    async fn probe(&self, key: &LoadedKey, slot: &Slot) -> ProbeAnswer {
        self.0.probe_any(key, slot).await
    }

    fn check(&self, key: &LoadedKey) -> Result<(), RotateError> {
        self.0.check_any(key)
    }

    fn foresee(&self, store: &KeySource, ttl: Duration) -> Result<(), RotateError> {
        self.0.foresee_any(store, ttl)
    }
}

impl fmt::Debug for DynProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynProbe").finish_non_exhaustive()
    }
}

trait AnyProbe: Send + Sync {
    fn probe_any<'a>(
        &'a self,
        key: &'a LoadedKey,
        slot: &'a Slot,
    ) -> Pin<Box<dyn Future<Output = ProbeAnswer> + Send + 'a>>;
    fn check_any(&self, key: &LoadedKey) -> Result<(), RotateError>;
    fn foresee_any(&self, store: &KeySource, ttl: Duration) -> Result<(), RotateError>;
}

impl<P: Probe> AnyProbe for P {
    fn probe_any<'a>(
        &'a self,
        key: &'a LoadedKey,
        slot: &'a Slot,
    ) -> Pin<Box<dyn Future<Output = ProbeAnswer> + Send + 'a>> {
        Box::pin(self.probe(key, slot))
    }

    fn check_any(&self, key: &LoadedKey) -> Result<(), RotateError> {
        self.check(key)
    }

    fn foresee_any(&self, store: &KeySource, ttl: Duration) -> Result<(), RotateError> {
        self.foresee(store, ttl)
    }
}

/// Asks the API for what the slot's [`Verification`](crate::Verification) says, `/models` unless
/// it says otherwise: it costs nothing and changes nothing.
///
/// ```
/// use keyward::KeyPolicy;
/// use keyward_rotate::HttpProbe;
///
/// let probe = HttpProbe::new("https://api.openai.com/v1", KeyPolicy::production())?;
/// # let _ = probe;
/// # Ok::<(), keyward_rotate::RotateError>(())
/// ```
///
/// # Security
///
/// The key goes by [`keyward::authorize`] to hosts of the policy alone. Redirects are not followed,
/// and no proxy of the environment is used.
#[derive(Clone, Debug)]
pub struct HttpProbe {
    http: reqwest::Client,
    authorizer: Authorizer,
    policy: KeyPolicy,
    base_url: String,
    clock: Clock,
}

const TIMEOUT: Duration = Duration::from_secs(20);
const MAX_ANSWER: usize = 64 * 1024;

impl HttpProbe {
    /// A probe of the API at this address, such as `https://api.openai.com/v1`.
    ///
    /// # Errors
    ///
    /// [`RotateErrorKind::Configuration`] when TLS cannot be set up.
    pub fn new(base_url: impl Into<String>, policy: KeyPolicy) -> Result<Self, RotateError> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(TIMEOUT)
            .build()
            .map_err(|_| {
                RotateError::new(
                    RotateErrorKind::Configuration,
                    "no HTTPS client can be made here",
                    "install the system's root certificates",
                )
            })?;
        let authorizer = Authorizer::new(policy.clone());
        let base_url = base_url.into().trim_end_matches('/').to_owned();
        Ok(Self { http, authorizer, policy, base_url, clock: Clock::system() })
    }

    /// By which clock the policy's dates are told.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// As a service would that loads the key from the store.
    fn admit(
        &self,
        key: &ApiKey,
        source: &KeySource,
        expires_at: Option<Timestamp>,
    ) -> Result<Admitted, RotateError> {
        let context =
            AdmitContext::at(self.clock.now().into()).source(source).expires_at(expires_at);
        self.policy.admit(key, &context).map_err(|refusal| {
            let what = format!("the policy refuses the new key: {}", refusal.why());
            RotateError::new(RotateErrorKind::PolicyRefused, what, refusal.fix().into_owned())
        })
    }

    async fn ask(&self, key: &LoadedKey, slot: &Slot) -> Result<ProbeAnswer, &'static str> {
        let admitted = self.admit(&key.key, &key.source, key.expires_at);
        let admitted = admitted.map_err(|_| "the policy refuses the key")?;
        let key = admitted.into_project_key().map_err(|_| "it is no key of a project")?;
        let url = format!("{}{}", self.base_url, slot.verification().path);
        let mut request =
            http::Request::get(url).body(reqwest::Body::default()).map_err(|_| "no such path")?;
        self.authorizer.authorize(&key, &mut request).map_err(|_| "the policy refuses the host")?;
        let request = request.try_into().map_err(|_| "no such path")?;
        let mut answer = self.http.execute(request).await.map_err(|_| "no answer")?;
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        // What was said matters only where the status alone does not tell.
        while !(200..300).contains(&status)
            && let Ok(Some(piece)) = answer.chunk().await
        {
            body.extend_from_slice(&piece);
            if body.len() > MAX_ANSWER {
                break;
            }
        }
        Ok(read(status, &body))
    }
}

impl Probe for HttpProbe {
    async fn probe(&self, key: &LoadedKey, slot: &Slot) -> ProbeAnswer {
        match self.ask(key, slot).await {
            Ok(answer) => answer,
            Err(why) => {
                tracing::debug!(target: TARGET, slot = slot.name(), why, "a key was not probed");
                ProbeAnswer::Unknown
            }
        }
    }

    fn check(&self, key: &LoadedKey) -> Result<(), RotateError> {
        self.admit(&key.key, &key.source, key.expires_at).map(|_| ())
    }

    fn foresee(&self, store: &KeySource, ttl: Duration) -> Result<(), RotateError> {
        // What the policy looks at is the beginning of a key and what is known beside it.
        let Ok(stand_in) = ApiKey::issued(format!("sk-svcacct-{}", "0".repeat(100))) else {
            return Ok(());
        };
        let now: Timestamp = self.clock.now().into();
        self.admit(&stand_in, store, Some(now.saturating_add(ttl))).map(|_| ())
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    error: Said,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    code: Option<String>,
    message: Option<String>,
}

/// Codes of a 429 that say that a key was accepted and that something is used up.
const USED_UP: [&str; 5] = [
    "credit_balance_exhausted",
    "insufficient_quota",
    "organization_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "project_spend_limit_exceeded",
];

/// What an answer says of the key. A 401 and a 403 can both mean missing scopes.
fn read(status: u16, body: &[u8]) -> ProbeAnswer {
    let Said { code, message } = serde_json::from_slice::<Body>(body).unwrap_or_default().error;
    let (code, message) = (code.unwrap_or_default(), message.unwrap_or_default());
    let says_scopes = code == "missing_scope"
        || ["Missing scopes", "insufficient permissions"].iter().any(|word| message.contains(word));
    match status {
        200..300 => ProbeAnswer::Live,
        401 | 403 if says_scopes => ProbeAnswer::UnderScoped,
        // An address outside an allowlist is a 401 too; the key is live, and nobody can tell.
        401 if code.contains("ip_") || message.contains("IP address") => ProbeAnswer::Unknown,
        401 => ProbeAnswer::Dead,
        429 if USED_UP.contains(&code.as_str()) => ProbeAnswer::Live,
        _ => ProbeAnswer::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::{ProbeAnswer, read};

    #[test]
    fn what_an_answer_says_of_the_key() {
        let cases = [
            (200, "", ProbeAnswer::Live),
            (
                401,
                r#"{"error":{"code":"invalid_api_key","message":"Incorrect"}}"#,
                ProbeAnswer::Dead,
            ),
            (401, "", ProbeAnswer::Dead),
            (
                401,
                r#"{"error":{"code":null,"message":"Missing scopes: x"}}"#,
                ProbeAnswer::UnderScoped,
            ),
            (403, r#"{"error":{"code":"missing_scope"}}"#, ProbeAnswer::UnderScoped),
            (403, r#"{"error":{"message":"Country not supported"}}"#, ProbeAnswer::Unknown),
            (401, r#"{"error":{"code":"ip_not_authorized"}}"#, ProbeAnswer::Unknown),
            (429, r#"{"error":{"code":"insufficient_quota"}}"#, ProbeAnswer::Live),
            (429, r#"{"error":{"code":"rate_limit_exceeded"}}"#, ProbeAnswer::Unknown),
            (404, "", ProbeAnswer::Unknown),
            (500, "<html>", ProbeAnswer::Unknown),
            (302, "", ProbeAnswer::Unknown),
        ];
        for (status, body, expected) in cases {
            assert_eq!(read(status, body.as_bytes()), expected, "{status} {body}");
        }
    }
}
