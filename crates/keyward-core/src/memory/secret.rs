//! [`Secret`]: a text in memory that the kernel has taken out of its own map.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::process;

use memfd_secret::MemfdSecret;
use zeroize::Zeroize as _;

use super::share::Share;
use super::{Guarded, Protection};

/// So many are taken for keys: each holds a file descriptor, of which a process has 1024 where
/// nobody has set another limit.
const MOST: usize = 64;

static TAKEN: AtomicUsize = AtomicUsize::new(0);

static PREFERRED: AtomicBool = AtomicBool::new(false);

pub(super) fn prefer() {
    PREFERRED.store(true, Ordering::Relaxed);
}

pub(super) struct Secret {
    /// None once it has been given up.
    memory: Option<MemfdSecret>,
    /// The process that made it.
    owner: u32,
    _share: Share,
}

impl Secret {
    /// None where it is not wanted, or the kernel has it not, or no more of it.
    pub(super) fn holding(text: &[u8]) -> Option<Self> {
        if !PREFERRED.load(Ordering::Relaxed) {
            return None;
        }
        let share = Share::of(&TAKEN, MOST)?;
        // Its descriptor is closed when another program is started.
        let mut memory = MemfdSecret::new(text.len()).ok()?;
        memory.as_mut_slice().copy_from_slice(text);
        Some(Self { memory: Some(memory), owner: process::id(), _share: share })
    }
}

impl Guarded for Secret {
    fn bytes(&self) -> &[u8] {
        self.memory.as_ref().map_or(&[], MemfdSecret::as_slice)
    }

    fn protection(&self) -> Protection {
        Protection::Secret
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        let Some(mut memory) = self.memory.take() else { return };
        if process::id() == self.owner {
            memory.as_mut_slice().zeroize();
        } else {
            // A forked child shares it, and would wipe the key of its parent.
            #[allow(clippy::mem_forget, reason = "it is the parent's to give back")]
            core::mem::forget(memory);
        }
    }
}
