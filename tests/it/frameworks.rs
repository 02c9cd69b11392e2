//! The example `frameworks`, on the fake organization behind TLS.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use keyward_testkit::{EchoPlace, FakeOpenAi, Fault, FaultAction, assert_no_leak};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::examples::{example, private, text};

/// Takes TLS off before a server of this machine. Tells its base URL; writes down its certificate.
async fn behind_tls(base_url: &str, certificate: &Path) -> String {
    let (server, path) =
        base_url.strip_prefix("http://").expect("a URL").split_once('/').expect("a path");
    let server = server.to_owned();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    std::fs::write(certificate, made.cert.pem()).expect("a file");
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a configuration");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let base_url = format!("https://{}/{path}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, server) = (acceptor.clone(), server.clone());
            tokio::spawn(async move {
                // A client that refuses the certificate, or goes, ends it.
                let mut client = acceptor.accept(stream).await?;
                let mut server = TcpStream::connect(server).await?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    base_url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rig_and_genai_hold_no_key_and_ask_all_the_same() {
    let org = FakeOpenAi::start().await.expect("a fake");
    let project = org.seed_project("checkout");
    let account = org.seed_service_account(&project, "api", "member");
    let key = org.seed_service_account_key(&account);
    let dir = tempfile::tempdir().expect("a directory");
    let (file, roots) = (dir.path().join("key"), dir.path().join("roots.pem"));
    std::fs::write(&file, &key).expect("a file");
    private(&file);
    let base_url = behind_tls(&org.base_url(), &roots).await;
    let run = |base_url: &str| {
        let output = example("frameworks")
            .args(["--base-url", base_url, "--key", &format!("file:{}", file.display())])
            .env("SSL_CERT_FILE", &roots)
            // What both would take for their own.
            .env("OPENAI_API_KEY", "none")
            .env("RUST_LOG", "trace")
            .output()
            .expect("a program");
        let (said, log) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{said}{log}");
        assert_no_leak!(key, [("stdout", said.clone()), ("stderr", log.clone())]);
        (said, log)
    };
    let (said, log) = run(&base_url);
    assert_eq!(said, "rig\t2 models\ngenai\t2 models\n");
    assert!(log.contains("TRACE"), "nothing was logged, so nothing could leak");

    // In the clear the middleware sends the key to an address of this machine that the policy names.
    // Late injection sends nothing: it needs TLS.
    let before = org.requests().len();
    let (said, _) = run(&org.base_url());
    assert!(said.starts_with("rig\t2 models\ngenai\terror\t"), "{said}");
    assert_eq!(org.requests().len(), before + 1, "genai's request was not made");

    // A server that answers with what it was sent.
    let echo = FaultAction::EchoAuthorization { place: EchoPlace::Body };
    org.fault(Fault::on("GET", "/models").always().then(echo));
    let (said, _) = run(&base_url);
    let (rig, genai) = said.split_once("\ngenai\terror\t").expect("two answers");
    assert!(rig.starts_with("rig\terror\t"), "{said}");
    // The one has the key back, and the program masks it; the other reads its placeholder.
    assert!(rig.contains("[openai service-account key "), "the key was not there: {said}");
    assert!(genai.contains("-keyward"), "the placeholder was not there: {said}");
}
