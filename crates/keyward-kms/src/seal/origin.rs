//! [`Origin`]: where a sealed text lies. It is not secret, so nothing is asked of the file.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::SealedKey;
use crate::{Error, ErrorKind, place};

/// Where a sealed text lies: in memory, or in a file that is read at each load.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    Bytes(Arc<[u8]>),
    File(PathBuf),
}

impl Origin {
    pub(super) async fn read(&self) -> Result<Arc<[u8]>, Error> {
        let path = match self {
            Self::Bytes(bytes) => return Ok(bytes.clone()),
            Self::File(path) => path.clone(),
        };
        // A deadline needs a runtime anyway.
        let read = tokio::task::spawn_blocking(move || read(&path)).await;
        read.unwrap_or_else(|_| Err(io::Error::other("stopped"))).map(Into::into).map_err(|error| {
            let (kind, what, fix) = match error.kind() {
                io::ErrorKind::NotFound => {
                    (ErrorKind::NotFound, "no such file".into(), "create it, or correct the path")
                }
                io::ErrorKind::FileTooLarge => (
                    ErrorKind::TooLarge,
                    format!("larger than {} KiB", SealedKey::MAX_LEN / 1024),
                    "put the sealed key there, and nothing else",
                ),
                kind => (
                    ErrorKind::Unexpected,
                    format!("cannot be read: {kind}"),
                    "check the path, and who may read it",
                ),
            };
            Error::new(kind, what, fix)
        })
    }

    /// How it is shown.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Bytes(_) => "(in memory)".to_owned(),
            Self::File(path) => place::shown(&path.to_string_lossy()),
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Looked at first, because opening a pipe waits for its other end.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"));
    }
    let mut bytes = Vec::new();
    let most = SealedKey::MAX_LEN as u64;
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}
