//! Hold OpenAI API keys in a Rust service: load a key from where it is kept, prove what it is, and
//! use it without leaking it.
//!
//! The primary type is [`LiveKey`], the handle that a service holds for its whole life. It takes its
//! key from a [`KeyLoader`]; a [`LoaderChain`] is several loaders in the order that the application
//! writes down. What they yield is admitted by a [`KeyPolicy`]; only then can it authorize a request.
//! Everything of the crate `keyward-core` ([`ApiKey`], [`KeyPolicy`], …) is
//! re-exported here.
//!
//! # Example
//!
//! A service that takes its key from the environment or, if nothing is set there, from a mounted
//! secret; that admits no person's key; and that sends it to OpenAI alone (feature `http`):
//!
#![cfg_attr(feature = "http", doc = "```")]
#![cfg_attr(not(feature = "http"), doc = "```ignore")]
//! use keyward::authorize::Authorizer;
//! use keyward::{EnvLoader, FileLoader, KeyPolicy, LiveKey, LoaderChain};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
//! # runtime.block_on(async {
//! # let key = keyward_testkit::keys::service_account_key(
//! #     &mut keyward_testkit::keys::KeyRng::seeded(1));
//! let env = EnvLoader::new("OPENAI_API_KEY");
//! # let env = env.with_environment(keyward::Environment::fixed([("OPENAI_API_KEY", key)]));
//! let chain = LoaderChain::first("env", env)
//!     .then("mount", FileLoader::mounted_secret("/run/secrets/openai"));
//! let policy = KeyPolicy::production();
//!
//! // Once, at the start: it is loaded and admitted here, and kept fresh from then on.
//! let key = LiveKey::project(chain, policy.clone()).start().await?;
//! let authorizer = Authorizer::new(policy);
//!
//! // For each request: no waiting, no allocation, no lock.
//! let mut request = http::Request::post("https://api.openai.com/v1/responses").body(())?;
//! let in_use = key.current()?;
//! authorizer.authorize(&in_use, &mut request)?;
//! # assert!(request.headers().contains_key("authorization"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Loaders
//!
//! | loader | needs | when there is nothing | tested against |
//! |---|---|---|---|
//! | [`EnvLoader`] | a variable `NAME`, or `NAME_FILE` with the path of a file | `NotConfigured` | an injected [`Environment`] |
//! | [`FileLoader::new`] | a file that its owner alone can read | `NotFound` | real files, owners, links, pipes, on Linux |
//! | [`FileLoader::mounted_secret`] | a mount by Kubernetes or Docker | `NotFound` | the links that Kubernetes makes, on a local file system, and their replacement |
//! | [`FileLoader::systemd_credential`] | a unit with `LoadCredential=` | `NotConfigured` | a directory laid out as systemd's |
//! | [`CommandLoader`] | a program that prints the key | an exit status that you name: `NotFound` | `sh`, a real `pass` with a real `gpg`, a stand-in for `op`; programs that hang, flood, ignore signals and leave children, on Linux |
//! | `PromptLoader` (feature `prompt`) | a person at a terminal | no terminal, an empty line: `NotConfigured` | a pseudo-terminal on Linux; the Windows console is not tested |
//! | `KeychainLoader`: Secret Service | a session with GNOME Keyring, KWallet or KeePassXC, unlocked | `NotFound`; no keychain at all is `Unreachable` | a real gnome-keyring: unlocked, locked, absent; and a service that never answers |
//! | `KeychainLoader`: keyutils | a session that joined a keyring of the Linux kernel | `NotFound`; no session is `Unreachable` | the real kernel, in a session and in none |
//! | `KeychainLoader`: macOS, Windows | a user who is logged in | `NotFound` | nothing: it is only compiled for them |
//! | `WorkloadIdentity` (feature `workload-identity`) | an identity provider and a federation rule at OpenAI, and a token of the platform | as the token's source says; `from_env`: `NotConfigured` | the fake organization, which checks signature, issuer, audience, times and rule; a scripted server on loopback for what goes wrong. Not OpenAI's own endpoint |
//! | its token from a file, a program | a Kubernetes projected token; `spire-agent` or the like | as `FileLoader`, `CommandLoader` | real files and programs |
//! | its token from GitHub Actions, Google, Azure | a job with `id-token: write`; a machine with an identity | GitHub: `NotConfigured`; a metadata server that is not there is `Unreachable` | fakes of their documented protocols on loopback; none of the three itself |
//! | [`LoaderChain`] | the loaders above, or your own | `AllNotFound` | all of these |
//!
//! Whatever else goes wrong is another [`LoadErrorKind`], and stops a chain. An error tells where,
//! what and how to mend it, and never anything of what was read.
//!
//! Making a loader reads nothing and starts nothing. Loads work on tokio's runtimes of either
//! kind; without a runtime, reading a file blocks the thread. A [`LiveKey`], and a chain with a time
//! limit, need a runtime with its timer on.
//!
//! # Stores
//!
//! A key that is replaced from time to time is kept in a [`KeyStore`](store::KeyStore): beside the
//! current key it has the next and the previous one, a lease for who replaces them, and a journal
//! of how far it has come. A store is a loader too. Each passes the suite in
//! [`store::conformance`](https://docs.rs/keyward/latest/keyward/store/conformance/), which is
//! public for stores of your own.
//!
//! | store | needs | how it fails | tested against |
//! |---|---|---|---|
//! | [`MemoryStore`](store::MemoryStore) | nothing | not at all; it ends with the process | the suite |
//! | [`FileStore`](https://docs.rs/keyward/latest/keyward/store/struct.FileStore.html), feature `store` | a directory that others cannot write to, on a local file system | `Insecure` for files or directories of others, `TimedOut` behind a lock, `Damaged` for a file that is no key | the suite; processes that race, and that are killed at any moment, on Linux |
//! | [`SealedFile`](https://docs.rs/keyward/latest/keyward/store/struct.SealedFile.html), feature `sealed` | the same, and an age identity or a passphrase | the same; `Undecryptable` when what is given does not open it, `Refused` when nothing is | the same, and the `age` tool, both ways |
//! | [`DocumentStore`](https://docs.rs/keyward/latest/keyward/store/struct.DocumentStore.html), feature `store` | a [`Place`](https://docs.rs/keyward/latest/keyward/store/trait.Place.html) of yours that compares before it writes | as the place does; `TooLarge` | the suite, over places of 64 KiB and of 2560 bytes |
//!
//! Where a key is can be written down as a [reference](mod@reference): `env:OPENAI_API_KEY`,
//! `sealed:PATH#identity=systemd:NAME`.
//!
//! # Browsers
//!
//! Nothing can keep a key in a browser, so this crate is not built for one (`wasm32-unknown-unknown`,
//! Emscripten): the compiler says so, and what to do. A service
//! [mints a client secret](https://docs.rs/keyward/latest/keyward/client_secret/) for the page.
//!
//! # Redaction
//!
//! [`redact`] masks the keys in what a service writes, whoever wrote it: logs, streams, errors,
//! panics.
//!
//! # Memory
//!
//! A key stands in memory once, and is wiped when its last holder goes. The feature `locked`
//! keeps that memory out of swap and out of core dumps, `ApiKey::prefer_secret_memory` (feature
//! `memfd-secret`) also from other processes, and [`ApiKey::protection`] tells what took effect. [`hardening`] is what a program does at its start
//! for the rest of its memory: forbid dumps, and get used to panics, the first of which would copy
//! a key out of the processor's registers.
//!
//! # Features
//!
//! - `client-secret`:
//!   [`ClientSecrets`](https://docs.rs/keyward/latest/keyward/client_secret/struct.ClientSecrets.html)
//!   mints what a browser may hold in the place of a key. It brings reqwest and rustls.
//! - `conformance`: the suite that holds a store to its contract.
//! - `http`: [`authorize`](https://docs.rs/keyward/latest/keyward/authorize/) puts a key on
//!   requests of the crate `http`.
//! - `tower`, `reqwest-middleware`: the same for every request of a client: with the key that a
//!   [`LiveKey`] holds just then, once more with the next where one was rejected, and with the
//!   [reason](https://docs.rs/keyward/latest/keyward/authorize/struct.Denied.html) where OpenAI
//!   refuses. The second brings reqwest; TLS is the application's to choose.
//! - `locked`: the text of a key stands in a page of its own that is locked and, on Linux, in no
//!   core dump and in no forked child. A process that forks and goes on without starting another
//!   program must not touch a key that was made before. It takes a page and about 10 µs a key.
//! - `log`: [`RedactingLog`](https://docs.rs/keyward/latest/keyward/redact/struct.RedactingLog.html).
//! - `memfd-secret`: `ApiKey::prefer_secret_memory`, from which on keys stand in memory that nobody
//!   else reads, root and the kernel included. On Linux.
//! - `metrics`: a [`LiveKey`] counts what it does with the crate `metrics`:
//!   `keyward_live_key_loads_total` (by `outcome`), `keyward_live_key_rejections_total` (keys, by
//!   `fingerprint`), `keyward_live_key_in_use` (1 or 0) and `keyward_live_key_expires_at_seconds`
//!   (infinite when nothing expires), all by `source`, which is that of the handle's loader. Events
//!   of `tracing` are always there, at the target `keyward::live`.
//! - `prompt`: `PromptLoader` asks the person at a terminal.
//! - `keychain`: [`KeychainLoader`](https://docs.rs/keyward/latest/keyward/struct.KeychainLoader.html)
//!   and, with `store`,
//!   [`KeychainPlace`](https://docs.rs/keyward/latest/keyward/store/struct.KeychainPlace.html). On
//!   Linux it links libdbus, which must be installed (`libdbus-1-dev`); `keychain-vendored` builds
//!   it from its sources instead.
//! - `serde`: [`ApiKey`] can be deserialized (never serialized), and [`KeyPolicy`] read from and
//!   written to TOML or JSON.
//! - `sealed`: [`SealedFile`](https://docs.rs/keyward/latest/keyward/store/struct.SealedFile.html),
//!   the encrypted store.
//! - `simd`: keys in text are looked for with the widest registers that the processor has. The same
//!   is found.
//! - `store`: [`FileStore`](https://docs.rs/keyward/latest/keyward/store/struct.FileStore.html),
//!   and stores over a place of yours.
//! - `tracing-subscriber`:
//!   [`RedactingMakeWriter`](https://docs.rs/keyward/latest/keyward/redact/struct.RedactingMakeWriter.html).
//! - `wire`: [`wire`](https://docs.rs/keyward/latest/keyward/wire/) puts the key in while rustls
//!   encrypts, so that the HTTP stack never has it. It brings rustls.
//! - `workload-identity`:
//!   [`WorkloadIdentity`](https://docs.rs/keyward/latest/keyward/struct.WorkloadIdentity.html), which
//!   needs no key at all. It brings reqwest and rustls.
//!
//! No feature is on by default, and none changes what is refused or what is printed.

#![cfg_attr(docsrs, feature(doc_cfg))]

// WASI is for servers; every other kind of WebAssembly is, or may be, for a browser.
#[cfg(all(target_family = "wasm", not(target_os = "wasi")))]
compile_error!(
    "keyward holds API keys, and whoever opens a web page can read what its WebAssembly holds, so it \
     is not built for browsers. Leave the key on a server, let that mint a client secret \
     (`keyward::client_secret::ClientSecrets`, feature `client-secret`), and give the page the \
     `ek_…` value, which soon expires. For types and policies alone, and for workers at the edge, \
     whose platform holds the key, use the crate `keyward-core`."
);

pub use keyward_core::{
    AdminKey, AdmitContext, Admitted, ApiKey, Endpoint, InvalidTimestamp, KeyFingerprint, KeyKind,
    KeyPolicy, KeySource, MAX_KEY_LEN, ParseError, ParseReason, PolicyError, ProjectKey,
    Protection, Refusal, SecretText, Timestamp, Vendor, danger, find,
};

pub use crate::clock::Clock;
pub use crate::environment::Environment;
pub use crate::live::{
    Health, KeyGuard, KeyInUse, KeyUnavailable, LiveError, LiveErrorKind, LiveKey, LiveKeyBuilder,
    NarrowedKey,
};
#[cfg(feature = "workload-identity")]
pub use crate::loader::WorkloadIdentity;
pub use crate::loader::{
    Attempt, AttemptOutcome, CommandLoader, DynKeyLoader, EnvLoader, FileLoader, FileRule,
    KeyLoader, LoadError, LoadErrorKind, LoadedKey, LoaderChain, SourceSignature,
};
#[cfg(feature = "keychain")]
pub use crate::loader::{Keychain, KeychainLoader};

#[cfg(feature = "http")]
pub mod authorize;
#[cfg(feature = "client-secret")]
pub mod client_secret;
pub mod hardening;
pub mod redact;
pub mod reference;
pub mod store;
#[cfg(feature = "wire")]
pub mod wire;

#[cfg(feature = "prompt")]
pub use crate::loader::PromptLoader;

/// What [`WorkloadIdentity`] is made of: where the platform's token is had, and what it is.
#[cfg(feature = "workload-identity")]
pub mod workload_identity {
    pub use crate::loader::workload_identity::{
        AzureMetadata, GithubActions, GoogleMetadata, SubjectToken, SubjectTokenType,
    };
}

mod clock;
mod environment;
#[cfg(any(feature = "client-secret", feature = "workload-identity"))]
mod http_call;
mod live;
mod loader;
#[cfg(doctest)]
mod misuse;

/// The README's snippet is held to compile.
#[cfg(all(doctest, feature = "http"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
