//! The contenders: each loads a key from a file, and sends requests with it.

use std::fs;
use std::path::Path;

use async_openai::config::OpenAIConfig;
use keyward::authorize::{AuthorizeMiddleware, Authorizer};
use keyward::wire::Injector;
use keyward::{FileLoader, KeyPolicy, LiveKey};
use reqwest::header::AUTHORIZATION;
use reqwest_middleware::ClientWithMiddleware;
use rustls::ClientConfig;
use rustls::crypto::ring;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::server::{self, Server};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Contender {
    AsyncOpenai,
    Header,
    Late,
    /// The same with the key in `memfd_secret`.
    LateSecret,
    Minted,
    MintedCaught,
    Secrecy,
    Text,
}

impl Contender {
    /// In the order of the table.
    pub(super) const ALL: [Self; 8] = [
        Self::Text,
        Self::Secrecy,
        Self::AsyncOpenai,
        Self::Header,
        Self::Late,
        Self::LateSecret,
        Self::Minted,
        Self::MintedCaught,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::AsyncOpenai => "async-openai",
            Self::Header => "keyward `AuthorizeMiddleware`",
            Self::Late => "**keyward `wire`**",
            Self::LateSecret => "**keyward `wire`, `memfd_secret`**",
            Self::Minted => "a minted key, `String`",
            Self::MintedCaught => "**a minted key, keyward `wire`**",
            Self::Secrecy => "`SecretString`, reqwest",
            Self::Text => "`String`, reqwest",
        }
    }

    /// How many copies of a key that it holds can be read.
    pub(super) fn readable(self) -> usize {
        usize::from(self != Self::LateSecret)
    }

    pub(super) fn is_minted(self) -> bool {
        matches!(self, Self::Minted | Self::MintedCaught)
    }

    pub(super) fn parse(text: &str) -> Self {
        Self::ALL.into_iter().find(|it| format!("{it:?}") == text).unwrap()
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Http {
    One,
    Two,
}

impl Http {
    pub(super) const BOTH: [Self; 2] = [Self::One, Self::Two];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::One => "1.1",
            Self::Two => "2",
        }
    }

    pub(super) fn parse(text: &str) -> Self {
        Self::BOTH.into_iter().find(|it| format!("{it:?}") == text).unwrap()
    }

    pub(super) fn builder(
        self,
        mut config: ClientConfig,
        server: &Server,
    ) -> reqwest::ClientBuilder {
        config.alpn_protocols = match self {
            Self::One => vec![b"http/1.1".to_vec()],
            Self::Two => vec![b"h2".to_vec()],
        };
        server::NAMES
            .iter()
            .fold(reqwest::Client::builder(), |it, name| it.resolve(name, server.address))
            .tls_backend_preconfigured(config)
            .connection_verbose(true)
            .no_proxy()
    }
}

pub(super) const HOST: &str = "api.openai.com";

/// A client with its key.
pub(super) struct Client {
    url: String,
    holder: Holder,
}

enum Holder {
    AsyncOpenai { http: reqwest::Client, client: async_openai::Client<OpenAIConfig> },
    Header { client: ClientWithMiddleware, live: LiveKey },
    Late { client: reqwest::Client, injector: Injector, live: LiveKey },
    Secrecy { client: reqwest::Client, key: SecretString },
    Text { client: reqwest::Client, key: String },
}

impl Client {
    pub(super) async fn new(contender: Contender, http: Http, server: &Server, key: &Path) -> Self {
        let plain = || http.builder(server::plain_client(server.certificate.clone()), server);
        let live = || LiveKey::project(FileLoader::new(key), KeyPolicy::production()).start();
        let holder = match contender {
            Contender::AsyncOpenai => {
                let http = plain().build().unwrap();
                Holder::AsyncOpenai { client: async_openai(&http, server, key), http }
            }
            Contender::Header => {
                let live = live().await.unwrap();
                let authorizer = Authorizer::new(KeyPolicy::production());
                let middleware = AuthorizeMiddleware::new(live.clone(), authorizer);
                Holder::Header { client: middleware.client(plain()).unwrap(), live }
            }
            Contender::Late | Contender::LateSecret => {
                let injector =
                    Injector::project(ring::default_provider(), KeyPolicy::production()).unwrap();
                let config = injector.client_config(server.roots()).unwrap();
                let client = http.builder(config, server).build().unwrap();
                Holder::Late { client, injector, live: live().await.unwrap() }
            }
            Contender::Secrecy => {
                Holder::Secrecy { client: plain().build().unwrap(), key: read(key).into() }
            }
            Contender::Text => Holder::Text { client: plain().build().unwrap(), key: read(key) },
            Contender::Minted | Contender::MintedCaught => unreachable!("it sends no requests"),
        };
        Self { url: server.url(HOST, "/forget"), holder }
    }

    /// One request, read to its end.
    pub(super) async fn ask(&self) {
        let answer = match &self.holder {
            Holder::AsyncOpenai { client, .. } => {
                assert!(client.models().list().await.unwrap().data.is_empty());
                return;
            }
            Holder::Header { client, .. } => {
                client.post(&self.url).body("{}").send().await.unwrap()
            }
            _ => self.call(&self.url).send().await.unwrap(),
        };
        assert_eq!(answer.bytes().await.unwrap(), "{}");
    }

    /// A request of a client of reqwest's own.
    pub(super) fn call(&self, url: &str) -> reqwest::RequestBuilder {
        let post = |client: &reqwest::Client| client.post(url).body("{}");
        match &self.holder {
            Holder::AsyncOpenai { .. } | Holder::Header { .. } => unreachable!("it has another"),
            Holder::Late { client, injector, live } => {
                let value = injector.header_value(&live.current().unwrap()).unwrap();
                post(client).header(AUTHORIZATION, value)
            }
            // EXPOSE: what people do, to be compared with.
            #[allow(clippy::disallowed_methods, reason = "a synthetic key in a test")]
            Holder::Secrecy { client, key } => post(client).bearer_auth(key.expose_secret()),
            Holder::Text { client, key } => post(client).bearer_auth(key),
        }
    }

    /// Takes the key that stands in the file now.
    pub(super) async fn renew(&mut self, server: &Server, path: &Path) {
        match &mut self.holder {
            Holder::AsyncOpenai { http, client } => *client = async_openai(http, server, path),
            Holder::Header { live, .. } | Holder::Late { live, .. } => {
                live.changed().await.unwrap();
            }
            Holder::Secrecy { key, .. } => *key = read(path).into(),
            Holder::Text { key, .. } => *key = read(path),
        }
    }

    /// Copies the key, as whoever uses it does, and wipes the copy: it was in registers.
    pub(super) fn use_key(&self) {
        // EXPOSE: what a use of the key leaves in registers is looked at.
        #[allow(clippy::disallowed_methods, reason = "a synthetic key in a test")]
        let copy = match &self.holder {
            Holder::AsyncOpenai { client, .. } => {
                async_openai::config::Config::api_key(client.config()).expose_secret().to_owned()
            }
            Holder::Header { live, .. } | Holder::Late { live, .. } => {
                live.current().unwrap().as_api_key().expose_secret().to_owned()
            }
            Holder::Secrecy { key, .. } => key.expose_secret().to_owned(),
            Holder::Text { key, .. } => key.clone(),
        };
        drop(Zeroizing::new(copy));
    }
}

/// As people do it.
fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn async_openai(
    http: &reqwest::Client,
    server: &Server,
    key: &Path,
) -> async_openai::Client<OpenAIConfig> {
    let config = OpenAIConfig::new().with_api_base(server.url(HOST, "/v1")).with_api_key(read(key));
    async_openai::Client::with_config(config).with_http_client(http.clone())
}
