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

use super::answer::{ApiError, Events};
use super::auth::AdmittedKey;
use super::fault::FaultAction;
use super::inject::{self, Cut};
use super::query::Parameters;
use super::record::RecordedRequest;
use super::state::Shared;
use super::{
    admin_api_keys, audit_logs, auth, certificates, client_secrets, costs, data_retention,
    external_keys, external_storage, groups, inference, invites, operations, project_api_keys,
    project_groups, project_settings, project_users, projects, rate_limits, role_assignments,
    roles, service_accounts, spend_alerts, spend_limits, token_exchange, usage, users,
    workload_identity,
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
        .merge(audit_logs::routes())
        .merge(certificates::routes())
        .merge(client_secrets::routes())
        .merge(costs::routes())
        .merge(data_retention::routes())
        .merge(external_keys::routes())
        .merge(external_storage::routes())
        .merge(groups::routes())
        .merge(inference::routes())
        .merge(invites::routes())
        .merge(project_api_keys::routes())
        .merge(project_groups::routes())
        .merge(project_settings::routes())
        .merge(project_users::routes())
        .merge(projects::routes())
        .merge(rate_limits::routes())
        .merge(role_assignments::routes())
        .merge(roles::routes())
        .merge(service_accounts::routes())
        .merge(spend_alerts::routes())
        .merge(spend_limits::routes())
        .merge(token_exchange::routes())
        .merge(usage::routes())
        .merge(users::routes())
        .merge(workload_identity::routes())
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), gate))
        .with_state(shared)
}

/// What every request passes: it is recorded, throttled, befallen by a fault, and admitted.
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
    let mut response = match throttled(&shared, &request, &template, started) {
        Some(response) => response,
        None => answer(&shared, &template, request, next, place).await,
    };
    // Even no time would be a tick of the timer.
    if !shared.options.latency.is_zero() {
        tokio::time::sleep(shared.options.latency).await;
    }
    if response.extensions().get::<Cut>().is_none() {
        let status = response.status().as_u16();
        shared.records.update(place, |record| record.status = Some(status));
    }
    stamp(&shared, &mut response, started);
    response
}

/// The refusal of what comes faster than it may. It uses no fault up.
fn throttled(shared: &Shared, request: &Request, template: &str, now: Instant) -> Option<Response> {
    let throttle = shared.throttle.as_ref().filter(|_| !template.is_empty())?;
    let wait = throttle.take(request.method().as_str(), template, now).err()?;
    let code = "rate_limit_exceeded".to_owned();
    let action = FaultAction::Throttle { retry_after: throttle.retry_after(wait), code };
    inject::instead(&action, request.headers())
}

/// The operation's answer, or what a fault makes of it.
async fn answer(
    shared: &Shared,
    template: &str,
    request: Request,
    next: Next,
    place: usize,
) -> Response {
    let action = shared.script().next(request.method().as_str(), template);
    match &action {
        None => operate(shared, template, request, next, place).await,
        Some(action) => befall(action, shared, template, request, next, place).await,
    }
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
    if matches!(action, FaultAction::EndlessPages | FaultAction::RepeatedCursor) {
        *request.uri_mut() = inject::without_cursor(request.uri());
    }
    let response = operate(shared, template, request, next, place).await;
    if let FaultAction::Hang { duration, after_effect } = action {
        if *after_effect {
            tokio::time::sleep(*duration).await;
        }
        return response;
    }
    inject::after(action, response, place).await
}

/// Admits the request, holds its query to the rules, has the operation done, and notes it.
async fn operate(
    shared: &Shared,
    template: &str,
    mut request: Request,
    next: Next,
    place: usize,
) -> Response {
    // A path that does not exist is told before the key is looked at.
    let mut actor = String::new();
    // A workload has no key: its token is in the body.
    if !template.is_empty() && template != token_exchange::PATH {
        match auth::admit(shared, request.method(), template, request.headers()) {
            Ok(key) => actor.clone_from(&key),
            Err(error) => return error.into_response(),
        }
        request.extensions_mut().insert(AdmittedKey(actor.clone()));
    }
    if let Some(operation) = operations::find(request.method().as_str(), template) {
        let cap = shared.options.page_size_limit;
        match Parameters::parse(request.uri(), operation.query, cap) {
            Ok(query) => request.extensions_mut().insert(query),
            Err(error) => return error.into_response(),
        };
    }
    let reads = request.method() == Method::GET;
    let mut response = next.run(request).await;
    if let Some(Events(events)) = response.extensions_mut().remove() {
        let now = shared.clock.now();
        let mut organization = shared.organization();
        for event in events {
            organization.note(event, &actor, now);
        }
    }
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
