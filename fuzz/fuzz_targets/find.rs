//! Any bytes through the finder, whole and in pieces: what it finds is in order, within the text,
//! and the same however the text is cut.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run find -- -runs=10000000`

#![no_main]

use keyward_core::find::{FoundKey, KeyFinder, KeyStream, Piece};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // The first two bytes say where the text is cut.
    let [first, second, text @ ..] = bytes else { return };
    let finder = KeyFinder::new();
    let whole: Vec<FoundKey> = finder.find_iter(text).collect();
    assert_eq!(finder.find(text), whole.first().cloned());
    let mut end = 0;
    for found in &whole {
        assert!(found.range().start >= end && found.range().end <= text.len());
        assert!(found.range().len() >= 31);
        end = found.range().end;
    }

    let mut cuts = [usize::from(*first), usize::from(*second) * 3].map(|cut| cut.min(text.len()));
    cuts.sort_unstable();
    let (mut found, mut len) = (Vec::new(), 0);
    let mut each = |piece: Piece<'_>| match piece {
        Piece::Text(text) => len += text.len(),
        Piece::Key(key) => {
            len += key.range().len();
            found.push(key);
        }
    };
    let mut stream = KeyStream::new(finder);
    stream.push(&text[..cuts[0]], &mut each);
    stream.push(&text[cuts[0]..cuts[1]], &mut each);
    stream.push(&text[cuts[1]..], &mut each);
    stream.finish(&mut each);
    assert_eq!(len, text.len());
    assert_eq!(found, whole);
});
