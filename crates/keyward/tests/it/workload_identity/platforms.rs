//! Where platforms have the subject token: servers that speak what GitHub, Google and Azure
//! document. They are fakes of the protocol.

use keyward::workload_identity::{AzureMetadata, GithubActions, GoogleMetadata, SubjectToken};
use keyward::{Environment, LoadErrorKind, WorkloadIdentity};
use keyward_testkit::assert_no_leak;
use keyward_testkit::keys::KeyRng;

use super::server::{Reply, Server};
use super::{SOURCE, access_token, body_of, here, jwt};
use crate::fixture::{assert_fails, assert_loads, load};

const FLAVOR: &str = "metadata-flavor: Google\r\n";

fn exchange(token: &str) -> Server {
    Server::start([Reply::token(token, 3600)])
}

fn identity(subject: impl Into<SubjectToken>, exchange: &Server) -> WorkloadIdentity {
    here(WorkloadIdentity::new("idp_1", "svc_acct_2", subject), exchange)
}

fn github(url: &str, token: &str) -> GithubActions {
    let url = format!("{url}/token?api-version=2.0");
    let environment = Environment::fixed([
        ("ACTIONS_ID_TOKEN_REQUEST_URL", &*url),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", token),
    ]);
    GithubActions::new("https://api.openai.com/v1?a&b").with_environment(environment)
}

#[test]
fn asks_each_platform_as_it_documents() {
    let (subject, token, job) = (jwt(), access_token(), KeyRng::from_entropy().alphanumeric(60));
    let platform = Server::start([
        Reply::json(200, format!(r#"{{"count":7,"value":"{subject}"}}"#)),
        Reply::Status(200, FLAVOR.into(), format!("{subject}\n")),
        Reply::json(200, format!(r#"{{"access_token":"{subject}","expires_on":"1","a":null}}"#)),
        Reply::json(200, format!(r#"{{"access_token":"{subject}"}}"#)),
    ]);
    let exchange = exchange(&token);
    let azure = AzureMetadata::new("api://openai").at(platform.url());
    for (subject_token, line, header) in [
        (
            SubjectToken::from(github(&platform.url(), &job)),
            "GET /token?api-version=2.0&audience=https%3A%2F%2Fapi.openai.com%2Fv1%3Fa%26b ",
            format!("authorization: bearer {job}"),
        ),
        (
            GoogleMetadata::new("openai").at(platform.url()).into(),
            "GET /computeMetadata/v1/instance/service-accounts/default/identity?\
             audience=openai&format=full ",
            "metadata-flavor: google".into(),
        ),
        (
            azure.clone().into(),
            "GET /metadata/identity/oauth2/token?api-version=2018-02-01&\
             resource=api%3A%2F%2Fopenai ",
            "metadata: true".into(),
        ),
        (
            azure.client_id("c-1").into(),
            "GET /metadata/identity/oauth2/token?api-version=2018-02-01&\
             resource=api%3A%2F%2Fopenai&client_id=c-1 ",
            "metadata: true".into(),
        ),
    ] {
        let identity = identity(subject_token, &exchange);
        let loaded = assert_loads(load(&identity), &token, SOURCE);
        for secret in [&subject, &job] {
            assert_no_leak!(secret, format!("{identity:?} {loaded:?}"));
        }
        let asked = platform.asked().pop().unwrap();
        assert!(asked.starts_with(line), "{asked}");
        assert!(asked.to_ascii_lowercase().contains(&header.to_ascii_lowercase()), "{asked}");
        let exchanged = exchange.asked().pop().unwrap();
        assert_eq!(body_of(&exchanged)["subject_token"], *subject);
        assert!(!exchanged.contains(&job));
    }
}

#[test]
fn a_platform_without_a_token_is_told_without_its_words() {
    use LoadErrorKind::{
        Conflict, Denied, Invalid, NotConfigured, Throttled, Unreachable, Unreadable,
    };

    let (subject, job) = (jwt(), KeyRng::from_entropy().alphanumeric(60));
    let exchange = exchange(&access_token());
    let said = format!("no identity for {subject} and {job}");
    for (reply, kind, says) in [
        (Reply::json(400, &*said), Denied, "answered with status 400"),
        (Reply::json(404, &*said), Denied, "answered with status 404; check that the workload has"),
        (Reply::json(429, &*said), Throttled, "status 429"),
        (Reply::json(500, &*said), Unreachable, "status 500"),
        (
            Reply::Status(302, format!("location: {}\r\n", exchange.url()), said.clone()),
            Unreadable,
            "status 302",
        ),
        (Reply::Status(200, FLAVOR.into(), said.clone()), Invalid, "is no JWT"),
        (Reply::Status(200, FLAVOR.into(), "{}".into()), Invalid, "is no JWT"),
        (Reply::Close, Unreachable, "broke"),
    ] {
        let platform = Server::start([reply]);
        for subject_token in [
            SubjectToken::from(github(&platform.url(), &job)),
            GoogleMetadata::new("a").at(platform.url()).into(),
            AzureMetadata::new("a").at(platform.url()).into(),
        ] {
            let error = load(&identity(subject_token, &exchange));
            let error = assert_fails(error, &subject, kind, &[says, "no subject token: ", SOURCE]);
            assert_no_leak!(job, keyward_testkit::leak::error_surfaces(&error));
        }
    }
    // What answers like a metadata server and does not say that it is one.
    let stranger = Server::start([Reply::Status(200, String::new(), subject.clone())]);
    let google = identity(GoogleMetadata::new("a").at(stranger.url()), &exchange);
    assert_fails(load(&google), &subject, Invalid, &["no metadata server of Google"]);
    for far in ["http://192.0.2.1", "https://127.0.0.1", "http://metadata.example", ""] {
        for subject_token in [
            SubjectToken::from(GoogleMetadata::new("a").at(far)),
            AzureMetadata::new("a").at(far).into(),
        ] {
            let error = load(&identity(subject_token, &exchange));
            assert_fails(error, &subject, Invalid, &["is none of this machine"]);
        }
    }
    let url = ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://token.example/a");
    let token = ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", &*job);
    let http = ("ACTIONS_ID_TOKEN_REQUEST_URL", "http://192.0.2.1/a");
    let broken = ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "a\nb");
    for (variables, kind, says) in [
        (&[][..], NotConfigured, "not set; run it in a job of GitHub Actions"),
        (&[url], Conflict, "one is not set"),
        (&[token], Conflict, "one is not set"),
        (&[http, token], Invalid, "it is no https URL"),
        (&[url, broken], Invalid, "the job's token is no token"),
    ] {
        let environment = Environment::fixed(variables.to_vec());
        let github = GithubActions::new("a").with_environment(environment);
        assert_fails(load(&identity(github, &exchange)), &job, kind, &[says]);
    }
    assert!(exchange.asked().is_empty());
}
