//! [`Page`]: a text in a page of its own, locked and kept out of core dumps and forked children.

use core::sync::atomic::AtomicUsize;
use std::process;

use memmap2::MmapMut;
use zeroize::Zeroize as _;

use super::share::Share;
use super::{Guarded, Protection};

/// So many pages are taken for keys: half of what a process may lock where nobody has set another
/// limit (8 MiB since Linux 5.16).
const MOST: usize = 1024;

static TAKEN: AtomicUsize = AtomicUsize::new(0);

pub(super) struct Page {
    /// None once it has been given up.
    map: Option<MmapMut>,
    len: usize,
    protection: Protection,
    /// The process that it belongs to.
    owner: u32,
    _share: Share,
}

impl Page {
    /// None where there is no page to be had, or none that is better than ordinary memory.
    pub(super) fn holding(text: &[u8]) -> Option<Self> {
        let share = Share::of(&TAKEN, MOST)?;
        let mut map = MmapMut::map_anon(text.len()).ok()?;
        // Before the text is in it.
        let is_undumped = keep_apart(&map);
        let protection = match (map.lock(), is_undumped) {
            // Where it can be said of pages, it is promised of those that are locked.
            (_, false) if cfg!(target_os = "linux") => return None,
            (Ok(()), _) => Protection::Locked,
            (Err(_), true) => Protection::Undumped,
            (Err(_), false) => return None,
        };
        map[..text.len()].copy_from_slice(text);
        let owner = process::id();
        Some(Self { map: Some(map), len: text.len(), protection, owner, _share: share })
    }
}

/// Whether no core dump has it and no forked child inherits it.
#[cfg(target_os = "linux")]
fn keep_apart(map: &MmapMut) -> bool {
    use memmap2::Advice;

    map.advise(Advice::DontDump).is_ok() && map.advise(Advice::DontFork).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn keep_apart(_: &MmapMut) -> bool {
    false
}

impl Guarded for Page {
    fn bytes(&self) -> &[u8] {
        self.map.as_deref().map_or(&[], |map| &map[..self.len])
    }

    fn protection(&self) -> Protection {
        self.protection
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let Some(mut map) = self.map.take() else { return };
        if process::id() == self.owner {
            map.zeroize();
        } else {
            // A forked child has no page here; there may be another's by now.
            #[allow(clippy::mem_forget, reason = "nothing of this process is lost")]
            core::mem::forget(map);
        }
    }
}
