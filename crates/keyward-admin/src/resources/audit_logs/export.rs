//! [`AuditExport`]: everything that was done in a span of time, listed in many windows at once.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use keyward_core::Timestamp;
use tokio::task::{AbortHandle, Id, JoinSet};

use super::cursor::{AuditCursor, Had};
use super::windows::{Item, Oldest, Step, Windows, time_of};
use crate::resources::PAGE;
use crate::transport::Call;
use crate::{AuditEvent, Client, Error, ErrorKind, Page, Pages, operations};

/// The events of a span of time, the oldest first: a [`Stream`], whole or with an error at its end.
/// It comes from [`AuditLogs::export`](crate::AuditLogs::export).
///
/// The span is divided into windows of time that are listed at once, as wide as the events in them
/// are few, so that it takes a fraction of the time that one cursor would. The requests pass the
/// client's gate as all others do; a server that throttles sees hardly more of them than one cursor
/// would send.
///
/// - **The order** is the one that a log wants to be appended in: by time, and within a second the
///   other way round than the server lists. (The server lists the newest first, and can be read so
///   with [`AuditLogs::list`](crate::AuditLogs::list).)
/// - **An event comes once**, also when it lies at the border of two windows.
/// - **An event that cannot be read** is an error in its place, and those after it still come.
/// - **A page that cannot be fetched** is an error after everything that was before it in time, and
///   the last thing that comes.
/// - **Memory** holds what was fetched ahead: three pages for each request that may be
///   [in flight](Self::in_flight), and a few more where the events lie close together. A second is
///   never divided, so all events of one are held at once, up to
///   [`max_held_events`](Self::max_held_events) and [`max_held_bytes`](Self::max_held_bytes); more
///   is an error of the kind [`ErrorKind::Paging`].
/// - **Events that come late**, with a time that has been exported, are not in the export. Export
///   up to a few minutes ago, or go on with a [`look_back`](Self::look_back).
///
/// Requests are sent from when the first item is asked for, on tasks of the tokio runtime, which
/// end with the export. It goes on from where another stopped with [`resume`](Self::resume).
#[must_use = "nothing is fetched before an item is asked for"]
pub struct AuditExport {
    client: Client,
    call: Call,
    until: i64,
    in_flight: usize,
    windows: Windows,
    steps: JoinSet<Stepped>,
    /// Those of the steps that are under way, by window.
    handles: HashMap<u64, AbortHandle>,
    /// Something happened after which another page may be asked for.
    moved: bool,
    items: VecDeque<Item>,
    had: Had,
    refused: Option<Error>,
    broke_off_at: Option<i64>,
}

/// A page that was fetched, and the cursor of the next.
struct Stepped {
    window: u64,
    /// How many pages were being fetched when this one was begun.
    among: usize,
    fetched: Result<Fetched, Error>,
}

struct Fetched {
    page: Page<AuditEvent>,
    /// Of the answer.
    bytes: u64,
    next: Option<String>,
}

const IN_FLIGHT: usize = 32;
/// Pages that are held for each request that may be in flight.
const HELD: usize = 3;

impl AuditExport {
    pub(super) fn new(
        client: Client,
        call: Call,
        span: Range<Timestamp>,
        refused: Option<Error>,
    ) -> Self {
        let (since, until) = (span.start.as_unix_seconds(), span.end.as_unix_seconds());
        Self {
            client,
            call,
            until,
            in_flight: IN_FLIGHT,
            windows: Windows::new(since, until, PAGE as usize),
            steps: JoinSet::new(),
            handles: HashMap::new(),
            moved: true,
            items: VecDeque::new(),
            had: Had::nothing(since),
            refused,
            broke_off_at: None,
        }
    }

    /// How many pages are asked for at once: 32 unless said otherwise. The client's
    /// [`Pacing`](crate::Pacing) may let through fewer.
    ///
    /// Where a turn at the gate would come too late for so many, the export goes on with half of
    /// them, down to one, before it fails.
    pub fn in_flight(mut self, pages: usize) -> Self {
        self.in_flight = pages.max(1);
        self
    }

    /// How far before the last event the next export begins that goes on from the
    /// [`cursor`](Self::cursor) of this one: a second unless said otherwise.
    ///
    /// What is found there that was not there before came late, and is exported then, out of order.
    /// The cursor has the id of each event in this time. One that cannot be read has no id, so it
    /// comes again, as an error, each time an export goes on from less than this after it.
    pub fn look_back(mut self, time: Duration) -> Self {
        self.had.set_look_back(i64::try_from(time.as_secs()).unwrap_or(i64::MAX));
        self
    }

    /// The most events that are held at once: 1,000,000 unless said otherwise. One more is an
    /// error of the kind [`ErrorKind::Paging`].
    ///
    /// What is at hand to be read, and was taken from there, does not count.
    pub fn max_held_events(mut self, events: usize) -> Self {
        self.windows.most.events = events;
        self
    }

    /// The most bytes of answers whose events are held at once: 1 GiB unless said otherwise. One
    /// more is an error of the kind [`ErrorKind::Paging`].
    pub fn max_held_bytes(mut self, bytes: u64) -> Self {
        self.windows.most.bytes = bytes;
        self
    }

    /// Goes on from where another export of the same query stopped; nothing that it yielded comes
    /// again, and nothing that it did not is left out. Only events that cannot be read come again, as
    /// errors, while they are within the [`look_back`](Self::look_back).
    ///
    /// The span begins where the cursor says, and not where this export was told to begin.
    pub fn resume(mut self, cursor: &AuditCursor) -> Self {
        self.had = Had::as_of(cursor, self.had.look_back());
        let since = cursor.since().as_unix_seconds();
        let most = self.windows.most;
        self.windows = Windows::new(since, self.until, PAGE as usize);
        self.windows.most = most;
        self
    }

    /// Where to go on from after what was yielded so far.
    ///
    /// Keep it when what was yielded is safe where it was put, and not before.
    #[must_use]
    pub fn cursor(&self) -> AuditCursor {
        self.had.cursor()
    }

    /// The moment up to which everything was yielded, for a progress line.
    #[must_use]
    pub fn position(&self) -> Timestamp {
        let seconds = match self.windows.taken_until() {
            _ if !self.items.is_empty() => self.had.newest,
            Some(from) => from,
            None => self.broke_off_at.unwrap_or(self.until),
        };
        Timestamp::from_unix_seconds(seconds)
    }

    /// Whether it ended with an error, and so before its end. (An event that could not be read does
    /// not end it.)
    #[must_use]
    pub fn is_broken_off(&self) -> bool {
        self.broke_off_at.is_some()
    }

    /// The next event; `None` when there are no more.
    pub async fn next(&mut self) -> Option<Result<AuditEvent, Error>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Every event of the span, in memory.
    ///
    /// # Errors
    ///
    /// The first error of a page or an event: half an export is not answered as a whole one.
    pub async fn all(mut self) -> Result<Vec<AuditEvent>, Error> {
        let mut all = Vec::new();
        while let Some(event) = self.next().await {
            all.push(event?);
        }
        Ok(all)
    }

    /// Takes in what was fetched and asks for more.
    fn work(&mut self, cx: &mut Context<'_>) {
        loop {
            while let Poll::Ready(Some(joined)) = self.steps.poll_join_next(cx) {
                match joined {
                    Ok(stepped) => self.take_in(stepped),
                    Err(e) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
                    Err(e) => self.cancelled(e.id()),
                }
            }
            if !std::mem::take(&mut self.moved) {
                return;
            }
            while let Some(step) = self.windows.start(self.in_flight, HELD * self.in_flight) {
                let (window, step) = (step.window, self.step(step));
                self.handles.insert(window, self.steps.spawn(step));
            }
        }
    }

    fn step(&self, step: Step) -> impl Future<Output = Stepped> + Send + 'static {
        let Step { window, from, to, after } = step;
        let mut call =
            self.call.clone().query("effective_at[gte]", from).query("effective_at[lt]", to);
        if let Some(after) = after {
            call = call.query("after", after);
        }
        let pages = Pages::new(self.client.clone(), call);
        let among = self.windows.fetching();
        async move { Stepped { window, among, fetched: one_page(pages).await } }
    }

    fn take_in(&mut self, Stepped { window, among, fetched }: Stepped) {
        self.moved = true;
        // Also those that came too late together with this one, and were taken in before it.
        let among = among.max(self.windows.fetching());
        self.handles.remove(&window);
        match fetched {
            Ok(Fetched { page, bytes, next }) => {
                self.windows.page(window, page.items, bytes, next);
                self.forget_what_is_not_needed();
            }
            // So many at once are too many, if there were others.
            Err(e) if e.came_too_late() && among > 1 => {
                self.in_flight = self.in_flight.min(among / 2);
                self.windows.again(window);
            }
            Err(error) => self.failed(window, error),
        }
    }

    /// A step that was not aborted here ended because its runtime did.
    fn cancelled(&mut self, step: Id) {
        let mut needed = self.handles.iter();
        let Some(window) = needed.find_map(|(w, handle)| (handle.id() == step).then_some(*w))
        else {
            return;
        };
        self.handles.remove(&window);
        let error = Error::runtime_gone().in_operation(&operations::AUDIT_LOGS_LIST);
        self.failed(window, error);
    }

    fn failed(&mut self, window: u64, error: Error) {
        self.windows.failed(window, error);
        self.forget_what_is_not_needed();
    }

    /// Requests that nobody waits for any more would only take others' turns.
    fn forget_what_is_not_needed(&mut self) {
        let windows = &self.windows;
        self.handles.retain(|window, handle| {
            let is_needed = windows.has(*window);
            if !is_needed {
                handle.abort();
            }
            is_needed
        });
    }
}

impl Stream for AuditExport {
    type Item = Result<AuditEvent, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(refused) = this.refused.take() {
            this.broke_off_at = this.windows.taken_until().or(Some(this.until));
            this.windows = Windows::new(this.until, this.until, 1);
            return Poll::Ready(Some(Err(refused)));
        }
        loop {
            // Also while there are items at hand, so that requests get on their way.
            this.work(cx);
            while let Some(item) = this.items.pop_front() {
                match &item {
                    Ok(event) if !this.had.is_new(time_of(&item), &event.id) => {}
                    _ => return Poll::Ready(Some(item)),
                }
            }
            let at = this.windows.taken_until();
            match this.windows.take_oldest() {
                Oldest::Failed(error) => {
                    this.broke_off_at = at;
                    return Poll::Ready(Some(Err(error)));
                }
                Oldest::Items(items) => {
                    this.items = items;
                    this.moved = true;
                }
                Oldest::None => return Poll::Ready(None),
                Oldest::NotYet => return Poll::Pending,
            }
        }
    }
}

impl fmt::Debug for AuditExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditExport")
            .field("position", &self.position())
            .field("until", &Timestamp::from_unix_seconds(self.until))
            .field("in_flight", &self.in_flight)
            .finish_non_exhaustive()
    }
}

async fn one_page(mut pages: Pages<AuditEvent>) -> Result<Fetched, Error> {
    let Some(page) = pages.next_page().await.transpose()? else {
        let page = Page { items: Vec::new(), has_more: false };
        return Ok(Fetched { page, bytes: pages.bytes(), next: None });
    };
    let next = pages.next_cursor().map(str::to_owned);
    if page.has_more && next.is_none() {
        // Why it does not go on is told in the place of the next page.
        if let Some(Err(error)) = pages.next_page().await {
            return Err(error);
        }
    }
    Ok(Fetched { page, bytes: pages.bytes(), next })
}

/// What an export is to be of: everything but times.
pub(super) fn refusal(has_times: bool) -> Option<Error> {
    has_times.then(|| {
        let what = "an export takes its times from its span; the query has times of its own";
        Error::new(ErrorKind::InvalidRequest, what).in_operation(&operations::AUDIT_LOGS_LIST)
    })
}
