//! What the crates promise together, on the fake organization and as processes.

#![allow(clippy::unwrap_used, reason = "tests: what they call has no other way to fail")]

mod admin_audit_export;
mod admin_drift;
mod admin_errors;
mod admin_fan_out;
mod admin_guards;
mod admin_mint;
mod admin_operations;
mod admin_pages;
mod admin_raw;
#[cfg(all(feature = "leaks", target_os = "linux"))]
mod admin_wire;
mod authorize;
mod client_secret;
mod examples;
mod fixture;
#[cfg(feature = "frameworks")]
mod frameworks;
#[cfg(all(feature = "leaks", target_os = "linux"))]
mod leak_matrix;
mod live_examples;
mod live_stores;
#[cfg(all(feature = "leaks", target_os = "linux"))]
mod memory_table;
mod rotate;
#[cfg(all(feature = "leaks", target_os = "linux"))]
#[path = "../memory/search.rs"]
mod search;
#[cfg(any(feature = "clouds", feature = "leaks"))]
#[path = "../servers/find.rs"]
mod servers;
mod specification;
mod under_load;
mod workload_identity;
