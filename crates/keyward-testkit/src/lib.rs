//! Test doubles and leak assertions for code that handles OpenAI API keys.

mod base64;
mod canary;
pub mod keys;
pub mod leak;
mod pattern;

pub use canary::{CANARY, Canary};
