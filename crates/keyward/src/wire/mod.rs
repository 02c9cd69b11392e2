//! Late injection: the HTTP stack never has the key; it is put in while rustls encrypts.

pub use self::error::{WireError, WireErrorKind};
pub use self::injector::Injector;

mod error;
mod gate;
mod http1;
mod http2;
mod huffman;
mod injector;
mod placeholder;
mod request;
mod suite;
mod table;

#[cfg(test)]
mod tests;
