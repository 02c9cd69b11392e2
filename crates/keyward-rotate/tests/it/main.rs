//! Rotation against the fake organization, over HTTP.

mod admin;
mod daemon;
mod fixture;
mod leaked;
mod leaks;
mod rotation;
mod sweeping;
mod tampered;
