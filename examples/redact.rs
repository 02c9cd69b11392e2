//! Copies standard input to standard output, with the keys in it masked.
//!
//! ```sh
//! my-service 2>&1 | cargo run --example redact
//! ```
//!
//! A key is replaced by its kind and fingerprint: `[openai project key 9c4f0a1b2c3d4e5f]`. Bytes
//! that are no text pass as they are. What comes goes out at once, but for the last word of a line
//! that is not finished.

#![allow(clippy::print_stderr, reason = "a program")]

use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;

use keyward::redact::Redactor;

fn main() -> ExitCode {
    match redact() {
        Ok(()) => ExitCode::SUCCESS,
        // Nobody reads on: `redact | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", error.kind());
            ExitCode::FAILURE
        }
    }
}

fn redact() -> io::Result<()> {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut redactor = Redactor::new();
    let (mut bytes, mut out) = (vec![0; 64 * 1024], Vec::new());
    loop {
        let read = match input.read(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read,
        };
        match read {
            // What is held back goes out, also where nothing more can be read.
            Ok(0) | Err(_) => redactor.finish(&mut out),
            Ok(read) => redactor.push(&bytes[..read], &mut out),
        }
        output.write_all(&out)?;
        output.flush()?;
        out.clear();
        if read? == 0 {
            return Ok(());
        }
    }
}
