//! Where keys can be at all: a pass over the text that costs about as much as one literal search.
//!
//! A key is a long run of letters, digits, `-` and `_`, in any form in which it is looked for: in
//! UTF-16 with zero bytes between, escaped with `%` or `\` between, and in base64 without any of
//! these. The text is seen in lanes of [`LANE`] bytes. A run of [`SHORTEST_RUN`] bytes fills at
//! least one lane, wherever it begins, so a lane that has another byte in it is passed over.

/// Bytes that are looked at together.
pub(super) const LANE: usize = 16;

/// The shortest run that surely fills a lane. No form of a key is shorter.
pub(super) const SHORTEST_RUN: usize = 2 * LANE - 1;

const BLOCK: usize = 64;
const LANES: usize = BLOCK / LANE;

/// Whether a byte can be part of a key or of its escaped, UTF-16 or base64 form.
pub(super) const fn is_token(byte: u8) -> bool {
    TOKEN[byte as usize]
}

static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric()
            || matches!(byte as u8, b'-' | b'_' | b'%' | b'\\' | 0);
        byte += 1;
    }
    table
};

/// What the processor can do, asked once.
#[derive(Clone, Copy)]
pub(super) struct Gate {
    #[cfg(feature = "simd")]
    level: fearless_simd::Level,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self {
            #[cfg(feature = "simd")]
            level: fearless_simd::Level::new(),
        }
    }

    /// The first run of at least [`SHORTEST_RUN`] bytes that ends after `from`, as long as it is.
    ///
    /// It begins no sooner than `from`.
    pub(super) fn next_run(self, text: &[u8], from: usize) -> Option<(usize, usize)> {
        let mut from = from;
        loop {
            let lane = self.next_lane(text, from)?;
            let end = (lane + LANE).min(text.len());
            // The wide comparison lets a few bytes pass that are in no run.
            if let Some(last) = text[lane..end].iter().rposition(|&b| !is_token(b)) {
                from = lane + last + 1;
                continue;
            }
            let start = lane - text[from..lane].iter().rev().take_while(|b| is_token(**b)).count();
            let end = end + text[end..].iter().take_while(|b| is_token(**b)).count();
            if end - start >= SHORTEST_RUN {
                return Some((start, end));
            }
            from = end;
        }
    }

    /// Where the first full lane at or after `from` begins.
    #[inline]
    fn next_lane(self, text: &[u8], from: usize) -> Option<usize> {
        let rest = text.get(from..)?;
        if rest.len() < SHORTEST_RUN {
            return None;
        }
        #[cfg(feature = "simd")]
        let found = fearless_simd::dispatch!(self.level, simd => wide::next_lane(simd, rest));
        #[cfg(not(feature = "simd"))]
        let found = scan(rest, plain::full_lanes);
        found.map(|at| from + at)
    }
}

/// Goes over the blocks of a text; the last one overlaps the one before it.
#[inline(always)]
fn scan(text: &[u8], full_lanes: impl Fn(&[u8; BLOCK]) -> u32) -> Option<usize> {
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    for (number, block) in blocks.iter().enumerate() {
        let full = full_lanes(block);
        if full != 0 {
            return Some(number * BLOCK + full.trailing_zeros() as usize * LANE);
        }
    }
    if rest.is_empty() {
        return None;
    }
    if let Some(last) = text.last_chunk::<BLOCK>() {
        let full = full_lanes(last);
        return (full != 0)
            .then(|| text.len() - BLOCK + full.trailing_zeros() as usize * LANE);
    }
    // Shorter than a block: two lanes at the least, the last of which may overlap.
    let mut padded = [b' '; BLOCK];
    padded[..rest.len()].copy_from_slice(rest);
    let full = full_lanes(&padded);
    if full != 0 {
        return Some(full.trailing_zeros() as usize * LANE);
    }
    None
}

#[cfg(feature = "simd")]
mod wide {
    use fearless_simd::prelude::*;
    use fearless_simd::{Simd, u8x64};

    use super::{BLOCK, LANES};

    #[inline(always)]
    pub(super) fn next_lane<S: Simd>(simd: S, text: &[u8]) -> Option<usize> {
        super::scan(text, |block| full_lanes(simd, block))
    }

    /// One bit for each lane that has nothing but token bytes, and some of `[]^{|}~` and DEL.
    #[inline(always)]
    fn full_lanes<S: Simd>(simd: S, block: &[u8; BLOCK]) -> u32 {
        let splat = |byte| u8x64::splat(simd, byte);
        let bytes = u8x64::simd_from(simd, *block);
        // `_` and `\` lie beside the letters, once the bit of lower case is set; `%` and `-`
        // differ in one bit.
        let letters = ((bytes | splat(0x20)) - splat(b'a')).simd_le(splat(0x7F - b'a'));
        let digits = (bytes - splat(b'0')).simd_le(splat(9));
        let signs = (bytes | splat(0x08)).simd_eq(splat(b'-'));
        let zeros = bytes.simd_eq(splat(0));
        let others = !(letters | digits | signs | zeros).to_bitmask();
        // A lane of sixteen bits that are all zero borrows from its highest bit.
        let full = others.wrapping_sub(0x0001_0001_0001_0001) & !others & 0x8000_8000_8000_8000;
        if full == 0 { 0 } else { lanes(others) }
    }

    #[cold]
    fn lanes(others: u64) -> u32 {
        (0..LANES).filter(|lane| (others >> (16 * lane)) & 0xFFFF == 0).map(|lane| 1 << lane).sum()
    }
}

#[cfg(not(feature = "simd"))]
mod plain {
    use super::{BLOCK, LANE, LANES};

    /// One bit for each lane that has nothing but token bytes, and some of `[]^{|}~` and DEL.
    #[inline(always)]
    pub(super) fn full_lanes(block: &[u8; BLOCK]) -> u32 {
        let mut full = 0;
        let mut lane = 0;
        while lane < LANES {
            // Without branches, so that the compiler compares sixteen bytes at a time.
            let is_full = block[lane * LANE..][..LANE].iter().fold(true, |all, &byte| {
                let letter = (byte | 0x20).wrapping_sub(b'a') <= 0x7F - b'a';
                let digit = byte.wrapping_sub(b'0') <= 9;
                let sign = byte | 0x08 == b'-';
                all & (letter | digit | sign | (byte == 0))
            });
            full |= u32::from(is_full) << lane;
            lane += 1;
        }
        full
    }
}
