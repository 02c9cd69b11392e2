//! The promise: a key that is put in late costs a request no more than one in a header. A report,
//! not a timing: an unmodified reqwest client and a TLS server on this machine, the two kinds of
//! client in turns.
//!
//! Goal: at most 1.05 of the CPU, and at least 0.95 of the requests per second, of plain reqwest
//! with a sensitive header that was built once, for HTTP/1.1 and HTTP/2.

#![allow(clippy::print_stdout, reason = "a report")]

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use http_body_util::Full;
use hyper::Response;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use keyward::wire::Injector;
use keyward::{AdmitContext, ApiKey, KeyPolicy, ProjectKey, Timestamp};
use keyward_testkit::keys::{self, KeyRng};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use rustix::time::{ClockId, clock_gettime};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsAcceptor;

const HOST: &str = "api.openai.com";
const AT_ONCE: usize = 8;

fn main() {
    let short = !std::env::args().any(|arg| arg == "--bench")
        || std::env::args().any(|arg| arg == "--test");
    let (rounds, requests) = if short { (1, 16) } else { (41, 2_000) };
    // The server has a thread of its own; what the client costs is the CPU of this one.
    let server = Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let server = server.expect("a runtime");
    let (address, certificate) = server.block_on(serve());
    println!("{rounds} rounds of {requests} requests, {AT_ONCE} at once; medians");
    println!(
        "{:<10} {:>12} {:>12} {:>7} {:>12} {:>12} {:>7}",
        "", "header /s", "late /s", "ratio", "header us", "late us", "ratio"
    );
    for (name, protocol) in [("HTTP/1.1", "http/1.1"), ("HTTP/2", "h2")] {
        let case = Case::new(protocol, address, certificate.clone());
        case.compare(name, rounds, requests);
    }
}

struct Case {
    runtime: Runtime,
    url: String,
    key: ProjectKey,
    injector: Injector,
    built: HeaderValue,
    plain: reqwest::Client,
    late: reqwest::Client,
}

impl Case {
    fn new(protocol: &str, address: SocketAddr, certificate: CertificateDer<'static>) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut roots = RootCertStore::empty();
        roots.add(certificate).expect("a certificate");
        let secret = keys::service_account_key(&mut KeyRng::from_entropy());
        let mut built =
            HeaderValue::from_str(&format!("Bearer {secret}")).expect("visible characters");
        built.set_sensitive(true);
        let key = ApiKey::parse(secret).expect("a key");
        let policy = KeyPolicy::production();
        let context = AdmitContext::at(Timestamp::from_unix_seconds(1_790_000_000));
        let admitted = policy.admit(&key, &context).expect("a service account's key");
        let key = admitted.into_project_key().expect("a key for model requests");
        let injector = Injector::project(aws_lc_rs::default_provider(), policy).expect("TLS 1.3");
        let late = injector.client_config(roots.clone()).expect("roots");
        let plain = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let [plain, late] = [plain, late].map(|mut config| {
            config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
            reqwest::Client::builder()
                .resolve(HOST, address)
                .tls_backend_preconfigured(config)
                .no_proxy()
                .build()
                .expect("a client")
        });
        let url = format!("https://{HOST}:{}/v1/models", address.port());
        Self { runtime, url, key, injector, built, plain, late }
    }

    /// The two in turns, so that what the machine does meanwhile is done to both.
    fn compare(&self, name: &str, rounds: usize, requests: usize) {
        let header = || self.built.clone();
        let late = || self.injector.header_value(&self.key).expect("a placeholder");
        self.run(&self.plain, header, AT_ONCE);
        self.run(&self.late, late, AT_ONCE);
        let mut costs = Vec::new();
        for round in 0..rounds {
            // Whoever is first has a cold cache.
            costs.push(if round % 2 == 0 {
                let a = self.run(&self.plain, header, requests);
                (a, self.run(&self.late, late, requests))
            } else {
                let b = self.run(&self.late, late, requests);
                (self.run(&self.plain, header, requests), b)
            });
        }
        let median = |of: &dyn Fn(&(Cost, Cost)) -> f64| {
            let mut all: Vec<f64> = costs.iter().map(of).collect();
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        };
        println!(
            "{name:<10} {:>12.0} {:>12.0} {:>7.3} {:>12.2} {:>12.2} {:>7.3}",
            median(&|(header, _)| header.rate),
            median(&|(_, late)| late.rate),
            median(&|(header, late)| late.rate / header.rate),
            median(&|(header, _)| header.cpu),
            median(&|(_, late)| late.cpu),
            median(&|(header, late)| late.cpu / header.cpu),
        );
    }

    fn run(
        &self,
        client: &reqwest::Client,
        value: impl Fn() -> HeaderValue,
        requests: usize,
    ) -> Cost {
        let (cpu, wall) = (cpu(), Instant::now());
        self.runtime.block_on(join_all((0..AT_ONCE).map(|_| async {
            for _ in 0..requests / AT_ONCE {
                let call = client.get(&self.url).header(AUTHORIZATION, value());
                let answer = call.send().await.expect("an answer");
                assert!(answer.status().is_success(), "the key did not arrive");
                answer.bytes().await.expect("a body");
            }
        })));
        Cost {
            rate: requests as f64 / wall.elapsed().as_secs_f64(),
            cpu: (self::cpu() - cpu).as_secs_f64() * 1e6 / requests as f64,
        }
    }
}

struct Cost {
    /// Requests per second.
    rate: f64,
    /// Microseconds of this thread's CPU for each.
    cpu: f64,
}

fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Answers with 200 where the header looks like a key's, and with 401 elsewhere.
async fn serve() -> (SocketAddr, CertificateDer<'static>) {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed([HOST.to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key of a server");
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("a certificate");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).expect("a socket");
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let stream = acceptor.accept(stream).await.expect("a handshake");
                let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let service =
                    service_fn(|request: hyper::Request<hyper::body::Incoming>| async move {
                        let value = request.headers().get("authorization");
                        let is_key = value
                            .is_some_and(|value| value.as_bytes().starts_with(b"Bearer sk-svc"));
                        let answer = Response::builder().status(if is_key { 200 } else { 401 });
                        Ok::<_, Infallible>(
                            answer.body(Full::new(Bytes::from_static(b"{}"))).expect("an answer"),
                        )
                    });
                // The client goes at the end.
                let io = TokioIo::new(stream);
                if is_http2 {
                    let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(io, service).await;
                } else {
                    let builder = hyper::server::conn::http1::Builder::new();
                    let _ = builder.serve_connection(io, service).await;
                }
            });
        }
    });
    (address, cert.der().clone())
}
