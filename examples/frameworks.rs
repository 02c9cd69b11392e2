//! Frameworks that hold no key: rig by a client of reqwest-middleware, genai by late injection.
//!
//! ```sh
//! cargo run --example frameworks --features frameworks -- --key file:/etc/billing/openai.key
//! ```
//!
//! Each asks for the models. `--base-url` sends them elsewhere, over https.

#![allow(clippy::print_stdout, reason = "a program")]

use std::sync::Arc;

use clap::Parser;
use genai::adapter::AdapterKind;
use genai::resolver::{AuthData, Endpoint, Error};
use http::Uri;
use keyward::authorize::{AuthorizeMiddleware, Authorizer};
use keyward::redact::{self, RedactingMakeWriter};
use keyward::reference::References;
use keyward::wire::Injector;
use keyward::{KeyPolicy, LiveKey};
use rig_core::providers::openai::wire::Auth;
use rig_core::providers::openai::{OpenAI, OpenAIConfig};
use rig_reqwest::ReqwestMiddlewareClient;
use rustls::crypto::aws_lc_rs;
use rustls_platform_verifier::Verifier;

#[derive(Parser)]
#[command(about = "Asks for the models with rig and genai, which hold no key themselves.")]
struct Args {
    /// Where the key is, in this order: references such as `file:PATH`, `mount:PATH`, `env:NAME`.
    #[arg(long, value_delimiter = ',', default_value = "env:OPENAI_API_KEY")]
    key: Vec<String>,
    /// Where the model API is.
    #[arg(long, default_value = "https://api.openai.com/v1")]
    base_url: String,
}

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        // They log the answers they do not understand.
        .with_writer(RedactingMakeWriter::new(std::io::stderr))
        .init();
    let args = Args::parse();
    let policy = policy(&args.base_url.parse()?)?;
    let chain = References::new().chain(&args.key)?;
    let key = LiveKey::project(chain, policy.clone()).start().await?;
    let rig = rig_client(key.clone(), policy.clone(), &args.base_url)?;
    let genai = genai_client(key, policy, &args.base_url)?;

    for (name, answer) in [("rig", ask_rig(&rig).await), ("genai", ask_genai(&genai).await)] {
        match answer {
            Ok(models) => println!("{name}\t{models} models"),
            // Both quote what the server says, and a server can quote what it was sent.
            Err(error) => println!("{name}\terror\t{}", redact::display(&error)),
        }
    }
    Ok(())
}

/// That of OpenAI, and the host that was given.
fn policy(base: &Uri) -> Outcome<KeyPolicy> {
    Ok(KeyPolicy::standard().with_host(base.host().unwrap_or_default())?)
}

/// rig takes a client of reqwest-middleware. It sends no header of its own for an empty optional
/// key, so the middleware puts the current one on each request.
fn rig_client(key: LiveKey, policy: KeyPolicy, base: &str) -> Outcome<OpenAI> {
    let authorize = AuthorizeMiddleware::new(key, Authorizer::new(policy));
    let client = authorize.client(reqwest::Client::builder())?;
    let config = OpenAIConfig::new("").with_auth(Auth::OptionalBearer).with_base_url(base);
    Ok(config.connect(ReqwestMiddlewareClient::from(client)))
}

/// genai takes a plain client of reqwest, and its resolver can only give a key as a `String`. So it
/// gives a placeholder, which is harmless in any log, and the client's TLS puts the key in.
fn genai_client(key: LiveKey, policy: KeyPolicy, base: &str) -> Outcome<genai::Client> {
    let cryptography = Arc::new(aws_lc_rs::default_provider());
    let injector = Injector::project(Arc::clone(&cryptography), policy)?;
    let tls = injector.client_config_with(Arc::new(Verifier::new(cryptography)?));
    // genai turns on that answers are packed, in which a key that is sent back would not be found.
    let client = reqwest::Client::builder().no_gzip().no_brotli().no_zstd().no_deflate();
    let client = client.tls_backend_preconfigured(tls).https_only(true).build()?;
    // It is asked for each request, so a new key is used as soon as it is there.
    let placeholder = move |_| {
        let current = key.current().map_err(|error| Error::Custom(error.to_string()))?;
        let placeholder = injector.placeholder(&current);
        let placeholder = placeholder.map_err(|error| Error::Custom(error.to_string()))?;
        Ok(Some(AuthData::from_single(placeholder)))
    };
    let here = Endpoint::from_owned(format!("{base}/"));
    let client = genai::Client::builder().with_reqwest(client);
    let client = client.append_provider_config(AdapterKind::OpenAI, here);
    Ok(client.with_auth_resolver_fn(placeholder).build()?)
}

async fn ask_rig(rig: &OpenAI) -> Outcome<usize> {
    Ok(rig.list_models().await?.len())
}

async fn ask_genai(genai: &genai::Client) -> Outcome<usize> {
    Ok(genai.all_model_names(AdapterKind::OpenAI, ()).await?.len())
}
