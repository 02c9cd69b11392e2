//! Rotation against the fake organization, over HTTP.

mod fixture;
mod leaks;
mod rotation;
mod sweeping;
