//! A fake OpenAI organization, a generator of synthetic keys, and assertions that a secret did
//! not leak: what a service that holds an OpenAI key is tested against.
//!
//! The primary type is [`FakeOpenAi`], an organization that answers over HTTP on loopback, in
//! which keys are minted, used, expire, are deleted, and in which things go wrong by script. With
//! it come
//!
//! - [`Fault`]: what goes wrong, from a lost answer to a minted key whose `value` has moved;
//! - [`FakeClock`]: the time, which a test moves;
//! - [`FakeIssuer`]: a platform whose tokens are exchanged for access tokens;
//! - [`keys`]: synthetic keys of every known shape, made at run time, so that no key-like text
//!   stands in a source tree;
//! - [`corpus`]: text with keys planted in it, and text that only looks like keys;
//! - [`CANARY`]: a synthetic secret that is the same in every process, to plant and look for;
//! - [`assert_no_leak!`] and [`leak`]: a detector that finds a secret, whole or in part, raw,
//!   encoded or printed as bytes, and proves at each call that it can see.
//!
//! # Example
//!
//! A service-account key is minted with a scope, used, and its answer lost the second time:
//!
#![cfg_attr(feature = "server", doc = "```")]
#![cfg_attr(not(feature = "server"), doc = "```ignore")]
//! use keyward_testkit::{FakeOpenAi, Fault, FaultAction, assert_no_leak};
//! use serde_json::{Value, json};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let fake = FakeOpenAi::start().await?;
//! let project = fake.seed_project("shop");
//! let account = fake.seed_service_account(&project, "checkout", "member");
//! let http = reqwest::Client::new();
//!
//! // The admin key manages the organization.
//! let url = format!("{}/organization/projects", fake.base_url());
//! let projects: Value = http.get(url).bearer_auth(fake.admin_key()).send().await?.json().await?;
//! assert_eq!(projects["data"][0]["id"], project.as_str());
//!
//! // It mints a key, whose value is shown once.
//! let url = format!(
//!     "{}/organization/projects/{project}/service_accounts/{account}/api_keys",
//!     fake.base_url(),
//! );
//! let body = json!({ "name": "blue", "scopes": ["api.responses.write"] });
//! let mint = http.post(url).bearer_auth(fake.admin_key()).json(&body);
//! let again = mint.try_clone().expect("a body in memory can be cloned");
//! let minted: Value = mint.send().await?.json().await?;
//! let key = minted["value"].as_str().expect("a text");
//! assert!(fake.key_is_live(key));
//!
//! // The key is good for what its scopes name, and for nothing else.
//! let responses = format!("{}/responses", fake.base_url());
//! let body = json!({ "model": "fake-model", "input": "Hello" });
//! let answer = http.post(responses).bearer_auth(key).json(&body).send().await?;
//! assert_eq!(answer.status(), 200);
//! let models = http.get(format!("{}/models", fake.base_url())).bearer_auth(key).send().await?;
//! assert_eq!(models.status(), 403);
//!
//! // The next mint takes effect, and the client never learns of it.
//! fake.fault(
//!     Fault::on(
//!         "POST",
//!         "/organization/projects/{project_id}/service_accounts/{service_account_id}/api_keys",
//!     )
//!     .then(FaultAction::AnswerLost),
//! );
//! let error = again.send().await.unwrap_err();
//! assert_no_leak!(fake.admin_key(), format!("{error:?}"));
//! assert_eq!(fake.live_key_values().len(), 3, "the admin key, the first and the lost one");
//! # Ok(())
//! # }
//! ```
//!
//! # What it is not
//!
//! It knows the 143 operations of the Admin API, as of 2026-11, two of the rest, in which keys
//! are used, and the exchange of workloads' tokens. What OpenAI does not document, such as most error codes, is a guess, and named as one
//! in [`FakeOpenAi`]. Its keys come from a generator that is not
//! cryptographic, and guard nothing.
//!
//! # Features
//!
//! - `server`, on by default: the fake organization. Without it, the keys and the leak assertions
//!   remain, which have no dependencies.

mod base64;
mod canary;
pub mod corpus;
#[cfg(feature = "server")]
mod fake;
pub mod keys;
pub mod leak;
mod pattern;
mod rng;

pub use canary::{CANARY, Canary};
#[cfg(feature = "server")]
pub use fake::{
    EchoPlace, FakeClock, FakeIssuer, FakeOpenAi, FakeOpenAiBuilder, Fault, FaultAction,
    FaultListError, FaultPoint, RecordedRequest,
};

#[cfg(all(doctest, feature = "server"))]
#[doc = include_str!("../README.md")]
struct Readme;
