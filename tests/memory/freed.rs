//! What is left in the blocks that are freed: an allocator tells of each block, and what stands in
//! it is read. A file that test binaries of several crates take in by its path, beside `search`, so
//! that no crate is made for it; each of them has tracking-allocator as its global allocator.
//!
//! The allocator grows a buffer by moving it, always, so that what a buffer leaves behind when it
//! grows is seen whatever the system's allocator would have done. It says where a block was just
//! after it was freed; nothing has used it again then, but for the first bytes of it, because the
//! process does nothing else: a test with this runs in a process of its own. What stood in a block
//! already when it was allocated is not counted again. What C libraries free is not told of.
//!
//! `KEYWARD_TEST_TRACES=1` shows the stack on which each copy was freed.

use std::backtrace::Backtrace;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use tracking_allocator::{AllocationGroupId, AllocationRegistry, AllocationTracker};

use super::search::{MASK, Masked};

/// Runs a test once more in a process of its own, unless this is that one already, which it answers.
pub(crate) fn is_alone(test: &str, prepare: impl FnOnce(&mut Command)) -> bool {
    #[allow(clippy::disallowed_methods, reason = "a test's own variable, set for its child")]
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    let test = test.strip_prefix("it::").unwrap_or(test);
    child.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    child.env(ALONE, "1").stdin(Stdio::null());
    prepare(&mut child);
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    // A name that is no test's runs nothing, and that well.
    assert!(output.status.success() && said.contains("1 passed"), "{said}\n{errors}");
    print!("{said}{errors}");
    false
}

/// Looks at each block that is freed from here on, and proves that it sees what is left there.
pub(crate) fn begin() {
    #[allow(clippy::disallowed_methods, reason = "what is shown is said by who runs it")]
    let shows_traces = std::env::var_os("KEYWARD_TEST_TRACES").is_some();
    let watch = Watch {
        memory: File::open("/proc/self/mem").unwrap(),
        room: Mutex::new(vec![0; 1 << 20]),
        sought: Mutex::default(),
        blocks: AtomicUsize::new(0),
        unread: AtomicUsize::new(0),
        shows_traces,
    };
    assert!(WATCH.set(watch).is_ok(), "it is begun once in a process");
    AllocationRegistry::set_global_tracker(Tell).unwrap();
    AllocationRegistry::enable_tracking();
    println!("{:>7} copies left in freed blocks, of", "");
    assert_seen("a String", |key| drop(String::from_utf8(key.to_bytes()).unwrap()));
    assert_seen("a buffer that grows", |key| {
        let mut text = zeroize::Zeroizing::new(Vec::new());
        key.bytes().for_each(|byte| text.push(byte));
    });
}

/// A positive control: something that leaves copies where nobody thinks of it.
pub(crate) fn assert_seen(name: &str, work: impl FnOnce(&Masked)) {
    let key = Masked::new();
    let [left] = left_by([key.needle()], || work(&key));
    println!("{left} {name}");
    assert!(left.copies > 0, "the allocator does not see what {name} leaves");
}

/// Does something, and tells how many copies of each masked needle the blocks held that were freed
/// meanwhile.
pub(crate) fn left_by<const N: usize>(needles: [&[u8]; N], work: impl FnOnce()) -> [Left; N] {
    let watch = WATCH.get().unwrap();
    let seek = |sought: Vec<Sought>| {
        // What stood there is dropped outside of the lock, which each block that is freed takes.
        std::mem::replace(&mut *watch.sought.lock().unwrap(), sought)
    };
    let sought = needles.map(|needle| Sought {
        needle: needle.to_vec(),
        stale: BTreeMap::new(),
        left: Left { copies: 0, sizes: Vec::new() },
    });
    drop(seek(sought.into()));
    work();
    let found: Vec<_> = seek(Vec::new()).into_iter().map(|sought| sought.left).collect();
    found.try_into().expect("as many as were sought")
}

/// Ends it, and tells what there was to see.
pub(crate) fn end() {
    AllocationRegistry::disable_tracking();
    let watch = WATCH.get().unwrap();
    let unread = watch.unread.load(Ordering::Relaxed);
    let blocks = watch.blocks.load(Ordering::Relaxed);
    println!("{blocks} blocks, {unread} of them were gone before they could be read");
    assert!(blocks > 100 && unread * 20 < blocks, "it does not see enough");
}

/// What was left of one needle.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) copies: usize,
    /// How large the blocks were that held them.
    sizes: Vec<usize>,
}

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:>7}", self.copies)?;
        if !self.sizes.is_empty() {
            write!(f, " (in blocks of {:?} bytes)", self.sizes)?;
        }
        Ok(())
    }
}

/// Reads each block that was freed.
struct Watch {
    memory: File,
    room: Mutex<Vec<u8>>,
    sought: Mutex<Vec<Sought>>,
    blocks: AtomicUsize,
    /// Blocks that the system took back at once, or that are larger than the room.
    unread: AtomicUsize,
    shows_traces: bool,
}

struct Sought {
    needle: Vec<u8>,
    /// Where it stood in the blocks that are in use, before anything was written to them.
    stale: BTreeMap<usize, Vec<usize>>,
    left: Left,
}

impl Watch {
    /// Shows where each needle stands in a block, if the block can be read.
    fn look(&self, address: usize, len: usize, mut found: impl FnMut(&mut Sought, Vec<usize>)) {
        let mut all = self.sought.lock().unwrap();
        if all.iter().all(|sought| len < sought.needle.len()) {
            return;
        }
        let mut room = self.room.lock().unwrap();
        let read = room.get_mut(..len).and_then(|block| {
            self.memory.read_exact_at(block, address as u64).ok()?;
            Some(&*block)
        });
        let Some(block) = read else {
            self.unread.fetch_add(1, Ordering::Relaxed);
            return;
        };
        for sought in all.iter_mut() {
            let places = places(block, &sought.needle);
            found(sought, places);
        }
    }
}

fn places(block: &[u8], masked: &[u8]) -> Vec<usize> {
    let mut places = Vec::new();
    let mut from = 0;
    while let Some(at) = block[from..].iter().position(|byte| *byte == masked[0] ^ MASK) {
        from += at + 1;
        let piece = block[from - 1..].get(..masked.len());
        if piece.is_some_and(|piece| piece.iter().zip(masked).all(|(a, b)| *a == b ^ MASK)) {
            places.push(from - 1);
        }
    }
    places
}

static WATCH: OnceLock<Watch> = OnceLock::new();

struct Tell;

impl AllocationTracker for Tell {
    fn allocated(&self, address: usize, len: usize, _: usize, _: AllocationGroupId) {
        let Some(watch) = WATCH.get() else { return };
        watch.look(address, len, |sought, places| {
            if !places.is_empty() {
                sought.stale.insert(address, places);
            }
        });
    }

    fn deallocated(
        &self,
        address: usize,
        len: usize,
        _: usize,
        _: AllocationGroupId,
        _: AllocationGroupId,
    ) {
        let Some(watch) = WATCH.get() else { return };
        watch.blocks.fetch_add(1, Ordering::Relaxed);
        watch.look(address, len, |Sought { stale, left, .. }, mut places| {
            let stale = stale.remove(&address).unwrap_or_default();
            places.retain(|place| !stale.contains(place));
            if places.is_empty() {
                return;
            }
            left.copies += places.len();
            left.sizes.push(len);
            if watch.shows_traces {
                let trace = Backtrace::force_capture();
                let _ = writeln!(std::io::stderr(), "{places:?} of {len}, freed at\n{trace}");
            }
        });
    }
}

const ALONE: &str = "KEYWARD_TEST_ALONE";
