//! Counting what is left of a key: whole copies, pieces, and the form that HTTP/2 gives it.

use std::ops::ControlFlow;

use zeroize::Zeroizing;

use super::Masked;
use super::search::{MASK, walk};

#[path = "../../../src/wire/huffman.rs"]
mod huffman;

/// What of a key stands in writable memory.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Copies {
    pub(crate) whole: usize,
    /// Runs of at least 24 bytes that are no whole copy.
    pub(crate) pieces: usize,
    /// The same by the Huffman code of HTTP/2: runs of at least 16 bytes, which are about 20
    /// characters.
    pub(crate) coded: usize,
}

impl Masked {
    pub(crate) fn traces(&self) -> Copies {
        let coded: Vec<u8> = huffman::encode(&Zeroizing::new(self.to_bytes()))
            .iter()
            .map(|byte| byte ^ MASK)
            .collect();
        let [plain, coded] = [Needle::new(self.masked(), 24), Needle::new(&coded, 16)];
        let mut copies = Copies::default();
        walk(self.masked().len(), |chunk, own| {
            plain.runs(chunk, own, |len| match len == plain.masked.len() {
                true => copies.whole += 1,
                false => copies.pieces += 1,
            });
            coded.runs(chunk, own, |_| copies.coded += 1);
            ControlFlow::Continue(())
        });
        copies
    }
}

/// A masked text, of which runs of a length are looked for.
struct Needle<'a> {
    masked: &'a [u8],
    least: usize,
    /// By the first two bytes of each block of eight, unmasked: any run of 15 has a whole block.
    begins: Vec<bool>,
}

const BLOCK: usize = 8;

impl<'a> Needle<'a> {
    fn new(masked: &'a [u8], least: usize) -> Self {
        let mut begins = vec![false; 1 << 16];
        for block in masked.chunks_exact(BLOCK) {
            begins[usize::from(block[0] ^ MASK) << 8 | usize::from(block[1] ^ MASK)] = true;
        }
        Self { masked, least, begins }
    }

    /// Tells the length of each run that begins in the first `own` bytes.
    fn runs(&self, chunk: &[u8], own: usize, mut tell: impl FnMut(usize)) {
        let is = |at: usize, needle: usize| {
            chunk.get(at).zip(self.masked.get(needle)).is_some_and(|(a, b)| *a == b ^ MASK)
        };
        let mut at = 0;
        while at + BLOCK <= chunk.len() {
            if !self.begins[usize::from(chunk[at]) << 8 | usize::from(chunk[at + 1])] {
                at += 1;
                continue;
            }
            let block = (0..self.masked.len() / BLOCK)
                .map(|block| block * BLOCK)
                .find(|block| (0..BLOCK).all(|n| is(at + n, block + n)));
            let Some(block) = block else {
                at += 1;
                continue;
            };
            let before = (1..=block.min(at)).take_while(|n| is(at - n, block - n)).count();
            let after =
                (0..self.masked.len() - block).take_while(|n| is(at + n, block + n)).count();
            // What was skipped because it begins in the part of the next chunk is found there.
            if before + after >= self.least && at - before < own {
                tell(before + after);
            }
            at += after;
        }
    }
}

#[test]
fn copies_pieces_and_coded_ones_are_counted() {
    let key = Masked::new();
    let zero = Copies::default();
    assert_eq!(key.traces(), zero);
    let whole = Zeroizing::new(key.to_bytes());
    assert_eq!(key.traces(), Copies { whole: 1, ..zero });
    let piece = Zeroizing::new(key.bytes().skip(50).take(24).collect::<Vec<_>>());
    assert_eq!(key.traces(), Copies { whole: 1, pieces: 1, ..zero });
    let coded = huffman::encode(&whole);
    assert_eq!(key.traces(), Copies { whole: 1, pieces: 1, coded: 1 });
    drop((whole, piece, coded));
    assert_eq!(key.traces(), zero);
}
