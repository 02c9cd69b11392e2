//! The HTTP side: the listener on loopback, and the gate that each request passes.

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::answer::ApiError;
use super::auth::AdmittedKey;
use super::fault::FaultAction;
use super::inject::{self, Cut};
use super::record::RecordedRequest;
use super::state::Shared;
use super::{
    admin_api_keys, auth, costs, groups, inference, project_api_keys, projects, service_accounts,
    users,
};

/// A running server.
///
/// It has a thread and a runtime of its own: a test may block its thread, on a child process or
/// on a blocking client, and the fake still answers.
pub(super) struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start(port: u16, shared: Arc<Shared>) -> io::Result<Self> {
        // No other address can be asked for: what the fake mints must not be reachable.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _context = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let (stop, stopped) = oneshot::channel();
        let thread =
            std::thread::Builder::new().name("fake-openai".to_owned()).spawn(move || {
                runtime.spawn(accept(listener, router(shared)));
                // An error is a sender that is gone, which stops the server too.
                let _ = runtime.block_on(stopped);
            })?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes every connection and the listener.
    pub(super) fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was a failed answer, which the test has seen.
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn accept(listener: tokio::net::TcpListener, router: Router) {
    loop {
        // An accept fails when a client has gone again, and that is the client's affair.
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, router.clone()));
        }
    }
}

async fn serve(stream: TcpStream, router: Router) {
    let reset = AtomicBool::new(false);
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        let answer = TowerToHyperService::new(router.clone()).call(request);
        let reset = &reset;
        Box::pin(async move {
            let response: Response = match answer.await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            match response.extensions().get::<Cut>() {
                None => Ok(response),
                Some(how) => {
                    reset.store(*how == Cut::Reset, Ordering::Relaxed);
                    // hyper answers an error of the service by closing the connection.
                    Err(io::Error::from(io::ErrorKind::ConnectionAborted))
                }
            }
        })
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // An error is the client's going away, or the cut that was asked for.
    let _ = poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
    if reset.load(Ordering::Relaxed) {
        // Without lingering, closing the socket resets the connection.
        let _ = connection.into_parts().io.into_inner().set_zero_linger();
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .merge(admin_api_keys::routes())
        .merge(costs::routes())
        .merge(groups::routes())
        .merge(inference::routes())
        .merge(project_api_keys::routes())
        .merge(projects::routes())
        .merge(service_accounts::routes())
        .merge(users::routes())
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), gate))
        .with_state(shared)
}

/// What every request passes: it is recorded, befallen by a fault, and admitted.
async fn gate(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let template = request.extensions().get::<MatchedPath>().map_or_else(String::new, |path| {
        path.as_str().strip_prefix("/v1").unwrap_or(path.as_str()).to_owned()
    });
    let place = shared.records.arrived(RecordedRequest {
        method: request.method().to_string(),
        template: template.clone(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        status: None,
        effect: false,
    });
    let action = shared.script().next(request.method().as_str(), &template);
    let mut response = match &action {
        None => operate(&shared, &template, request, next, place).await,
        Some(action) => befall(action, &shared, &template, request, next, place).await,
    };
    if response.extensions().get::<Cut>().is_none() {
        let status = response.status().as_u16();
        shared.records.update(place, |record| record.status = Some(status));
    }
    stamp(&shared, &mut response, started);
    response
}

/// Lets a fault happen around the operation, or in its place.
async fn befall(
    action: &FaultAction,
    shared: &Shared,
    template: &str,
    mut request: Request,
    next: Next,
    place: usize,
) -> Response {
    if let Some(response) = inject::instead(action, request.headers()) {
        return response;
    }
    if let FaultAction::Hang { duration, after_effect: false } = action {
        tokio::time::sleep(*duration).await;
    }
    if *action == FaultAction::RepeatedCursor {
        *request.uri_mut() = inject::without_cursor(request.uri());
    }
    let response = operate(shared, template, request, next, place).await;
    if let FaultAction::Hang { duration, after_effect } = action {
        if *after_effect {
            tokio::time::sleep(*duration).await;
        }
        return response;
    }
    inject::after(action, response).await
}

/// Admits the request and has the operation done.
async fn operate(
    shared: &Shared,
    template: &str,
    mut request: Request,
    next: Next,
    place: usize,
) -> Response {
    // A path that does not exist is told before the key is looked at.
    if !template.is_empty() {
        match auth::admit(shared, request.method(), template, request.headers()) {
            Ok(key) => request.extensions_mut().insert(AdmittedKey(key)),
            Err(error) => return error.into_response(),
        };
    }
    let reads = request.method() == Method::GET;
    let response = next.run(request).await;
    if !reads && response.status().is_success() {
        shared.records.update(place, |record| record.effect = true);
    }
    response
}

fn stamp(shared: &Shared, response: &mut Response<Body>, started: Instant) {
    let organization = shared.organization().id.clone();
    let took = started.elapsed().as_millis().to_string();
    let fields = [
        ("openai-organization", organization),
        ("openai-processing-ms", took),
        ("openai-version", "2020-10-01".to_owned()),
        ("x-request-id", shared.request_id()),
    ];
    for (name, value) in fields {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
}

async fn no_such_path(request: Request) -> ApiError {
    let message = format!("Invalid URL ({} {})", request.method(), request.uri().path());
    ApiError::new(StatusCode::NOT_FOUND, message)
}

async fn no_such_method(request: Request) -> ApiError {
    let message = format!("Not allowed to {} on {}.", request.method(), request.uri().path());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, message).code("method_not_supported")
}
