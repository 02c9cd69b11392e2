//! Sweeps: what is found, and what is not touched.
