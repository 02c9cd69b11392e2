//! What reaches the server, and what is seen of the key on the way.

use std::sync::Arc;
use std::time::Duration;

use keyward::wire::{Injector, WireErrorKind};
use keyward::{KeyKind, KeyPolicy};
use keyward_testkit::{assert_no_leak, leak};
use reqwest::header::AUTHORIZATION;
use rustls::{ClientConnection, ServerConnection, pki_types::ServerName};

use super::*;
use crate::fixture::secret;

#[tokio::test]
async fn the_server_gets_the_key_and_nothing_above_tls_has_it() {
    let logs = crate::live::leaks::logs();
    for (name, cryptography) in cryptographies() {
        for http in Http::BOTH {
            let server = Server::start().await;
            let injector =
                Injector::project(cryptography.clone(), KeyPolicy::production()).unwrap();
            let client = client(&server, &injector, http);
            let secret = secret();
            let key = project_key(secret.clone());
            for host in &server::NAMES[..2] {
                let value = injector.header_value(&key).unwrap();
                let placeholder = value.to_str().unwrap().to_owned();
                let body = format!("authorization: {placeholder}\r\n\r\n").repeat(300);
                let request = client
                    .post(server.url(host, "/v1/responses"))
                    .header(AUTHORIZATION, value)
                    .header("x-copy", &placeholder)
                    .body(body.clone())
                    .build()
                    .unwrap();
                assert_no_leak!(
                    secret,
                    [
                        ("header", placeholder.clone()),
                        ("request", format!("{request:#?}")),
                        ("client", format!("{client:#?}")),
                        ("injector", format!("{injector:#?}")),
                    ]
                );
                let answer = client.execute(request).await.unwrap();
                assert_eq!(answer.version() == reqwest::Version::HTTP_2, http == Http::Two);
                let [seen] = server.seen().try_into().unwrap();
                let expected = format!("Bearer {secret}");
                assert_eq!(seen.authorization.unwrap(), expected, "{name}, {http:?}");
                assert_eq!(seen.name.as_deref(), Some(*host));
                assert_eq!(seen.copy.unwrap(), placeholder, "another header: {name}, {http:?}");
                assert!(seen.body == body, "the body stays as it was: {name}, {http:?}");
            }
            assert_no_leak!(secret, logs.contents());
        }
    }
    assert!(
        logs.contents().contains("Bearer "),
        "the logs are not verbose enough to show anything"
    );
}

/// Many requests at once on one connection, with bodies that fill its buffers, so that header
/// blocks are cut up by records; and with records that are much smaller than a header.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_among_many_gets_its_key() {
    const REQUESTS: usize = 96;
    for http in Http::BOTH {
        for fragment in [None, Some(40), Some(150)] {
            let server = Server::start().await;
            let injector = injector();
            let mut config = injector.client_config(server.roots()).unwrap();
            config.max_fragment_size = fragment;
            http.offer_in(&mut config);
            let client = client_with(&server, config);
            let keys: Vec<_> = (0..8).map(|_| secret()).collect();
            let mut calls = tokio::task::JoinSet::new();
            for n in 0..REQUESTS {
                let key = project_key(keys[n % keys.len()].clone());
                let value = injector.header_value(&key).unwrap();
                let size = if n % 3 == 0 { 20_000 } else { 0 };
                let call = client
                    .post(server.url("api.openai.com", &format!("/{n}")))
                    .header(AUTHORIZATION, value)
                    .body(vec![b'x'; size]);
                calls.spawn(async move { call.send().await.unwrap().status() });
            }
            while let Some(status) = calls.join_next().await {
                assert!(status.unwrap().is_success());
            }
            let seen = server.seen();
            assert_eq!(seen.len(), REQUESTS);
            for seen in seen {
                let n: usize = seen.path[1..].parse().unwrap();
                let expected = format!("Bearer {}", keys[n % keys.len()]);
                assert_eq!(seen.authorization.unwrap(), expected, "{http:?}, {fragment:?}");
            }
        }
    }
}

/// A session that is resumed puts the key in too, for the same name.
#[tokio::test]
async fn sessions_are_resumed() {
    let server = Server::start().await;
    let injector = injector();
    let mut config = injector.client_config(server.roots()).unwrap();
    Http::One.offer_in(&mut config);
    let config = Arc::new(config);
    let secret = secret();
    let key = project_key(secret.clone());
    for kind in [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed] {
        let stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
        let name = ServerName::try_from("api.openai.com").unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(&config));
        let mut stream = connector.connect(name, stream).await.unwrap();
        let value = injector.header_value(&key).unwrap();
        let head = format!(
            "GET /resumed HTTP/1.1\r\nauthorization: {}\r\nhost: a\r\n\r\n",
            value.to_str().unwrap()
        );
        tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await.unwrap();
        let mut answer = [0; 100];
        tokio::io::AsyncReadExt::read(&mut stream, &mut answer).await.unwrap();
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(kind));
        assert_eq!(server.seen()[0].authorization, Some(format!("Bearer {secret}")));
    }
    // The session of one name is none for another.
    let evil = ServerName::try_from("evil.example").unwrap();
    let stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(config);
    let error = connector.connect(evil, stream).await.unwrap_err();
    assert!(error.to_string().contains("evil.example"), "{error}");
}

/// Another configuration, with a store of sessions that both share, has been there before.
#[tokio::test]
async fn a_session_of_others_does_not_go_past_the_gate() {
    let server = Server::start().await;
    let store = Arc::new(rustls::client::ClientSessionMemoryCache::new(32));
    let ours = injector().client_config(server.roots()).unwrap();
    let configs = [server::plain_client(server.certificate.clone()), ours];
    for (n, mut config) in configs.into_iter().enumerate() {
        config.resumption = rustls::client::Resumption::store(store.clone());
        Http::One.offer_in(&mut config);
        let config = Arc::new(config);
        for _ in 0..2 {
            let evil = ServerName::try_from("evil.example").unwrap();
            let stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
            let connector = tokio_rustls::TlsConnector::from(Arc::clone(&config));
            let connected = connector.connect(evil, stream).await;
            assert_eq!(connected.is_ok(), n == 0);
            let Ok(mut stream) = connected else { continue };
            let head = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
            tokio::io::AsyncWriteExt::write_all(&mut stream, head).await.unwrap();
            tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 100]).await.unwrap();
        }
    }
}

/// The keys of a connection are replaced in the middle of a head; rustls does so by itself after
/// 2^24 records.
#[test]
fn a_connection_that_changes_its_keys_goes_on() {
    let (server, certificate) = server::configuration(rustls::ALL_VERSIONS);
    let injector = injector();
    let client = Arc::new(injector.client_config(server::roots(certificate)).unwrap());
    let name = ServerName::try_from("api.openai.com").unwrap();
    let mut client = ClientConnection::new(client, name).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    pump(&mut client, &mut server);
    assert!(!client.is_handshaking());
    let secret = secret();
    let value = injector.header_value(&project_key(secret.clone())).unwrap();
    let head = format!("GET / HTTP/1.1\r\nauthorization: {}\r\n\r\n", value.to_str().unwrap())
        .into_bytes();
    for pieces in [[10, 20, 15], [60, 1, 100], [45, 120, 20]] {
        let mut rest = head.as_slice();
        let mut got = Vec::new();
        for (n, piece) in pieces.into_iter().chain([usize::MAX]).enumerate() {
            let (now, later) = rest.split_at(piece.min(rest.len()));
            rest = later;
            std::io::Write::write_all(&mut client.writer(), now).unwrap();
            // Asked for by the client and, what the client answers, by the server.
            match n % 2 {
                0 => client.refresh_traffic_keys().unwrap(),
                _ => server.refresh_traffic_keys().unwrap(),
            }
            got.extend(pump(&mut client, &mut server));
        }
        let expected = format!("GET / HTTP/1.1\r\nauthorization: Bearer {secret}\r\n\r\n");
        assert_eq!(String::from_utf8(got).unwrap(), expected, "{pieces:?}");
    }
    assert!(client.dangerous_extract_secrets().is_err());
}

/// Early data is off; with it on, no key is in it, and what follows it goes on where it was.
#[test]
fn early_data_has_no_key_and_what_follows_it_goes_on() {
    let (mut server, certificate) = server::configuration(rustls::ALL_VERSIONS);
    server.max_early_data_size = 16_384;
    let server = Arc::new(server);
    let injector = injector();
    let mut client = injector.client_config(server::roots(certificate)).unwrap();
    assert!(!client.enable_early_data);
    client.enable_early_data = true;
    let client = Arc::new(client);
    let secret = secret();
    let value = injector.header_value(&project_key(secret.clone())).unwrap();
    let placeholder = value.to_str().unwrap();
    let head = |value: &str| format!("GET / HTTP/1.1\r\nauthorization: {value}\r\n\r\n");
    let body = head(placeholder);
    let post = |value: &str| {
        let length = body.len();
        format!("POST / HTTP/1.1\r\nauthorization: {value}\r\ncontent-length: {length}\r\n\r\n")
    };
    let connect = || {
        let name = ServerName::try_from("api.openai.com").unwrap();
        let client = ClientConnection::new(Arc::clone(&client), name).unwrap();
        (client, ServerConnection::new(Arc::clone(&server)).unwrap())
    };
    let (mut first, mut its_server) = connect();
    pump(&mut first, &mut its_server);
    // The head alone, and the head with a half of a body that looks like another.
    for early in [post(placeholder), post(placeholder) + &body[..9]] {
        let (mut client, mut server) = connect();
        let whole = post(placeholder) + &body + &head(placeholder);
        let mut writer = client.early_data().expect("the session has early data");
        std::io::Write::write_all(&mut writer, early.as_bytes()).unwrap();
        let mut got = pump(&mut client, &mut server);
        assert!(client.is_early_data_accepted());
        std::io::Write::write_all(&mut client.writer(), &whole.as_bytes()[early.len()..]).unwrap();
        got.extend(pump(&mut client, &mut server));
        let expected = post(placeholder) + &body + &head(&format!("Bearer {secret}"));
        assert_eq!(String::from_utf8(got).unwrap(), expected);
    }
}

/// Carries what each has to say to the other until neither has; tells what the server reads.
fn pump(client: &mut ClientConnection, server: &mut ServerConnection) -> Vec<u8> {
    let mut got = Vec::new();
    while client.wants_write() || server.wants_write() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        let mut wire = wire.as_slice();
        while !wire.is_empty() {
            server.read_tls(&mut wire).unwrap();
            let state = server.process_new_packets().unwrap();
            if let Some(mut early) = server.early_data() {
                std::io::Read::read_to_end(&mut early, &mut got).unwrap();
            }
            let mut bytes = vec![0; state.plaintext_bytes_to_read()];
            std::io::Read::read_exact(&mut server.reader(), &mut bytes).unwrap();
            got.extend(bytes);
        }
        let mut wire = Vec::new();
        server.write_tls(&mut wire).unwrap();
        let mut wire = wire.as_slice();
        while !wire.is_empty() {
            client.read_tls(&mut wire).unwrap();
            client.process_new_packets().unwrap();
        }
    }
    got
}

#[test]
fn a_key_of_another_kind_is_refused() {
    let person = KeyPolicy::production().with_kinds([KeyKind::Project]).unwrap();
    let injector = Injector::project(ring::default_provider(), person).unwrap();
    let secret = secret();
    let error = injector.header_value(&project_key(secret.clone())).unwrap_err();
    assert_eq!((error.kind(), error.is_refused()), (WireErrorKind::Refused, true));
    assert_eq!(error.refusal().unwrap().rule(), "kind");
    assert_eq!(error.to_string().lines().count(), 1);
    assert_no_leak!(secret, leak::error_surfaces(&error));
}

/// The configuration is enough; whoever made it may go.
#[tokio::test]
async fn a_client_outlives_its_injector() {
    let server = Server::start().await;
    let injector = injector();
    let client = client(&server, &injector, Http::Two);
    let secret = secret();
    let value = injector.header_value(&project_key(secret.clone())).unwrap();
    drop(injector);
    let call = client.get(server.url("api.openai.com", "/")).header(AUTHORIZATION, value);
    call.timeout(Duration::from_secs(60)).send().await.unwrap();
    assert_eq!(server.seen()[0].authorization, Some(format!("Bearer {secret}")));
}

/// It sets what it offers by itself; the rest of the configuration is ours.
#[tokio::test]
async fn hyper_has_the_key_put_in_too() {
    use hyper_util::client::legacy::Client;
    let policy = KeyPolicy::production().with_host("127.0.0.1").unwrap();
    let injector = Injector::project(ring::default_provider(), policy).unwrap();
    for http in Http::BOTH {
        let server = Server::start().await;
        let mut config = injector.client_config(server.roots()).unwrap();
        assert_eq!(config.alpn_protocols, [b"h2".as_slice(), b"http/1.1"]);
        config.alpn_protocols.clear();
        let builder = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(config);
        let connector = match http {
            Http::One => builder.https_only().enable_http1().build(),
            Http::Two => builder.https_only().enable_http2().build(),
        };
        let client = Client::builder(hyper_util::rt::TokioExecutor::new()).build(connector);
        let secret = secret();
        let value = injector.header_value(&project_key(secret.clone())).unwrap();
        let request = hyper::Request::get(server.url("127.0.0.1", "/"))
            .header(AUTHORIZATION, value)
            .body(http_body_util::Empty::<bytes::Bytes>::new())
            .unwrap();
        let answer = client.request(request).await.unwrap();
        assert_eq!(answer.version() == hyper::Version::HTTP_2, http == Http::Two);
        assert_eq!(server.seen()[0].authorization, Some(format!("Bearer {secret}")));
    }
}

/// So that nobody blames the key: the server may have let the upgrade be.
#[tokio::test]
async fn a_placeholder_that_is_left_as_it_is_is_told_of() {
    let logs = crate::live::leaks::logs();
    let server = Server::start().await;
    let injector = injector();
    let client = client(&server, &injector, Http::One);
    let key = project_key(secret());
    let value = injector.header_value(&key).unwrap();
    for upgrade in [true, false] {
        assert!(!logs.contents().contains("placeholders are sent as they are"), "{upgrade}");
        let call = client.get(server.url("api.openai.com", "/")).header(AUTHORIZATION, &value);
        let call = if upgrade { call.header("upgrade", "websocket") } else { call };
        call.send().await.unwrap().bytes().await.unwrap();
        let [seen] = server.seen().try_into().unwrap();
        assert_eq!(seen.authorization.as_deref() == value.to_str().ok(), !upgrade);
    }
    assert!(logs.contents().contains("placeholders are sent as they are"));
}
