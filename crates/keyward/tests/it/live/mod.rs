//! The handle that a service holds for its life.

#[cfg(all(feature = "prompt", target_os = "linux"))]
pub(crate) use self::fixture::print_of;

mod bounds;
mod files;
pub(crate) mod fixture;
pub(crate) mod leaks;
#[cfg(feature = "metrics")]
mod metrics;
mod refresh;
mod rejected;
mod schedules;
mod sources;
mod task;
