//! Late injection: an HTTP client sends requests with a key that it never has. Above TLS a
//! placeholder stands for the key; rustls gets the key itself, at the moment of encryption.
//!
//! The primary type is [`Injector`]. It makes the TLS configuration of an HTTP client that knows
//! nothing of it, and for each request a header value. This module is the adapter for `rustls` and
//! `http`, so their types stand in the signatures here.
//!
//! # Example
//!
//! An unmodified reqwest client. The roots are of the crate `rustls-native-certs` or `webpki-roots`;
//! `rustls-platform-verifier` goes with
//! [`client_config_with`](Injector::client_config_with). The cryptography is the application's
//! choice: aws-lc-rs or ring.
//!
//! ```no_run
//! use keyward::wire::Injector;
//! use keyward::{FileLoader, KeyPolicy, LiveKey};
//! use rustls::crypto::aws_lc_rs;
//!
//! # async fn serve(roots: rustls::RootCertStore) -> Result<(), Box<dyn std::error::Error>> {
//! let policy = KeyPolicy::production();
//! let mount = FileLoader::mounted_secret("/run/secrets/openai");
//! let key = LiveKey::project(mount, policy.clone()).start().await?;
//! let injector = Injector::project(aws_lc_rs::default_provider(), policy)?;
//! let client = reqwest::Client::builder()
//!     .tls_backend_preconfigured(injector.client_config(roots)?)
//!     .no_gzip() // and so on for what else the program has reqwest unpack: see the limits
//!     .build()?;
//!
//! // For each request:
//! let current = key.current()?;
//! let value = injector.header_value(&current)?;
//! let call = client.post("https://api.openai.com/v1/responses").header("authorization", value);
//! # let _ = call;
//! # Ok(())
//! # }
//! ```
//!
//! # What it is for
//!
//! A header value that holds the key is copied on the way: into the client's write buffer, into
//! HTTP/2's compressed form, into whatever logs or traces requests. keyward cannot wipe those. Here
//! there is nothing to wipe. No log, `Debug`, trace, error, middleware or proxy in the process can
//! show what it never had, and the only copies are the [`ApiKey`](crate::ApiKey)'s own and, for the
//! duration of one encryption, the record that is encrypted in its place.
//!
//! Measured by a search of the process's memory after 200 requests, 8 at once, with the key replaced
//! in the middle (`tests/it/memory_table`): copies of the key while it is held, after everything is
//! dropped, and on the average when the process is stopped at any moment.
//!
//! | | HTTP/1.1, held | dropped | in flight | HTTP/2, held | dropped | in flight |
//! |---|---|---|---|---|---|---|
//! | [`authorize`](https://docs.rs/keyward/latest/keyward/authorize/), the header holds the key | 9 | 8 | 17 | 1, and 9 coded | 9 coded | 9, and 9 coded |
//! | late injection | **1** | **0** | **1** | **1** | **0** | **1** |
//!
//! It is opt-in. The plain sensitive header of `authorize` stays what to use where a client cannot
//! be given a rustls configuration, or speaks to servers without TLS 1.3.
//!
//! # How it works
//!
//! - A **placeholder** is a random text as long as the key, and to the bit as long as the key in the
//!   coded form that HTTP/2 gives to headers, so that no length changes. Of the key it tells these two
//!   lengths, which show on the wire too, the second in whole octets. It ends with `-keyward`, so that whoever meets one knows what it is.
//! - The configuration's **cipher suites** are rustls's own, each with a look at what it is handed to
//!   encrypt. They read along, by the framing of HTTP/1.1 or HTTP/2, and so know at each byte whether
//!   it is of a request's head or of a body. Where the value of `Authorization` is `Bearer` and a
//!   known placeholder, the cipher is handed the key in its place. Nothing else is changed, and no
//!   byte is kept.
//! - **Answers** are looked through as they are decrypted. Where a server repeats a key that can be put
//!   in, as in the words of a 401, the client reads the placeholder, and `tracing` tells a warning,
//!   target `keyward::wire`, once a connection.
//! - The server's name is looked at by the policy when its **certificate** is verified. If it is not a
//!   host of the policy, the handshake fails.
//!
//! # Why it is sound
//!
//! - **The key goes to the policy's hosts alone.** A cipher suite of rustls is not told which server a
//!   connection leads to, so the binding is the configuration: it admits no other server. Application
//!   data is encrypted only after the handshake, which comes through the verifier; a session can be
//!   resumed only for the server name, and with the verifier, of the handshake that began it (rustls
//!   compares both). So a redirect, a changed base URL or an https proxy that leads elsewhere ends
//!   before a byte of HTTP is sent, and gets neither key nor placeholder. (A plain-http proxy sees
//!   `CONNECT` and ciphertext.) A client for other hosts is another client.
//! - **It goes into `Authorization` alone.** Bodies are skipped by their length, and of other frames
//!   and fields none counts. Placeholders in bodies, URLs and other headers stay placeholders. Who
//!   sees a placeholder, in a log, and can have this client send a body of their choice, gets nothing
//!   put in. Who can choose the value of `Authorization` itself can use the key, as they could by
//!   having any request sent; it still goes to the policy's hosts alone. Placeholders are random, so
//!   that one cannot be guessed.
//! - **It fails closed.** What cannot be told (a stream that is not HTTP, contradictory lengths, a
//!   protocol upgrade, a broken header block) is passed on unchanged from there on. The server then
//!   gets a placeholder, and answers 401, which is not the key's. When a placeholder is left so, the
//!   injector warns by `tracing`, target `keyward::wire`, once a connection. Who forwards headers of
//!   others strips `Upgrade` and `Connection`, as every proxy must: after a request with `Upgrade`
//!   nothing more is put in on its connection, also if the server declines.
//! - **However the bytes are cut up.** A value that lies in several slices, frames or records, as
//!   happens when the buffers of a busy HTTP/2 connection are full, is put in piece by piece. For
//!   that a placeholder must be known by its beginning: each begins with a character that no other
//!   in use begins with, as far as 64 characters go. With more keys in use at once than that, a
//!   value that is cut just there gets a 401. A value that begins as a placeholder and goes on
//!   otherwise, if it is cut, has had the beginning of the key put in before that is seen: at a
//!   policy's host, by who chose the header.
//! - **Rotation.** A new key has a new placeholder. A request keeps the one that it was put together
//!   with. A key can be put in while a header value with its placeholder exists, and some twenty
//!   seconds more; then it is forgotten, when a header value of any key is asked for or when the injector and
//!   its configurations are dropped.
//!
//! Each of these is held by a test: `crates/keyward/src/wire/tests` over a cipher that does nothing,
//! split at every byte; `crates/keyward/tests/it/wire` with reqwest, hyper and rustls, and with
//! servers that are hostile.
//!
//! # Minted keys
//!
//! An answer of the Admin API that holds a new key leaves copies of it as a request does: measured
//! on a reqwest client, 4 while the key is held as a `String` and 3 after it is dropped. An injector for admin keys that is made
//! [to catch minted ones](Injector::admin_catching_minted) takes the key out while the record is
//! decrypted; the client reads a placeholder, and [`redeem`](Injector::redeem) gives the key for it:
//! 1 and 0. A placeholder is told from a key by its end, so that one that nobody holds a key for is
//! an error, and is not stored as though it were the key.
//!
//! # Limits
//!
//! - **TLS 1.3 alone.** TLS 1.2 is not offered; a server without 1.3 is not reached. HTTP/3 encrypts
//!   in another way: the suites have no QUIC, and `quinn` does not take the configuration.
//! - **One form of credential**: `Authorization: Bearer …` in HTTP/1.1 or HTTP/2. Not `api-key`, not
//!   in a URL. In HTTP/2 the header's name must be sent by its static index, as `h2` and so hyper do.
//! - **The host is the name that the certificate proves**, not the `Host` header; what a front end
//!   behind that name does with another `Host` is its own.
//! - **Early data** (0-RTT) is off. Who turns it on gets no key in it, because who records it can
//!   send it again: the server gets the placeholder. What follows it is put in as always. A
//!   handshake is told by its messages: keys of application data come right behind the handshake's
//!   last one, or behind a `KeyUpdate`, and in what is encrypted with others nothing is put in.
//! - **A request that waits.** How long a key can be put in counts from the drop of the header value,
//!   which is when the client has written it and not when it is sent; see
//!   [`header_value`](Injector::header_value).
//! - **The gate is the configuration's.** A replaced verifier
//!   (`dangerous().set_certificate_verifier`) takes it away, and a configuration that is built by
//!   hand with the cryptography of one of ours (`crypto_provider()`) never had it. Sessions that
//!   others put into a shared store do not go past it.
//! - **Secrets of the session.** Who has them can read the key out of recorded traffic: do not set
//!   `key_log`. Handing them to the kernel (kTLS, `dangerous_extract_secrets`) would go past the
//!   suites, and is refused.
//! - **The server has the key**, and one that wants to can send it back so that nobody finds it: in
//!   base64, say, or in letters. Found are the key, and pieces of it of at least 24 characters, as far
//!   as they stand in one record; of an access token the whole alone, because tokens begin alike; and
//!   in header blocks of HTTP/2 the whole key in its coded form, within one frame. A key that was
//!   forgotten is not looked for, and after a `KeyUpdate` of the server, coded ones are not. Pieces are
//!   looked for of OpenAI's own keys alone, and only those with small and capital letters: others can be
//!   names. **Packed answers are not looked through** (gzip, brotli, zstd), nor are minted keys caught in
//!   them: leave reqwest's features of these names off, or have the client not ask for them (`no_gzip`,
//!   `no_brotli`, `no_zstd`, `no_deflate`).
//! - **Memory is the process's.** The key itself is held by an `ApiKey`, which whoever reads this
//!   process's memory can read. Late injection means that it is the only place.
//! - A few hundred bytes for each [`Injector`] are never freed, because rustls wants cipher suites
//!   that live for ever. No key is among them.

pub use self::error::{WireError, WireErrorKind};
pub use self::injector::Injector;

mod answer;
mod error;
mod gate;
mod http1;
mod http2;
mod huffman;
mod injector;
mod minted;
mod placeholder;
mod request;
mod suite;
mod table;

#[cfg(test)]
mod tests;
