//! Reading a file that may hold a key, as a whole and no more than is allowed.

use std::fs::File;
use std::io::{self, Read as _};

use zeroize::Zeroizing;

/// Reads all of a file, or nothing when it is larger than `most` bytes.
///
/// What a buffer leaves behind when it grows is not wiped, so this one never does: it has the size
/// of the file, and one byte more for its end. A file that has grown since goes on in a buffer of
/// all that is allowed, and the first one is wiped.
pub(crate) fn read_bounded(mut file: &File, most: usize) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let len = usize::try_from(file.metadata()?.len()).unwrap_or(most).min(most);
    let mut buffer = Zeroizing::new(vec![0; len + 1]);
    let mut read = 0;
    loop {
        if read > most {
            return Ok(None);
        }
        if read == buffer.len() {
            let mut all = Zeroizing::new(vec![0; most + 1]);
            all[..read].copy_from_slice(&buffer);
            buffer = all;
        }
        match file.read(&mut buffer[read..]) {
            Ok(0) => {
                buffer.truncate(read);
                return Ok(Some(buffer));
            }
            Ok(n) => read += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 1000;

    #[test]
    fn a_file_is_read_as_a_whole_up_to_the_most() {
        for len in [0, 1, MOST - 1, MOST, MOST + 1, 3 * MOST] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("key");
            std::fs::write(&path, vec![b'a'; len]).unwrap();
            let read = read_bounded(&File::open(path).unwrap(), MOST).unwrap();
            assert_eq!(read.is_some(), len <= MOST, "{len}");
            if let Some(buffer) = read {
                assert_eq!(*buffer, vec![b'a'; len]);
                assert_eq!(buffer.capacity(), len + 1, "the buffer moved");
            }
        }
    }

    /// The kernel's own files say that they are empty, and so are read as one that has grown is.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_grows_while_it_is_read_is_still_bounded() {
        let file = || File::open("/proc/self/stat").unwrap();
        assert_eq!(file().metadata().unwrap().len(), 0);
        let read = read_bounded(&file(), 64 * 1024).unwrap().expect("it is small");
        assert!(read.len() > 100 && read.ends_with(b"\n"), "{}", read.len());
        assert_eq!(read.capacity(), 64 * 1024 + 1, "the buffer moved");
        assert!(read_bounded(&file(), 20).unwrap().is_none());
    }
}
