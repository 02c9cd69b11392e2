//! A server that answers what it is told to and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::IntoResponse;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode, Uri};
use keyward_admin::Client;
use keyward_testkit::keys::{self, KeyRng};
use serde_json::Value;
use tracing::subscriber::NoSubscriber;

use crate::fixture::admin_key;

/// It runs on a thread of its own until the process ends.
pub(crate) struct Server {
    shared: Arc<Mutex<Shared>>,
    base_url: String,
}

#[derive(Default)]
struct Shared {
    answers: VecDeque<(StatusCode, Vec<u8>)>,
    requests: Vec<Request>,
}

/// What was asked.
#[derive(Debug)]
#[cfg_attr(not(feature = "specification"), allow(dead_code, reason = "nothing is held to it"))]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Below the base URL.
    pub(crate) path: String,
    /// Still encoded.
    pub(crate) query: String,
    pub(crate) is_json: bool,
    pub(crate) body: Vec<u8>,
}

/// A runtime on which nothing is logged: whoever logs all of thousands of calls keeps it in memory.
pub(crate) struct Quiet(tokio::runtime::Runtime);

impl Quiet {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Self(runtime.expect("a runtime"))
    }

    pub(crate) fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let _quiet = tracing::subscriber::set_default(NoSubscriber::default());
        self.0.block_on(future)
    }
}

/// What ends a listing that would go on.
const END: &[u8] = br#"{"object": "list", "data": [], "has_more": false}"#;

impl Server {
    pub(crate) fn start() -> Self {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let (tell, told) = std::sync::mpsc::channel();
        let state = Arc::clone(&shared);
        std::thread::spawn(move || {
            Quiet::start().run(async move {
                let listener =
                    tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a listener");
                tell.send(listener.local_addr().expect("an address")).expect("a listener");
                let router = Router::new().fallback(answer).with_state(state);
                axum::serve(listener, router).await.expect("a server");
            });
        });
        let address = told.recv().expect("an address");
        Self { shared, base_url: format!("http://{address}/v1") }
    }

    pub(crate) fn client(&self) -> Client {
        Client::builder(admin_key(keys::admin_key(&mut KeyRng::seeded(7))))
            .base_url(&self.base_url)
            .allow_loopback()
            .max_attempts(1)
            .build()
            .expect("a client")
    }

    /// What the next requests are answered. When that is used up, listings end.
    pub(crate) fn answers(&self, answers: impl IntoIterator<Item = Value>) {
        let answers = answers.into_iter().map(|json| (StatusCode::OK, json.to_string().into()));
        self.lock().answers = answers.collect();
    }

    /// How the next request fails.
    pub(crate) fn fails(&self, status: StatusCode, body: &str) {
        self.lock().answers = VecDeque::from([(status, body.into())]);
    }

    /// What was asked since this was asked last.
    pub(crate) fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.lock().requests)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(
    State(shared): State<Arc<Mutex<Shared>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    shared.requests.push(Request {
        method: method.to_string(),
        path: uri.path().strip_prefix("/v1").unwrap_or_default().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        is_json: headers.get(CONTENT_TYPE).is_some_and(|t| t == "application/json"),
        body: body.to_vec(),
    });
    let answer = shared.answers.pop_front();
    let (status, body) = answer.unwrap_or_else(|| (StatusCode::OK, END.to_vec()));
    (status, [(CONTENT_TYPE, "application/json")], body)
}
