//! Rotations from end to end: the example `rotate` as a process, killed and in trouble, and the
//! library under a service that never stops.

mod admin;
mod cases;
mod clock;
mod gate;
mod kill;
mod load;
mod place;
mod storms;
mod watch;
mod world;
