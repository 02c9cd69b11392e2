//! A server that repeats the key wherever it can, closes in the middle, or says nothing: what is
//! printed of that.

use keyward_testkit::assert_no_leak;
use keyward_testkit::leak::CapturedLogs;
use tracing_subscriber::filter::LevelFilter;

use super::hostile::{Hostile, answer};
use super::{Place, clients, header, secret};

/// What it does with the key that it was sent.
type Does = fn(&str) -> Vec<u8>;

const WAYS: [(&str, Does); 7] = [
    ("repeats it in a 401", |key| {
        let body = format!(
            r#"{{"error": {{"message": "Incorrect API key provided: {key}", "code": "{key}"}}}}"#
        );
        answer(401, "content-type: application/json\r\n", &body)
    }),
    ("repeats it in a header", |key| {
        answer(401, &format!("x-echo: {key}\r\nwww-authenticate: Bearer {key}\r\n"), "")
    }),
    ("repeats it in a redirect", |key| {
        answer(302, &format!("location: https://evil.example/?key={key}\r\n"), "")
    }),
    ("repeats it as a scope", |key| {
        let body = format!(r#"{{"error": {{"message": "Missing scopes: {key}.x, a.b"}}}}"#);
        answer(403, "content-type: application/json\r\n", &body)
    }),
    ("closes in the middle of a 401", |key| {
        let whole =
            answer(401, "content-type: application/json\r\n", &format!("{{\"a\": \"{key}\"}}"));
        whole[..whole.len() - 5].to_vec()
    }),
    ("closes in the head", |key| format!("HTTP/1.1 401 X\r\nx-echo: {key}").into_bytes()),
    ("is no server of HTTP", |key| format!("{key}\r\n\r\n").into_bytes()),
];

#[tokio::test]
async fn nothing_prints_the_key() {
    let logs = CapturedLogs::new();
    let writer = logs.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_writer(move || writer.writer())
        .finish();
    let _logs = tracing::subscriber::set_default(subscriber);
    for (what, does) in WAYS {
        let key = secret();
        let server = Hostile::start(move |head| {
            let sent =
                header(head, "authorization").and_then(|value| value.strip_prefix("Bearer "));
            does(sent.unwrap_or("nothing"))
        });
        for (name, client) in clients(&Place::new(&key)).await {
            let printed = match client.get(&server.url()).await {
                Err(failure) => failure.surfaces,
                Ok(answer) => {
                    let denied = answer.denied.as_ref();
                    let denied = denied.map(|denied| format!("{denied} {denied:?} {denied:#?}"));
                    // What the server wrote is the caller's to read, and not to print.
                    let failed = answer.body.err().map(|failure| failure.surfaces);
                    format!("{} {denied:?} {failed:?}", answer.printed)
                }
            };
            let case = format!("{name}: {what}");
            assert_no_leak!(key, [(case, printed), ("logged".to_owned(), logs.contents())]);
        }
        assert!(server.heads().iter().all(|head| head.contains(&key)), "it was not sent");
    }
    assert!(logs.contents().contains("keyward::live"), "the log is empty");
}

/// That an answer was cut short is the caller's to know.
#[tokio::test]
async fn a_refusal_that_is_cut_short_stays_so() {
    let server = Hostile::start(|_| {
        let mut whole = answer(401, "content-type: application/json\r\n", "{\"error\": {}}");
        whole.truncate(whole.len() - 1);
        whole
    });
    for (name, client) in clients(&Place::new(&secret())).await {
        let answer = client.get(&server.url()).await.expect("an answer");
        assert_eq!(answer.status, 401, "{name}");
        assert!(answer.denied.is_some(), "{name}: a 401 tells by itself");
        assert!(answer.body.is_err(), "{name}");
    }
}
