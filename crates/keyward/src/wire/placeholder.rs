//! What stands for a key above TLS: a text as long as the key in both forms that go on the wire,
//! with nothing of the key in it.

use super::huffman;
use super::{WireError, WireErrorKind};

/// Shorter keys leave too little room for chance.
pub(super) const MIN_LEN: usize = 20;

/// Where there is room, a placeholder ends with this, so that whoever finds one in a log or in
/// the words of a 401 knows what it is.
pub(super) const MARK: &[u8] = b"-keyward";

/// The letters of placeholders; a random byte picks one. Their codes have 5 to 8 bits, on the
/// average more than those of keys and less than those of any key's, so every length can be met.
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A text with as many characters as the key, and as many bits where HTTP/2 codes them, so that it
/// can stand for the key wherever in a coded text that is. Its first character is none of `taken`,
/// if chance can help it.
///
/// Of the key it tells these two lengths, which also who watches the connection can tell, but for
/// the bits of the last octet.
pub(super) fn generate(
    length: usize,
    wanted: usize,
    taken: &dyn Fn(u8) -> bool,
    random: &dyn Fn(&mut [u8]) -> Result<(), WireError>,
) -> Result<Vec<u8>, WireError> {
    let unfit = WireError::new(WireErrorKind::NoPlaceholder);
    if length < MIN_LEN {
        return Err(unfit);
    }
    let mut chance = Chance { random, buffer: [0; 64], left: 0 };
    let marks: &[&[u8]] = if length >= 2 * MIN_LEN { &[MARK, b""] } else { &[b""] };
    for mark in marks {
        if let Some(text) = attempt(length, wanted, mark, taken, &mut chance)? {
            return Ok(text);
        }
    }
    Err(unfit)
}

fn attempt(
    length: usize,
    wanted: usize,
    mark: &[u8],
    taken: &dyn Fn(u8) -> bool,
    chance: &mut Chance<'_>,
) -> Result<Option<Vec<u8>>, WireError> {
    let free = length - mark.len();
    let mut text = Vec::with_capacity(length);
    for _ in 0..free {
        text.push(chance.letter()?);
    }
    for _ in 0..256 {
        if !taken(text[0]) {
            break;
        }
        text[0] = chance.letter()?;
    }
    text.extend_from_slice(mark);

    // Another letter here and there, until it is as long as wanted.
    let mut bits = huffman::bits(&text);
    // For a key of the shortest codes alone a letter in 6 fits, at each place: so often that one is
    // missed less than once in 10^13 times.
    for _ in 0..256 * length {
        if bits == wanted {
            return Ok(Some(text));
        }
        let at = chance.below(free)?;
        let letter = chance.letter()?;
        if at == 0 && taken(letter) {
            continue;
        }
        let (old, new) = (huffman::bits_of(text[at]), huffman::bits_of(letter));
        if (bits < wanted) == (new > old) && new != old {
            text[at] = letter;
            bits = bits - old + new;
        }
    }
    Ok(None)
}

struct Chance<'a> {
    random: &'a dyn Fn(&mut [u8]) -> Result<(), WireError>,
    buffer: [u8; 64],
    left: usize,
}

impl Chance<'_> {
    fn byte(&mut self) -> Result<u8, WireError> {
        if self.left == 0 {
            (self.random)(&mut self.buffer)?;
            self.left = self.buffer.len();
        }
        self.left -= 1;
        Ok(self.buffer[self.left])
    }

    fn letter(&mut self) -> Result<u8, WireError> {
        Ok(LETTERS[usize::from(self.byte()? & 63)])
    }

    fn below(&mut self, end: usize) -> Result<usize, WireError> {
        let number = u16::from_be_bytes([self.byte()?, self.byte()?]);
        Ok(usize::from(number) % end)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn random(bytes: &mut [u8]) -> Result<(), WireError> {
        bytes.fill_with(|| fastrand::u8(..));
        Ok(())
    }

    proptest! {
        /// All letters of keys, and those of access tokens.
        #[test]
        fn is_as_long_as_the_key_in_both_forms(key in "[A-Za-z0-9._/=-]{20,2000}") {
            let bits = huffman::bits(key.as_bytes());
            let text = generate(key.len(), bits, &|_| false, &random).unwrap();
            prop_assert_eq!(text.len(), key.len());
            prop_assert_eq!(huffman::bits(&text), bits);
            prop_assert_eq!(text.ends_with(MARK), key.len() >= 2 * MIN_LEN);
        }

        #[test]
        fn is_had_for_the_shortest_and_the_longest_codes(length in 48_usize..400, wide: bool) {
            let key = if wide { "W" } else { "a" }.repeat(length);
            let bits = huffman::bits(key.as_bytes());
            let text = generate(length, bits, &|_| false, &random).unwrap();
            prop_assert_eq!(huffman::bits(&text), bits);
        }
    }

    #[test]
    fn begins_with_a_character_that_no_other_begins_with() {
        let mut begins = HashSet::new();
        for _ in 0..32 {
            let taken = |first: u8| begins.contains(&first);
            let text = generate(164, 1_036, &taken, &random).unwrap();
            assert!(begins.insert(text[0]));
        }
    }

    #[test]
    fn is_not_had_for_what_leaves_no_room_for_chance() {
        for (length, bits) in [(0, 0), (19, 120), (40, 4_000), (40, 8)] {
            let error = generate(length, bits, &|_| false, &random).unwrap_err();
            assert_eq!(error.kind(), WireErrorKind::NoPlaceholder);
        }
    }
}
