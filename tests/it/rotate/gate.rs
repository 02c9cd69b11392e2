//! [`Gate`]: what the program's requests pass through on their way to the fake organization and to
//! the server of a store, and where it is killed. Each is counted; before one that was chosen is let
//! through, or before its answer is, the program dies. Some may be too many, or have something else
//! happen when they arrive.

use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use tokio::net::TcpListener;

/// Where the program dies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kill {
    /// Its n-th request is sent, and does not arrive.
    Before(usize),
    /// Its n-th request has done its work, and the answer does not arrive.
    After(usize),
    /// It is about to make this call to the kernel for the n-th time, which makes something on a
    /// disk lasting.
    Call(&'static str, usize),
}

/// What happens when the n-th request of a program arrives; and whether it is one too many, which is
/// answered and not let through.
pub(crate) type Arrival = dyn Fn(usize) -> bool + Send + Sync;

/// The requests of one program at a time.
#[derive(Default)]
pub(crate) struct Gate {
    watched: Mutex<Watched>,
    arrival: Mutex<Option<Arc<Arrival>>>,
}

#[derive(Debug, Default)]
struct Watched {
    requests: Vec<String>,
    kill: Option<Kill>,
    killed_at: Option<String>,
    program: Option<Child>,
    ended: Option<ExitStatus>,
}

impl Gate {
    /// Watches a program that has just been started, or lets another take its place.
    pub(crate) fn watch(&self, start: impl FnOnce() -> Child, kill: Option<Kill>) {
        // The program cannot send a request before it is known here.
        let mut watched = self.lock();
        *watched = Watched { kill, program: Some(start()), ..Watched::default() };
    }

    /// Lets this happen with each request of the programs that are started from now on.
    pub(crate) fn on_arrival(&self, happens: impl Fn(usize) -> bool + Send + Sync + 'static) {
        *self.arrival() = Some(Arc::new(happens));
    }

    /// Lets nothing happen any more.
    pub(crate) fn calms(&self) {
        *self.arrival() = None;
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        let watched = &mut *self.lock();
        if let Some(program) = &mut watched.program
            && let Some(status) = program.try_wait().expect("a state")
        {
            watched.ended = Some(status);
            watched.program = None;
        }
        watched.ended
    }

    /// Where it was killed here, and the requests that came.
    pub(crate) fn told(&self) -> (Option<String>, Vec<String>) {
        let watched = self.lock();
        (watched.killed_at.clone(), watched.requests.clone())
    }

    /// The number of a request, from 1.
    fn arrives(&self, request: String) -> usize {
        let mut watched = self.lock();
        watched.requests.push(request);
        watched.requests.len()
    }

    /// Kills the program if this is the point that was chosen.
    fn passes(&self, point: Kill) -> bool {
        let watched = &mut *self.lock();
        if watched.killed_at.is_some() {
            return false;
        }
        if watched.kill != Some(point) {
            return true;
        }
        watched.killed_at = watched.requests.last().cloned();
        let program = watched.program.as_mut().expect("the program that sent this");
        program.kill().expect("a kill");
        watched.ended = Some(program.wait().expect("an end"));
        watched.program = None;
        false
    }

    fn is_too_many(&self, number: usize) -> bool {
        let happens = self.arrival().clone();
        happens.is_some_and(|happens| happens(number))
    }

    fn arrival(&self) -> std::sync::MutexGuard<'_, Option<Arc<Arrival>>> {
        self.arrival.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// However the test ends, the program does not go on.
impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(program) = &mut self.lock().program {
            let _ = program.kill();
            let _ = program.wait();
        }
    }
}

/// Opens a way through the gate to a server, and tells its address: `http://127.0.0.1:PORT`. It is
/// open as long as the runtime.
pub(crate) async fn open(gate: &Arc<Gate>, server: &str) -> String {
    let way = Way {
        gate: Arc::clone(gate),
        server: server.to_owned(),
        http: reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client"),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let routes = Router::new().fallback(pass).with_state(way);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    format!("http://{address}")
}

#[derive(Clone)]
struct Way {
    gate: Arc<Gate>,
    server: String,
    http: reqwest::Client,
}

async fn pass(State(way): State<Way>, request: Request) -> Response {
    let nobody = || {
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::BAD_GATEWAY;
        answer
    };
    let (mut parts, body) = request.into_parts();
    let number = way.gate.arrives(shown(&parts));
    if way.gate.is_too_many(number) {
        return too_many();
    }
    if !way.gate.passes(Kill::Before(number)) {
        return nobody();
    }
    let Ok(body) = to_bytes(body, 1 << 20).await else { return nobody() };
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    for name in [header::HOST, header::CONTENT_LENGTH, header::CONNECTION] {
        parts.headers.remove(name);
    }
    let forwarded = way.http.request(parts.method, format!("{}{path}", way.server));
    let forwarded = forwarded.headers(parts.headers).body(body).send().await;
    let Ok(answer) = forwarded else { return nobody() };
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    let Ok(body) = answer.bytes().await else { return nobody() };
    if !way.gate.passes(Kill::After(number)) {
        return nobody();
    }
    headers.remove(header::TRANSFER_ENCODING);
    headers.remove(header::CONNECTION);
    let mut passed = Response::new(Body::from(body));
    *passed.status_mut() = status;
    *passed.headers_mut() = headers;
    passed
}

/// As the API says it, and soon over, so that a test does not take long.
fn too_many() -> Response {
    let body = r#"{"error":{"message":"Slow down","code":"rate_limit_exceeded"}}"#;
    let answer = Response::builder()
        .status(StatusCode::TOO_MANY_REQUESTS)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::RETRY_AFTER, "0.2");
    answer.body(Body::from(body)).expect("an answer")
}

/// What a request is, without what differs from one run to the next.
fn shown(request: &http::request::Parts) -> String {
    if let Some(target) = request.headers.get("x-amz-target") {
        return target.to_str().expect("a name").to_owned();
    }
    let is_id = |part: &&str| {
        ["proj_", "svc_acct_", "key_", "kill-"].iter().any(|prefix| part.starts_with(prefix))
    };
    let parts = request.uri.path().split('/').map(|part| if is_id(&part) { "*" } else { part });
    format!("{} {}", request.method, parts.collect::<Vec<_>>().join("/"))
}
