//! A search of the process's own memory for a key. A file that test binaries of several crates take
//! in by its path, so that no crate is made for it.
//!
//! A freed block keeps what it held until it is used again, so a copy that somebody forgot to wipe
//! is found here. Whoever searches never holds the key in one piece but where it says so.

#![allow(dead_code, reason = "not every binary that takes this file in needs all of it")]

use std::fs::{self, File};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt as _;
use std::sync::Mutex;

use keyward_testkit::keys::KeyRng;
use zeroize::Zeroizing;

pub(crate) const MASK: u8 = 0xa5;

/// The smallest that any machine has.
const PAGE: u64 = 4096;

/// What stands before the random part, which is no secret.
const PREFIX: &str = "sk-svcacct-";

static SEARCHING: Mutex<()> = Mutex::new(());

/// A key that is kept masked, so that the search does not find what it searches for.
pub(crate) struct Masked(Vec<u8>);

impl Masked {
    /// One that nobody has had before.
    pub(crate) fn new() -> Self {
        Self::drawn(PREFIX, &mut KeyRng::from_entropy())
    }

    /// The one of this seed, in whatever process.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self::drawn(PREFIX, &mut KeyRng::seeded(seed))
    }

    /// One of another form.
    pub(crate) fn with_prefix(prefix: &str) -> Self {
        Self::drawn(prefix, &mut KeyRng::from_entropy())
    }

    fn drawn(prefix: &str, rng: &mut KeyRng) -> Self {
        let mut masked: Vec<u8> = prefix.bytes().map(|b| b ^ MASK).collect();
        masked.extend((0..120).map(|_| rng.alphanumeric(1).as_bytes()[0] ^ MASK));
        Self(masked)
    }

    /// One that is masked already.
    pub(crate) fn of_masked(masked: Vec<u8>) -> Self {
        Self(masked)
    }

    /// The same key once more, as masked.
    pub(crate) fn again(&self) -> Self {
        Self(self.0.clone())
    }

    /// The key as it is kept.
    pub(crate) fn masked(&self) -> &[u8] {
        &self.0
    }

    /// The key, byte by byte.
    pub(crate) fn bytes(&self) -> impl Iterator<Item = u8> {
        self.0.iter().map(|byte| byte ^ MASK)
    }

    /// The key in one allocation of exactly its size.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len());
        bytes.extend(self.bytes());
        bytes
    }

    /// A good piece of the random part, masked: where it stands, most of the key does.
    pub(crate) fn needle(&self) -> &[u8] {
        &self.0[self.0.len() - 91..][..32]
    }

    /// How often that piece stands in these bytes.
    pub(crate) fn count_in(&self, bytes: &[u8]) -> usize {
        count(bytes, self.needle())
    }

    /// Whether it stands anywhere in writable memory.
    pub(crate) fn is_in_memory(&self) -> bool {
        search(self.needle(), 1) > 0
    }

    /// How often it stands in writable memory.
    pub(crate) fn copies(&self) -> usize {
        copies_of(self.needle())
    }
}

/// How often what is masked here stands in writable memory.
pub(crate) fn copies_of(needle: &[u8]) -> usize {
    search(needle, usize::MAX)
}

/// The same, and no further than to so many.
fn search(needle: &[u8], enough: usize) -> usize {
    let overlap = needle.len() - 1;
    let mut copies = 0;
    walk(overlap, |chunk, own| {
        copies += count(&chunk[..chunk.len().min(own + overlap)], needle);
        if copies >= enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    copies
}

/// Shows the writable memory of this process, in chunks that overlap by `overlap` bytes; the
/// second argument is where the overlap begins. What was read is wiped.
pub(crate) fn walk(overlap: usize, mut look: impl FnMut(&[u8], usize) -> ControlFlow<()>) {
    // A search copies what it finds: one at a time, and each wipes its copy.
    let _alone = SEARCHING.lock();
    let memory = File::open("/proc/self/mem").unwrap();
    let mut chunk = Zeroizing::new(vec![0; 1 << 20]);
    let itself = chunk.as_ptr().addr() as u64..(chunk.as_ptr().addr() + chunk.len()) as u64;
    for line in fs::read_to_string("/proc/self/maps").unwrap().lines() {
        let mut fields = line.split(' ');
        let (range, rights) = (fields.next().unwrap(), fields.next().unwrap());
        if !rights.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let mut at = u64::from_str_radix(start, 16).unwrap();
        let end = u64::from_str_radix(end, 16).unwrap();
        while at < end {
            // The chunk holds what was read just before.
            if itself.contains(&at) {
                at = itself.end;
                continue;
            }
            let end = if at < itself.start { end.min(itself.start) } else { end };
            let want = chunk.len().min((end - at) as usize);
            let Ok(got) = memory.read_at(&mut chunk[..want], at) else {
                // Another thread gave it back, or nobody reads it; what stands behind it may be of
                // others, whose pages the kernel tells of together.
                at = (at / PAGE + 1) * PAGE;
                continue;
            };
            let is_last = at + got as u64 >= end;
            let own = if is_last { got } else { got.saturating_sub(overlap).max(1) };
            if look(&chunk[..got], own).is_break() {
                return;
            }
            at += own as u64;
        }
    }
}

fn count(haystack: &[u8], masked: &[u8]) -> usize {
    let first = masked[0] ^ MASK;
    let mut count = 0;
    let mut rest = haystack;
    while let Some(at) = rest.iter().position(|byte| *byte == first) {
        rest = &rest[at..];
        if rest.len() >= masked.len() && rest.iter().zip(masked).all(|(a, b)| *a == b ^ MASK) {
            count += 1;
        }
        rest = &rest[1..];
    }
    count
}
