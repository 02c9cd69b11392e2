//! Where keys can be at all: a pass over the text that costs about as much as one literal search.
//!
//! A key is a long run of letters, digits, `-` and `_`, in any form in which it is looked for: in
//! UTF-16 with zero bytes between, escaped with `%` or `\` between, and in base64 without any of
//! these. The text is seen in blocks of 64 bytes, as one bit for each byte, and these in lanes of
//! sixteen. A run of [`SHORTEST_RUN`] bytes fills a lane, wherever it begins.

/// The shortest run that surely fills a lane. No form of a key is shorter.
pub(super) const SHORTEST_RUN: usize = 31;

const BLOCK: usize = 64;

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
    #[inline]
    pub(super) fn next_run(self, text: &[u8], from: usize) -> Option<(usize, usize)> {
        let mut from = from;
        loop {
            from += self.candidate(text.get(from..)?)?;
            // The blocks let a few bytes pass that are in no run, and see no further than a block
            // to each side.
            let start = from + text[from..].iter().position(|byte| is_token(*byte))?;
            let end = start + text[start..].iter().take_while(|byte| is_token(**byte)).count();
            if end - start >= SHORTEST_RUN {
                return Some((start, end));
            }
            from = end;
        }
    }

    /// Where a run begins that seems to be long enough.
    #[inline]
    fn candidate(self, text: &[u8]) -> Option<usize> {
        if text.len() < SHORTEST_RUN {
            return None;
        }
        #[cfg(feature = "simd")]
        return fearless_simd::dispatch!(self.level, simd => scan(wide::Wide(simd), text));
        #[cfg(not(feature = "simd"))]
        scan(plain::Plain, text)
    }
}

/// A way to look at a block. It is no closure, because all of it must be inlined to be compiled
/// for the processor.
trait Look: Copy {
    /// One bit for each byte that is no token byte, the lowest for the first. Some of `[]^{|}~` and
    /// DEL are let pass.
    fn others(self, block: &[u8; BLOCK]) -> u64;
}

/// Goes over the blocks of a text.
#[inline(always)]
fn scan<L: Look>(look: L, text: &[u8]) -> Option<usize> {
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    let mut before = !0;
    for (number, block) in blocks.iter().enumerate() {
        let others = look.others(block);
        if has_full_lane(others)
            && let Some(at) = beginning(before, others)
        {
            return Some((number * BLOCK).saturating_add_signed(at));
        }
        before = others;
    }
    if rest.is_empty() {
        return None;
    }
    let others = if let Some(last) = text.last_chunk() {
        // A block that overlaps the one before, without the bits that were there.
        look.others(last) >> (BLOCK - rest.len()) | !0 << rest.len()
    } else {
        let mut last = [b' '; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        look.others(&last)
    };
    let at = has_full_lane(others).then(|| beginning(before, others))??;
    Some((blocks.len() * BLOCK).saturating_add_signed(at))
}

/// Whether sixteen bits that belong together are zero.
#[inline(always)]
fn has_full_lane(others: u64) -> bool {
    // They borrow from their highest.
    others.wrapping_sub(0x0001_0001_0001_0001) & !others & 0x8000_8000_8000_8000 != 0
}

/// Where a run begins that is long enough or goes on behind this block: before it, if need be.
#[cold]
fn beginning(before: u64, others: u64) -> Option<isize> {
    let mut rest = !others;
    let mut at = 0;
    while rest != 0 {
        let gap = rest.trailing_zeros();
        at += gap;
        let len = (rest >> gap).trailing_ones();
        let back = if at == 0 { before.leading_zeros() } else { 0 };
        let is_open = at + len == u64::BITS && len >= 16;
        if (back + len) as usize >= SHORTEST_RUN || is_open {
            return Some(at as isize - back as isize);
        }
        at += len;
        rest = rest.checked_shr(gap + len).unwrap_or(0);
    }
    None
}

#[cfg(feature = "simd")]
mod wide {
    use fearless_simd::prelude::*;
    use fearless_simd::{Simd, u8x64};

    use super::{BLOCK, Look};

    /// As wide as the processor is.
    #[derive(Clone, Copy)]
    pub(super) struct Wide<S>(pub(super) S);

    impl<S: Simd> Look for Wide<S> {
        #[inline(always)]
        fn others(self, block: &[u8; BLOCK]) -> u64 {
            let bytes = u8x64::simd_from(self.0, *block);
            // `_` and `\` lie beside the letters, once the bit of lower case is set; `%` and `-`
            // differ in one bit.
            let letters = ((bytes | 0x20) - b'a').simd_le(0x7F - b'a');
            let digits = (bytes - b'0').simd_le(9);
            let signs = (bytes | 0x08).simd_eq(b'-');
            let zeros = bytes.simd_eq(0);
            !(letters | digits | signs | zeros).to_bitmask()
        }
    }
}

#[cfg(not(feature = "simd"))]
mod plain {
    use super::{BLOCK, Look};

    /// What the compiler makes of it.
    #[derive(Clone, Copy)]
    pub(super) struct Plain;

    impl Look for Plain {
        #[inline(always)]
        fn others(self, block: &[u8; BLOCK]) -> u64 {
            let mut others = 0;
            for (number, group) in block.as_chunks::<8>().0.iter().enumerate() {
                // Each byte becomes 0 or 1; a multiplication gathers the eight of them.
                let flags = group.map(|byte| {
                    let letter = (byte | 0x20).wrapping_sub(b'a') <= 0x7F - b'a';
                    let digit = byte.wrapping_sub(b'0') <= 9;
                    let sign = byte | 0x08 == b'-';
                    u8::from(!(letter | digit | sign | (byte == 0)))
                });
                let bits = u64::from_le_bytes(flags).wrapping_mul(0x0102_0408_1020_4080) >> 56;
                others |= bits << (8 * number);
            }
            others
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;

    #[test]
    fn a_run_is_seen_wherever_it_begins() {
        for len in [SHORTEST_RUN, 32, 64, 70, 200] {
            for start in 0..150 {
                for after in [0, 1, 40, 100] {
                    let text =
                        [&vec![b' '; start][..], &vec![b'x'; len], &vec![b'.'; after]].concat();
                    assert_eq!(Gate::new().next_run(&text, 0), Some((start, start + len)));
                    let from = start + len - SHORTEST_RUN;
                    let end = start + len;
                    assert_eq!(Gate::new().next_run(&text, from), Some((from, end)));
                    assert_eq!(Gate::new().next_run(&text, from + 1), None);
                }
            }
        }
    }

    #[test]
    fn every_byte_is_what_the_table_says() {
        for byte in 0..=255_u8 {
            let mut text: Vec<u8> = vec![b'x'; 100];
            text[30] = byte;
            let run = Gate::new().next_run(&text, 0).expect("a run");
            assert_eq!(run.0 == 0, is_token(byte), "{byte}");
        }
    }
}
