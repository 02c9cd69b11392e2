//! A TLS server on loopback that takes down what it gets, and misbehaves by the path. A file that the
//! tests of `tests/it/memory_table` take in by its path.

#![allow(dead_code, reason = "not every binary that takes this file in needs all of it")]

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// The names that its certificate has; the last is none of OpenAI's.
pub(crate) const NAMES: [&str; 4] =
    ["api.openai.com", "eu.api.openai.com", "127.0.0.1", "evil.example"];

/// The bytes of the key that `/mint` answers come in so, in hexadecimal digits.
pub(crate) const MASK: u8 = 0x5a;

/// A request as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) name: Option<String>,
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    /// The header `x-copy`.
    pub(crate) copy: Option<String>,
    pub(crate) body: Bytes,
}

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) certificate: CertificateDer<'static>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(rustls::ALL_VERSIONS).await
    }

    pub(crate) async fn start_with(versions: &[&'static SupportedProtocolVersion]) -> Self {
        let (config, certificate) = configuration(versions);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let server =
            Self { address: listener.local_addr().unwrap(), certificate, seen: Arc::default() };
        tokio::spawn(server.clone().accept(listener, TlsAcceptor::from(Arc::new(config))));
        server
    }

    /// One in another process.
    pub(crate) fn at(address: SocketAddr, certificate: CertificateDer<'static>) -> Self {
        Self { address, certificate, seen: Arc::default() }
    }

    pub(crate) fn roots(&self) -> RootCertStore {
        roots(self.certificate.clone())
    }

    pub(crate) fn url(&self, host: &str, path: &str) -> String {
        format!("https://{host}:{}{path}", self.address.port())
    }

    /// What it got since the last time.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    async fn accept(self, listener: TcpListener, acceptor: TlsAcceptor) {
        while let Ok((stream, _)) = listener.accept().await {
            let (this, acceptor) = (self.clone(), acceptor.clone());
            tokio::spawn(async move {
                // A client that refuses the certificate ends it here.
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let (_, tls) = stream.get_ref();
                let is_http2 = tls.alpn_protocol() == Some(b"h2");
                let name = tls.server_name().map(str::to_owned);
                let service = service_fn(move |request| {
                    let (this, name) = (this.clone(), name.clone());
                    async move { Ok::<_, Infallible>(this.answer(request, name).await) }
                });
                // A client may go in the middle.
                let io = TokioIo::new(stream);
                if is_http2 {
                    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(io, service).await;
                } else {
                    let server = hyper::server::conn::http1::Builder::new();
                    let _ = server.serve_connection(io, service).await;
                }
            });
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        name: Option<String>,
    ) -> Response<BoxBody<Bytes, std::io::Error>> {
        let path = request.uri().path().to_owned();
        let [authorization, copy] = ["authorization", "x-copy"].map(|name| {
            let value = request.headers().get(name);
            value.map(|value| value.to_str().unwrap().to_owned())
        });
        let body = request
            .into_body()
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes)
            .unwrap_or_default();
        let masked =
            if path == "/mint" { String::from_utf8(body.to_vec()).unwrap() } else { String::new() };
        let echo = authorization.clone().unwrap_or_default();
        if path != "/forget" {
            let seen = Seen { name, path: path.clone(), authorization, copy, body };
            self.seen.lock().unwrap().push(seen);
        }
        let answer = Response::builder();
        let text =
            |text: String| Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed();
        match path.as_str() {
            "/redirect" => answer
                .status(StatusCode::TEMPORARY_REDIRECT)
                .header("location", self.url("evil.example", "/landed"))
                .body(text(String::new())),
            "/v1/models" => answer.body(text(r#"{"object":"list","data":[]}"#.to_owned())),
            "/redirect-key" => answer
                .status(StatusCode::FOUND)
                .header(
                    "location",
                    self.url("evil.example", &format!("/?key={echo}")).replace(' ', "+"),
                )
                .body(text(String::new())),
            "/echo-ok" => {
                answer.header("x-echo", &echo).body(text(format!("{{\"you\":\"{echo}\"}}")))
            }
            "/echo-pieces" => answer.status(StatusCode::FORBIDDEN).body(pieces(&echo, 60, false)),
            "/echo-letters" => answer.status(StatusCode::FORBIDDEN).body(pieces(&echo, 10, false)),
            "/echo-cut" => answer.status(StatusCode::UNAUTHORIZED).body(pieces(&echo, 90, true)),
            "/echo" => answer
                .status(StatusCode::UNAUTHORIZED)
                .header("x-echo", &echo)
                .body(text(format!("Incorrect API key provided: {echo}"))),
            "/mint" => {
                let key = masked.as_bytes().chunks(2).map(|digits| {
                    let digits = std::str::from_utf8(digits).unwrap();
                    char::from(u8::from_str_radix(digits, 16).unwrap() ^ MASK)
                });
                let key: String = key.collect();
                answer.body(text(format!(r#"{{"id":"key_1","value":"{key}","created_at":1}}"#)))
            }
            "/cut" => answer.body(pieces("{\"begun\":", 90, true)),
            _ => answer.body(text("{}".to_owned())),
        }
        .unwrap()
    }
}

/// A body in pieces of this size, each by itself, which may end in the middle.
fn pieces(text: &str, size: usize, is_cut: bool) -> BoxBody<Bytes, std::io::Error> {
    let pieces = text.as_bytes().chunks(size).map(|it| Ok(Frame::data(Bytes::copy_from_slice(it))));
    let end = is_cut.then(|| Err(std::io::Error::other("cut off")));
    let pieces: Vec<_> = pieces.chain(end).collect();
    BodyExt::boxed(StreamBody::new(futures_util::stream::iter(pieces)))
}

pub(crate) fn configuration(
    versions: &[&'static SupportedProtocolVersion],
) -> (ServerConfig, CertificateDer<'static>) {
    let names = NAMES.map(str::to_owned);
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(names).unwrap();
    let certificate = cert.der().clone();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let cryptography = rustls::crypto::ring::default_provider();
    let mut config = ServerConfig::builder_with_provider(Arc::new(cryptography))
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (config, certificate)
}

pub(crate) fn roots(certificate: CertificateDer<'static>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    roots
}

/// A client's configuration that is rustls's own.
pub(crate) fn plain_client(certificate: CertificateDer<'static>) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(certificate))
        .with_no_client_auth()
}
