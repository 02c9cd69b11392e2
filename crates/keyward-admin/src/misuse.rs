//! What must not compile does not; each mistake beside the same code without it.
//!
//! These are documentation tests and not trybuild's, which would build the HTTP and TLS stack a
//! second time for each `cargo test`.
//!
//! A project key, or a key that no policy has admitted, cannot enter the client:
//!
//! ```
//! fn client(key: keyward_core::AdminKey) {
//!     let _ = keyward_admin::Client::new(key);
//! }
//! ```
//!
//! ```compile_fail,E0308
//! fn client(key: keyward_core::ProjectKey) {
//!     let _ = keyward_admin::Client::new(key);
//! }
//! ```
//!
//! ```compile_fail,E0308
//! fn client(key: keyward_core::ApiKey) {
//!     let _ = keyward_admin::Client::new(key);
//! }
//! ```
//!
//! A user's id cannot be passed for a project's:
//!
//! ```
//! fn project(client: &keyward_admin::Client, id: keyward_admin::ProjectId) {
//!     let _ = client.project(id);
//! }
//! ```
//!
//! ```compile_fail,E0277
//! fn project(client: &keyward_admin::Client, id: keyward_admin::UserId) {
//!     let _ = client.project(id);
//! }
//! ```
//!
//! "No scopes", which the API takes for all of them, cannot be said:
//!
//! ```
//! let _ = keyward_admin::Scopes::only("api.responses.write");
//! ```
//!
//! ```compile_fail,E0308
//! let _ = keyward_admin::Scopes::Only(Vec::<keyward_admin::Scope>::new());
//! ```
