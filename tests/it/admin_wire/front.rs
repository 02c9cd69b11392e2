//! TLS in front of the fake organization, by HTTP/1.1 or HTTP/2. It can cut answers anywhere.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Collected, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::PrivateKeyDer;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Http {
    One,
    Two,
}

impl Http {
    pub(crate) const BOTH: [Self; 2] = [Self::One, Self::Two];
}

#[derive(Clone)]
pub(crate) struct Front {
    address: SocketAddr,
    /// The certificate, of this address alone.
    pub(crate) pem: String,
    roots: Arc<RootCertStore>,
    /// `http://HOST:PORT` of the fake.
    behind: String,
    client: Client<HttpConnector, Full<Bytes>>,
    cut: Arc<Cut>,
}

/// Where the bodies of answers are cut in two; nowhere, if that is beyond their end.
struct Cut {
    at: AtomicUsize,
    /// How many bytes are sent in all.
    end: AtomicUsize,
}

impl Front {
    pub(crate) async fn start(base_url: &str, http: Http) -> Self {
        Self::with_versions(base_url, http, rustls::ALL_VERSIONS).await
    }

    pub(crate) async fn with_versions(
        base_url: &str,
        http: Http,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        let names = vec![Ipv4Addr::LOCALHOST.to_string()];
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        let cryptography = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(cryptography)
            .with_protocol_versions(versions)
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .expect("a certificate");
        config.alpn_protocols = match http {
            Http::One => vec![b"http/1.1".to_vec()],
            Http::Two => vec![b"h2".to_vec()],
        };
        let mut roots = RootCertStore::empty();
        roots.add(certificate).expect("a root");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let front = Self {
            address: listener.local_addr().expect("an address"),
            pem: made.cert.pem(),
            roots: Arc::new(roots),
            behind: base_url.trim_end_matches("/v1").to_owned(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            cut: Arc::new(Cut { at: usize::MAX.into(), end: usize::MAX.into() }),
        };
        tokio::spawn(front.clone().accept(listener, TlsAcceptor::from(Arc::new(config)), http));
        front
    }

    pub(crate) fn base_url(&self) -> String {
        format!("https://{}/v1", self.address)
    }

    pub(crate) fn roots(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.roots)
    }

    /// From now on the bodies of answers come in two pieces.
    pub(crate) fn cut_at(&self, at: usize) {
        self.cut.at.store(at, Ordering::Release);
    }

    /// From now on the bodies of answers break off.
    pub(crate) fn break_at(&self, end: usize) {
        self.cut.end.store(end, Ordering::Release);
    }

    async fn accept(self, listener: TcpListener, acceptor: TlsAcceptor, http: Http) {
        while let Ok((stream, _)) = listener.accept().await {
            let (this, acceptor) = (self.clone(), acceptor.clone());
            tokio::spawn(async move {
                // A client that refuses the certificate ends it here.
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let io = TokioIo::new(stream);
                let service = service_fn(move |request| {
                    let this = this.clone();
                    async move { this.answer(request).await }
                });
                // A client may go in the middle.
                match http {
                    Http::One => {
                        let server = hyper::server::conn::http1::Builder::new();
                        let _ = server.serve_connection(io, service).await;
                    }
                    Http::Two => {
                        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                        let _ = server.serve_connection(io, service).await;
                    }
                }
            });
        }
    }

    /// What the fake answers. An error is that the fake has closed the connection.
    async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<UnsyncBoxBody<Bytes, std::io::Error>>, std::io::Error> {
        let lost = |_| std::io::Error::other("the fake has gone");
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
        let path = parts.uri.path_and_query().expect("a path");
        let mut call =
            Request::builder().method(parts.method).uri(format!("{}{path}", self.behind));
        for name in ["authorization", "content-type"] {
            if let Some(value) = parts.headers.get(name) {
                call = call.header(name, value);
            }
        }
        let call = call.body(Full::new(body)).expect("a request");
        let answer = self.client.request(call).await.map_err(lost)?;
        let (parts, body) = answer.into_parts();
        // As much as there is of it.
        let body = body.collect().await.map_or_else(|_| Bytes::new(), Collected::to_bytes);
        let mut answer =
            Response::builder().status(parts.status).header("content-length", body.len());
        for name in ["content-encoding", "content-type", "location", "retry-after"] {
            if let Some(value) = parts.headers.get(name) {
                answer = answer.header(name, value);
            }
        }
        Ok(answer.body(self.cut.pieces(&body)).expect("an answer"))
    }
}

impl Cut {
    fn pieces(&self, body: &Bytes) -> UnsyncBoxBody<Bytes, std::io::Error> {
        let end = self.end.load(Ordering::Acquire);
        let sent = body.slice(..end.min(body.len()));
        let at = self.at.load(Ordering::Acquire).min(sent.len());
        let mut pieces = vec![Ok(sent.slice(..at)), Ok(sent.slice(at..))];
        pieces.retain(|piece: &Result<Bytes, std::io::Error>| {
            piece.as_ref().is_ok_and(|piece| !piece.is_empty())
        });
        if end < body.len() {
            pieces.push(Err(std::io::Error::other("broken off")));
        }
        let frames = futures_util::stream::iter(pieces).then(|piece| async {
            // What came before is sent.
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            piece.map(Frame::data)
        });
        UnsyncBoxBody::new(StreamBody::new(frames))
    }
}
