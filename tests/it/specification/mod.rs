//! The client held to the published specification: what it sends, and what it makes of answers.
//!
//! The specification is not part of the project: `KEYWARD_FACTS` names a directory in which
//! `admin-openapi.json` and `admin-delta-2026-11.json` are. Without it these tests are skipped,
//! and say so.

mod calls;
mod document;
mod drift;
mod instances;
mod mutants;
mod published;
mod requests;
mod server;
