//! Late injection with unmodified clients and servers, by TLS on loopback.

use std::sync::Arc;

use keyward::wire::{Injector, WireErrorKind};
use keyward::{ApiKey, KeyPolicy, KeySource, LoadedKey, ProjectKey};
use rustls::ClientConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs, ring};

use self::server::Server;
use crate::fixture::NOW;

mod connection;
mod hostile;
mod rotation;
pub(crate) mod server;

pub(crate) fn project_key(secret: impl Into<keyward::SecretText>) -> ProjectKey {
    let key = ApiKey::parse(secret).unwrap();
    LoadedKey::new(key, KeySource::new("test", "key"))
        .admit(&KeyPolicy::production(), NOW)
        .unwrap()
        .into_project_key()
        .unwrap()
}

/// The protocol of HTTP that is offered to the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Http {
    One,
    Two,
}

impl Http {
    pub(crate) const BOTH: [Self; 2] = [Self::One, Self::Two];

    pub(crate) fn offer_in(self, config: &mut ClientConfig) {
        config.alpn_protocols = match self {
            Self::One => vec![b"http/1.1".to_vec()],
            Self::Two => vec![b"h2".to_vec()],
        };
    }
}

pub(crate) fn injector() -> Injector {
    Injector::project(ring::default_provider(), KeyPolicy::production()).unwrap()
}

/// A client as anybody makes one; all names lead to the server.
fn client(server: &Server, injector: &Injector, http: Http) -> reqwest::Client {
    let mut config = injector.client_config(server.roots()).unwrap();
    http.offer_in(&mut config);
    client_with(server, config)
}

pub(crate) fn client_with(server: &Server, config: ClientConfig) -> reqwest::Client {
    server::NAMES
        .iter()
        .fold(reqwest::Client::builder(), |it, name| it.resolve(name, server.address))
        .tls_backend_preconfigured(config)
        .no_proxy()
        .connection_verbose(true)
        .build()
        .unwrap()
}

fn cryptographies() -> [(&'static str, CryptoProvider); 2] {
    [("aws-lc-rs", aws_lc_rs::default_provider()), ("ring", ring::default_provider())]
}

#[test]
fn what_cannot_speak_tls_1_3_is_refused() {
    let policy = KeyPolicy::production();
    let of_12 = |mut cryptography: CryptoProvider| {
        cryptography.cipher_suites.retain(|suite| suite.tls13().is_none());
        cryptography
    };
    let no_exchange = |cryptography| CryptoProvider { kx_groups: vec![], ..cryptography };
    for (_, cryptography) in cryptographies() {
        for broken in [of_12(cryptography.clone()), no_exchange(cryptography.clone())] {
            let error = Injector::project(broken, policy.clone()).unwrap_err();
            assert_eq!(error.kind(), WireErrorKind::NoTls13, "{error}");
            assert!(error.to_string().contains("; "), "no fix: {error}");
        }
        let injector = Injector::project(Arc::new(cryptography), policy.clone()).unwrap();
        let error = injector.client_config(rustls::RootCertStore::empty()).unwrap_err();
        assert_eq!(error.kind(), WireErrorKind::NoRoots, "{error}");
    }
    assert!(CryptoProvider::get_default().is_none(), "nothing of the process is changed");
}
