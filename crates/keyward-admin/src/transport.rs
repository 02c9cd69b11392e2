//! One call over the wire: the key put on it, the limits kept, repeated only where that is safe.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use keyward_core::{AdminKey, Endpoint, KeyFingerprint, KeyKind, find};
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use reqwest::{Method, Url};
use tokio::time::Instant;

use crate::body::Body;
use crate::error::{Answer, Error, ErrorKind};
use crate::gate::{Gate, Outcome, Remaining};
use crate::headers::{request_id, requests_left, retry_after};
use crate::late::Credential;
use crate::operations::{Effect, Operation};
use crate::pacing::{Event, Pacing};

/// One call: an operation, what stands in its path, its query and its body.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) operation: Operation,
    pub(crate) args: Vec<String>,
    pub(crate) query: Vec<(Cow<'static, str>, String)>,
    pub(crate) body: Option<Vec<u8>>,
}

impl Call {
    pub(crate) fn new<const N: usize>(operation: Operation, args: [&str; N]) -> Self {
        let args = args.map(str::to_owned).to_vec();
        Self { operation, args, query: Vec::new(), body: None }
    }

    /// One more of what stands in the path.
    pub(crate) fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    pub(crate) fn query(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.query.push((Cow::Borrowed(name), value.to_string()));
        self
    }

    /// One parameter several times, with the brackets that OpenAI's own clients send.
    pub(crate) fn query_all(
        mut self,
        name: &'static str,
        values: impl IntoIterator<Item = impl fmt::Display>,
    ) -> Self {
        for value in values {
            self = self.query(name, value);
        }
        self
    }

    /// The path with what stands in it, for people.
    pub(crate) fn path(&self) -> String {
        let mut args = self.args.iter();
        let segments = self.operation.path.split('/').map(|segment| {
            let arg = segment.starts_with('{').then(|| args.next()).flatten();
            arg.map_or(segment, |arg| arg.as_str())
        });
        find::scrub(&segments.collect::<Vec<_>>().join("/")).into_owned()
    }

    pub(crate) fn json(mut self, body: &impl serde::Serialize) -> Self {
        // Bodies are structs of strings and numbers of ours, which JSON can always tell.
        self.body = serde_json::to_vec(body).ok();
        self
    }
}

/// An answer whose status is a success.
pub(crate) struct Received {
    pub(crate) status: u16,
    pub(crate) request_id: Option<String>,
    pub(crate) body: Body,
}

/// A call that failed, and what had been read of its answer by then.
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// Not empty only where the call may have had its effect in spite of the failure.
    pub(crate) received: Body,
}

#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) max_attempts: u32,
    pub(crate) max_wait: Duration,
    pub(crate) deadline: Duration,
    pub(crate) max_answer_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            max_attempts: 4,
            // The Admin API refills its buckets in about 60 seconds (measured, 2026-11).
            max_wait: Duration::from_secs(90),
            deadline: Duration::from_secs(5 * 60),
            max_answer_bytes: 32 * 1024 * 1024,
        }
    }
}

/// What an answer that may hold a key is read into: one allocation, so that no grown-out-of copy
/// stays behind. Such answers have a few hundred bytes.
const MINT_BYTES: usize = 64 * 1024;

/// The most that is set aside for an answer before its first byte.
const FIRST_BYTES: u64 = 256 * 1024;

pub(crate) struct Transport {
    http: reqwest::Client,
    base_url: Url,
    credential: Credential,
    key: AdminKey,
    limits: Limits,
    gate: Gate,
}

impl Transport {
    pub(crate) fn new(
        key: &AdminKey,
        credential: Credential,
        base_url: Url,
        limits: Limits,
        pacing: Pacing,
    ) -> Result<Self, Error> {
        let is_https = base_url.scheme() == "https";
        let is_here = Endpoint::new("http", base_url.host_str().unwrap_or_default()).is_loopback();
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("keyward-admin/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            // Whether a call may be sent again is decided here, for each operation.
            .retry(reqwest::retry::never())
            .referer(false)
            // Features of reqwest are shared by all that use it in a program: an answer of a few
            // bytes must not unpack to more than is read here, whoever switched that on.
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            .https_only(is_https)
            .timeout(limits.timeout)
            .connect_timeout(limits.connect_timeout);
        if !is_https || is_here {
            // A proxy from the environment would get the key in the clear, and is another machine.
            http = http.no_proxy();
        }
        let http = credential
            .with_tls(http)
            .build()
            .map_err(|_| Error::configuration("the HTTP client cannot be set up (TLS roots?)"))?;
        let gate = Gate::new(pacing.with_default_cap(limits.max_wait));
        Ok(Self { http, base_url, credential, key: key.clone(), limits, gate })
    }

    pub(crate) fn key_fingerprint(&self) -> KeyFingerprint {
        self.key.fingerprint()
    }

    /// Sends a call, again where that is safe, and answers its body.
    pub(crate) async fn send(&self, call: &Call) -> Result<Body, Error> {
        self.answer(call).await.map(|received| received.body)
    }

    /// The same, with what came beside the body.
    pub(crate) async fn answer(&self, call: &Call) -> Result<Received, Error> {
        let received = self.send_keeping_received(call).await.map_err(|failure| failure.error)?;
        Ok(Received { body: received.body.whole(), ..received })
    }

    /// Tells whoever watches.
    pub(crate) fn tell(&self, event: &Event) {
        self.gate.tell(event);
    }

    /// The same; a failure keeps what was read. For calls that answer a key, which must not be
    /// lost because the answer broke off behind it. A key that was caught is not in the body.
    pub(crate) async fn send_keeping_received(&self, call: &Call) -> Result<Received, Failure> {
        let operation = &call.operation;
        let url = match self.url(call) {
            Ok(url) => url,
            Err(error) => {
                let error = error.in_operation(operation);
                return Err(Failure { error, received: Body::default() });
            }
        };
        // Beyond what a clock can tell there is no deadline.
        let deadline = Instant::now().checked_add(self.limits.deadline);
        let mut attempt = 1;
        let mut nothing_sent = true;
        loop {
            let result = self.once(call, url.clone(), deadline).await;
            let Failure { error, received } = match result {
                Ok(received) => return Ok(received),
                Err(failure) => failure,
            };
            // What an earlier attempt has sent stays sent.
            nothing_sent &= error.nothing_was_sent();
            let error = error.in_operation(operation).with_nothing_sent(nothing_sent);
            tracing::debug!(
                %operation,
                attempt,
                kind = ?error.kind(),
                status = error.status(),
                request_id = error.request_id(),
                "call failed"
            );
            if operation.effect == Effect::Create {
                let is_ambiguous = is_ambiguous(&error);
                let error = if is_ambiguous { error.into_outcome_unknown() } else { error };
                return Err(Failure { error, received });
            }
            let in_time = |wait| {
                let then = Instant::now().checked_add(wait);
                then.is_some_and(|then| deadline.is_none_or(|deadline| then <= deadline))
            };
            if error.kind() == ErrorKind::Throttled {
                // The gate knows how long to wait; a call that it did not let through has no status.
                let asked = error.retry_after().unwrap_or_default();
                if error.status().is_none()
                    || self.limits.max_attempts == 1
                    || asked > self.gate.cap()
                    || !in_time(asked)
                {
                    return Err(Failure { error, received });
                }
                continue;
            }
            let wait = error.retry_after().unwrap_or_default().max(backoff(attempt));
            if attempt >= self.limits.max_attempts
                || !error.is_retryable()
                || wait > self.limits.max_wait
                || !in_time(wait)
            {
                return Err(Failure { error, received });
            }
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    /// One attempt, when its turn has come.
    async fn once(
        &self,
        call: &Call,
        url: Url,
        deadline: Option<Instant>,
    ) -> Result<Received, Failure> {
        let pass = self
            .gate
            .enter(&call.operation, deadline)
            .await
            .map_err(|e| Failure { error: Error::too_late(e), received: Body::default() })?;
        let mut remaining_requests = None;
        let result = self.attempt(call, url, deadline, &mut remaining_requests).await;
        let outcome = match &result {
            Ok(_) => Outcome::Ok,
            Err(failure) => outcome(&failure.error),
        };
        pass.finished(outcome, remaining_requests);
        result
    }

    async fn attempt(
        &self,
        call: &Call,
        url: Url,
        deadline: Option<Instant>,
        remaining_requests: &mut Option<Remaining>,
    ) -> Result<Received, Failure> {
        let early = |error| Failure { error, received: Body::default() };
        let method = Method::from_bytes(call.operation.method.as_bytes())
            .map_err(|_| early(Error::configuration("not an HTTP method")))?;
        // Kept until the head of the answer is there.
        let authorization = self.credential.value().map_err(early)?;
        let mut request = self
            .http
            .request(method, url)
            // EXPOSE: the Authorization header, marked sensitive.
            .header(AUTHORIZATION, authorization.clone())
            .header(ACCEPT_ENCODING, "identity");
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        // An attempt to create is not cut short: that would leave it open what it did.
        if let Some(deadline) = deadline
            && call.operation.effect != Effect::Create
        {
            let left = deadline.saturating_duration_since(Instant::now());
            request = request.timeout(left.min(self.limits.timeout));
        }
        let answer = request.send().await.map_err(|e| early(broken(&e)))?;
        drop(authorization);

        let status = answer.status();
        let request_id = request_id(answer.headers(), &self.key);
        let retry_after = retry_after(answer.headers());
        *remaining_requests = requests_left(answer.headers());
        tracing::debug!(
            operation = %call.operation,
            status = status.as_u16(),
            request_id,
            "answered"
        );
        let is_packed = is_packed(answer.headers());
        let received = if status.is_success() {
            self.read(answer, call.operation.effect == Effect::Create).await
        } else {
            // What an error says is cut at the same length as an answer with a key.
            self.read(answer, true).await
        };
        if status.is_success() {
            let status = status.as_u16();
            return match received {
                Ok(body) if is_packed => {
                    // Packed or not, it is not what was asked for.
                    let what = "the answer is said to be packed, which was not asked for";
                    let error = Error::new(ErrorKind::Drift, what).with_request_id(request_id);
                    Err(Failure { error, received: body })
                }
                Ok(body) => Ok(Received { status, request_id, body }),
                Err(failure) => Err(Failure {
                    error: failure.error.with_request_id(request_id),
                    received: failure.received,
                }),
            };
        }
        let body = received.unwrap_or_else(|failure| failure.received);
        let status = status.as_u16();
        let answer = Answer { status, body: &body, request_id, retry_after };
        let error = Error::from_answer(&answer, self.key.as_api_key());
        let received = if is_ambiguous(&error) { body } else { Body::default() };
        Err(Failure { error, received })
    }

    async fn read(
        &self,
        mut answer: reqwest::Response,
        may_hold_key: bool,
    ) -> Result<Body, Failure> {
        let most = if may_hold_key {
            MINT_BYTES.min(self.limits.max_answer_bytes)
        } else {
            self.limits.max_answer_bytes
        };
        let too_large = || Error::new(ErrorKind::TooLarge, format!("more than {most} bytes"));
        let mut body = Body::caught_by(self.credential.catch());
        let told = answer.content_length();
        if may_hold_key {
            body.reserve_exact(most);
        } else if told.is_some_and(|n| n > most as u64) {
            return Err(Failure { error: too_large(), received: body });
        } else {
            // A server is believed as far as that costs little.
            body.reserve_exact(told.map_or(0, |n| n.min(FIRST_BYTES) as usize));
        }
        loop {
            match answer.chunk().await {
                Ok(None) => return Ok(body),
                Ok(Some(chunk)) if body.len() + chunk.len() <= most => body.append(&chunk),
                Ok(Some(chunk)) => {
                    // What is in the room that is left may have the key in it.
                    let room = most - body.len();
                    body.append(&chunk[..room]);
                    return Err(Failure { error: too_large(), received: body });
                }
                Err(e) => {
                    return Err(Failure { error: broken(&e), received: body });
                }
            }
        }
    }

    /// The base URL and the operation's path, with each argument as one segment.
    fn url(&self, call: &Call) -> Result<Url, Error> {
        let mut url = self.base_url.clone();
        let mut args = call.args.iter();
        {
            let mut path = url.path_segments_mut().map_err(|()| {
                Error::configuration("the base URL has no path; write it as https://HOST/v1")
            })?;
            path.pop_if_empty();
            for segment in call.operation.path.split('/').skip(1) {
                if !segment.starts_with('{') {
                    path.push(segment);
                    continue;
                }
                let arg = args.next().map_or("", String::as_str);
                // Such a segment would vanish, and the call reach another resource.
                if arg.is_empty() || arg == "." || arg == ".." {
                    let what = segment.trim_matches(['{', '}']);
                    return Err(Error::not_sent(format!("`{arg}` cannot be the {what}")));
                }
                let what = segment.trim_matches(['{', '}']);
                // Some of them are taken out on the way into a URL, and then what is left is read
                // anew: `.` and a tab and `.` would be `..`.
                if arg.contains(char::is_control) {
                    let refused = format!("a control character cannot stand in the {what}");
                    return Err(Error::not_sent(refused));
                }
                // A URL is logged by whoever sees it.
                if holds_key(arg) {
                    return Err(Error::not_sent(format!("a key cannot be the {what}")));
                }
                path.push(arg);
            }
        }
        if call.query.iter().any(|(k, v)| holds_key(k) || holds_key(v)) {
            return Err(Error::not_sent("a key cannot stand in the query"));
        }
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(call.query.iter().map(|(k, v)| (k.as_ref(), v)));
        }
        Ok(url)
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("origin", &self.base_url.origin().ascii_serialization())
            .field("key", &self.key.fingerprint())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// What the gate learns from a failure.
fn outcome(error: &Error) -> Outcome {
    match error.kind() {
        ErrorKind::Throttled => Outcome::Throttled { retry_after: error.retry_after() },
        ErrorKind::Connection | ErrorKind::Server | ErrorKind::Timeout | ErrorKind::Transport => {
            Outcome::Failed
        }
        // A success whose body was not to be used; it took its token.
        ErrorKind::TooLarge => Outcome::Ok,
        // The server refused the request itself. Whether it was counted nobody knows.
        _ => Outcome::Other,
    }
}

/// Whether the call may have had its effect although it failed.
///
/// A status decides by itself, whatever the body says. 499 is a proxy's word for a client that
/// went; 303 and its like are how a server tells where the thing is that it has made.
fn is_ambiguous(error: &Error) -> bool {
    match error.status() {
        _ if error.nothing_was_sent() => false,
        Some(408 | 499 | 300..=303) => true,
        Some(status) => !(304..500).contains(&status),
        None => matches!(
            error.kind(),
            ErrorKind::Drift | ErrorKind::Timeout | ErrorKind::TooLarge | ErrorKind::Transport
        ),
    }
}

/// Whether an answer says that it is packed with something.
fn is_packed(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    encodings.any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// A failure without an answer. Its own text is ours: reqwest's would name the URL.
fn broken(error: &reqwest::Error) -> Error {
    if error.is_builder() {
        return Error::not_sent("it is too long to be sent");
    }
    if error.is_connect() {
        return Error::new(ErrorKind::Connection, cause(error)).with_nothing_sent(true);
    }
    if error.is_timeout() {
        return Error::new(ErrorKind::Timeout, "no whole answer came in time");
    }
    Error::new(ErrorKind::Transport, cause(error))
}

/// The operating system's word for it, found in the chain of errors.
fn cause(error: &reqwest::Error) -> String {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>()
            && io.kind() != std::io::ErrorKind::Other
        {
            return io.kind().to_string();
        }
        source = inner.source();
    }
    let what = if error.is_timeout() {
        "timed out"
    } else if error.is_body() || error.is_decode() {
        "the answer broke off"
    } else if error.is_connect() {
        "name resolution or TLS failed"
    } else {
        "the server closed it without an answer"
    };
    what.to_owned()
}

/// Whether a whole key stands in what is to go into a URL.
///
/// Ids, addresses and cursors stand there too, some of which have the letters of a prefix in them,
/// or begin with the one of an ephemeral secret. So what begins like a key must be as long as one.
pub(crate) fn holds_key(text: &str) -> bool {
    const MARKER: &str = "T3BlbkFJ";
    const SHORTEST: usize = 24;

    let is_key = |word: &str| match KeyKind::classify(word.as_bytes()) {
        KeyKind::EphemeralClient => {
            let secret = word.trim_start_matches("ek_");
            secret.len() >= 32 && secret.bytes().all(|b| b.is_ascii_hexdigit())
        }
        KeyKind::Unknown => word.starts_with("sk-"),
        _ => true,
    };
    text.contains(MARKER)
        || text
            .split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_')))
            .any(|word| word.len() >= SHORTEST && is_key(word))
}

/// Twice as long each time, from half a second, between half and all of it by chance.
fn backoff(attempt: u32) -> Duration {
    let most = Duration::from_millis(500) * 2_u32.saturating_pow(attempt.saturating_sub(1).min(6));
    most.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use keyward_testkit::keys::{self, KeyRng};

    use super::holds_key;

    #[test]
    fn a_key_is_told_from_what_stands_in_urls() {
        let mut rng = KeyRng::from_entropy();
        let alphanumeric = rng.alphanumeric(40);
        for key in [
            keys::admin_key(&mut rng),
            keys::service_account_key(&mut rng),
            format!("x={}", keys::admin_key(&mut rng)),
            format!("sk-{alphanumeric}"),
            format!("sess-{alphanumeric}"),
            format!("ek_{}", "0a".repeat(16)),
        ] {
            assert!(holds_key(&key), "a {} of {} letters", &key[..5], key.len());
        }
        let cursor = format!("{alphanumeric}sk-{alphanumeric}");
        for other in
            ["ek_1", "extkey_abc", "ask-Bob2@example.com", "task-List", "proj_abc", "sk-1", &cursor]
        {
            assert!(!holds_key(other), "{other}");
        }
    }
}
