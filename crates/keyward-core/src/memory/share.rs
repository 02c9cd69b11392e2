//! [`Share`]: how much of what a whole process shares is taken for keys.

use core::sync::atomic::{AtomicUsize, Ordering};

/// One of a number of places that there are for keys of one kind of memory.
///
/// Mappings, locked pages and file descriptors are limited for the whole process. Keys must not
/// take them from what else is in it, so a program that makes keys by the thousand gets ordinary
/// memory for the rest.
pub(super) struct Share(&'static AtomicUsize);

impl Share {
    pub(super) fn of(taken: &'static AtomicUsize, most: usize) -> Option<Self> {
        let more = |taken| (taken < most).then_some(taken + 1);
        taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Self(taken))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::{AtomicUsize, Ordering, Share};

    #[test]
    fn there_are_so_many_and_they_come_back() {
        static TAKEN: AtomicUsize = AtomicUsize::new(0);
        let mut held: Vec<_> = (0..3).map_while(|_| Share::of(&TAKEN, 2)).collect();
        assert_eq!(held.len(), 2);
        held.pop();
        assert!(Share::of(&TAKEN, 2).is_some());
        drop(held);
        assert_eq!(TAKEN.load(Ordering::Relaxed), 0);
    }
}
