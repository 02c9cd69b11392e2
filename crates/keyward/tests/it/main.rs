//! The tests of the crate's public face, in one binary.

#![allow(
    missing_docs,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests: a print tells the case that failed"
)]

#[cfg(all(any(feature = "memfd-secret", feature = "wire"), target_os = "linux"))]
mod alone;
#[cfg(feature = "http")]
mod authorize;
mod chain;
#[cfg(target_os = "linux")]
mod command;
mod env;
mod file;
mod fixture;
#[cfg(target_os = "linux")]
mod hung;
#[cfg(all(feature = "keychain", target_os = "linux"))]
mod keychain;
mod live;
#[cfg(target_os = "linux")]
mod memory;
mod patience;
#[cfg(all(feature = "prompt", target_os = "linux"))]
mod prompt;
mod redact;
mod reference;
#[cfg(all(feature = "keychain", target_os = "linux"))]
#[path = "../../../../tests/servers/find.rs"]
mod servers;
mod shadowed;
#[cfg(all(feature = "conformance", feature = "sealed"))]
mod store;
#[cfg(feature = "wire")]
mod wire;
#[cfg(feature = "workload-identity")]
mod workload_identity;

/// It tells `memory::freed` of each block that is freed, and nobody else of anything.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tracking_allocator::Allocator<std::alloc::System> =
    tracking_allocator::Allocator::system();
