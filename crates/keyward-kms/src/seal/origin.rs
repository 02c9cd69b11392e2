//! [`Origin`]: where a sealed text lies. It is not secret, so nothing is asked of the file.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keyward::{FileLoader, KeyLoader as _, SourceSignature};
use tokio::sync::Semaphore;

use super::SealedKey;
use crate::{Error, ErrorKind, deadline, place};

/// How many reads of a file may hang at once, for a loader and its clones. Whoever gives up waiting
/// for a file system that hangs leaves a thread behind in it, and asks again later.
#[derive(Clone, Debug)]
pub(super) struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(4)))
    }
}

/// Where a sealed text lies: in memory, or in a file that is read at each load.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    Bytes(Arc<[u8]>),
    /// What hangs is counted: of reads by the turns, of looks by the one loader that makes them all.
    File {
        path: PathBuf,
        reads: Turns,
        looks: FileLoader,
    },
}

impl Origin {
    pub(super) fn file(path: PathBuf) -> Self {
        let looks = FileLoader::mounted_secret(&path);
        Self::File { path, reads: Turns::default(), looks }
    }

    pub(super) async fn read(&self) -> Result<Arc<[u8]>, Error> {
        let (path, Turns(turns)) = match self {
            Self::Bytes(bytes) => return Ok(bytes.clone()),
            Self::File { path, reads, .. } => (path.clone(), reads.clone()),
        };
        let runtime = deadline::runtime()?;
        let stopped = || failed(&io::Error::other("stopped"));
        let turn = turns.acquire_owned().await.map_err(|_| stopped())?;
        let read = runtime.spawn_blocking(move || {
            // Until the read ends, which is not when somebody stops waiting for it.
            let _turn = turn;
            read(&path)
        });
        read.await.unwrap_or_else(|_| Err(stopped())).map(Into::into)
    }

    /// What the file looks like from outside; nothing for what lies in memory and cannot change.
    pub(super) async fn signature(&self) -> Option<SourceSignature> {
        match self {
            Self::Bytes(_) => None,
            Self::File { looks, .. } => looks.signature().await,
        }
    }

    /// How it is shown.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Bytes(_) => "(in memory)".to_owned(),
            Self::File { path, .. } => place::shown(&path.to_string_lossy()),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    // Looked at first, because opening a pipe waits for its other end.
    let metadata = std::fs::metadata(path).map_err(|error| {
        // Not the same as no file: a chain must stop at a mount that has lost what it leads to.
        let is_link = error.kind() == io::ErrorKind::NotFound && path.is_symlink();
        if is_link { dangling() } else { failed(&error) }
    })?;
    if !metadata.is_file() {
        return Err(failed(&io::ErrorKind::InvalidInput.into()));
    }
    let mut bytes = Vec::new();
    let most = SealedKey::MAX_LEN as u64;
    File::open(path)
        .and_then(|file| file.take(most + 1).read_to_end(&mut bytes))
        .map_err(|error| failed(&error))?;
    if bytes.len() as u64 > most {
        return Err(failed(&io::ErrorKind::FileTooLarge.into()));
    }
    Ok(bytes)
}

fn dangling() -> Error {
    Error::new(
        ErrorKind::Unexpected,
        "a link that leads to nothing",
        "put the sealed key where it leads, or correct the link",
    )
}

fn failed(error: &io::Error) -> Error {
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
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Origin;

    /// A read that hangs has its turn until it ends, whoever has stopped waiting for it.
    #[test]
    fn no_more_reads_are_begun_than_may_hang() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let origin = Origin::file("/nowhere".into());
        let Origin::File { reads: turns, .. } = &origin else { panic!("it is a file") };
        runtime.block_on(async {
            let hanging = turns.0.clone().acquire_many_owned(4).await.unwrap();
            let waited = tokio::time::timeout(Duration::from_millis(50), origin.read()).await;
            assert!(waited.is_err(), "a fifth read was begun");
            drop(hanging);
            assert!(origin.clone().read().await.unwrap_err().is_not_found());
            // Each gives its turn back.
            assert_eq!(turns.0.available_permits(), 4);
        });
    }
}
