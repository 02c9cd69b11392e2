//! The tests of the crate's public face, in one binary.

#![allow(
    missing_docs,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests: a print tells the case that failed"
)]

#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "azure")]
mod azure;
mod fixture;
#[cfg(feature = "google")]
mod google;
#[cfg(target_os = "linux")]
mod hung;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(feature = "pkcs11")]
mod pkcs11;
#[cfg(any(
    feature = "aws",
    feature = "azure",
    feature = "google",
    feature = "pkcs11",
    feature = "vault"
))]
mod references;
mod seal;
#[cfg(any(feature = "aws", feature = "azure", feature = "google", feature = "vault"))]
mod service;
#[cfg(feature = "vault")]
mod vault;

/// It tells `memory::freed` of each block that is freed, and nobody else of anything.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tracking_allocator::Allocator<std::alloc::System> =
    tracking_allocator::Allocator::system();
