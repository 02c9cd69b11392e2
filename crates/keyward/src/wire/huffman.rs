//! The Huffman code of HTTP/2 header compression, for the characters that a key consists of.
//! Decoding is not needed.

use zeroize::Zeroizing;

/// The lengths in bits of the codes of ASCII (RFC 7541, appendix B). The codes follow from them,
/// because the code is canonical. 0: longer than 20 bits; a key has no such character.
const LENGTHS: [u8; 128] = {
    let mut lengths = [0; 128];
    lengths[0] = 13;
    let printable: [u8; 95] = [
        6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8,
        15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8,
        7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6,
        7, 7, 7, 7, 7, 15, 11, 14, 13,
    ];
    let mut at = 0;
    while at < printable.len() {
        lengths[0x20 + at] = printable[at];
        at += 1;
    }
    lengths
};

/// The codes, and in the lowest eight bits their lengths.
const CODES: [u32; 128] = {
    let mut codes = [0; 128];
    let (mut next, mut length) = (0_u32, 1);
    while length <= 19 {
        let mut symbol = 0;
        while symbol < 128 {
            if LENGTHS[symbol] == length {
                codes[symbol] = next << 8 | length as u32;
                next += 1;
            }
            symbol += 1;
        }
        next <<= 1;
        length += 1;
    }
    codes
};

/// The code of a visible character, and how many bits it takes.
pub(super) fn code_of(character: u8) -> (u32, u32) {
    let code = CODES[usize::from(character & 0x7f)];
    (code >> 8, code & 0xff)
}

/// How many bits this visible character takes.
pub(super) fn bits_of(character: u8) -> usize {
    LENGTHS.get(usize::from(character)).copied().unwrap_or(0).into()
}

/// How many bits a text of visible ASCII takes.
pub(super) fn bits(text: &[u8]) -> usize {
    text.iter().map(|character| bits_of(*character)).sum()
}

/// The coded form, filled up to whole octets, in one buffer of its size that is wiped on drop.
pub(super) fn encode(text: &[u8]) -> Zeroizing<Box<[u8]>> {
    encode_to(text, bits(text).div_ceil(8))
}

/// The same where its length in octets is known.
pub(super) fn encode_to(text: &[u8], octets: usize) -> Zeroizing<Box<[u8]>> {
    let mut out = Zeroizing::new(vec![0; octets].into_boxed_slice());
    let mut rest = &mut out[..];
    let (mut pending, mut held) = (0_u64, 0);
    let mut push = |(code, length): (u32, u32)| {
        pending = pending << length | u64::from(code);
        held += length;
        if held >= 32 {
            held -= 32;
            let octets = ((pending >> held) as u32).to_be_bytes();
            let next = rest.split_off_mut(..octets.len()).expect("as long as its bits");
            next.copy_from_slice(&octets);
        }
    };
    // Four at a time where they are as short as those of keys, since each waits for what came before.
    let (fours, rest_of_text) = text.as_chunks::<4>();
    for four in fours {
        let [a, b, c, d] = four.map(code_of);
        let (first, second) = (a.1 + b.1, c.1 + d.1);
        if first + second <= 32 {
            let code = (a.0 << b.1 | b.0) << second | (c.0 << d.1 | d.0);
            push((code, first + second));
        } else {
            [a, b, c, d].into_iter().for_each(&mut push);
        }
    }
    rest_of_text.iter().for_each(|character| push(code_of(*character)));
    let fill = 32 - held;
    let last = (pending << fill | ((1_u64 << fill) - 1)) as u32;
    rest.copy_from_slice(&last.to_be_bytes()[..rest.len()]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7541, appendix C.4 and C.6.
    #[test]
    fn codes_as_the_standard_does() {
        for (text, coded) in [
            ("www.example.com", "f1e3c2e5f23a6ba0ab90f4ff"),
            ("no-cache", "a8eb10649cbf"),
            ("custom-key", "25a849e95ba97d7f"),
            ("custom-value", "25a849e95bb8e8b4bf"),
            ("Mon, 21 Oct 2013 20:13:21 GMT", "d07abe941054d444a8200595040b8166e082a62d1bff"),
            ("https://www.example.com", "9d29ad171863c78f0b97c8e9ae82ae43d3"),
            (
                "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
                "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b106\
                 3d5007",
            ),
        ] {
            let hex: String = encode(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(hex, coded, "{text}");
        }
    }

    /// The last code of each length is given in the standard, so the whole table hangs together.
    #[test]
    fn codes_the_rare_ones_too() {
        for (character, code) in
            [(b'?', 0x3fc), (b'|', 0x7fc), (b'>', 0xffb), (b'~', 0x1ffd), (b'}', 0x3ffd)]
        {
            assert_eq!(CODES[usize::from(character)] >> 8, code);
        }
        assert_eq!(CODES[usize::from(b'{')] >> 8, 0x7ffe);
        assert_eq!(CODES[usize::from(b'\\')] >> 8, 0x7fff0);
        assert_eq!(encode(b"Bearer ").len(), 5);
        assert_eq!(bits(b"Bearer "), 40);
    }
}
