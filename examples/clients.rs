//! Clients that hold no key: each asks for the models, and the key is put on its requests as they
//! leave.
//!
//! ```sh
//! cargo run --example clients --features frameworks -- --key file:/etc/billing/openai.key
//! ```
//!
//! With the example `fake_openai` running, `--base-url` sends them there instead of to OpenAI.

#![allow(clippy::print_stdout, reason = "a program")]

use std::error::Error;

use async_openai::config::Config;
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use clap::Parser;
use http::{HeaderMap, Uri};
use keyward::authorize::{AuthorizeMiddleware, Authorizer, Denied};
use keyward::reference::References;
use keyward::{Endpoint, KeyPolicy, LiveKey};
use reqwest_middleware::ClientWithMiddleware;
use secrecy::SecretString;
use tower::service_fn;

#[derive(Parser)]
#[command(about = "Asks for the models with clients that hold no key themselves.")]
struct Args {
    /// Where the key is, in this order: references such as `file:PATH`, `mount:PATH`, `env:NAME`.
    #[arg(long, value_delimiter = ',', default_value = "env:OPENAI_API_KEY")]
    key: Vec<String>,
    /// Where the model API is.
    #[arg(long, default_value = "https://api.openai.com/v1")]
    base_url: String,
}

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let args = Args::parse();
    let policy = policy(&args.base_url.parse()?)?;
    let chain = References::new().chain(&args.key)?;
    let key = LiveKey::project(chain, policy.clone()).start().await?;
    let client = reqwest_client(key, policy)?;
    let openai = openai_client(client.clone(), &args.base_url);

    for (name, answer) in [
        ("reqwest", ask_reqwest(&client, &args.base_url).await),
        ("async-openai", ask_openai(&openai).await),
    ] {
        match answer {
            Ok(answer) => println!("{name}\t{answer}"),
            Err(error) => println!("{name}\terror\t{error}"),
        }
    }
    Ok(())
}

/// That of OpenAI; and where an address of this machine was given, for the fake organization, that is
/// one more host.
fn policy(base: &Uri) -> Outcome<KeyPolicy> {
    let host = base.host().unwrap_or_default();
    let policy = KeyPolicy::standard();
    let is_here = Endpoint::new("http", host).is_loopback();
    Ok(if is_here { policy.with_host(host)? } else { policy })
}

/// reqwest, and whatever takes a client of reqwest-middleware.
fn reqwest_client(key: LiveKey, policy: KeyPolicy) -> reqwest::Result<ClientWithMiddleware> {
    AuthorizeMiddleware::new(key, Authorizer::new(policy)).client(reqwest::Client::builder())
}

/// async-openai, which sends what it has by a service of ours.
fn openai_client(client: ClientWithMiddleware, base: &str) -> async_openai::Client<NoKey> {
    let send = move |request: HttpRequestFactory| send(client.clone(), request);
    let config = NoKey { base: base.to_owned(), key: SecretString::default() };
    async_openai::Client::with_config(config).with_http_service(service_fn(send))
}

/// A configuration of async-openai without a key. Its own, `OpenAIConfig`, copies `OPENAI_API_KEY`
/// or `OPENAI_ADMIN_KEY` out of the environment before it can be told not to.
struct NoKey {
    base: String,
    /// Empty, because the trait asks for one.
    key: SecretString,
}

impl Config for NoKey {
    fn headers(&self) -> HeaderMap {
        HeaderMap::new()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn query(&self) -> Vec<(&str, &str)> {
        Vec::new()
    }

    fn api_base(&self) -> &str {
        &self.base
    }

    fn api_key(&self) -> &SecretString {
        &self.key
    }
}

async fn send(
    client: ClientWithMiddleware,
    request: HttpRequestFactory,
) -> Result<reqwest::Response, OpenAIError> {
    let request = request.build().await?;
    client.execute(request).await.map_err(|error| OpenAIError::Boxed(error.into()))
}

async fn ask_reqwest(client: &ClientWithMiddleware, base: &str) -> Outcome<String> {
    let answer = client.get(format!("{base}/models")).send().await?;
    match Denied::of(answer.extensions()) {
        Some(denied) => Err(denied.to_string().into()),
        None => Ok(answer.status().as_str().to_owned()),
    }
}

async fn ask_openai(openai: &async_openai::Client<NoKey>) -> Outcome<String> {
    Ok(format!("{} models", openai.models().list().await?.data.len()))
}
