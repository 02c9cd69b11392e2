//! [`Image`]: what is searched, piece by piece.

use std::fs::{self, File};
use std::ops::{ControlFlow, Range};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Mutex;

use zeroize::Zeroizing;

/// Memory that can be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Image {
    /// A core dump, or whatever else is a file.
    File(PathBuf),
    /// This process's own.
    Own,
    /// That of a process of the same user, which had better be stopped.
    Process(u32),
}

/// A piece of it.
pub(crate) struct Chunk<'a> {
    /// Its address, or where it stands in the file.
    pub(crate) at: u64,
    pub(crate) bytes: &'a [u8],
    /// How much of it is not shown again in the next chunk.
    pub(crate) own: usize,
}

const PAGE: u64 = 4096;

static SEARCHING: Mutex<()> = Mutex::new(());

impl Image {
    /// Shows it in chunks that overlap by so much. What was read is wiped.
    ///
    /// Of a process it is all that is writable or belongs to no file: what a file is mapped to
    /// read-only is not the process's own.
    pub(crate) fn walk(&self, overlap: usize, mut look: impl FnMut(Chunk<'_>) -> ControlFlow<()>) {
        // A search copies what it finds: one at a time, and each wipes its copy.
        let _alone = SEARCHING.lock();
        let mut room = Zeroizing::new(vec![0; 1 << 20]);
        let itself = match self {
            Self::Own => room.as_ptr().addr() as u64..(room.as_ptr().addr() + room.len()) as u64,
            Self::File(_) | Self::Process(_) => 0..0,
        };
        let (memory, ranges) = match self {
            Self::File(path) => {
                let file = File::open(path).unwrap();
                let end = file.metadata().unwrap().len();
                (file, std::iter::once(0..end).collect())
            }
            Self::Own => mapped("self"),
            Self::Process(id) => mapped(&id.to_string()),
        };
        for range in ranges {
            let mut at = range.start;
            while at < range.end {
                // The room holds what was read just before.
                if itself.contains(&at) {
                    at = itself.end;
                    continue;
                }
                let end = if at < itself.start { range.end.min(itself.start) } else { range.end };
                let want = (room.len() as u64).min(end - at) as usize;
                let Ok(got @ 1..) = memory.read_at(&mut room[..want], at) else {
                    // Another thread gave it back, or nobody may read it.
                    at = (at / PAGE + 1) * PAGE;
                    continue;
                };
                let is_last = at + got as u64 >= end;
                let own = if is_last { got } else { got.saturating_sub(overlap).max(1) };
                if look(Chunk { at, bytes: &room[..got], own }).is_break() {
                    return;
                }
                at += own as u64;
            }
        }
    }
}

/// A process's memory, and what of it is its own.
fn mapped(process: &str) -> (File, Vec<Range<u64>>) {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let ranges = maps.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (range, rights) = (fields.next()?, fields.next()?);
        let (_offset, _device, inode) = (fields.next()?, fields.next()?, fields.next()?);
        let name = fields.next().unwrap_or_default();
        let is_own = rights.starts_with("rw") || rights.starts_with('r') && inode == "0";
        if !is_own || name.starts_with("[v") {
            return None;
        }
        let (start, end) = range.split_once('-')?;
        Some(u64::from_str_radix(start, 16).ok()?..u64::from_str_radix(end, 16).ok()?)
    });
    (File::open(format!("/proc/{process}/mem")).unwrap(), ranges.collect())
}
