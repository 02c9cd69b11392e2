//! Where keys can be at all: a pass over the text that costs about as much as one literal search.
//!
//! A key is a long run of letters, digits, `-` and `_`, in any form in which it is looked for: in
//! UTF-16 with zero bytes between, escaped with `%` or `\` between, and in base64 without any of
//! these. The text is seen in blocks of 64 bytes, as one bit for each byte, and these in lanes of
//! sixteen. A run of [`SHORTEST_RUN`] bytes fills a lane, wherever it begins. A run that is long
//! enough is then looked at for three letters of what keys begin with or have inside.

use super::signs::Signs;

/// The shortest run that surely fills a lane. No form of a key is shorter.
pub(super) const SHORTEST_RUN: usize = 31;

const BLOCK: usize = 64;
const LANE: usize = 16;

/// Whether a byte can be part of a key or of its escaped, UTF-16 or base64 form.
pub(super) const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'%' | b'\\' | 0)
}

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

    /// The first run of at least [`SHORTEST_RUN`] bytes that ends after `from` and has a sign of a
    /// key, as long as it is.
    ///
    /// It begins no sooner than `from`.
    #[inline(always)]
    pub(super) fn next_run(self, text: &[u8], from: usize) -> Option<(usize, usize)> {
        let rest = text.get(from..)?;
        let at = self.full_lane(rest)?;
        self.run_from(rest, at).map(|(start, end)| (from + start, from + end))
    }

    /// Where the first block with a full lane is, which most short texts do not have.
    #[inline(always)]
    fn full_lane(self, text: &[u8]) -> Option<usize> {
        #[cfg(feature = "simd")]
        if !self.level.is_fallback() {
            return fearless_simd::dispatch!(self.level, simd => full_lane(wide::Wide(simd), text));
        }
        full_lane(Plain, text)
    }

    /// The same from a block with a full lane on.
    #[cold]
    fn run_from(self, text: &[u8], at: usize) -> Option<(usize, usize)> {
        #[cfg(feature = "simd")]
        if !self.level.is_fallback() {
            return fearless_simd::dispatch!(self.level, simd => run_from(wide::Wide(simd), text, at));
        }
        run_from(Plain, text, at)
    }
}

/// A way to look at a text. It is no closure, because all of it must be inlined to be compiled for
/// the processor.
trait Look: Copy {
    /// One bit for each byte that is no token byte, the lowest for the first.
    fn others(self, block: &[u8; BLOCK]) -> u64;

    /// Whether the run may have [`Signs`]. It may be wrong when it says so.
    fn has_signs(self, text: &[u8], start: usize, end: usize) -> bool;
}

/// Goes over the blocks of a text until a lane is full.
#[inline(always)]
fn full_lane<L: Look>(look: L, text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(block) = text[at..].first_chunk() {
        if full_lanes(look.others(block)) != 0 {
            return Some(at);
        }
        at += BLOCK;
    }
    (at < text.len() && full_lanes(last(look, text, text.len() - at)) != 0).then_some(at)
}

/// Goes from run to run, the first of which fills a lane of the block at `at`.
#[inline(always)]
fn run_from<L: Look>(look: L, text: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut at = at;
    loop {
        let others = others(look, text, at);
        let lane = full_lanes(others).trailing_zeros() as usize + 1 - LANE;
        // Less than a lane of it can be in the block before.
        let mut start = at + lane - leading(others, lane);
        while start > 0 && is_token(text[start - 1]) {
            start -= 1;
        }
        let end = end(look, text, at, others, lane);
        if end - start >= SHORTEST_RUN && look.has_signs(text, start, end) {
            return Some((start, end));
        }
        at = end + full_lane(look, &text[end..])?;
    }
}

/// How many of the bits right below this one are zero.
#[inline(always)]
fn leading(others: u64, below: usize) -> usize {
    (others << 1 << (BLOCK - 1 - below)).leading_zeros().min(below as u32) as usize
}

/// Where the run ends that has a lane of the block at `at`.
#[inline(always)]
fn end<L: Look>(look: L, text: &[u8], at: usize, others: u64, lane: usize) -> usize {
    let ahead = (others >> lane).trailing_zeros() as usize;
    if lane + ahead < BLOCK {
        return at + lane + ahead;
    }
    let mut end = at + BLOCK;
    while end < text.len() {
        let ahead = self::others(look, text, end).trailing_zeros() as usize;
        end += ahead;
        if ahead < BLOCK {
            break;
        }
    }
    end
}

/// The bits of the block at `at`; behind the text there are no tokens.
#[inline(always)]
fn others<L: Look>(look: L, text: &[u8], at: usize) -> u64 {
    match text[at..].first_chunk() {
        Some(block) => look.others(block),
        None => last(look, text, text.len() - at),
    }
}

/// The bits of the last so many bytes, which are less than a block.
#[inline(always)]
fn last<L: Look>(look: L, text: &[u8], len: usize) -> u64 {
    if let Some(block) = text.last_chunk() {
        // It overlaps the one before, without the bits that were there.
        look.others(block) >> (BLOCK - len) | !0 << len
    } else {
        let mut block = [b' '; BLOCK];
        block[..len].copy_from_slice(&text[text.len() - len..]);
        look.others(&block)
    }
}

/// The highest bits of lanes of which all bits are zero. Only the lowest of them is sure.
#[inline(always)]
fn full_lanes(others: u64) -> u64 {
    // They borrow from their highest.
    others.wrapping_sub(0x0001_0001_0001_0001) & !others & 0x8000_8000_8000_8000
}

#[cfg(feature = "simd")]
mod wide {
    use fearless_simd::prelude::*;
    use fearless_simd::{Simd, u8x64};

    use super::{BLOCK, Look};
    use crate::find::signs::{Halves, PLACES};

    /// As wide as the processor is.
    #[derive(Clone, Copy)]
    pub(super) struct Wide<S>(pub(super) S);

    impl<S: Simd> Look for Wide<S> {
        #[inline(always)]
        fn others(self, block: &[u8; BLOCK]) -> u64 {
            self.classes(block, &Halves::TOKENS).simd_eq(0).to_bitmask()
        }

        #[inline(always)]
        fn has_signs(self, text: &[u8], start: usize, end: usize) -> bool {
            const AHEAD: usize = PLACES.len() - 1;
            const WINDOW: usize = BLOCK + AHEAD;

            let mut at = start;
            while at + AHEAD < end {
                let mut short = [0; WINDOW];
                // The last window overlaps the one before.
                let from = at.min(text.len().saturating_sub(WINDOW));
                let window: &[u8; WINDOW] = if let Some(window) = text[from..].first_chunk() {
                    window
                } else {
                    short[..text.len()].copy_from_slice(text);
                    &short
                };
                let mut classes = u8x64::splat(self.0, !0);
                for (place, halves) in PLACES.iter().enumerate() {
                    if let Some(block) = window[place..].first_chunk() {
                        classes &= self.classes(block, halves);
                    }
                }
                let found = !classes.simd_eq(0).to_bitmask();
                // Those of the run alone.
                let found = found >> (at - from) << (at - from);
                if found != 0 && from + (found.trailing_zeros() as usize) < end {
                    return true;
                }
                at = from + BLOCK;
            }
            false
        }
    }

    impl<S: Simd> Wide<S> {
        /// The classes of each byte, of which its two halves know.
        #[inline(always)]
        fn classes(self, block: &[u8; BLOCK], halves: &Halves) -> u8x64<S> {
            let bytes = u8x64::simd_from(self.0, *block);
            let low = u8x64::simd_from(self.0, halves.low);
            let high = u8x64::simd_from(self.0, halves.high);
            low.swizzle_dyn_within_blocks(bytes & 0x0F) & high.swizzle_dyn_within_blocks(bytes >> 4)
        }
    }
}

/// What the compiler makes of it.
#[derive(Clone, Copy)]
struct Plain;

impl Look for Plain {
    #[inline(always)]
    fn others(self, block: &[u8; BLOCK]) -> u64 {
        let mut others = 0;
        for (number, group) in block.as_chunks::<8>().0.iter().enumerate() {
            // Each byte becomes 0 or 1; a multiplication gathers the eight of them.
            let flags = group.map(|byte| {
                let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
                let digit = byte.wrapping_sub(b'0') <= 9;
                // `%` and `-` differ in one bit.
                let sign = (byte | 0x08 == b'-') | (byte == b'_') | (byte == b'\\');
                u8::from(!(letter | digit | sign | (byte == 0)))
            });
            let bits = u64::from_le_bytes(flags).wrapping_mul(0x0102_0408_1020_4080) >> 56;
            others |= bits << (8 * number);
        }
        others
    }

    #[inline(always)]
    fn has_signs(self, text: &[u8], start: usize, end: usize) -> bool {
        Signs::of(&text[start..end]).has_any()
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::formats::MARKER;

    /// What both ways to look tell, which is the same.
    fn next_run(text: &[u8], from: usize) -> Option<(usize, usize)> {
        let rest = &text[from..];
        let plain = full_lane(Plain, rest).and_then(|at| run_from(Plain, rest, at));
        let plain = plain.map(|(start, end)| (from + start, from + end));
        assert_eq!(Gate::new().next_run(text, from), plain);
        plain
    }

    #[test]
    fn a_run_is_seen_wherever_it_begins() {
        for len in [SHORTEST_RUN, 32, 64, 70, 200] {
            let run = [&vec![b'x'; len - 3][..], b"sk-"].concat();
            for start in 0..150 {
                for after in [0, 1, 40, 100] {
                    let text = [&vec![b' '; start][..], &run, &vec![b'.'; after]].concat();
                    assert_eq!(next_run(&text, 0), Some((start, start + len)));
                    let from = start + len - SHORTEST_RUN;
                    let end = start + len;
                    assert_eq!(next_run(&text, from), Some((from, end)));
                    assert_eq!(next_run(&text, from + 1), None);
                }
            }
        }
    }

    #[test]
    fn every_byte_is_what_is_told_of_it() {
        for byte in 0..=255_u8 {
            let mut text: Vec<u8> = vec![b'x'; 100];
            text[30] = byte;
            text[60..63].copy_from_slice(b"sk-");
            let run = next_run(&text, 0).expect("a run");
            assert_eq!(run.0 == 0, is_token(byte), "{byte}");
        }
    }

    #[test]
    fn a_sign_is_seen_wherever_it_stands() {
        for sign in
            [&b"sk-"[..], b"ek_", b"sess-", MARKER, b"%2D", b"\\u002d", b"s\0k\0", b"VrX", b"c2Vzc"]
        {
            for len in [SHORTEST_RUN, 63, 64, 65, 66, 67, 130] {
                for at in 0..=len - sign.len() {
                    for around in [0, 7, 80] {
                        let mut run = vec![b'x'; len];
                        run[at..at + sign.len()].copy_from_slice(sign);
                        let space = vec![b' '; around];
                        let text = [&space[..], &run, &space].concat();
                        assert_eq!(next_run(&text, 0), Some((around, around + len)), "{at}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_run_without_a_sign_is_passed_over() {
        for text in [
            "0d9f6c1e-7a35-4c0b-9d0e-5a4f1f2b3c4d",
            "a_run_without_a_sign_is_passed_over_whatever_its_length",
            "sk- 0d9f6c1e-7a35-4c0b-9d0e-5a4f1f2b3c4d sk-",
        ] {
            assert_eq!(next_run(text.as_bytes(), 0), None, "{text}");
        }
    }
}
