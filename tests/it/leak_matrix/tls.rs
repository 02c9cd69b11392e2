//! A server on loopback that speaks TLS, and clients that know its certificate.

use std::io::Write as _;
use std::sync::Arc;

use keyward::wire::Injector;
use keyward::{KeyPolicy, NarrowedKey};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::place::policy;
use crate::authorize::hostile::Hostile;

/// It ends with the process.
pub(super) struct Server {
    inner: Hostile,
    certificate: CertificateDer<'static>,
}

impl Server {
    /// What is answered is made of the head of the request. After it, the connection is closed.
    pub(super) fn start(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> Self {
        let pair = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]);
        let rcgen::CertifiedKey { cert, signing_key } = pair.expect("a certificate");
        let certificate = cert.der().clone();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
        let config = ServerConfig::builder_with_provider(cryptography())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .expect("a certificate with its key");
        let config = Arc::new(config);
        let inner = Hostile::over(
            move |stream| {
                let connection = ServerConnection::new(Arc::clone(&config));
                StreamOwned::new(connection.expect("a connection"), stream)
            },
            answer,
            |stream| {
                stream.conn.send_close_notify();
                let _ = stream.flush();
            },
        );
        Self { inner, certificate }
    }

    pub(super) fn url(&self) -> String {
        self.inner.url().replace("http://", "https://")
    }

    /// Those that were sent: a client that refuses the certificate sends none.
    pub(super) fn heads(&self) -> Vec<String> {
        self.inner.heads().into_iter().filter(|head| !head.is_empty()).collect()
    }

    /// A client's settings, by which it trusts this server.
    pub(super) fn trusted(&self) -> reqwest::ClientBuilder {
        let config = ClientConfig::builder_with_provider(cryptography())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(self.roots())
            .with_no_client_auth();
        reqwest::Client::builder().no_proxy().tls_backend_preconfigured(config)
    }

    /// The same, with keys put in while it encrypts.
    pub(super) fn injecting<K: NarrowedKey>(
        &self,
        injector: &Injector<K>,
    ) -> reqwest::ClientBuilder {
        let config = injector.client_config(self.roots()).expect("a configuration");
        reqwest::Client::builder().no_proxy().tls_backend_preconfigured(config)
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("a root");
        roots
    }
}

pub(super) fn injector() -> Injector {
    Injector::project(cryptography(), policy()).expect("an injector")
}

/// One that takes new keys out of the answers.
pub(super) fn catching() -> Injector<keyward::AdminKey> {
    let policy = KeyPolicy::admin().with_host("127.0.0.1").expect("a host");
    Injector::admin_catching_minted(cryptography(), policy).expect("an injector")
}

pub(super) fn cryptography() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
