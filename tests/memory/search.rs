//! A search of memory for a key: of this process's own, of another's, and of a core dump. A file
//! that test binaries of several crates take in by its path, so that no crate is made for it.
//!
//! A freed block keeps what it held until it is used again, so a copy that somebody forgot to wipe
//! is found here. Whoever searches never holds the key in one piece but where it says so.

#![allow(dead_code, reason = "not every binary that takes this file in needs all of it")]

use std::ops::ControlFlow;

use keyward_testkit::keys::KeyRng;

pub(crate) use self::forms::Copies;
use self::forms::Forms;
pub(crate) use self::image::Image;

mod forms;
mod image;

pub(crate) const MASK: u8 = 0xa5;

const PAGE: usize = 4096;
static ZEROS: [u8; PAGE] = [0; PAGE];

/// What stands before the random part, which is no secret.
const PREFIX: &str = "sk-svcacct-";

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

    /// What of it stands in this process's memory, in whatever form.
    pub(crate) fn traces(&self) -> Copies {
        self.traces_in(&Image::Own)
    }

    /// The same, with pieces from 16 bytes on, which is what a vector register of any x86-64 and
    /// AArch64 holds.
    pub(crate) fn traces_of_registers(&self) -> Copies {
        Self::walk(Forms::with_pieces(self, 16), &Image::Own)
    }

    /// What of it stands in another image.
    pub(crate) fn traces_in(&self, image: &Image) -> Copies {
        Self::walk(Forms::of(self), image)
    }

    fn walk(mut forms: Forms, image: &Image) -> Copies {
        image.walk(forms.longest(), |chunk| {
            forms.look(chunk.at, chunk.bytes);
            ControlFlow::Continue(())
        });
        forms.count()
    }

    /// What of it stands in bytes at hand.
    pub(crate) fn traces_in_bytes(&self, bytes: &[u8]) -> Copies {
        let mut forms = Forms::of(self);
        forms.look(0, bytes);
        forms.count()
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
    Image::Own.walk(overlap, |chunk| {
        copies += count(&chunk.bytes[..chunk.bytes.len().min(chunk.own + overlap)], needle);
        if copies >= enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    copies
}

fn count(haystack: &[u8], masked: &[u8]) -> usize {
    let first = masked[0] ^ MASK;
    let mut count = 0;
    for (page, content) in haystack.chunks(PAGE).enumerate() {
        // Most of memory is that.
        if *content == ZEROS[..content.len()] {
            continue;
        }
        for at in memchr::memchr_iter(first, content) {
            let rest = &haystack[page * PAGE + at..];
            if rest.len() >= masked.len() && rest.iter().zip(masked).all(|(a, b)| *a == b ^ MASK) {
                count += 1;
            }
        }
    }
    count
}
