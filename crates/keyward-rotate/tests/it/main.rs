//! Rotation against the fake organization, over HTTP.

mod admin;
mod fixture;
mod leaks;
mod rotation;
mod sweeping;
