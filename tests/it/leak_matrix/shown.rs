//! What prints or writes a value that holds the key: `Debug`, `Display`, `Serialize`, and the types
//! of HTTP libraries.

use std::collections::HashMap;
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::ops::Deref;
use std::sync::{Arc, Mutex, OnceLock, RwLock};

use async_openai::config::{Config as _, OpenAIConfig};
use async_openai::types::admin::project_service_accounts::ProjectServiceAccountApiKey;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Request, Uri};
use keyward::authorize::{AuthorizeLayer, Authorizer};
use keyward::store::{KeyNote, KeyStore as _, MemoryStore};
use keyward::{ApiKey, KeyLoader as _, LiveKey, redact};
use keyward_admin::{Client, Method, MintedKey};
use secrecy::SecretString;
use serde::Serialize;
use tower_layer::Layer as _;

use super::minting::{Created, created, echo, mint, server};
use super::place::{
    Config, ConfigError, NOW, VARIABLE, admin_key, admin_text, bearer, client, debug, exposed,
    keyward, live, loader, middleware, plain, policy, project_key, run, secrecy, string, variables,
};
use super::row::{Row, here, lacks};
use super::tls;

const MISUSE: &str = "`crates/keyward/src/misuse.rs`";

const URL: &str = "https://api.openai.com/v1/models";

pub(super) fn rows() -> Vec<Row> {
    let mut rows = values();
    rows.extend(holders());
    rows.extend(requests());
    rows.extend(answers());
    rows
}

fn values() -> Vec<Row> {
    vec![
        Row::new(
            "`{:?}` of the key",
            here(|| debug(&string())),
            here(|| debug(&secrecy())),
            here(|| debug(&keyward())),
        ),
        Row::new(
            "`{}` of the key",
            here(|| format!("connecting with {}", string())),
            lacks!(SecretString: Display),
            lacks!(ApiKey: Display),
        )
        .by(MISUSE),
        Row::new(
            "the key passed for a `&str`",
            here(|| takes_text(&string())),
            lacks!(SecretString: Deref<Target = str>),
            lacks!(ApiKey: Deref<Target = str>),
        )
        .by(MISUSE),
        Row::new(
            "a hex dump of what is `AsRef<[u8]>`",
            here(|| dump(&string())),
            lacks!(SecretString: AsRef<[u8]>),
            lacks!(ApiKey: AsRef<[u8]>),
        ),
        Row::new(
            "`derive(Serialize)` on a configuration, JSON",
            here(|| serde_json::to_string(&Config::of(string())).expect("JSON")),
            lacks!(SecretString: Serialize),
            lacks!(ApiKey: Serialize),
        )
        .by(MISUSE),
        Row::new(
            "`derive(Serialize)` on a configuration, TOML",
            here(|| toml::to_string(&Config::of(string())).expect("TOML")),
            lacks!(Config<SecretString>: Serialize),
            lacks!(Config<ApiKey>: Serialize),
        )
        .by(MISUSE),
        Row::new(
            "`Debug` of a map by key",
            here(|| debug(&HashMap::from([(string(), 7)]))),
            lacks!(SecretString: Hash),
            here(|| debug(&HashMap::from([(keyward().fingerprint(), 7)]))),
        )
        .by("the map is by `KeyFingerprint`"),
    ]
}

fn holders() -> Vec<Row> {
    vec![
        Row::new(
            "`derive(Debug)` on a configuration",
            here(|| debug(&Config::of(string()))),
            here(|| debug(&Config::of(secrecy()))),
            here(|| debug(&Config::of(keyward()))),
        ),
        Row::new(
            "`derive(Debug)` on an error that holds it",
            here(|| debug(&ConfigError(Config::of(string())))),
            here(|| debug(&ConfigError(Config::of(secrecy())))),
            here(|| debug(&ConfigError(Config::of(keyward())))),
        ),
        Row::new(
            "`Debug` of a list of keys",
            here(|| debug(&vec![Some(string())])),
            here(|| debug(&vec![Some(secrecy())])),
            here(|| debug(&vec![Some(keyward())])),
        ),
        Row::new(
            "`Debug` of a type of one's own around it",
            here(|| debug(&Own(string()))),
            here(|| debug(&Own(secrecy()))),
            here(|| debug(&(project_key(), admin_key()))),
        )
        .by("`ProjectKey`, `AdminKey`"),
        Row::new(
            "`Debug` of what a load yields",
            here(|| debug(&Ok::<_, ()>((string(), VARIABLE)))),
            here(|| debug(&Ok::<_, ()>((secrecy(), VARIABLE)))),
            here(|| debug(&run(loader(string()).load()))),
        )
        .by("`LoadedKey`"),
        Row::new(
            "`Debug` of a handle whose key is replaced",
            here(|| debug(&Arc::new(RwLock::new(string())))),
            here(|| debug(&Arc::new(RwLock::new(secrecy())))),
            here(|| {
                run(async {
                    let live = live().await;
                    let builder = LiveKey::project(loader(string()), policy());
                    let health = live.health();
                    debug(&(live.current().expect("a key"), &live, builder, health))
                })
            }),
        )
        .by("`LiveKey` and its guard"),
        Row::new(
            "`Debug` of a channel that tells of replacements",
            here(|| debug(&tokio::sync::watch::channel(string()))),
            here(|| debug(&tokio::sync::watch::channel(secrecy()))),
            here(|| run(async { debug(&live().await) })),
        )
        .by("`LiveKey`"),
        Row::new(
            "`Debug` of a static",
            here(|| debug(&OnceLock::from(string()))),
            here(|| debug(&OnceLock::from(secrecy()))),
            here(|| debug(&OnceLock::from(keyward()))),
        ),
        Row::new(
            "`Debug` of the variables of the process",
            here(|| debug(&variables(string()))),
            here(|| debug(&variables(secrecy()))),
            here(|| debug(&loader(string()))),
        )
        .by("`Environment`, `EnvLoader`"),
        Row::new(
            "`Debug` of a store of keys",
            here(|| debug(&Mutex::new(variables(string())))),
            here(|| debug(&Mutex::new(variables(secrecy())))),
            here(|| {
                let store = MemoryStore::new("billing");
                run(store.stage(&keyward(), &KeyNote::new(), NOW)).expect("staged");
                debug(&(store.clone(), run(store.pending()).expect("a key")))
            }),
        )
        .by("`MemoryStore`"),
    ]
}

fn requests() -> Vec<Row> {
    vec![
        Row::new(
            "`Debug` of `reqwest::Request`, header set by hand",
            here(|| debug(&with_header(&string()).build().expect("a request"))),
            here(|| debug(&with_header(&exposed()).build().expect("a request"))),
            here(|| debug(&authorized().build().expect("a request"))),
        )
        .by("`Authorizer::header`"),
        Row::new(
            "`Debug` of `reqwest::Request`, `bearer_auth`",
            here(|| debug(&plain().get(URL).bearer_auth(string()).build().expect("a request"))),
            here(|| debug(&plain().get(URL).bearer_auth(exposed()).build().expect("a request"))),
            here(|| debug(&authorized().build().expect("a request"))),
        )
        .clean_because("reqwest marks that header as sensitive"),
        Row::new(
            "`Debug` of `reqwest::RequestBuilder`",
            here(|| debug(&with_header(&string()))),
            here(|| debug(&with_header(&exposed()))),
            here(|| debug(&authorized())),
        )
        .by("`Authorizer::header`"),
        Row::new(
            "`Debug` of `reqwest::ClientBuilder`, default header",
            here(|| debug(&defaults(&string(), false))),
            here(|| debug(&defaults(&exposed(), false))),
            here(|| run(async { debug(&middleware().await.hardened(reqwest::Client::builder())) })),
        )
        .by("`AuthorizeMiddleware`"),
        Row::new(
            "`Debug` of `reqwest::Client`, default header",
            here(|| debug(&defaults(&string(), false).build().expect("a client"))),
            here(|| debug(&defaults(&exposed(), false).build().expect("a client"))),
            here(|| run(async { debug(&(client().await, middleware().await)) })),
        )
        .by("`AuthorizeMiddleware`"),
        Row::new(
            "`Debug` of `reqwest::Client`, default header marked as sensitive",
            here(|| debug(&defaults(&string(), true).build().expect("a client"))),
            here(|| debug(&defaults(&exposed(), true).build().expect("a client"))),
            here(|| run(async { debug(&client().await) })),
        )
        .clean_because("a header that is marked is not printed"),
        Row::new(
            "`Debug` of `http::Request`",
            here(|| debug(&by_hand(&string()))),
            here(|| debug(&by_hand(&exposed()))),
            here(|| debug(&by_keyward())),
        )
        .by("`Authorizer::authorize`"),
        Row::new(
            "`Debug` of `http::HeaderMap`",
            here(|| debug(by_hand(&string()).headers())),
            here(|| debug(by_hand(&exposed()).headers())),
            here(|| debug(by_keyward().headers())),
        )
        .by("`Authorizer::authorize`"),
        Row::new(
            "`Debug` of `http::HeaderValue`",
            here(|| debug(&value(&string()))),
            here(|| debug(&value(&exposed()))),
            here(|| {
                debug(&[sensitive(), tls::injector().header_value(&project_key()).expect("it")])
            }),
        )
        .by("`Authorizer::header`, `wire`"),
        Row::new(
            "`Debug` of a tower service that adds the header",
            here(|| debug(&Own((plain(), value(&string()))))),
            here(|| debug(&Own((plain(), value(&exposed()))))),
            here(|| {
                run(async {
                    let layer = AuthorizeLayer::new(live().await, Authorizer::new(policy()));
                    debug(&(
                        layer.layer(plain()),
                        layer,
                        Authorizer::new(policy()),
                        tls::injector(),
                    ))
                })
            }),
        )
        .by("`AuthorizeLayer`"),
        Row::new(
            "a middleware that prints each header's bytes",
            here(|| bytes_of(&value(&string()))),
            here(|| bytes_of(&value(&exposed()))),
            here(|| bytes_of(&tls::injector().header_value(&project_key()).expect("a value"))),
        )
        .by("`wire`: there is a placeholder"),
        Row::new(
            "`Debug` of async-openai's configuration",
            here(|| debug(&OpenAIConfig::new().with_api_key(string()))),
            here(|| debug(&OpenAIConfig::new().with_api_key(exposed()))),
            here(|| run(async { debug(&client().await) })),
        )
        .clean_because("async-openai has it in a `SecretString`"),
        Row::new(
            "`Debug` of a client of the Admin API",
            here(|| debug(&Own((plain(), admin_text().to_owned())))),
            here(|| debug(&Own((plain(), SecretString::from(admin_text()))))),
            here(|| {
                let builder = Client::builder(admin_key());
                debug(&(builder.clone(), builder.build().expect("a client")))
            }),
        )
        .by("`keyward-admin`"),
        Row::new(
            "`Debug` of async-openai's headers",
            here(|| debug(&OpenAIConfig::new().with_api_key(string()).headers())),
            here(|| debug(&OpenAIConfig::new().with_api_key(exposed()).headers())),
            here(|| debug(by_keyward().headers())),
        )
        .by("`AuthorizeMiddleware` sets the header, as in the example `clients`"),
    ]
}

fn answers() -> Vec<Row> {
    vec![
        Row::new(
            "`Debug` of a created key, async-openai",
            here(|| debug(&decoded::<ProjectServiceAccountApiKey>())),
            here(|| debug(&decoded::<Created<SecretString>>())),
            here(|| debug(&run(mint(&server(200, &created()))).expect("a key"))),
        )
        .by("`MintedKey`"),
        Row::new(
            "a created key written as JSON",
            here(|| {
                let created = decoded::<ProjectServiceAccountApiKey>();
                serde_json::to_string(&created).expect("JSON")
            }),
            lacks!(Created<SecretString>: Serialize),
            lacks!(MintedKey<String>: Serialize),
        )
        .by("`MintedKey`"),
        Row::new(
            "`Debug` of a created key as `serde_json::Value`",
            here(|| debug(&decoded::<serde_json::Value>())),
            here(|| debug(&decoded::<serde_json::Value>())),
            here(|| {
                let server = server(200, &created());
                let client = Client::builder(admin_key())
                    .base_url(format!("{}/v1", server.url()))
                    .allow_loopback();
                let client = client.build().expect("a client");
                let answer =
                    client.raw(Method::Post, "/organization/projects/{project_id}/api_keys");
                debug(&run(answer.arg("proj_1").send()).expect("an answer"))
            }),
        )
        .by("`RawAnswer`"),
        Row::new(
            "`Debug` of an answer that repeats the key in a header",
            here(|| run(async { debug(&asked(&string()).await) })),
            here(|| run(async { debug(&asked(&exposed()).await) })),
            here(|| {
                run(async {
                    let answer = client().await.get(echo().url()).send().await;
                    debug(&answer.expect("an answer"))
                })
            }),
        )
        .by("`AuthorizeMiddleware`"),
        Row::new(
            "the body of OpenAI's 401, printed",
            here(|| run(async { asked(&string()).await.text().await.expect("a body") })),
            here(|| run(async { asked(&exposed()).await.text().await.expect("a body") })),
            here(|| {
                run(async {
                    let answer = client().await.get(echo().url()).send().await;
                    let body = answer.expect("an answer").text().await.expect("a body");
                    redact::text(&body).into_owned()
                })
            }),
        )
        .by("`redact::text`"),
    ]
}

fn takes_text(text: &str) -> String {
    format!("connecting with {text}")
}

fn dump(bytes: &impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A type that somebody makes for their keys.
#[derive(Debug)]
struct Own<T>(T);

fn value(key: &str) -> HeaderValue {
    HeaderValue::from_str(&bearer(key)).expect("a value")
}

fn sensitive() -> HeaderValue {
    let authorizer = Authorizer::new(policy());
    authorizer.header(&project_key(), &Uri::from_static(URL)).expect("a value")
}

fn with_header(key: &str) -> reqwest::RequestBuilder {
    plain().get(URL).header(AUTHORIZATION, bearer(key))
}

fn authorized() -> reqwest::RequestBuilder {
    plain().get(URL).header(AUTHORIZATION, sensitive())
}

fn defaults(key: &str, is_sensitive: bool) -> reqwest::ClientBuilder {
    let mut value = value(key);
    value.set_sensitive(is_sensitive);
    reqwest::Client::builder().default_headers(HeaderMap::from_iter([(AUTHORIZATION, value)]))
}

fn by_hand(key: &str) -> Request<()> {
    Request::get(URL).header(AUTHORIZATION, bearer(key)).body(()).expect("a request")
}

fn by_keyward() -> Request<()> {
    let mut request = Request::get(URL).body(()).expect("a request");
    Authorizer::new(policy()).authorize(&project_key(), &mut request).expect("authorized");
    request
}

fn bytes_of(value: &HeaderValue) -> String {
    format!("authorization: {}", String::from_utf8_lossy(value.as_bytes()))
}

fn decoded<T: serde::de::DeserializeOwned + Debug>() -> T {
    serde_json::from_str(&created()).expect("a created key")
}

/// What a server answers that repeats the key.
async fn asked(key: &str) -> reqwest::Response {
    plain().get(echo().url()).bearer_auth(key).send().await.expect("an answer")
}
