//! A simulation: the real machine, the real driver and the real store and journal code, over an
//! organization in memory and a clock of its own, with things that go wrong at any moment. Every
//! claim of the crate's documentation about crashes is held here.

mod due;
mod exhaustive;
mod leak;
mod lives;
mod mutants;
mod organization;
mod outside;
mod random;
mod roll_back;
mod scenario;
mod world;
