//! A small service that holds its key in a [`LiveKey`]: it answers requests by asking the model API,
//! says whether it is ready, and goes on while the key is replaced under it.
//!
//! ```sh
//! cargo run --example service -- --key file:/etc/billing/openai.key
//! curl -X POST http://127.0.0.1:8080/ask
//! curl http://127.0.0.1:8080/ready
//! ```
//!
//! With the example `fake_openai` running, `--base-url` sends it there instead of to OpenAI.

#![allow(clippy::print_stdout, reason = "a program")]

use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use clap::Parser;
use keyward::authorize::Authorizer;
use keyward::reference::References;
use keyward::{KeyPolicy, LiveKey};
use tokio::net::TcpListener;

#[derive(Parser)]
#[command(about = "A service that holds an OpenAI key, and goes on while it is replaced.")]
struct Args {
    /// Where the key is, in this order: references such as `file:PATH`, `mount:PATH`, `env:NAME`;
    /// with the feature `sealed`, `sealed:PATH#identity=systemd:NAME`.
    #[arg(long, value_delimiter = ',', default_value = "env:OPENAI_API_KEY")]
    key: Vec<String>,
    /// Where the model API is.
    #[arg(long, default_value = "https://api.openai.com/v1")]
    base_url: String,
    /// Where it listens, on this machine. 0 takes a free port.
    #[arg(long, default_value_t = 8080)]
    port: u16,
}

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let args = Args::parse();

    // Where the key may be is written down, and so is what kind of key it may be.
    let chain = References::new().chain(&args.key)?;
    // This machine is one more host, for the fake organization.
    let policy = KeyPolicy::production().with_host("127.0.0.1")?;

    // Without a key that the policy admits there is no service, and the error says why.
    let key = LiveKey::project(chain, policy.clone()).start().await?;
    let service = Arc::new(Service {
        key,
        authorizer: Authorizer::new(policy),
        http: reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?,
        url: format!("{}/responses", args.base_url),
    });
    let routes =
        Router::new().route("/ask", post(ask)).route("/ready", get(ready)).with_state(service);
    let listener = TcpListener::bind(("127.0.0.1", args.port)).await?;
    println!("listening\thttp://{}", listener.local_addr()?);
    axum::serve(listener, routes)
        .with_graceful_shutdown(async {
            let _ = tokio::signal::ctrl_c().await;
        })
        .await?;
    Ok(())
}

/// What every request needs. The handle is cheap to clone and to read; nobody keeps the key itself.
struct Service {
    key: LiveKey,
    authorizer: Authorizer,
    http: reqwest::Client,
    url: String,
}

impl Service {
    /// One call; with another key once more, if OpenAI does not accept this one any longer and
    /// there is another. A key that was rejected does not come back, so this ends.
    async fn call(&self) -> Outcome<u16> {
        loop {
            let (status, used) = self.attempt().await?;
            if status != 401 || !self.key.rejected(&used).await {
                return Ok(status);
            }
        }
    }

    /// The status, and the fingerprint of the key that it was for.
    async fn attempt(&self) -> Outcome<(u16, keyward::KeyFingerprint)> {
        let mut request = http::Request::post(&self.url)
            .header("content-type", "application/json")
            .body(r#"{"model": "gpt-5", "input": "ping"}"#)?;
        let used = {
            let key = self.key.current()?;
            self.authorizer.authorize(&key, &mut request)?;
            key.fingerprint()
        };
        Ok((self.http.execute(request.try_into()?).await?.status().as_u16(), used))
    }
}

async fn ask(State(service): State<Arc<Service>>) -> (StatusCode, String) {
    match service.call().await {
        Ok(200) => (StatusCode::OK, "answered\n".into()),
        Ok(status) => (StatusCode::BAD_GATEWAY, format!("the model API answers {status}\n")),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
    }
}

/// One line for each thing that an operator asks about the key. Never the key.
async fn ready(State(service): State<Arc<Service>>) -> (StatusCode, String) {
    let health = service.key.health();
    let mut page = String::new();
    match &health.in_use {
        Ok(key) => {
            let expires = key.expires_at.map_or("not known".to_owned(), |at| at.to_string());
            let _ = writeln!(
                page,
                "source\t{}\nkind\t{}\nfingerprint\t{}\nage\t{}s\nexpires\t{expires}\nrejected\t{}",
                key.source,
                key.kind,
                key.fingerprint,
                key.age.as_secs(),
                key.is_rejected,
            );
        }
        Err(why) => {
            let _ = writeln!(page, "unavailable\t{why}");
        }
    }
    if let Some((at, error)) = &health.last_error {
        let _ = writeln!(page, "error\t{at}\t{error}");
    }
    for attempt in &health.attempts {
        let _ = writeln!(page, "attempt\t{attempt}");
    }
    let status = if health.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, page)
}
