//! [`Pages`]: a listing as a stream of items, fetched page by page.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::future::{Future, poll_fn};
use std::hash::{BuildHasher as _, RandomState};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use tokio::task::JoinSet;
use tracing::Instrument as _;
use zeroize::Zeroizing;

use crate::body::Body;
use crate::operations::Operation;
use crate::transport::Call;
use crate::wire::lenient;
use crate::{Client, Error, ErrorKind, Event, decode};

/// A listing: a [`Stream`] of items, in the server's order, or of [pages](Self::next_page).
///
/// Nothing is sent before the first item is asked for, and nothing more once it is dropped. An
/// item that cannot be read is an error in its place, and the items after it still come. A page
/// that cannot be fetched is an error, and the last thing that comes: what was listed until then
/// is not all.
///
/// A listing that would not end (a cursor that comes again, more than
/// [`max_pages`](Self::max_pages) or [`max_bytes`](Self::max_bytes)) is an error of the kind
/// [`ErrorKind::Paging`]. Each page has the client's own limits of bytes and of time; one of more
/// than 10,000 items is an error of the kind [`ErrorKind::TooLarge`].
///
/// How far it is, whoever watches the client is told: see
/// [`Pacing::observer`](crate::Pacing::observer).
#[must_use = "nothing is fetched before an item is asked for"]
pub struct Pages<T> {
    client: Client,
    call: Call,
    cursor: Cursor,
    state: State,
    /// The cursor of the page that was asked for last.
    asked_after: Option<String>,
    items: VecDeque<Result<T, Error>>,
    /// The cursors so far, as hashes with a random key: two of 10,000 are taken for one another
    /// with a chance below 10⁻¹¹, and the memory of a long listing stays flat.
    seen: HashSet<u64>,
    hasher: RandomState,
    max_pages: usize,
    max_bytes: u64,
    bytes: u64,
    told: u64,
    listing: Option<Arc<str>>,
    prefetch: bool,
    page_len: usize,
}

/// What can be listed.
pub(crate) trait Listed: DeserializeOwned + Send + Unpin + 'static {
    /// What the server takes for a cursor where it gives no better; nothing if it always does.
    fn id(&self) -> &str {
        ""
    }

    /// Whether there may be a key in it, so that the page that it came on is wiped.
    const MAY_HOLD_KEY: bool = false;
}

/// The parameter that asks for the page after a cursor.
#[derive(Clone, Copy)]
pub(crate) enum Cursor {
    After,
    Page,
}

/// One page of a listing.
#[derive(Debug)]
#[non_exhaustive]
pub struct Page<T> {
    /// What is on it. An item that cannot be read is an error in its place.
    pub items: Vec<Result<T, Error>>,
    /// Whether there is another page.
    pub has_more: bool,
}

type Fetch = Pin<Box<dyn Future<Output = Result<Body, Error>> + Send>>;

enum State {
    /// The next page is after this cursor; none for the first page.
    Next(Option<String>),
    Fetching(Fetch),
    /// The next page could not be fetched; told when what came before it is read.
    Failed(Option<Error>),
    Done,
}

const MOST_PAGES: usize = 10_000;
const MOST_BYTES: u64 = 4 << 30;
/// A cursor is sent back in a URL.
const LONGEST_CURSOR: usize = 4096;

#[allow(private_bounds, reason = "only what this crate lists can be listed")]
impl<T: Listed> Pages<T> {
    pub(crate) fn new(client: Client, call: Call) -> Self {
        Self::with_cursor(client, call, Cursor::After)
    }

    pub(crate) fn with_cursor(client: Client, call: Call, cursor: Cursor) -> Self {
        Self {
            client,
            call,
            cursor,
            state: State::Next(None),
            asked_after: None,
            items: VecDeque::new(),
            seen: HashSet::new(),
            hasher: RandomState::new(),
            max_pages: MOST_PAGES,
            max_bytes: MOST_BYTES,
            bytes: 0,
            told: 0,
            listing: None,
            prefetch: false,
            page_len: 0,
        }
    }

    /// The listing of nothing, for which nothing is sent.
    pub(crate) fn empty(self) -> Self {
        Self { state: State::Done, ..self }
    }

    /// The listing that cannot be asked for, for this reason.
    pub(crate) fn failed(self, error: Error) -> Self {
        Self { state: State::Failed(Some(error)), ..self }
    }

    /// The most pages that are fetched: 10,000 unless said otherwise. One more is an error.
    pub fn max_pages(mut self, pages: usize) -> Self {
        self.max_pages = pages;
        self
    }

    /// The most bytes that are read in all: 4 GiB unless said otherwise. One more is an error.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Asks for the next page as soon as one is there, while the caller works on that.
    ///
    /// It saves waiting where a listing is read to its end, and costs a request where it is not. The
    /// pages are fetched on tasks of the tokio runtime, which end with the listing, however long the
    /// caller works.
    pub fn prefetch(mut self) -> Self {
        self.prefetch = true;
        self
    }

    /// The next item; `None` when there are no more.
    pub async fn next(&mut self) -> Option<Result<T, Error>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// What is left of the page at hand or, if nothing is, the next page; `None` when there are no
    /// more.
    ///
    /// # Errors
    ///
    /// When the page cannot be fetched. Nothing comes after that.
    pub async fn next_page(&mut self) -> Option<Result<Page<T>, Error>> {
        if let Err(error) = poll_fn(|cx| self.poll_page(cx)).await {
            return Some(Err(error));
        }
        let has_more = !matches!(self.state, State::Done);
        let items: Vec<_> = self.items.drain(..).collect();
        (!items.is_empty() || has_more).then_some(Ok(Page { items, has_more }))
    }

    /// The first page and no more, which may be empty.
    ///
    /// # Errors
    ///
    /// When it cannot be fetched.
    pub async fn first_page(mut self) -> Result<Page<T>, Error> {
        match self.next_page().await {
            Some(page) => page,
            None => Ok(Page { items: Vec::new(), has_more: false }),
        }
    }

    /// Everything that is left of the listing.
    ///
    /// # Errors
    ///
    /// The first error of a page or an item: half a listing is not answered as a whole one.
    pub async fn all(mut self) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        while let Some(item) = self.next().await {
            all.push(item?);
        }
        Ok(all)
    }

    /// The cursor of the page that would be asked for next, if there is one and it has one.
    pub(crate) fn next_cursor(&self) -> Option<&str> {
        match &self.state {
            State::Next(after) => after.as_deref(),
            _ => None,
        }
    }

    /// Asks once more for the page that could not be fetched, when that was told.
    pub(crate) fn again(&mut self) {
        self.state = State::Next(self.asked_after.clone());
    }

    /// How many bytes were read so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether nothing is left of it.
    pub(crate) fn is_at_its_end(&self) -> bool {
        self.items.is_empty() && matches!(self.state, State::Done)
    }

    fn fetch(&self, after: Option<String>) -> Fetch {
        let client = self.client.clone();
        let mut call = self.call.clone();
        if let Some(after) = after {
            let name = match self.cursor {
                Cursor::After => "after",
                Cursor::Page => "page",
            };
            // Also where a raw call began at a cursor of its own.
            call.query.retain(|(given, _)| given != name);
            call = call.query(name, after);
        }
        let operation = self.prefetch.then(|| call.operation.clone());
        let fetch = async move { client.transport().send(&call).await };
        match operation {
            Some(operation) => Box::pin(on_a_task(fetch, operation)),
            None => Box::pin(fetch),
        }
    }

    /// Ready when there are items at hand or none will come.
    fn poll_page(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            let at_hand = !self.items.is_empty();
            match &mut self.state {
                State::Done => return Poll::Ready(Ok(())),
                State::Failed(_) if at_hand => return Poll::Ready(Ok(())),
                State::Failed(error) => {
                    let error = error.take();
                    self.state = State::Done;
                    return Poll::Ready(error.map_or(Ok(()), Err));
                }
                // One page ahead and no more.
                State::Next(_)
                    if at_hand && (!self.prefetch || self.items.len() > self.page_len) =>
                {
                    return Poll::Ready(Ok(()));
                }
                State::Next(after) => {
                    let after = after.take();
                    self.asked_after.clone_from(&after);
                    self.state = State::Fetching(self.fetch(after));
                }
                State::Fetching(fetch) => {
                    // Polled even when there are items, so that the request gets on its way.
                    let fetched = match fetch.as_mut().poll(cx) {
                        Poll::Ready(fetched) => fetched,
                        Poll::Pending if at_hand => return Poll::Ready(Ok(())),
                        Poll::Pending => return Poll::Pending,
                    };
                    self.state = fetched
                        .and_then(|body| self.take_in(body))
                        .unwrap_or_else(|error| State::Failed(Some(error)));
                }
            }
        }
    }

    /// Takes in a page, and tells the state after it.
    fn take_in(&mut self, mut body: Body) -> Result<State, Error> {
        let plain;
        let body: &[u8] = if T::MAY_HOLD_KEY || body.has_key() {
            &body
        } else {
            // It answers no key, and wiping what is no secret would take a tenth of all the time.
            plain = body.take_unwiped();
            &plain
        };
        let in_operation = |e: Error| e.in_operation(&self.call.operation);
        let paging = |text: String| in_operation(Error::new(ErrorKind::Paging, text));
        self.bytes += body.len() as u64;
        if self.bytes > self.max_bytes {
            return Err(paging(format!("more than {} bytes in all", self.max_bytes)));
        }
        let page = match decode::fast::<Envelope<Items<T>>>(body) {
            Some(page) => page,
            None => one_by_one(body, in_operation).map_err(in_operation)?,
        };
        let Items(mut items) = page.data;
        let is_empty = items.is_empty();
        self.page_len = items.len();
        let last_item =
            items.iter().rev().find_map(|item| Some(item.as_ref().ok()?.id().to_owned()));
        if self.items.is_empty() {
            self.items = items;
        } else {
            self.items.append(&mut items);
        }
        if page.error.is_some() {
            let what = "an error in place of a listing";
            return Err(in_operation(Error::new(ErrorKind::Drift, what)));
        }
        let given = |cursor: Option<String>| cursor.filter(|cursor| !cursor.is_empty());
        let cursor = match self.cursor {
            Cursor::After => given(page.next).or(given(page.last_id)).or(given(last_item)),
            Cursor::Page => given(page.next_page),
        };
        // Where the server does not say, a page that is not empty may have another behind it.
        let has_more = page.has_more.unwrap_or(!is_empty);
        self.told += self.page_len as u64;
        let listing = self.listing.get_or_insert_with(|| self.call.path().into());
        self.client.transport().tell(&Event::Page {
            operation: self.call.operation.clone(),
            listing: Arc::clone(listing),
            page: self.seen.len() + 1,
            items: self.told,
            has_more,
        });
        if !has_more {
            return Ok(State::Done);
        }
        let Some(cursor) = cursor else {
            return Err(paging("the server says that there is more and not where".to_owned()));
        };
        if cursor.len() > LONGEST_CURSOR {
            return Err(paging(format!("a cursor of {} bytes", cursor.len())));
        }
        if self.seen.len() + 1 >= self.max_pages {
            return Err(paging(format!("more than {} pages", self.max_pages)));
        }
        if !self.seen.insert(self.hasher.hash_one(&cursor)) {
            return Err(paging("the server gave the same cursor again".to_owned()));
        }
        Ok(State::Next(Some(cursor)))
    }
}

#[allow(private_bounds, reason = "only what this crate lists can be listed")]
impl<T: Listed> Stream for Pages<T> {
    type Item = Result<T, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Err(error) = ready!(this.poll_page(cx)) {
            return Poll::Ready(Some(Err(error)));
        }
        Poll::Ready(this.items.pop_front())
    }
}

impl<T> fmt::Debug for Pages<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages")
            .field("operation", &self.call.operation.to_string())
            .field("pages", &self.seen.len())
            .finish_non_exhaustive()
    }
}

/// Fetches on a task of its own, which ends when this is dropped.
///
/// Nobody polls a page that is fetched ahead while the caller works. It would hold its turn at the
/// gate meanwhile, and would come too late by the time somebody looks.
async fn on_a_task(
    fetch: impl Future<Output = Result<Body, Error>> + Send + 'static,
    operation: Operation,
) -> Result<Body, Error> {
    let mut task = JoinSet::new();
    task.spawn(fetch.in_current_span());
    match task.join_next().await {
        Some(Ok(fetched)) => fetched,
        Some(Err(e)) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
        Some(Err(_)) | None => Err(Error::runtime_gone().in_operation(&operation)),
    }
}

/// Reads a page on which something is wrong: an item that cannot be read is an error in its place.
fn one_by_one<T: Listed>(
    body: &[u8],
    in_operation: impl Fn(Error) -> Error,
) -> Result<Envelope<Items<T>>, Error> {
    // So that items can be told apart where one of them is not UTF-8, and places stay the same.
    let marked = std::str::from_utf8(body).is_err().then(|| mark(body));
    let text: &[u8] = marked.as_ref().map_or(body, |marked| marked);
    let page: Envelope<RawItems> = decode::decode(text)?;
    if page.data.has_too_many {
        return Err(Error::new(ErrorKind::TooLarge, TOO_MANY));
    }
    // Both point into the same text.
    let place = |raw: &RawValue| raw.get().as_ptr().addr() - text.as_ptr().addr();
    let in_items = page.data.items.iter().map(|raw| &body[place(raw)..][..raw.get().len()]);
    if marked.is_some() && in_items.map(not_utf8).sum::<usize>() < not_utf8(body) {
        // It may be in the cursor.
        return Err(Error::new(ErrorKind::Drift, "not UTF-8 beside the items"));
    }
    let item = |(n, raw): (usize, &&RawValue)| {
        let at = place(raw);
        read_item(&body[at..][..raw.get().len()], raw)
            .map_err(|error| in_operation(error.within(&format!("data[{n}]"), at)))
    };
    let items = page.data.items.iter().enumerate().map(item).collect();
    Ok(page.with(Items(items)))
}

/// Reads an item, with U+FFFD in the place of what is not UTF-8.
fn read_item<T: Listed>(item: &[u8], marked: &RawValue) -> Result<T, Error> {
    let marked = marked.get().as_bytes();
    if std::str::from_utf8(item).is_ok() {
        return decode::decode(item);
    }
    let len = item.utf8_chunks().map(|chunk| chunk.valid().len() + 3).sum();
    let mut text = Zeroizing::new(String::with_capacity(len));
    for chunk in item.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    // What is wrong is told of the text in which places are those of the answer.
    decode::fast(text.as_bytes()).map_or_else(|| decode::decode(marked), Ok)
}

/// The same text with a `?` for each byte that is not UTF-8.
fn mark(body: &[u8]) -> Body {
    let mut marked = Body::new(Vec::with_capacity(body.len()));
    for chunk in body.utf8_chunks() {
        marked.append(chunk.valid().as_bytes());
        chunk.invalid().iter().for_each(|_| marked.append(b"?"));
    }
    marked
}

/// How many bytes are not UTF-8.
fn not_utf8(bytes: &[u8]) -> usize {
    bytes.utf8_chunks().map(|chunk| chunk.invalid().len()).sum()
}

/// Items that are all as they should be.
struct Items<T>(VecDeque<Result<T, Error>>);

impl<'de, T: Listed> Deserialize<'de> for Items<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ItemsVisitor<T>(PhantomData<T>);

        impl<'de, T: Listed> Visitor<'de> for ItemsVisitor<T> {
            type Value = Items<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("items")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Items<T>, A::Error> {
                let mut items = VecDeque::new();
                while let Some(item) = seq.next_element()? {
                    if items.is_empty() {
                        items.reserve(COMMON_PAGE);
                    }
                    if items.len() == MOST_ITEMS {
                        return Err(A::Error::custom(TOO_MANY));
                    }
                    items.push_back(Ok(item));
                }
                Ok(Items(items))
            }
        }

        deserializer.deserialize_seq(ItemsVisitor(PhantomData))
    }
}

/// Where each item is, whatever it is. What comes after too many is not kept.
struct RawItems<'a> {
    items: Vec<&'a RawValue>,
    has_too_many: bool,
}

impl<'de> Deserialize<'de> for RawItems<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RawItemsVisitor;

        impl<'de> Visitor<'de> for RawItemsVisitor {
            type Value = RawItems<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("items")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RawItems<'de>, A::Error> {
                let mut items = Vec::new();
                while items.len() < MOST_ITEMS {
                    let Some(item) = seq.next_element()? else {
                        return Ok(RawItems { items, has_too_many: false });
                    };
                    items.push(item);
                }
                let mut has_too_many = false;
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    has_too_many = true;
                }
                Ok(RawItems { items, has_too_many })
            }
        }

        deserializer.deserialize_seq(RawItemsVisitor)
    }
}

/// So many items are on most pages that have any.
const COMMON_PAGE: usize = 100;
/// The most items that are read of a page: ten times as many as the API gives on its largest. Of
/// the smallest items there would be many millions in an answer that is not too long.
const MOST_ITEMS: usize = 10_000;
const TOO_MANY: &str = "more than 10,000 items on one page";

#[derive(Deserialize)]
struct Envelope<D> {
    data: D,
    #[serde(default)]
    error: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "lenient")]
    has_more: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    last_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    next: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    next_page: Option<String>,
}

impl<D> Envelope<D> {
    fn with<E>(self, data: E) -> Envelope<E> {
        let Self { data: _, error, has_more, last_id, next, next_page } = self;
        Envelope { data, error, has_more, last_id, next, next_page }
    }
}

#[cfg(test)]
mod tests;
