//! The adapters of `authorize`, each on real connections: to the fake organization, and to servers
//! that mean no good.

use std::error::Error;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client as Hyper;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use keyward::authorize::{
    AuthorizeError, AuthorizeLayer, AuthorizeMiddleware, AuthorizeService, Authorizer, CallError,
    Denied, Replayed,
};
use keyward::{ApiKey, KeyLoader, KeyPolicy, KeySource, LiveKey, LoadError, LoadedKey};
use keyward_testkit::keys::{self, KeyRng};
use keyward_testkit::{assert_no_leak, leak};
use reqwest_middleware::ClientWithMiddleware;
use tower_layer::Layer as _;
use tower_service::Service as _;

mod denied;
pub(crate) mod hostile;
mod hostile_server;
mod redirects;
mod rotation;

/// Where the test puts the key.
#[derive(Clone)]
struct Place(Arc<Mutex<String>>);

impl Place {
    fn new(key: &str) -> Self {
        Self(Arc::new(Mutex::new(key.to_owned())))
    }

    fn has(&self, key: &str) {
        key.clone_into(&mut self.0.lock().expect("a text"));
    }

    async fn live(&self) -> LiveKey {
        // Nothing but a rejection makes it load.
        let every = std::time::Duration::MAX;
        let live = LiveKey::project(self.clone(), policy()).refresh_every(every);
        live.start().await.expect("a key")
    }
}

impl KeyLoader for Place {
    async fn load(&self) -> Result<LoadedKey, LoadError> {
        let key = ApiKey::issued(self.0.lock().expect("a text").clone());
        let key = key.map_err(|error| LoadError::invalid(self.source(), error))?;
        Ok(LoadedKey::new(key, self.source()))
    }

    fn source(&self) -> KeySource {
        KeySource::new("test", "place")
    }
}

fn policy() -> KeyPolicy {
    KeyPolicy::production().with_host("127.0.0.1").expect("a host")
}

fn secret() -> String {
    keys::service_account_key(&mut KeyRng::from_entropy())
}

/// A client with either adapter.
enum Client {
    Reqwest(ClientWithMiddleware),
    Tower(Box<AuthorizeService<Hyper<HttpConnector, Full<Bytes>>, Replayed>>),
}

struct Answer {
    status: u16,
    denied: Option<Denied>,
    /// Where the answer says that it is from; hyper does not say.
    url: Option<String>,
    /// What `Debug` prints of the head, with the types that a caller has.
    printed: String,
    body: Result<String, Failure>,
}

/// An error, and all that it prints.
#[derive(Debug)]
struct Failure {
    authorize: Option<AuthorizeError>,
    surfaces: String,
}

impl Failure {
    fn of(error: &(dyn Error + 'static)) -> Self {
        Self { authorize: None, surfaces: leak::error_surfaces(error) }
    }

    fn because(self) -> AuthorizeError {
        self.authorize.unwrap_or_else(|| panic!("another failure: {}", self.surfaces))
    }
}

/// One client of each kind, which hold one handle.
async fn clients(place: &Place) -> [(&'static str, Client); 2] {
    clients_of(place, Authorizer::new(policy())).await
}

async fn clients_of(place: &Place, authorizer: Authorizer) -> [(&'static str, Client); 2] {
    let live = place.live().await;
    let middleware = AuthorizeMiddleware::new(live.clone(), authorizer.clone());
    let secret = place.0.lock().expect("a text").clone();
    assert_no_leak!(secret, format!("{middleware:?} {middleware:#?}"));
    // Some crate of the program may have turned on that reqwest unpacks answers.
    let builder = reqwest::Client::builder().no_gzip().no_brotli().no_zstd().no_deflate();
    let reqwest = middleware.client(builder).expect("a client");
    let layer = AuthorizeLayer::new(live, authorizer).replaying();
    assert_no_leak!(secret, format!("{layer:?} {layer:#?}"));
    let tower = layer.layer(Hyper::builder(TokioExecutor::new()).build_http());
    assert_no_leak!(secret, format!("{tower:?} {tower:#?}"));
    [("reqwest", Client::Reqwest(reqwest)), ("tower", Client::Tower(Box::new(tower)))]
}

impl Client {
    async fn get(&self, url: &str) -> Result<Answer, Failure> {
        self.send("GET", url, &[], "").await
    }

    async fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Answer, Failure> {
        let mut request = http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.to_owned()).expect("a request");
        match self {
            Self::Reqwest(client) => {
                let request = request.try_into().expect("a request");
                let answer = client.execute(request).await.map_err(|error| Failure {
                    authorize: because(&error),
                    surfaces: leak::error_surfaces(&error),
                })?;
                Ok(Answer {
                    status: answer.status().as_u16(),
                    denied: Denied::of(answer.extensions()).cloned(),
                    url: Some(answer.url().to_string()),
                    printed: format!("{answer:?} {answer:#?}"),
                    body: answer.text().await.map_err(|error| Failure::of(&error)),
                })
            }
            Self::Tower(client) => {
                let mut client = client.clone();
                let ready = std::future::poll_fn(|cx| client.poll_ready(cx)).await;
                ready.map_err(|error| Failure::of(&error))?;
                let request = request.map(|body| Full::new(Bytes::from(body)));
                let answer = client.call(request).await.map_err(|error| Failure {
                    authorize: match &error {
                        CallError::Authorize(error) => Some(error.clone()),
                        _ => None,
                    },
                    surfaces: leak::error_surfaces(&error),
                })?;
                let printed = format!("{answer:?} {answer:#?}");
                let (parts, body) = answer.into_parts();
                let body = body.collect().await.map_err(|error| Failure::of(&error));
                Ok(Answer {
                    status: parts.status.as_u16(),
                    denied: Denied::of(&parts.extensions).cloned(),
                    url: None,
                    printed,
                    body: body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned()),
                })
            }
        }
    }
}

/// What the middleware found, out of the error that reqwest-middleware makes of it.
pub(crate) fn because(error: &reqwest_middleware::Error) -> Option<AuthorizeError> {
    match error {
        reqwest_middleware::Error::Middleware(error) => error.downcast_ref().cloned(),
        reqwest_middleware::Error::Reqwest(_) => None,
    }
}

/// The value of a header, in the head of a request as it was sent.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.into_iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}
