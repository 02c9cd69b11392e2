//! Wiping a variable's value in the environment block: the memory in which the kernel gave the
//! process its variables, which `/proc/PID/environ` shows for as long as the process lives.
//!
//! The process writes to itself by `/proc/self/mem`, which needs no `unsafe` and answers to the
//! same question: why is it sound? The block lies above the stack, where neither the allocator nor
//! the compiler puts anything, and the kernel tells where. Only bytes of a value that stands there
//! behind its name are written, and only zeros. No reference to them is held but by a `getenv`, of
//! the standard library or of C, that runs at that very moment; it sees a text that ends, at the
//! latest, where it ended before.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;

use zeroize::Zeroizing;

/// More than Linux hands to a program, unless its stack is unlimited.
const MOST: u64 = 64 << 20;

/// Wipes the values that stand behind this name, and tells how many there were.
pub(crate) fn wipe(name: &OsStr) -> io::Result<usize> {
    let range = range()?;
    let memory = File::options().read(true).write(true).open("/proc/self/mem")?;
    let mut block = Zeroizing::new(vec![0; (range.end - range.start) as usize]);
    memory.read_exact_at(&mut block, range.start)?;
    let mut wiped = 0;
    for value in values(&block, name.as_bytes()) {
        let at = range.start + value.start as u64;
        let mut left = Zeroizing::new(vec![0; value.len()]);
        memory.write_all_at(&left, at)?;
        memory.read_exact_at(&mut left, at)?;
        if left.iter().any(|byte| *byte != 0) {
            return Err(io::Error::other("it is written to and does not change"));
        }
        wiped += 1;
    }
    Ok(wiped)
}

/// Where the values stand, in a block of `name=value` with a NUL behind each.
fn values<'a>(block: &'a [u8], name: &'a [u8]) -> impl Iterator<Item = Range<usize>> + use<'a> {
    let mut end = 0;
    block.split(|byte| *byte == 0).filter_map(move |entry| {
        let start = end;
        end = start + entry.len() + 1;
        let value = entry.strip_prefix(name)?.strip_prefix(b"=")?;
        (!value.is_empty()).then(|| start + entry.len() - value.len()..start + entry.len())
    })
}

/// Where the block is, as the kernel says: `env_start` and `env_end`, the fields 50 and 51 of
/// [`proc_pid_stat(5)`](https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html).
fn range() -> io::Result<Range<u64>> {
    let stat = fs::read("/proc/self/stat")?;
    range_in(&stat).ok_or_else(|| io::Error::other("/proc/self/stat does not say where it is"))
}

fn range_in(stat: &[u8]) -> Option<Range<u64>> {
    // The program's name, the second field, may have anything in it.
    let behind_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let fields = str::from_utf8(&stat[behind_name..]).ok()?;
    let mut fields = fields.split_ascii_whitespace().skip(50 - 3);
    let start = fields.next()?.parse().ok()?;
    let end = fields.next()?.parse().ok()?;
    (start != 0 && start <= end && end - start <= MOST).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::{range_in, values};

    #[test]
    fn values_are_found_behind_their_whole_name() {
        let block = b"KEY=one\0MY_KEY=no\0KEY_FILE=no\0KEY=\0key=no\0A=KEY=no\0KEY=two=2\0KEY\0";
        let found: Vec<_> = values(block, b"KEY").map(|range| &block[range]).collect();
        assert_eq!(found, [&b"one"[..], b"two=2"]);
        assert_eq!(values(b"", b"KEY").count(), 0);
        assert_eq!(values(b"KEY=cut off", b"KEY").next(), Some(4..11));
    }

    #[test]
    fn the_range_is_read_or_is_none() {
        let zeros = |count: usize| "0 ".repeat(count);
        let stat = |rest: &str| format!("7 (a) b) S {}{rest}", zeros(46)).into_bytes();
        assert_eq!(range_in(&stat("4096 8192 0\n")), Some(4096..8192));
        assert_eq!(range_in(&stat("8192 4096 0\n")), None);
        assert_eq!(range_in(&stat("0 0 0\n")), None);
        assert_eq!(range_in(&stat("4096 18446744073709551615 0\n")), None);
        assert_eq!(range_in(&stat("4096")), None);
        assert_eq!(range_in(b""), None);
    }
}
