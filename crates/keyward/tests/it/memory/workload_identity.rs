//! What an exchange leaves of the subject token in memory. The server is in this process too, and
//! wipes what it reads.
//!
//! Of the access token the HTTP stack's buffer that it arrives in keeps a copy, which is not wiped.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use keyward::{FileLoader, KeyLoader as _, WorkloadIdentity};
use zeroize::Zeroizing;

use super::freed::copies_left;
use super::{Masked, watch};
use crate::workload_identity::server::read;

/// Answers each exchange with a token; a status of 400 has it in its words.
fn server(status: u16, token: Masked) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            drop(read(&mut stream));
            let mut body = Zeroizing::new(Vec::with_capacity(1024));
            body.extend_from_slice(match status {
                200 => br#"{"token_type":"Bearer","access_token":""#,
                _ => br#"{"error":"invalid_grant","error_description":""#,
            });
            body.extend(token.bytes());
            body.extend_from_slice(b"\"}");
            let len = body.len();
            write!(stream, "HTTP/1.1 {status} As told\r\ncontent-length: {len}\r\n\r\n").unwrap();
            stream.write_all(&body).unwrap();
        }
    });
    url
}

#[test]
fn an_exchange_leaves_nothing_of_the_subject_token() {
    for status in [200, 400] {
        let subject = Masked::with_prefix("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.");
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        super::write(&subject, &path, b"\n");
        let identity = WorkloadIdentity::new("idp_1", "svc_acct_2", FileLoader::new(&path))
            .endpoint(server(status, Masked::with_prefix("")))
            .allow_loopback()
            .within(Duration::from_secs(60));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for _ in 0..3 {
            let loaded = runtime.block_on(identity.load());
            assert_eq!(loaded.is_ok(), status == 200, "{loaded:?}");
        }
        assert!(!subject.is_in_memory(), "left behind, with status {status}");
        let held = keyward::ApiKey::parse(subject.to_bytes()).unwrap();
        assert!(subject.is_in_memory(), "the search is blind");
        drop(held);
    }
}

/// Of the access token there is one, in the buffer that hyper reads into.
#[test]
fn no_block_that_an_exchange_frees_holds_the_subject_token() {
    let test = concat!(module_path!(), "::no_block_that_an_exchange_frees_holds_the_subject_token");
    if !watch::is_alone(test, |_| ()) {
        return;
    }
    watch::begin();
    let token = Masked::with_prefix("");
    let url = server(200, token.again());
    let subject = Masked::with_prefix("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    super::write(&subject, &path, b"\n");
    let exchange = || {
        let identity = WorkloadIdentity::new("idp_1", "svc_acct_2", FileLoader::new(&path))
            .endpoint(&*url)
            .allow_loopback()
            .within(Duration::from_secs(60));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        drop(runtime.block_on(identity.load()).unwrap());
    };
    let copies = copies_left("WorkloadIdentity, the subject token", &subject, exchange);
    assert_eq!(copies, 0);
    let copies = copies_left("WorkloadIdentity, the access token", &token, exchange);
    assert!(copies <= 1, "{copies} is more than the documentation of `WorkloadIdentity` tells");
    watch::end();
}
