//! The handle that a service holds for its life.

mod fixture;
