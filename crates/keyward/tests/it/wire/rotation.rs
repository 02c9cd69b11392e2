//! Keys that are replaced while requests are under way.

use std::fs;
use std::time::Duration;

use bytes::Bytes;
use keyward::{FileLoader, LiveKey};
use reqwest::header::AUTHORIZATION;
use tokio::sync::mpsc;

use super::*;
use crate::fixture::{chmod, secret};

fn replace(path: &std::path::Path, secret: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, secret).unwrap();
    chmod(&beside, 0o600);
    fs::rename(beside, path).unwrap();
}

/// A body that comes in when the test says so.
fn slow_body() -> (mpsc::Sender<()>, reqwest::Body) {
    let (go, mut gone) = mpsc::channel::<()>(1);
    let body = futures_util::stream::once(async move {
        gone.recv().await;
        Ok::<_, std::io::Error>(Bytes::from_static(b"late"))
    });
    (go, reqwest::Body::wrap_stream(body))
}

#[tokio::test]
async fn requests_keep_the_key_that_they_began_with() {
    for http in Http::BOTH {
        let server = Server::start().await;
        let injector = injector();
        let client = client(&server, &injector, http);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let (old, new) = (secret(), secret());
        replace(&path, &old);
        let policy = KeyPolicy::production();
        let mut live = LiveKey::project(FileLoader::new(&path), policy).start().await.unwrap();

        let value = injector.header_value(&live.current().unwrap()).unwrap();
        let (go, body) = slow_body();
        let begun = client.post(server.url("api.openai.com", "/begun")).body(body);
        let begun = tokio::spawn(begun.header(AUTHORIZATION, value.clone()).send());
        // Put together with the old key, and sent after it was replaced.
        let waiting = client.post(server.url("api.openai.com", "/waiting"));
        let waiting = waiting.header(AUTHORIZATION, value);

        replace(&path, &new);
        live.changed().await.unwrap();
        let value = injector.header_value(&live.current().unwrap()).unwrap();
        let fresh =
            client.post(server.url("api.openai.com", "/fresh")).header(AUTHORIZATION, value);
        fresh.send().await.unwrap();
        waiting.send().await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        go.send(()).await.unwrap();
        begun.await.unwrap().unwrap();

        let mut seen: Vec<_> = server.seen();
        seen.sort_by(|a, b| a.path.cmp(&b.path));
        let seen: Vec<_> =
            seen.into_iter().map(|it| (it.path, it.authorization.unwrap())).collect();
        let expected = [("/begun", &old), ("/fresh", &new), ("/waiting", &old)]
            .map(|(path, key)| (path.to_owned(), format!("Bearer {key}")));
        assert_eq!(seen, expected, "{http:?}");
    }
}

/// A library that takes a key as a `String` makes the header itself.
#[tokio::test]
async fn a_placeholder_as_text_stands_for_the_key() {
    for http in Http::BOTH {
        let server = Server::start().await;
        let injector = injector();
        let client = client(&server, &injector, http);
        let secret = secret();
        let placeholder = injector.placeholder(&project_key(secret.clone())).unwrap();
        assert_ne!(placeholder, secret);
        assert_eq!(placeholder.len(), secret.len());
        let sent = client.get(server.url("api.openai.com", "/text")).bearer_auth(placeholder);
        sent.send().await.unwrap();
        let authorization = server.seen()[0].authorization.clone();
        assert_eq!(authorization, Some(format!("Bearer {secret}")), "{http:?}");
    }
}
