//! CRC32C as Google has it beside what it keeps: a number of 32 bits in one of 64.

use super::error::incomplete;
use crate::{Error, ErrorKind};

/// What goes with these bytes.
pub(super) fn of(bytes: &[u8]) -> i64 {
    i64::from(crc32c::crc32c(bytes))
}

/// Whether these bytes are those that were sent. Google says with each what goes with it.
pub(super) fn check(bytes: &[u8], sent: Option<i64>) -> Result<(), Error> {
    if sent.ok_or_else(incomplete)? == of(bytes) { Ok(()) } else { Err(damaged()) }
}

/// What came is not what was sent.
pub(super) fn damaged() -> Error {
    Error::new(
        ErrorKind::Unreachable,
        "what was sent was damaged on the way, as its checksum says",
        "try again",
    )
}

#[cfg(test)]
mod tests {
    use super::{check, of};

    /// The check value of CRC-32/ISCSI, from the catalogue of parametrised CRC algorithms.
    #[test]
    fn it_is_the_crc_of_castagnoli() {
        assert_eq!(of(b"123456789"), 0xe306_9283);
        assert!(check(b"123456789", Some(0xe306_9283)).is_ok());
        for wrong in [None, Some(0), Some(-1), Some(0x1_e306_9283)] {
            assert!(check(b"123456789", wrong).is_err(), "{wrong:?}");
        }
    }
}
