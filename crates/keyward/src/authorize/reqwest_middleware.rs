//! [`AuthorizeMiddleware`]: puts the key on the requests of a reqwest client, by reqwest-middleware.

use http::{Extensions, Uri};
use keyward_core::{Endpoint, ProjectKey};
use reqwest::{Body, ClientBuilder, Request, Response, redirect};
use reqwest_middleware::{ClientWithMiddleware, Error, Middleware, Next, Result};

use super::call::{Caller, hide_echoes};
use super::{AuthorizeError, Authorizer};
use crate::LiveKey;

/// Puts the key of a [`LiveKey`] on each request of a reqwest client, as
/// [`Authorizer::authorize`] does on one.
///
/// ```
/// use keyward::authorize::{AuthorizeMiddleware, Authorizer};
/// use keyward::{KeyPolicy, LiveKey};
///
/// # fn client(key: LiveKey) -> Result<reqwest_middleware::ClientWithMiddleware, reqwest::Error> {
/// let authorizer = Authorizer::new(KeyPolicy::production());
/// let client = AuthorizeMiddleware::new(key, authorizer).client(reqwest::Client::builder())?;
/// # Ok(client)
/// # }
/// ```
///
/// Let it be the last middleware: one behind it sees the header, and can print it or send it
/// elsewhere. Whoever has others puts them in front, around a client that is
/// [set up](Self::hardened) the same way:
///
/// ```
/// # use keyward::authorize::AuthorizeMiddleware;
/// # use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware};
/// # fn client(ours: AuthorizeMiddleware, theirs: impl Middleware) -> reqwest::Result<ClientWithMiddleware> {
/// let client = ours.hardened(reqwest::Client::builder()).build()?;
/// let client = ClientBuilder::new(client).with(theirs).with(ours).build();
/// # Ok(client)
/// # }
/// ```
///
/// # After an answer
///
/// - When OpenAI answers that it does not accept the key, the handle is [told](LiveKey::rejected),
///   and if it has another key, the request is made once more with that. A body that is a stream
///   cannot be had again; then the next request has the new key. So it is after a 401 of which the
///   body is not understood, because it is no JSON, packed or too long: it may tell another reason.
///   OpenAI has not done what it answers with 401, so this doubles nothing.
/// - When the key lacks scopes, comes from an address that is not allowed, belongs to another
///   organization or project, or there is no budget left, the answer is handed on with a
///   [`Denied`](super::Denied) among its extensions. For that, up to 16 KiB of the body are read
///   ahead, for two seconds at most; the body that is handed on is whole.
///
/// # Redirects and proxies
///
/// A middleware sees the request before the client does, and neither the client's redirects nor its
/// proxies. [`client`](Self::client) sets up a client for which both are answered:
///
/// - It follows no redirect. Other clients of reqwest follow them by default, and take
///   `Authorization` off on the way to another scheme, host or port (so its source says, 0.13.5;
///   another port is tested); the middleware then fails with [`AuthorizeError::Redirected`], because
///   what answers there is not OpenAI. It sees where the last answer is from, and so nothing of a
///   redirect to another origin and back.
/// - It makes requests over https alone, for which a proxy makes a tunnel and learns the host and
///   nothing else; unless the policy names an address of this machine, and then it takes no proxy,
///   because what is sent to one over http it could read. Other clients send http to the proxy that
///   `HTTP_PROXY` names, to this machine's addresses too.
///
/// A proxy that ends TLS itself reads everything. It can do so where the client trusts its
/// certificate.
///
/// # What a client adds and prints
///
/// - `default_headers` of the client are put on after every middleware. They do not replace a header
///   that is there, so neither the key nor the organization and project of the [`Authorizer`] are
///   changed by them; but no other is looked at, such as an `api-key`, or a `Host`, which is sent in
///   place of the URI's. Set headers on the request, where a credential is refused.
/// - `connection_verbose(true)` logs all that is sent, the key included, at the level `trace` of the
///   crate `log`. [`client`](Self::client) and [`hardened`](Self::hardened) turn it off; leave it off
///   in other clients.
///
/// # Panics
///
/// A request panics on a runtime of tokio whose timer is off (`enable_time`).
#[derive(Debug)]
pub struct AuthorizeMiddleware {
    caller: Caller,
}

impl AuthorizeMiddleware {
    /// A middleware that takes the handle's key and the authorizer's policy.
    #[must_use]
    pub fn new(key: LiveKey, authorizer: Authorizer) -> Self {
        Self { caller: Caller { live: key, authorizer } }
    }

    /// A client with this middleware alone, [set up](Self::hardened) for it.
    ///
    /// # Errors
    ///
    /// As of [`ClientBuilder::build`].
    pub fn client(
        self,
        builder: ClientBuilder,
    ) -> std::result::Result<ClientWithMiddleware, reqwest::Error> {
        let client = self.hardened(builder).build()?;
        Ok(reqwest_middleware::ClientBuilder::new(client).with(self).build())
    }

    /// Sets a client up so that it follows no redirect, sends nothing that a proxy can read, and logs
    /// nothing of what it sends. What else it does, the builder says; what the builder is told after
    /// this, it does.
    pub fn hardened(&self, builder: ClientBuilder) -> ClientBuilder {
        let is_here = |host: &str| Endpoint::new("http", host).is_loopback();
        let builder =
            builder.redirect(redirect::Policy::none()).referer(false).connection_verbose(false);
        if self.caller.authorizer.policy.hosts().any(is_here) {
            builder.no_proxy()
        } else {
            builder.https_only(true)
        }
    }

    fn authorize(&self, request: &mut Request) -> std::result::Result<ProjectKey, AuthorizeError> {
        let url = request.url();
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AuthorizeError::UserInfo);
        }
        // A URL's host is always clear; what is no URI has none that a key may go to.
        let uri: Uri = url.as_str().parse().map_err(|_| AuthorizeError::RelativeUri)?;
        self.caller.put(&uri, request.headers_mut())
    }

    /// Makes one request; tells whether its key is not accepted.
    async fn run(
        &self,
        key: &ProjectKey,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<(Response, bool)> {
        let sent_to = request.url().origin();
        let mut response = next.run(request, extensions).await?;
        if response.url().origin() != sent_to {
            return Err(Error::middleware(AuthorizeError::Redirected));
        }
        if response.status().is_success() {
            hide_echoes(key, response.headers_mut());
            return Ok((response, false));
        }
        let url = response.url().clone();
        let (mut parts, body) = http::Response::<Body>::from(response).into_parts();
        let (body, is_rejected) = self.caller.look(key, &mut parts, body).await;
        // Its own way to tell a response where it is from.
        let told = reqwest::ResponseBuilderExt::url(http::Response::builder(), url).body(());
        if let Ok(told) = told {
            parts.extensions.extend(told.into_parts().0.extensions);
        }
        let response = http::Response::from_parts(parts, Body::wrap(body));
        Ok((response.into(), is_rejected))
    }
}

#[async_trait::async_trait]
impl Middleware for AuthorizeMiddleware {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let again = request.try_clone();
        let key = self.authorize(&mut request).map_err(Error::middleware)?;
        let (answer, is_rejected) = self.run(&key, request, extensions, next.clone()).await?;
        if !is_rejected {
            return Ok(answer);
        }
        let Some(mut request) = again else {
            self.caller.note(&key);
            return Ok(answer);
        };
        if !self.caller.has_another(&key).await {
            return Ok(answer);
        }
        let Ok(key) = self.authorize(&mut request) else {
            return Ok(answer);
        };
        drop(answer);
        let (answer, is_rejected) = self.run(&key, request, extensions, next).await?;
        if is_rejected {
            self.caller.note(&key);
        }
        Ok(answer)
    }
}
