//! One HTTP call with a secret in it or in its answer: bounded, across no redirect, on a thread of
//! its own.

use std::io;
use std::time::Duration;

use bytes::Bytes;
#[cfg(feature = "workload-identity")]
use keyward_core::KeySource;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
};
use reqwest::{Method, Url};
use zeroize::Zeroizing;

use crate::live::race::{Either, race};
use crate::loader::detached::{Awaited, detached};
#[cfg(feature = "workload-identity")]
use crate::{LoadError, LoadErrorKind};

pub(crate) use self::read::{Secret, readable};

mod read;

/// What is asked of whom, and how long that may take.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// JSON.
    pub(crate) body: Option<Zeroizing<Vec<u8>>>,
    pub(crate) limit: Duration,
    /// The most that is read of the answer, in bytes.
    pub(crate) most: usize,
}

impl Call {
    pub(crate) fn get(url: Url, limit: Duration) -> Self {
        Self { method: Method::GET, url, headers: Vec::new(), body: None, limit, most: MOST }
    }

    pub(crate) fn post(url: Url, body: Zeroizing<Vec<u8>>, limit: Duration) -> Self {
        Self { method: Method::POST, body: Some(body), ..Self::get(url, limit) }
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// What was answered, whatever the status.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

/// Makes a call, on a thread with a runtime of its own: it works on whatever runtime the load runs
/// on, and the end of the process waits neither for it nor for the resolver.
pub(crate) async fn send(call: Call) -> Result<Answer, Problem> {
    let answer = detached("keyward-http", move |awaited| run(call, awaited)).await;
    answer.unwrap_or(Err(Problem::Setup))
}

fn run(call: Call, awaited: &Awaited<Result<Answer, Problem>>) -> Result<Answer, Problem> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|_| Problem::Setup)?;
    let limit = call.limit;
    let answer = runtime.block_on(async {
        let answer = tokio::time::timeout(limit, exchange(call));
        match race(answer, awaited.given_up()).await {
            Either::First(answer) => answer.unwrap_or(Err(Problem::TimedOut)),
            Either::Second(()) => Err(Problem::TimedOut),
        }
    });
    // The resolver may hang on a thread of this runtime.
    runtime.shutdown_background();
    answer
}

async fn exchange(call: Call) -> Result<Answer, Problem> {
    let most = call.most;
    let client = client(call.url.scheme() == "https")?;
    let mut request = client.request(call.method, call.url).header(ACCEPT_ENCODING, "identity");
    for (name, value) in call.headers {
        request = request.header(name, value);
    }
    if let Some(body) = call.body {
        // EXPOSE: the body of an exchange. The buffer is sent as it is, and wiped.
        request = request.header(CONTENT_TYPE, "application/json").body(Bytes::from_owner(body));
    }
    let mut answer = request.send().await.map_err(|error| Problem::of(&error))?;
    let status = answer.status().as_u16();
    let headers = std::mem::take(answer.headers_mut());
    let packing = headers.get(CONTENT_ENCODING);
    if packing.is_some_and(|value| value != "identity") {
        return Err(Problem::Packed);
    }
    // One allocation, so that no grown-out-of copy stays behind.
    let mut body = Zeroizing::new(Vec::with_capacity(most));
    while let Some(chunk) = answer.chunk().await.map_err(|error| Problem::of(&error))? {
        if body.len() + chunk.len() > most {
            return Err(Problem::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, headers, body })
}

/// A client for one call. It is seldom made, and nothing of the call outlives it.
fn client(is_https: bool) -> Result<reqwest::Client, Problem> {
    let mut client = reqwest::Client::builder()
        .user_agent(concat!("keyward/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        // Features of reqwest are shared by all that use it in a program.
        .no_gzip()
        .no_brotli()
        .no_deflate()
        .no_zstd()
        .https_only(is_https);
    if !is_https {
        // A proxy from the environment would get the token in the clear.
        client = client.no_proxy();
    }
    client.build().map_err(|_| Problem::Setup)
}

/// The most that is read of an answer. A token has a few kilobytes at the most.
pub(crate) const MOST: usize = 64 * 1024;

/// What went wrong, before it is told of which source.
pub(crate) enum Problem {
    /// No connection: the operating system's word for it.
    Connect(Option<io::ErrorKind>),
    Packed,
    Setup,
    TimedOut,
    TooLarge,
    /// The connection broke.
    Transport(Option<io::ErrorKind>),
}

impl Problem {
    fn of(error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::TimedOut;
        }
        let cause = cause(error);
        if error.is_connect() { Self::Connect(cause) } else { Self::Transport(cause) }
    }

    /// As an error of a source; `who` was asked.
    #[cfg(feature = "workload-identity")]
    pub(crate) fn at(self, source: KeySource, limit: Duration, who: &str) -> LoadError {
        let because =
            |kind: Option<io::ErrorKind>| kind.map_or(String::new(), |k| format!(": {k}"));
        let network = "check the network, the name service and the certificates";
        let (kind, what, fix) = match self {
            Self::Connect(kind) => (
                LoadErrorKind::Unreachable,
                format!("{who} cannot be reached{}", because(kind)),
                network,
            ),
            Self::Packed => (
                LoadErrorKind::Invalid,
                format!("the answer of {who} is packed, which was not asked for"),
                "check what stands between",
            ),
            Self::Setup => (
                LoadErrorKind::Unreachable,
                "the HTTP client cannot be set up".to_owned(),
                "check the limits of the process, and that there are root certificates",
            ),
            Self::TimedOut => return LoadError::timed_out(source, limit),
            Self::TooLarge => (
                LoadErrorKind::TooLarge,
                format!("the answer of {who} is larger than {} KiB", MOST / 1024),
                "check what it is that answers there",
            ),
            Self::Transport(kind) => (
                LoadErrorKind::Unreachable,
                format!("the connection to {who} broke{}", because(kind)),
                network,
            ),
        };
        LoadError::new(kind, source, what, fix)
    }
}

/// The operating system's word for it, found in the chain of errors. Nothing else of them is told.
fn cause(error: &reqwest::Error) -> Option<io::ErrorKind> {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        let io = inner.downcast_ref::<io::Error>().map(io::Error::kind);
        if let Some(kind) = io.filter(|kind| *kind != io::ErrorKind::Other) {
            return Some(kind);
        }
        source = inner.source();
    }
    None
}
