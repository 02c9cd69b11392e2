//! [`AuthorizeLayer`]: a layer of tower that puts the key on requests of the crate `http`.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::call::Caller;
use super::peek::Peeked;
use super::{AuthorizeError, Authorizer};
use crate::LiveKey;

/// Puts the key of a [`LiveKey`] on each request of a client that is a tower service, such as
/// hyper's, as [`Authorizer::authorize`] does on one.
///
/// ```
/// use keyward::authorize::{AuthorizeLayer, Authorizer};
/// use keyward::{KeyPolicy, LiveKey};
/// use tower_layer::Layer as _;
///
/// # fn wrap<S>(key: LiveKey, client: S) -> keyward::authorize::AuthorizeService<S> {
/// let layer = AuthorizeLayer::new(key, Authorizer::new(KeyPolicy::production()));
/// let client = layer.layer(client);
/// # client
/// # }
/// ```
///
/// # After an answer
///
/// - When OpenAI answers that it does not accept the key, the handle is [told](LiveKey::rejected),
///   and if it has another key, the request is made once more with that, if its body can be had
///   again: [`replaying`](Self::replaying). Without that, the next request has the new key. So it is
///   after a 401 of which the body is not understood, because it is no JSON, packed or too long: it
///   may tell another reason.
/// - When the key lacks scopes, comes from an address that is not allowed, belongs to another
///   organization or project, or there is no budget left, the answer is handed on with a
///   [`Denied`](super::Denied) among its extensions. For that, up to 16 KiB of the body are read
///   ahead, for two seconds at most; the body that is handed on is whole.
///
/// # Security
///
/// A service within this layer sees the header, and can print it or send it elsewhere. Put a layer
/// that follows redirects around this one and not within it: then each hop is a request of its own,
/// and one to a host that is not the policy's gets no key but an error. (The request that such a
/// layer makes once more is the one that came to it, without a header of this layer's.) Another
/// port, or another host of the policy, gets the key: a policy names hosts and no ports. So let such
/// a layer follow redirects to the same origin alone, or do without one.
///
/// # Panics
///
/// A request panics on a runtime of tokio whose timer is off (`enable_time`).
#[derive(Clone, Debug)]
pub struct AuthorizeLayer<R = Once> {
    caller: Arc<Caller>,
    replay: R,
}

impl AuthorizeLayer {
    /// A layer that takes the handle's key and the authorizer's policy.
    #[must_use]
    pub fn new(key: LiveKey, authorizer: Authorizer) -> Self {
        Self { caller: Arc::new(Caller { live: key, authorizer }), replay: Once }
    }

    /// Makes a request once more after its key was rejected, if there is another. For bodies that
    /// can be cloned, such as `Full<Bytes>`.
    ///
    /// OpenAI has not done what it answers with 401, so this doubles nothing.
    ///
    /// That a clone has the same bytes is for the body's type to keep. One that shares what it reads,
    /// such as a stream behind an `Arc`, would send the rest of it, or nothing.
    #[must_use]
    pub fn replaying(self) -> AuthorizeLayer<Replayed> {
        AuthorizeLayer { caller: self.caller, replay: Replayed }
    }
}

impl<S, R: Clone> Layer<S> for AuthorizeLayer<R> {
    type Service = AuthorizeService<S, R>;

    fn layer(&self, inner: S) -> AuthorizeService<S, R> {
        AuthorizeService { inner, caller: Arc::clone(&self.caller), replay: self.replay.clone() }
    }
}

/// What [`AuthorizeLayer`] makes of a client.
#[derive(Clone)]
pub struct AuthorizeService<S, R = Once> {
    inner: S,
    caller: Arc<Caller>,
    replay: R,
}

impl<S, R, B, A> Service<Request<B>> for AuthorizeService<S, R>
where
    S: Service<Request<B>, Response = Response<A>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    R: Replay<B>,
    B: Send + 'static,
    A: Body + Send + Unpin + 'static,
    A::Data: Send,
    A::Error: Send,
{
    type Response = Response<Peeked<A>>;
    type Error = CallError<S::Error>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(CallError::Client)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let again = self.replay.again(&request);
        // The one that is ready is the one that is called; the clone need not be.
        let next = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, next);
        Box::pin(call(inner, Arc::clone(&self.caller), request, again))
    }
}

async fn call<S, B, A>(
    mut inner: S,
    caller: Arc<Caller>,
    mut request: Request<B>,
    again: Option<Request<B>>,
) -> Result<Response<Peeked<A>>, CallError<S::Error>>
where
    S: Service<Request<B>, Response = Response<A>>,
    A: Body + Unpin,
{
    let key = authorize(&caller, &mut request)?;
    let (mut parts, body) = inner.call(request).await.map_err(CallError::Client)?.into_parts();
    let (body, is_rejected) = caller.look(&key, &mut parts, body).await;
    let answer = Response::from_parts(parts, body);
    if !is_rejected {
        return Ok(answer);
    }
    let Some(mut request) = again else {
        caller.note(&key);
        return Ok(answer);
    };
    if !caller.has_another(&key).await {
        return Ok(answer);
    }
    let Ok(key) = authorize(&caller, &mut request) else {
        return Ok(answer);
    };
    drop(answer);
    poll_fn(|cx| inner.poll_ready(cx)).await.map_err(CallError::Client)?;
    let (mut parts, body) = inner.call(request).await.map_err(CallError::Client)?.into_parts();
    let (body, is_rejected) = caller.look(&key, &mut parts, body).await;
    if is_rejected {
        caller.note(&key);
    }
    Ok(Response::from_parts(parts, body))
}

fn authorize<B>(
    caller: &Caller,
    request: &mut Request<B>,
) -> Result<keyward_core::ProjectKey, AuthorizeError> {
    let uri = request.uri().clone();
    caller.put(&uri, request.headers_mut())
}

impl<S: fmt::Debug, R> fmt::Debug for AuthorizeService<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inner, caller, .. } = self;
        f.debug_struct("AuthorizeService").field("inner", inner).field("caller", caller).finish()
    }
}

/// Whether a request can be made a second time: [`Once`] or [`Replayed`].
pub trait Replay<B>: sealed::Sealed {
    /// The request once more, before it has a key.
    #[doc(hidden)]
    fn again(&self, request: &Request<B>) -> Option<Request<B>>;
}

/// Requests are made once, whatever their bodies are.
#[derive(Clone, Copy, Debug)]
pub struct Once;

impl<B> Replay<B> for Once {
    fn again(&self, _: &Request<B>) -> Option<Request<B>> {
        None
    }
}

/// Requests are made once more with a clone of their body, where their key was rejected.
#[derive(Clone, Copy, Debug)]
pub struct Replayed;

impl<B: Clone> Replay<B> for Replayed {
    fn again(&self, request: &Request<B>) -> Option<Request<B>> {
        Some(request.clone())
    }
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for super::Once {}
    impl Sealed for super::Replayed {}
}

/// Why an [`AuthorizeService`] has no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError<E> {
    /// The request was not made, because it got no key.
    Authorize(AuthorizeError),
    /// The client's own error.
    Client(E),
}

impl<E> From<AuthorizeError> for CallError<E> {
    fn from(error: AuthorizeError) -> Self {
        Self::Authorize(error)
    }
}

impl<E: std::error::Error> std::error::Error for CallError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Authorize(error) => error.source(),
            // It is the client's alone, and is passed on as if this were not there.
            Self::Client(error) => error.source(),
        }
    }
}

impl<E: fmt::Display> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authorize(error) => error.fmt(f),
            Self::Client(error) => error.fmt(f),
        }
    }
}
