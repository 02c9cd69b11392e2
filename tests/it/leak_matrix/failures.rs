//! What errors tell: those of parsers that quote what they could not read, of conversions that give
//! back what they were given, of HTTP clients, and of OpenAI.

use std::error::Error;
use std::ffi::{CString, OsString};
use std::fs::File;
use std::os::unix::ffi::OsStringExt as _;
use std::process::Command;

use async_openai::config::OpenAIConfig;
use http::{HeaderValue, Uri};
use keyward::authorize::{Authorizer, Denied};
use keyward::reference::References;
use keyward::{ApiKey, CommandLoader, FileLoader, KeyLoader as _, KeyPolicy, redact};
use secrecy::SecretString;
use serde::Deserialize;

use super::child;
use super::minting::{Created, echo, mint, outcome, server, swapped};
use super::network::refused;
use super::place::{
    NOBODY, VARIABLE, client, debug, exposed, file, keyward, loader, masked, plain, policy,
    project_key, run, secrecy, string, told,
};
use super::row::{Probe, Row, around, here};

const CHAIN: &str = "`redact::chain`";

pub(super) fn rows() -> Vec<Row> {
    let mut rows = quoting();
    rows.extend(configurations());
    rows.extend(reports());
    rows.extend(conversions());
    rows.extend(places());
    rows.extend(remote());
    rows
}

/// Parsers that quote the value, whatever field it was for.
fn quoting() -> Vec<Row> {
    vec![
        Row::new(
            "serde_json: the key where a number belongs",
            here(|| told(&json::<Settings<String>>(&misplaced()))),
            here(|| told(&json::<Settings<SecretString>>(&misplaced()))),
            here(|| masked(&json::<Settings<ApiKey>>(&misplaced()))),
        )
        .by(CHAIN),
        Row::new(
            "serde_json: two fields swapped",
            here(|| told(&json::<Created<String>>(&swapped()))),
            here(|| told(&json::<Created<SecretString>>(&swapped()))),
            here(|| run(outcome(&server(200, &swapped())))),
        )
        .by("`keyward-admin`"),
        Row::new(
            "serde_json: no such variant",
            here(|| told(&json::<Settings<String>>(&format!("{{\"mode\": \"{}\"}}", string())))),
            here(|| {
                told(&json::<Settings<SecretString>>(&format!("{{\"mode\": \"{}\"}}", exposed())))
            }),
            here(|| told(&json::<KeyPolicy>(&format!("{{\"kinds\": [\"{}\"]}}", string())))),
        )
        .by("`KeyPolicy`, `KeyKind`"),
        Row::new(
            "serde_json: no such field",
            here(|| told(&json::<Settings<String>>(&format!("{{\"{}\": 1}}", string())))),
            here(|| told(&json::<Settings<SecretString>>(&format!("{{\"{}\": 1}}", exposed())))),
            here(|| masked(&json::<KeyPolicy>(&format!("{{\"{}\": 1}}", string())))),
        )
        .by(CHAIN),
        Row::new(
            "serde_json: the key inside of a list, an object",
            here(|| told(&json::<Settings<String>>(&nested()))),
            here(|| told(&json::<Settings<SecretString>>(&nested()))),
            here(|| told(&json::<Settings<ApiKey>>(&nested()))),
        )
        .clean_because("serde names the type that it found, not what is in it"),
        Row::new(
            "serde_json: a syntax error behind the key",
            here(|| told(&json::<Settings<String>>(&broken(&string())))),
            here(|| told(&json::<Settings<SecretString>>(&broken(&exposed())))),
            here(|| told(&json::<Settings<ApiKey>>(&broken(&string())))),
        )
        .clean_because("serde_json tells the line and the column"),
        Row::new(
            "a check of one's own that quotes with `{:?}`",
            here(|| format!("{:?} is no service-account key", string())),
            here(|| format!("{:?} is no service-account key", secrecy())),
            here(|| {
                let quoted = ApiKey::parse(format!("\"{}\"", string())).expect_err("quotes");
                let refused = KeyPolicy::production().check_kind(keyward().kind());
                told(&quoted) + &told(&refused.expect_err("a person's key"))
            }),
        )
        .by("`ParseError`, `Refusal`"),
        Row::new(
            "a JSON schema that the configuration does not keep to",
            here(|| against_schema(&string(), |error| format!("{error} {error:?}"))),
            here(|| against_schema(&exposed(), |error| format!("{error} {error:?}"))),
            here(|| against_schema(&string(), |error| redact::display(error).to_string())),
        )
        .by("`redact::display`"),
    ]
}

fn configurations() -> Vec<Row> {
    vec![
        Row::new(
            "toml: a syntax error in the key's line",
            here(|| told(&toml_error::<Settings<String>>(&format!("key = {}", string())))),
            here(|| told(&toml_error::<Settings<SecretString>>(&format!("key = {}", exposed())))),
            here(|| masked(&toml_error::<Settings<ApiKey>>(&format!("key = {}", string())))),
        )
        .by(CHAIN),
        Row::new(
            "toml: a wrong type in the key's line",
            here(|| told(&toml_error::<Settings<String>>(&format!("key = [\"{}\"]", string())))),
            here(|| {
                told(&toml_error::<Settings<SecretString>>(&format!("key = [\"{}\"]", exposed())))
            }),
            here(|| masked(&toml_error::<Settings<ApiKey>>(&format!("key = [\"{}\"]", string())))),
        )
        .by(CHAIN),
        Row::new(
            "dotenvy: a line that it cannot read",
            here(|| dotenv(&string())),
            here(|| dotenv(&exposed())),
            here(|| {
                let line = format!("{VARIABLE}={} # production", string());
                in_file(line.into_bytes())
            }),
        )
        .by("`FileLoader`"),
        Row::new(
            "`VarError::NotUnicode`",
            around(with_broken_variable, || report(&std_variable().expect_err("not Unicode"))),
            around(with_broken_variable, || {
                report(&std_variable().map(SecretString::from).expect_err("not Unicode"));
            }),
            around(with_broken_variable, || {
                let loader = keyward::EnvLoader::new(VARIABLE);
                report(&run(loader.load()).expect_err("not ASCII"));
            }),
        )
        .by("`EnvLoader`"),
    ]
}

fn reports() -> Vec<Row> {
    vec![
        Row::new(
            "anyhow, `{:#}` of such an error",
            here(|| format!("{:#}", any(json::<Settings<String>>(&misplaced())))),
            here(|| format!("{:#}", any(json::<Settings<SecretString>>(&misplaced())))),
            here(|| {
                let error = any(json::<Settings<ApiKey>>(&misplaced()));
                redact::chain(error.as_ref()).to_string()
            }),
        )
        .by(CHAIN),
        Row::new(
            "anyhow, `{:?}` of such an error",
            here(|| format!("{:?}", any(json::<Settings<String>>(&misplaced())))),
            here(|| format!("{:?}", any(json::<Settings<SecretString>>(&misplaced())))),
            here(|| {
                let error = any(json::<Settings<ApiKey>>(&misplaced()));
                redact::text(&format!("{error:?}")).into_owned()
            }),
        )
        .by("`redact::text`"),
        Row::new(
            "eyre, `{:?}` of such an error",
            here(|| format!("{:?}", eyre::Report::new(json::<Settings<String>>(&misplaced())))),
            here(|| {
                format!("{:?}", eyre::Report::new(json::<Settings<SecretString>>(&misplaced())))
            }),
            here(|| {
                let error = eyre::Report::new(json::<Settings<ApiKey>>(&misplaced()));
                redact::chain(error.as_ref()).to_string()
            }),
        )
        .by(CHAIN),
    ]
}

/// Conversions give back what they could not convert, as a list of bytes.
fn conversions() -> Vec<Row> {
    vec![
        Row::new(
            "`FromUtf8Error`",
            here(|| told(&String::from_utf8(bytes(&[0xff])).expect_err("not UTF-8"))),
            here(|| {
                let secret = String::from_utf8(bytes(&[0xff])).map(SecretString::from);
                told(&secret.expect_err("not UTF-8"))
            }),
            here(|| told(&ApiKey::parse(bytes(&[0xff])).expect_err("not ASCII"))),
        ),
        Row::new(
            "`Utf8Error`",
            here(|| told(&std::str::from_utf8(&bytes(&[0xff])).expect_err("not UTF-8"))),
            here(|| told(&std::str::from_utf8(&bytes(&[0xff])).expect_err("not UTF-8"))),
            here(|| in_file(bytes(&[0xff]))),
        )
        .clean_because("it tells the place alone"),
        Row::new(
            "`OsString::into_string`",
            here(|| debug(&OsString::from_vec(bytes(&[0xff])).into_string())),
            here(|| {
                debug(&OsString::from_vec(bytes(&[0xff])).into_string().map(SecretString::from))
            }),
            here(|| told(&run(loader(OsString::from_vec(bytes(&[0xff]))).load()).expect_err("it"))),
        )
        .by("`EnvLoader`"),
        Row::new(
            "`CString::new`, a NUL in the key",
            here(|| told(&CString::new(bytes(&[0])).expect_err("a NUL"))),
            here(|| told(&CString::new(bytes(&[0])).expect_err("a NUL"))),
            here(|| told(&ApiKey::parse(bytes(&[0])).expect_err("a NUL"))),
        ),
        Row::new(
            "`<[u8; 64]>::try_from` of a `Vec`",
            here(|| debug(&<[u8; 64]>::try_from(bytes(&[])))),
            here(|| debug(&<[u8; 64]>::try_from(exposed().into_bytes()))),
            here(|| told(&ApiKey::parse(string().repeat(200)).expect_err("too long"))),
        )
        .by("`ApiKey::parse` tells the length"),
        Row::new(
            "keyring: `BadEncoding`",
            here(|| told(&keyring_core::Error::BadEncoding(bytes(&[0xff])))),
            here(|| told(&keyring_core::Error::BadEncoding(bytes(&[0xff])))),
            Probe::Elsewhere,
        )
        .by("`crates/keyward/tests/it/keychain/keyutils.rs`, `secret_service.rs`"),
        Row::new(
            "keyring: `BadDataFormat`",
            here(|| told(&keyring_core::Error::BadDataFormat(bytes(&[]), "no JSON".into()))),
            here(|| told(&keyring_core::Error::BadDataFormat(bytes(&[]), "no JSON".into()))),
            Probe::Elsewhere,
        )
        .by("`crates/keyward/tests/it/keychain/keyutils.rs`, `secret_service.rs`"),
        Row::new(
            "`InvalidHeaderValue`",
            here(|| told(&HeaderValue::from_str(&(string() + "\n")).expect_err("a line's end"))),
            here(|| told(&HeaderValue::from_str(&(exposed() + "\n")).expect_err("a line's end"))),
            here(|| told(&ApiKey::issued(string() + "\n").expect_err("a line's end"))),
        )
        .clean_because("it tells nothing"),
        Row::new(
            "`ParseIntError`, `ParseBoolError`, `AddrParseError`",
            here(|| numbers(&string())),
            here(|| numbers(&exposed())),
            here(|| told(&ApiKey::access_token(string()).expect_err("a key"))),
        )
        .clean_because("they name what they wanted"),
    ]
}

/// The key where an address or a path belongs.
fn places() -> Vec<Row> {
    vec![
        Row::new(
            "reqwest: no connection, the key in the query",
            here(|| run(unreachable(&string()))),
            here(|| run(unreachable(&exposed()))),
            here(|| {
                run(async {
                    let url = format!("{}/?key={}", NOBODY, string());
                    refused(client().await.get(url).send().await)
                })
            }),
        )
        .by("`AuthorizeMiddleware` refuses it"),
        Row::new(
            "`Display` of a URL with the key for a user name",
            here(|| debug(&url(&string())) + url(&string()).as_str()),
            here(|| debug(&url(&exposed())) + url(&exposed()).as_str()),
            here(|| {
                let uri: Uri = url(&string()).as_str().parse().expect("a URI");
                let value = Authorizer::new(policy()).header(&project_key(), &uri);
                told(&value.expect_err("a user name"))
            }),
        )
        .by("`Authorizer` refuses it"),
        Row::new(
            "`url::ParseError`, `InvalidUri`",
            here(|| no_url(&string())),
            here(|| no_url(&exposed())),
            here(|| {
                let chain = References::new().chain([string()]);
                told(&chain.expect_err("no reference"))
            }),
        )
        .clean_because("they tell nothing of the text")
        .by("`References`"),
        Row::new(
            "`io::Error` of a path that is the key",
            here(|| told(&File::open(string()).expect_err("no file"))),
            here(|| told(&File::open(exposed()).expect_err("no file"))),
            here(|| told(&run(FileLoader::new(string()).load()).expect_err("no file"))),
        )
        .clean_because("the standard library leaves the path out")
        .by("`FileLoader`"),
        Row::new(
            "the key for an organization's id, async-openai's configuration",
            here(|| debug(&OpenAIConfig::new().with_org_id(string()))),
            here(|| debug(&OpenAIConfig::new().with_org_id(exposed()))),
            here(|| {
                let authorizer = Authorizer::new(policy()).with_organization(string());
                told(&authorizer.expect_err("no id"))
            }),
        )
        .by("`Authorizer` refuses it"),
        Row::new(
            "a program that fails and repeats the key",
            here(|| failed(&string())),
            here(|| failed(&exposed())),
            here(|| {
                let loader = CommandLoader::new("sh").args(["-c", "cat >&2 \"$0\"; exit 3"]);
                let file = file(string());
                told(&run(loader.arg(file.path()).load()).expect_err("it fails"))
            }),
        )
        .by("`CommandLoader`"),
    ]
}

fn remote() -> Vec<Row> {
    vec![
        Row::new(
            "reqwest: an answer that does not decode",
            here(|| told(&run(undecodable::<String>(&string())))),
            here(|| told(&run(undecodable::<SecretString>(&exposed())))),
            here(|| run(outcome(&server(201, &swapped())))),
        )
        .by("`keyward-admin`"),
        Row::new(
            "OpenAI's 401, which repeats the key: async-openai's error",
            here(|| told(&run(by_openai(string())))),
            here(|| told(&run(by_openai(exposed())))),
            here(|| {
                run(async {
                    let error = mint(&echo()).await.expect_err("refused");
                    let answer = client().await.get(echo().url()).send().await.expect("an answer");
                    let denied = Denied::of(answer.extensions()).expect("denied").clone();
                    format!("{} {denied} {denied:?}", told(&error))
                })
            }),
        )
        .by("`keyward_admin::Error`, `Denied`"),
    ]
}

/// A configuration as a service reads it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read to fail")]
struct Settings<K> {
    timeout: Option<u64>,
    mode: Option<Mode>,
    key: Option<K>,
}

#[derive(Debug, Deserialize)]
enum Mode {
    Direct,
    Proxied,
}

fn json<T: for<'de> Deserialize<'de>>(text: &str) -> serde_json::Error {
    serde_json::from_str::<T>(text).err().expect("it is wrong")
}

fn toml_error<T: for<'de> Deserialize<'de>>(text: &str) -> toml::de::Error {
    toml::from_str::<T>(text).err().expect("it is wrong")
}

fn misplaced() -> String {
    format!("{{\"timeout\": \"{}\"}}", string())
}

fn nested() -> String {
    format!("{{\"key\": [{{\"value\": \"{}\"}}]}}", string())
}

fn broken(key: &str) -> String {
    format!("{{\"key\": \"{key}\" \"mode\": \"Direct\"}}")
}

fn any(error: serde_json::Error) -> anyhow::Error {
    anyhow::Error::new(error).context("cannot read the configuration")
}

fn against_schema(key: &str, tell: fn(jsonschema::ValidationError<'_>) -> String) -> String {
    let schema = serde_json::json!({ "properties": { "timeout": { "type": "integer" } } });
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    let settings = serde_json::json!({ "timeout": key });
    schema.iter_errors(&settings).map(tell).collect()
}

fn dotenv(key: &str) -> String {
    let file = format!("{VARIABLE}=\"{key}\n");
    let lines = dotenvy::from_read_iter(file.as_bytes());
    lines.filter_map(Result::err).map(|error| told(&error)).collect()
}

/// The key, and more behind it.
fn bytes(more: &[u8]) -> Vec<u8> {
    [string().as_bytes(), more].concat()
}

fn with_broken_variable(mut command: Command) -> String {
    child::output({
        command.env(VARIABLE, OsString::from_vec(bytes(&[0xff])));
        command
    })
}

#[allow(clippy::disallowed_methods, reason = "what others do")]
fn std_variable() -> Result<String, std::env::VarError> {
    std::env::var(VARIABLE)
}

#[allow(clippy::print_stderr, reason = "what comes out of a child")]
fn report(error: &(dyn Error + 'static)) {
    eprintln!("{}", told(error));
}

/// What is told of a file that holds this.
fn in_file(content: Vec<u8>) -> String {
    let file = file(content);
    told(&run(FileLoader::new(file.path()).load()).expect_err("no key"))
}

fn numbers(key: &str) -> String {
    let number = key.parse::<u64>().expect_err("no number");
    let boolean = key.parse::<bool>().expect_err("no truth value");
    let address = key.parse::<std::net::IpAddr>().expect_err("no address");
    told(&number) + &told(&boolean) + &told(&address)
}

async fn unreachable(key: &str) -> String {
    let url = format!("{}/?key={key}", NOBODY);
    told(&plain().get(url).send().await.expect_err("nobody listens"))
}

fn url(key: &str) -> reqwest::Url {
    format!("https://{key}@api.openai.com/v1").parse().expect("a URL")
}

fn no_url(key: &str) -> String {
    let url = reqwest::Url::parse(key).expect_err("no URL");
    let uri = format!("https://{key} /").parse::<Uri>().expect_err("no URI");
    told(&url) + &told(&uri)
}

/// What is made of a program that failed, as people do it.
fn failed(key: &str) -> String {
    let mut command = Command::new("sh");
    let output = command.args(["-c", "cat >&2 \"$0\"; exit 3"]).arg(file(key).path()).output();
    let output = output.expect("a program");
    format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr))
}

async fn undecodable<K: for<'de> Deserialize<'de>>(key: &str) -> reqwest::Error {
    let answer = plain().get(server(200, &swapped()).url()).bearer_auth(key).send().await;
    let decoded = answer.expect("an answer").json::<Created<K>>().await;
    decoded.err().expect("it does not decode")
}

async fn by_openai(key: String) -> async_openai::error::OpenAIError {
    let config = OpenAIConfig::new().with_api_key(key).with_api_base(echo().url());
    let client = async_openai::Client::build(plain(), config);
    client.models().list().await.expect_err("refused")
}
