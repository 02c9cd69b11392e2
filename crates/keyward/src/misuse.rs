//! What must not compile does not; each mistake beside the same code without it.
//!
//! These are documentation tests and not trybuild's, which would build the TLS stack that other
//! tests need a second time for each `cargo test`.
//!
//! A key cannot be formatted with `{}`, and is not a text, so that nothing that takes a text takes
//! it by accident:
//!
//! ```
//! fn show(key: keyward::ApiKey) {
//!     println!("{key:?}");
//! }
//! ```
//!
//! ```compile_fail,E0277
//! fn show(key: keyward::ApiKey) {
//!     println!("{key}");
//! }
//! ```
//!
//! ```
//! fn takes_text(_: &str) {}
//! fn pass(key: keyward::ApiKey) {
//!     takes_text(&format!("{key:?}"));
//! }
//! ```
//!
//! ```compile_fail,E0308
//! fn takes_text(_: &str) {}
//! fn pass(key: keyward::ApiKey) {
//!     takes_text(&key);
//! }
//! ```
//!
//! It cannot be serialized, though its fingerprint can:
//!
//! ```
//! fn write(key: keyward::ApiKey) {
//!     let _ = serde_json::to_string(&key.fingerprint().to_string());
//! }
//! ```
//!
//! ```compile_fail,E0277
//! fn write(key: keyward::ApiKey) {
//!     let _ = serde_json::to_string(&key);
//! }
//! ```
//!
//! It cannot be compared with a text, which would take less time the sooner they differ:
//!
//! ```
//! fn compare(key: keyward::ApiKey, other: keyward::ApiKey) {
//!     let _ = key == other;
//! }
//! ```
//!
//! ```compile_fail,E0308
//! fn compare(key: keyward::ApiKey) {
//!     let _ = key == "x";
//! }
//! ```
//!
//! There is no default key, and none can be made from a literal, which would be a key in the source
//! code:
//!
//! ```
//! let _ = keyward::ApiKey::parse(String::from("x"));
//! ```
//!
//! ```compile_fail,E0277
//! let _ = keyward::ApiKey::parse("x");
//! ```
//!
//! ```compile_fail,E0599
//! let _ = keyward::ApiKey::default();
//! ```
//!
//! A project key cannot be made without a policy:
//!
//! ```
//! fn narrow(key: keyward::ApiKey) {
//!     let at = keyward::AdmitContext::at(keyward::Timestamp::from_unix_seconds(0));
//!     let admitted = keyward::KeyPolicy::standard().admit(&key, &at);
//!     let _ = admitted.map(|admitted| admitted.into_project_key());
//! }
//! ```
//!
//! ```compile_fail,E0451
//! fn narrow(key: keyward::ApiKey) {
//!     let _ = keyward::ProjectKey { key, expires_at: None };
//! }
//! ```

/// An admin key cannot authorize a model request:
///
/// ```
/// fn authorize(key: &keyward::ProjectKey, request: &mut http::Request<()>) {
///     let authorizer = keyward::authorize::Authorizer::new(keyward::KeyPolicy::standard());
///     let _ = authorizer.authorize(key, request);
/// }
/// ```
///
/// ```compile_fail,E0308
/// fn authorize(key: &keyward::AdminKey, request: &mut http::Request<()>) {
///     let authorizer = keyward::authorize::Authorizer::new(keyward::KeyPolicy::standard());
///     let _ = authorizer.authorize(key, request);
/// }
/// ```
#[cfg(feature = "http")]
mod authorizing {}
