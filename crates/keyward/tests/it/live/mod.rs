//! The handle that a service holds for its life.

mod bounds;
mod files;
mod fixture;
mod leaks;
#[cfg(feature = "metrics")]
mod metrics;
mod refresh;
mod rejected;
mod schedules;
mod sources;
mod task;
