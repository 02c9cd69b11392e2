//! [`Windows`]: how a span of time is divided into windows that are listed at once. It sends
//! nothing; `export` does.
//!
//! The server lists a window from its newest event to its oldest. A window is whole when its last
//! page is there, and windows are taken whole, the oldest first. How wide the next one is follows
//! from how dense the events were in the ones before; one that turns out to be denser gives its
//! older part away, which costs no request: its cursor goes on, with a narrower filter.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher as _, RandomState};

use crate::{AuditEvent, Error, ErrorKind, operations};

pub(super) type Item = Result<AuditEvent, Error>;

/// The windows of a span of time, the oldest first, without a gap between them.
#[derive(Debug)]
pub(super) struct Windows {
    windows: VecDeque<Window>,
    next_id: u64,
    page_len: usize,
    pub(super) most: Most,
    hasher: RandomState,
}

/// The most that all windows together hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    pub(super) events: usize,
    /// Of the answers that the events came in.
    pub(super) bytes: u64,
}

/// A window. One that was not begun may be the rest of a span from which windows are still to be
/// cut off.
#[derive(Debug)]
struct Window {
    id: u64,
    from: i64,
    /// The first second after it.
    to: i64,
    /// The page that comes next is after this cursor.
    after: Option<String>,
    /// As hashes with a random key, which is all that it takes to know one again.
    cursors: HashSet<u64>,
    /// The newest first.
    items: Vec<Item>,
    pages: usize,
    bytes: u64,
    guess: Option<Guess>,
    state: State,
}

/// How many seconds wide a window should be here, as what is beside it tells.
#[derive(Clone, Copy, Debug)]
struct Guess {
    width: i64,
    trust: Trust,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Trust {
    /// Two places agreed, so windows of this width are cut off.
    Full,
    /// One place says so: the next page shall tell, before anything is cut off.
    None,
    /// Less was found than was thought, so each window is four times as wide as the one before.
    Waning,
}

#[derive(Debug)]
enum State {
    Failed(Error),
    Fetching,
    Waiting,
    Whole,
}

/// A page to be fetched.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) window: u64,
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) after: Option<String>,
}

/// What has become of the oldest window.
pub(super) enum Oldest {
    Failed(Error),
    Items(VecDeque<Item>),
    /// There are no more windows.
    None,
    NotYet,
}

/// So many pages a window should have: the last one is seldom full, and one of a few events costs
/// as much as any.
const PAGES: f64 = 3.75;
/// One of more than this gives a part away.
const MOST_PAGES: f64 = 5.0;
/// Cursors that are always others must end somewhere.
const LAST_PAGE: usize = 100_000;

impl Windows {
    pub(super) fn new(from: i64, to: i64, page_len: usize) -> Self {
        let mut this = Self {
            windows: VecDeque::new(),
            next_id: 0,
            page_len: page_len.max(1),
            most: Most::default(),
            hasher: RandomState::new(),
        };
        if from < to {
            let all = this.window(from, to, None);
            this.windows.push_back(all);
        }
        this
    }

    /// The next page to fetch, while fewer than `limit` are being fetched. What is fetched ahead
    /// of the oldest window stays within `room` pages.
    pub(super) fn start(&mut self, limit: usize, room: usize) -> Option<Step> {
        let fetching = self.fetching();
        if fetching >= limit {
            return None;
        }
        let n = self.windows.iter().position(|w| matches!(w.state, State::Waiting))?;
        if n > 0 && self.held() + fetching >= room {
            return None;
        }
        if self.windows[n].pages == 0 {
            self.carve(n);
        }
        let window = &mut self.windows[n];
        window.state = State::Fetching;
        let (from, to, after) = (window.from, window.to, window.after.clone());
        Some(Step { window: window.id, from, to, after })
    }

    /// How many pages are being fetched.
    pub(super) fn fetching(&self) -> usize {
        self.windows.iter().filter(|w| matches!(w.state, State::Fetching)).count()
    }

    /// How many pages are held.
    pub(super) fn held(&self) -> usize {
        self.windows.iter().map(|w| w.pages).sum()
    }

    pub(super) fn has(&self, window: u64) -> bool {
        self.windows.iter().any(|w| w.id == window)
    }

    /// Everything before this moment was taken.
    pub(super) fn taken_until(&self) -> Option<i64> {
        self.windows.front().map(|w| w.from)
    }

    /// Takes in a page that came in an answer of so many bytes, and the cursor of the next one if
    /// there is one.
    pub(super) fn page(&mut self, id: u64, items: Vec<Item>, bytes: u64, next: Option<String>) {
        let Some(n) = self.windows.iter().position(|w| w.id == id) else { return };
        let times = Times::of(&items);
        // The cursor's own event must stay within the filter.
        let may_divide = items.last().is_some_and(|item| time_of(item).is_some());
        let window = &mut self.windows[n];
        let (from, to) = (window.from.saturating_sub(1), window.to);
        if times.is_some_and(|times| times.oldest < from || times.newest > to) {
            // Of a server that pays no heed to times every window would be the whole log.
            let what = "it lists events of other times than were asked for";
            let error = Error::new(ErrorKind::Drift, what);
            return self.failed(id, error.in_operation(&operations::AUDIT_LOGS_LIST));
        }
        window.items.extend(items);
        window.pages += 1;
        window.bytes += bytes;
        let paging = |what: String| {
            Error::new(ErrorKind::Paging, what).in_operation(&operations::AUDIT_LOGS_LIST)
        };
        if let Some(what) = self.too_much() {
            return self.failed(id, paging(what));
        }
        let window = &mut self.windows[n];
        let Some(next) = next else {
            window.state = State::Whole;
            self.learn(n);
            return;
        };
        if window.pages >= LAST_PAGE {
            return self.failed(id, paging("too many pages in one window".to_owned()));
        }
        if !window.cursors.insert(self.hasher.hash_one(&next)) {
            return self.failed(id, paging("the server gave the same cursor again".to_owned()));
        }
        window.after = Some(next);
        window.state = State::Waiting;
        if let Some(times) = times {
            self.page_len = times.count;
            if may_divide {
                self.divide(n, times);
            }
        }
    }

    /// The page could not be fetched, and will be asked for again.
    pub(super) fn again(&mut self, id: u64) {
        for window in self.windows.iter_mut().filter(|w| w.id == id) {
            window.state = State::Waiting;
        }
    }

    /// The window cannot be had, so what is after it is of no use.
    pub(super) fn failed(&mut self, id: u64, error: Error) {
        let Some(n) = self.windows.iter().position(|w| w.id == id) else { return };
        self.windows[n].state = State::Failed(error);
        self.windows[n].items = Vec::new();
        self.windows.truncate(n + 1);
    }

    /// What is held beyond what may be, and what to do.
    fn too_much(&self) -> Option<String> {
        let events: usize = self.windows.iter().map(|w| w.items.len()).sum();
        let bytes: u64 = self.windows.iter().map(|w| w.bytes).sum();
        let (held, setter) = if events > self.most.events {
            (format!("{} events", self.most.events), "max_held_events")
        } else if bytes > self.most.bytes {
            (format!("{} bytes of events", self.most.bytes), "max_held_bytes")
        } else {
            return None;
        };
        Some(format!(
            "more than {held} would be held at once, which lie too close together in time; raise \
             `{setter}`, or read this span with `AuditLogs::list`, which holds one page"
        ))
    }

    /// Takes the oldest window, when it is whole.
    pub(super) fn take_oldest(&mut self) -> Oldest {
        match self.windows.front().map(|w| &w.state) {
            None => return Oldest::None,
            Some(State::Fetching | State::Waiting) => return Oldest::NotYet,
            Some(State::Failed(_) | State::Whole) => {}
        }
        match self.windows.pop_front() {
            None => Oldest::None,
            Some(Window { state: State::Failed(error), .. }) => {
                self.windows.clear();
                Oldest::Failed(error)
            }
            Some(window) => Oldest::Items(window.into_order()),
        }
    }

    fn window(&mut self, from: i64, to: i64, guess: Option<Guess>) -> Window {
        self.next_id += 1;
        Window {
            id: self.next_id,
            from,
            to,
            after: None,
            cursors: HashSet::new(),
            items: Vec::new(),
            pages: 0,
            bytes: 0,
            guess,
            state: State::Waiting,
        }
    }

    /// Cuts a window of the width that is due off the older end of one that was not begun.
    fn carve(&mut self, n: usize) {
        let window = &self.windows[n];
        let (from, to) = (window.from, window.to);
        let (width, next) = match window.guess {
            Some(Guess { width, trust: Trust::Full }) => (width, width),
            Some(Guess { width, trust: Trust::Waning }) => (width, width.saturating_mul(4)),
            Some(Guess { trust: Trust::None, .. }) | None => return,
        };
        // Not so that the rest would be a splinter.
        if to.saturating_sub(from) > width.saturating_add(width / 2) {
            let guess = window.guess.map(|guess| Guess { width: next, ..guess });
            let rest = self.window(from + width, to, guess);
            self.windows[n].to = from + width;
            self.windows.insert(n + 1, rest);
        }
    }

    /// Learns from a whole window how wide those should be that are cut off next behind it.
    fn learn(&mut self, n: usize) {
        let wanted = self.wanted();
        let window = &self.windows[n];
        let (wide, found) = (window.to.saturating_sub(window.from), window.items.len() as f64);
        let mut behind = self.windows.iter_mut().skip(n + 1);
        let rest = behind.find(|w| w.pages == 0 && matches!(w.state, State::Waiting));
        let Some(guess) = rest.and_then(|rest| rest.guess.as_mut()) else { return };
        if guess.trust == Trust::None {
            return;
        }
        if found < wanted / 4.0 {
            guess.trust = Trust::Waning;
        } else {
            let due = seconds(wanted * wide as f64 / found);
            *guess = Guess { width: due.min(guess.width.saturating_mul(4)), trust: Trust::Full };
        }
    }

    /// Gives the older part of a window away that has too much in it, as its last page tells.
    fn divide(&mut self, n: usize, last: Times) {
        let (wanted, page) = (self.wanted(), self.page_len as f64);
        let window = &self.windows[n];
        // Of the oldest second nothing can be given away.
        if last.oldest <= window.from || last.oldest >= window.to {
            return;
        }
        let per_second =
            last.count as f64 / last.newest.saturating_sub(last.oldest).saturating_add(1) as f64;
        let found = window.items.len() as f64;
        let left = per_second * last.oldest.saturating_sub(window.from) as f64;
        if found + left <= MOST_PAGES * page {
            return;
        }
        // The page that comes next should be full.
        let more = (wanted - found).max(0.75 * page);
        let from = last.oldest.saturating_sub(seconds(more / per_second));
        if from <= window.from {
            return;
        }
        let mut width = seconds(wanted / per_second);
        let agrees = |guess: Guess| width / 16 <= guess.width && guess.width / 16 <= width;
        let agreed = window.guess.is_some_and(agrees);
        let trust = if agreed { Trust::Full } else { Trust::None };
        let guess = Some(Guess { width, trust });
        let oldest = window.from;
        self.windows[n].from = from;
        // What was found is here; the farther from here, the less it says. So without a second
        // opinion the windows are the wider the older they are.
        let mut to = from;
        while !agreed && to.saturating_sub(oldest) > width.saturating_add(width / 2) {
            let older = self.window(to - width, to, guess);
            self.windows.insert(n, older);
            to -= width;
            width = width.saturating_mul(4);
        }
        let rest = self.window(oldest, to, guess);
        self.windows.insert(n, rest);
    }

    fn wanted(&self) -> f64 {
        PAGES * self.page_len as f64
    }
}

impl Default for Most {
    fn default() -> Self {
        Self { events: 1_000_000, bytes: 1 << 30 }
    }
}

impl Window {
    /// What is in it, the oldest first.
    ///
    /// The server's order is by time, and nobody promises that it is. What it listed before the
    /// window gave a part away, and what is of that part, is in that part too. A second at the
    /// border stays, since nobody promises how times are rounded; the caller knows what it had.
    fn into_order(self) -> VecDeque<Item> {
        let from = self.from.saturating_sub(1);
        let mut at = self.from;
        let mut items: Vec<(i64, Item)> = self
            .items
            .into_iter()
            .rev()
            .filter_map(|item| match time_of(&item) {
                Some(time) if time < from => None,
                time => {
                    // What has no time is as old as what stands before it.
                    at = time.unwrap_or(at);
                    Some((at, item))
                }
            })
            .collect();
        items.sort_by_key(|(at, _)| *at);
        items.into_iter().map(|(_, item)| item).collect()
    }
}

/// The times on a page.
#[derive(Clone, Copy)]
struct Times {
    count: usize,
    newest: i64,
    oldest: i64,
}

impl Times {
    fn of(items: &[Item]) -> Option<Self> {
        let times = || items.iter().filter_map(time_of);
        Some(Self { count: items.len(), newest: times().max()?, oldest: times().min()? })
    }
}

pub(super) fn time_of(item: &Item) -> Option<i64> {
    Some(item.as_ref().ok()?.effective_at?.as_unix_seconds())
}

/// Whole seconds, one at least.
fn seconds(seconds: f64) -> i64 {
    #[allow(clippy::cast_possible_truncation, reason = "the cast saturates, as it should")]
    let whole = seconds.ceil() as i64;
    whole.max(1)
}
