//! No key in what a rotation writes, tells or logs.
