//! Workload identity: what is exchanged for what, with whom, and what is told when it fails.

use std::time::{Duration, Instant, SystemTime};

use keyward::workload_identity::SubjectTokenType;
use keyward::{
    Clock, CommandLoader, Environment, FileLoader, KeyKind, KeyLoader as _, KeyPolicy, LiveKey,
    LoadErrorKind, LoaderChain, Timestamp, WorkloadIdentity,
};
use keyward_testkit::assert_no_leak;
use keyward_testkit::keys::KeyRng;
use keyward_testkit::leak::LeakDetector;

use crate::fixture::{NOW, assert_fails, assert_loads, load, secret, write};
use crate::live::fixture::print_of;
use server::{Reply, Server};

mod platforms;
pub(crate) mod server;

const SOURCE: &str = "wif:idp_1/svc_acct_2";

/// What a platform answers: three parts between dots.
fn jwt() -> String {
    let mut rng = KeyRng::from_entropy();
    let [payload, signature] = [90, 86].map(|len| rng.alphanumeric(len));
    format!("eyJhbGciOiJFUzI1NiJ9.eyJ{payload}.{signature}")
}

/// What an exchange answers.
fn access_token() -> String {
    KeyRng::from_entropy().alphanumeric(180)
}

/// An identity whose subject token is in a file, and the directory of that.
fn identity(server: &Server, subject: &str) -> (WorkloadIdentity, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let file = write(directory.path().join("token"), subject);
    let identity = WorkloadIdentity::new("idp_1", "svc_acct_2", FileLoader::mounted_secret(file));
    (here(identity, server), directory)
}

fn here(identity: WorkloadIdentity, server: &Server) -> WorkloadIdentity {
    let now =
        SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(NOW.as_unix_seconds()).unwrap());
    identity
        .endpoint(server.endpoint())
        .allow_loopback()
        .within(Duration::from_secs(60))
        .with_clock(Clock::from_fn(move || now))
}

fn body_of(request: &str) -> serde_json::Value {
    serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn after(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp::from_unix_seconds(NOW.as_unix_seconds() + seconds))
}

#[test]
fn exchanges_what_the_file_holds_at_each_load() {
    let (first, second) = (jwt(), jwt());
    let tokens = [access_token(), access_token()];
    let server = Server::start(tokens.each_ref().map(|token| Reply::token(token, 3600)));
    let (identity, directory) = identity(&server, &format!("{first}\n"));
    let loaded = assert_loads(load(&identity), &tokens[0], SOURCE);
    assert_eq!(loaded.key.kind(), KeyKind::AccessToken);
    assert_eq!((loaded.expires_at, loaded.refresh_at), (after(3600), after(2400)));
    for policy in [KeyPolicy::standard(), KeyPolicy::production()] {
        loaded.admit(&policy, NOW).unwrap().into_project_key().unwrap();
    }
    assert!(loaded.admit(&KeyPolicy::admin(), NOW).is_err());
    let expired = Timestamp::from_unix_seconds(NOW.as_unix_seconds() + 3601);
    assert!(loaded.admit(&KeyPolicy::production(), expired).is_err());

    write(directory.path().join("token"), &second);
    let identity = identity.subject_token_type(SubjectTokenType::IdToken);
    assert_loads(load(&identity), &tokens[1], SOURCE);
    let asked = server.asked();
    for (request, subject, kind) in [(&asked[0], &first, "jwt"), (&asked[1], &second, "id_token")] {
        let head = request.to_ascii_lowercase();
        assert!(head.starts_with("post /oauth/token http/1.1\r\n"), "{head}");
        assert!(head.contains("content-type: application/json\r\n"), "{head}");
        assert!(!head.contains("authorization:"), "{head}");
        let expected = serde_json::json!({
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token_type": format!("urn:ietf:params:oauth:token-type:{kind}"),
            "subject_token": subject,
            "identity_provider_id": "idp_1",
            "service_account_id": "svc_acct_2",
        });
        assert_eq!(body_of(request), expected);
    }
    for subject in [&first, &second] {
        assert_no_leak!(subject, format!("{identity:?} {loaded:?}"));
    }
}

#[test]
fn runs_on_any_runtime() {
    let (subject, token) = (jwt(), access_token());
    let server = Server::start([Reply::token(&token, 600)]);
    let (identity, _directory) = identity(&server, &subject);
    // Neither timers nor sockets.
    let bare = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_loads(bare.block_on(identity.load()), &token, SOURCE);
    let bare = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let loaded = assert_loads(bare.block_on(identity.load()), &token, SOURCE);
    assert_eq!((loaded.expires_at, loaded.refresh_at), (after(600), after(300)));
}

#[test]
fn what_the_environment_tells() {
    let (subject, token) = (jwt(), access_token());
    let server = Server::start([Reply::token(&token, 3600)]);
    let directory = tempfile::tempdir().unwrap();
    let file = write(directory.path().join("token"), &subject);
    let file = file.to_str().unwrap();
    let missing = directory.path().join("missing");
    let missing = missing.to_str().unwrap();
    let [provider, account, path] =
        ["OPENAI_IDENTITY_PROVIDER_ID", "OPENAI_SERVICE_ACCOUNT_ID", "OPENAI_IDENTITY_TOKEN_FILE"];
    let of = |variables: &[(&str, &str)]| {
        here(WorkloadIdentity::from_environment(Environment::fixed(variables.to_vec())), &server)
    };
    let whole = of(&[(provider, "idp_1"), (account, "svc_acct_2"), (path, file)]);
    let loaded = assert_loads(load(&whole), &token, SOURCE);
    assert_eq!(whole.variables().len(), 3);
    let mut child = std::process::Command::new("true");
    loaded.scrub_child_env(&mut child);
    assert_eq!(child.get_envs().count(), 3);

    use LoadErrorKind::{Conflict, Invalid, NotConfigured, Unreadable};
    for (variables, kind, says) in [
        (&[][..], NotConfigured, "not set; set OPENAI_IDENTITY_PROVIDER_ID, OPENAI_SERVICE"),
        (&[(provider, ""), (path, "")], NotConfigured, "not set"),
        (&[(provider, "idp_1"), (account, "a")], Conflict, "OPENAI_IDENTITY_TOKEN_FILE is not set"),
        (&[(path, file)], Conflict, "OPENAI_SERVICE_ACCOUNT_ID are not set, and the other is"),
        (
            &[(provider, "idp_1"), (account, "a"), (path, missing)],
            Unreadable,
            "no such file; create it",
        ),
        (&[(provider, "idp_1"), (account, "a"), (path, &subject)], Invalid, "not an absolute path"),
        (&[(provider, "a b"), (account, "a"), (path, file)], Invalid, "not both ids"),
    ] {
        let error = assert_fails(load(&of(variables)), &subject, kind, &[says, "wif:"]);
        assert_eq!(error.is_not_found(), kind == NotConfigured);
    }
    // A key in place of an id goes nowhere and is not shown.
    let key = secret();
    let misplaced = of(&[(provider, &key), (account, &key), (path, file)]);
    assert_fails(load(&misplaced), &key, Invalid, &["not both ids"]);
    assert_no_leak!(key, format!("{misplaced:?}"));
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn what_is_no_subject_token_is_not_sent() {
    use LoadErrorKind::{Insecure, Invalid, NotFound, TimedOut, Unreadable};

    let server = Server::start([Reply::token(&access_token(), 3600)]);
    let key = secret();
    let token = jwt();
    for content in [&*key, "", "a.b", "not a token", &format!("{token}\n{token}"), "$TOKEN"] {
        let (identity, _directory) = identity(&server, content);
        assert_fails(load(&identity), &key, Invalid, &["no subject token: file:", "is no JWT"]);
    }
    let (at_a_wrong_place, directory) = identity(&server, &token);
    std::fs::remove_file(directory.path().join("token")).unwrap();
    let error = assert_fails(load(&at_a_wrong_place), &token, NotFound, &["no such file"]);
    assert!(error.is_not_found());
    #[cfg(unix)]
    {
        let file = write(directory.path().join("token"), &token);
        crate::fixture::chmod(&file, 0o666);
        assert_fails(load(&at_a_wrong_place), &token, Insecure, &["no subject token"]);
    }
    let _ = Insecure;
    let printing = |script: &str| {
        let command = CommandLoader::new("/bin/sh").args(["-c", script]).env("TOKEN", &token);
        let command = command.within(Duration::from_millis(300));
        here(WorkloadIdentity::new("idp_1", "svc_acct_2", command), &server)
    };
    if cfg!(unix) {
        let failing = load(&printing("echo $TOKEN >&2; exit 1"));
        assert_fails(failing, &token, Unreadable, &["cmd:/bin/sh: it failed (exit status: 1)"]);
        assert_fails(load(&printing("sleep 100")), &token, TimedOut, &["no answer within 300ms"]);
    }
    assert!(server.asked().is_empty());
    if cfg!(unix) {
        // Enough time for a machine that is busy.
        let command =
            CommandLoader::new("/bin/sh").args(["-c", "echo $TOKEN"]).env("TOKEN", &token);
        let command = command.within(Duration::from_secs(60));
        let identity = here(WorkloadIdentity::new("idp_1", "svc_acct_2", command), &server);
        load(&identity).unwrap();
        assert_eq!(body_of(&server.asked()[0])["subject_token"], *token);
    }
}

#[test]
fn each_refusal_is_told_by_its_code() {
    use LoadErrorKind::{Denied, Invalid, Throttled, TooLarge, Unreachable, Unreadable};

    let (subject, token) = (jwt(), access_token());
    let error = |code: &str| format!(r#"{{"error":"{code}","error_description":"As told."}}"#);
    let success = |rest: &str| format!(r#"{{"access_token":"{token}"{rest}}}"#);
    let key = secret();
    for (status, body, kind, says) in [
        (400, error("invalid_request"), Denied, "refused (status 400, invalid_request): As told;"),
        (400, error("invalid_grant"), Denied, "issuer and audience of the identity provider"),
        (401, error("invalid_client"), Denied, "check the ids"),
        (400, error("unauthorized_client"), Denied, "federation rule"),
        (400, error("unsupported_grant_type"), Denied, "check the endpoint"),
        (400, error("invalid_target"), Denied, "check the ids"),
        (400, error("invalid_scope"), Denied, "federation rule"),
        (403, error("access_denied"), Denied, "federation rule"),
        (400, error("something_new"), Denied, "status 400, something_new"),
        (400, error("temporarily_unavailable"), Unreachable, "try later"),
        (404, "<html>".into(), Denied, "refused (status 404); check the ids"),
        (400, r#"{"error":{"code":"a"}}"#.into(), Denied, "refused (status 400);"),
        (429, error("slow_down"), Throttled, "status 429"),
        (500, error("server_error"), Unreachable, "status 500, server_error"),
        (503, String::new(), Unreachable, "refused (status 503); try later"),
        (204, String::new(), Unreadable, "status 204"),
        // What repeats a token is left out, wherever it stands.
        (400, error(&subject), Denied, "refused (status 400): As told;"),
        (400, error("a").replace("As told", &subject), Denied, "the server repeated the subject"),
        (
            400,
            error("a").replace("As told", &format!("bad <{}>", &subject[30..90])),
            Denied,
            "the server repeated the subject",
        ),
        (400, error("a").replace("As told", &format!("is {token}")), Denied, "a): is [masked];"),
        (500, success(r#","token_type":"Bearer""#), Unreachable, "refused (status 500);"),
        // Successes that are none.
        (200, success(""), Invalid, "not that of a token exchange"),
        (200, success(r#","token_type":"mac""#), Invalid, "no bearer token"),
        (200, success(r#","token_type":"Bearer","expires_in":"soon""#), Invalid, "not that of"),
        (200, success(r#","token_type":"Bearer","expires_in":-1"#), Invalid, "not that of"),
        (200, success(r#","token_type":"Bearer""#)[..60].into(), Invalid, "not that of"),
        (200, r#"{"access_token":"","token_type":"Bearer"}"#.into(), Invalid, "no access token"),
        (
            200,
            success(r#","token_type":"Bearer""#).replace(&token, &format!("{token} {token}")),
            Invalid,
            "no access token: Space",
        ),
        (
            200,
            success(r#","token_type":"Bearer""#).replace(&token, &key),
            Invalid,
            "no access token: NotAnAccessToken",
        ),
        (200, token.clone(), Invalid, "not that of"),
        (200, format!("[\"{subject}\"]"), Invalid, "not that of"),
        (200, success(r#","token_type":"Bearer""#) + &" ".repeat(65 * 1024), TooLarge, "64 KiB"),
    ] {
        println!("{status} {says}");
        let server = Server::start([Reply::json(status, body)]);
        let (identity, _directory) = identity(&server, &subject);
        let error = assert_fails(load(&identity), &subject, kind, &[says, SOURCE]);
        assert!(!error.is_not_found());
        let shown = keyward_testkit::leak::error_surfaces(&error);
        assert_no_leak!(token, &shown);
        assert_no_leak!(key, &shown);
    }
}

#[test]
fn a_life_that_is_not_told_is_not_known() {
    let token = access_token();
    let body = format!(r#"{{"access_token":"{token}","token_type":"bearer","more":[{{}}]}}"#);
    let server = Server::start([Reply::json(200, body), Reply::token(&token, u64::MAX)]);
    let (identity, _directory) = identity(&server, &jwt());
    let loaded = assert_loads(load(&identity), &token, SOURCE);
    assert_eq!((loaded.expires_at, loaded.refresh_at), (None, None));
    assert!(assert_loads(load(&identity), &token, SOURCE).expires_at > after(1 << 40));
}

#[test]
fn neither_a_redirect_nor_another_host_gets_the_token() {
    use LoadErrorKind::{Invalid, Unreachable, Unreadable};

    let subject = jwt();
    let target = Server::start([Reply::token(&access_token(), 3600)]);
    for status in [301, 302, 303, 307, 308] {
        let location = format!("location: {}\r\n", target.endpoint());
        let server = Server::start([Reply::Status(status, location, String::new())]);
        let (identity, _directory) = identity(&server, &subject);
        let says = format!("redirected (status {status}), which is not followed");
        assert_fails(load(&identity), &subject, Unreadable, &[&says]);
        assert_eq!(server.asked().len(), 1);
    }
    let (identity, directory) = identity(&target, &subject);
    let port = target.url().rsplit_once(':').unwrap().1.to_owned();
    for url in [
        format!("http://localhost:{port}/"),
        format!("http://a@127.0.0.1:{port}/"),
        "http://auth.openai.com/oauth/token".to_owned(),
        "nonsense".to_owned(),
    ] {
        let error = load(&identity.clone().endpoint(url));
        assert_fails(error, &subject, Invalid, &["the endpoint "]);
    }
    // https is asked of what speaks none: the token stays here.
    let error = load(&identity.clone().endpoint(format!("https://127.0.0.1:{port}/")));
    assert_fails(error, &subject, Unreachable, &["the token endpoint "]);
    // http, which was not allowed.
    let file = FileLoader::mounted_secret(directory.path().join("token"));
    let strict = WorkloadIdentity::new("idp_1", "svc_acct_2", file).endpoint(target.endpoint());
    assert_fails(load(&strict), &subject, Invalid, &["the endpoint is not https"]);
    let [hello] = &*target.asked() else { panic!("it was asked for TLS, once") };
    assert_no_leak!(subject, hello);
}

#[test]
fn what_does_not_answer_is_given_up() {
    use LoadErrorKind::{TimedOut, Unreachable};

    let subject = jwt();
    for reply in [Reply::Silence, Reply::HeadAlone] {
        let server = Server::start([reply]);
        let (identity, _directory) = identity(&server, &subject);
        let begun = Instant::now();
        let error = load(&identity.within(Duration::from_millis(400)));
        assert_fails(error, &subject, TimedOut, &["no answer within 400ms"]);
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
    let server = Server::start([Reply::Close]);
    let (identity, _directory) = identity(&server, &subject);
    let error = load(&identity);
    assert_fails(error, &subject, Unreachable, &["the connection to the token endpoint broke"]);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = load(&identity.endpoint(format!("http://{closed}/")));
    assert_fails(error, &subject, Unreachable, &["cannot be reached: connection refused"]);
}

#[test]
fn a_chain_stops_at_a_refusal() {
    let (subject, key) = (jwt(), secret());
    let server = Server::start([Reply::json(403, r#"{"error":"access_denied"}"#)]);
    let (identity, directory) = identity(&server, &subject);
    let chain = LoaderChain::first("identity", identity)
        .then("file", FileLoader::new(write(directory.path().join("key"), &key)));
    assert_fails(load(&chain), &key, LoadErrorKind::Denied, &["`identity`", "access_denied"]);
    let empty = WorkloadIdentity::from_environment(Environment::fixed([("A", "")]));
    let chain = LoaderChain::first("identity", empty)
        .then("file", FileLoader::new(directory.path().join("key")));
    assert_eq!(load(&chain).unwrap().attempts().len(), 2);
}

/// Real time: the exchange is with a real socket. The schedule itself is in `live::refresh`.
#[test]
fn a_handle_exchanges_ahead_of_the_expiry_and_after_a_401() {
    let tokens: Vec<_> = (0..4).map(|_| access_token()).collect();
    let server = Server::start([
        Reply::token(&tokens[0], 6),
        Reply::token(&tokens[1], 3600),
        Reply::token(&tokens[2], 3600),
        Reply::json(503, ""),
    ]);
    let (identity, _directory) = identity(&server, &jwt());
    let identity = identity.with_clock(Clock::system());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let mut live = LiveKey::project(identity, KeyPolicy::production()).start().await.unwrap();
        let in_use = |live: &LiveKey| live.current().unwrap().fingerprint();
        assert_eq!(in_use(&live), print_of(&tokens[0]));
        let changed = tokio::time::timeout(Duration::from_secs(60), live.changed());
        changed.await.unwrap().unwrap();
        assert_eq!(in_use(&live), print_of(&tokens[1]), "half a short life before its end");

        // At once, and one exchange for all who ask.
        let rejected = print_of(&tokens[1]);
        let (first, second) = tokio::join!(live.rejected(&rejected), live.rejected(&rejected));
        assert!(first && second);
        assert_eq!(in_use(&live), print_of(&tokens[2]));
        assert_eq!(server.asked().len(), 3);

        // No other is to be had: the one in use stays, and the caller is told not to try again.
        assert!(!live.rejected(&print_of(&tokens[2])).await);
        assert_eq!(in_use(&live), print_of(&tokens[2]));
        let health = live.health();
        assert!(health.in_use.as_ref().unwrap().is_rejected);
        let detector = LeakDetector::of_all(&tokens);
        detector.assert_sees();
        detector.assert_absent(&"health", format!("{health:?} {live:?}").as_bytes());
    });
}
