//! What making a key, with the hash that is its fingerprint, leaves of it on the stack.

use std::hint::black_box;

use keyward::ApiKey;

use super::Masked;
use super::search::Copies;

/// Deep on the stack, so that what the search itself puts there does not cover it.
#[inline(never)]
fn deep<T>(run: impl FnOnce() -> T) -> T {
    let room = black_box([0_u8; 256 * 1024]);
    let done = run();
    black_box(room);
    done
}

#[test]
fn a_fingerprint_leaves_nothing_of_the_key() {
    for _ in 0..3 {
        let key = Masked::new();
        let parsed = deep(|| ApiKey::parse(key.to_bytes()).unwrap());
        assert_eq!(key.traces(), Copies { whole: 1, ..Copies::default() }, "it is held");
        drop(parsed);
        assert_eq!(key.traces(), Copies::default());
    }
}

#[test]
fn the_search_finds_what_is_left_deep_on_the_stack() {
    let key = Masked::new();
    deep(|| {
        let mut piece = [0_u8; 24];
        piece.iter_mut().zip(key.bytes().skip(100)).for_each(|(to, from)| *to = from);
        black_box(&mut piece);
    });
    assert_eq!(key.traces().pieces, 1);
}
