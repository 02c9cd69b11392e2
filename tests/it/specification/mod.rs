//! The client held to the published specification: what it sends, and what it makes of answers.
//!
//! The specification is not part of the project: `KEYWARD_FACTS` names a directory in which
//! `admin-openapi.json` and `admin-delta-2026-11.json` are, for the tests of the feature
//! `specification`. Without it these are skipped, and say so.

mod calls;
#[cfg(feature = "specification")]
mod document;
#[cfg(feature = "specification")]
mod drift;
#[cfg(feature = "specification")]
mod instances;
#[cfg(feature = "specification")]
mod mutants;
mod published;
#[cfg(feature = "specification")]
mod requests;
mod server;
