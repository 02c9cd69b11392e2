//! [`Pages`]: a listing as a stream of items, fetched page by page.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::value::RawValue;

use crate::transport::{Body, Call};
use crate::wire::lenient;
use crate::{Client, Error, ErrorKind, decode};

/// A listing: a [`Stream`] of items, in the server's order.
///
/// Nothing is sent before the first item is asked for. An item that cannot be read is an error in
/// its place, and the items after it still come. A page that cannot be fetched is an error, and
/// the last thing that comes: what was listed until then is not all.
///
/// A listing that would not end (a cursor that comes again, more than 10,000 pages) is an error of
/// the kind [`ErrorKind::Paging`].
#[must_use = "nothing is fetched before an item is asked for"]
pub struct Pages<T> {
    client: Client,
    call: Call,
    state: State,
    items: VecDeque<Result<T, Error>>,
    seen: HashSet<String>,
}

/// What can be listed: it has an id, which is the cursor where the server gives no better.
pub(crate) trait Listed: DeserializeOwned + Send + Unpin + 'static {
    fn id(&self) -> &str;
}

type Fetch = Pin<Box<dyn Future<Output = Result<Body, Error>> + Send>>;

enum State {
    /// The next page is after this cursor; none for the first page.
    Next(Option<String>),
    Fetching(Fetch),
    Done,
}

const MOST_PAGES: usize = 10_000;

#[allow(private_bounds, reason = "only what this crate lists can be listed")]
impl<T: Listed> Pages<T> {
    pub(crate) fn new(client: Client, call: Call) -> Self {
        Self {
            client,
            call,
            state: State::Next(None),
            items: VecDeque::new(),
            seen: HashSet::new(),
        }
    }

    /// The next item; `None` when there are no more.
    pub async fn next(&mut self) -> Option<Result<T, Error>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
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

    fn fetch(&self, after: Option<String>) -> Fetch {
        let client = self.client.clone();
        let mut call = self.call.clone();
        if let Some(after) = after {
            call = call.query("after", after);
        }
        Box::pin(async move { client.transport().send(&call).await })
    }

    /// Takes in a page, and tells the state after it.
    fn take_in(&mut self, body: &Body) -> Result<State, Error> {
        let in_operation = |e: Error| e.in_operation(&self.call.operation);
        let page: Envelope<'_> = decode::decode(body).map_err(in_operation)?;
        let is_empty = page.data.is_empty();
        let mut last_item = None;
        for raw in page.data {
            let item = decode::decode::<T>(raw.get().as_bytes()).map_err(in_operation);
            if let Ok(item) = &item {
                last_item = Some(item.id().to_owned());
            }
            self.items.push_back(item);
        }
        if page.error.is_some() {
            let what = "an error in place of a listing";
            return Err(in_operation(Error::new(ErrorKind::Drift, what)));
        }
        let given = |cursor: Option<String>| cursor.filter(|cursor| !cursor.is_empty());
        let cursor = given(page.next).or(given(page.last_id)).or(given(last_item));
        // Where the server does not say, a page that is not empty may have another behind it.
        let has_more = page.has_more.unwrap_or(!is_empty);
        if !has_more {
            return Ok(State::Done);
        }
        let paging = |text: String| in_operation(Error::new(ErrorKind::Paging, text));
        let Some(cursor) = cursor else {
            return Err(paging("the server says that there is more and not where".to_owned()));
        };
        if self.seen.len() >= MOST_PAGES {
            return Err(paging(format!("more than {MOST_PAGES} pages")));
        }
        if !self.seen.insert(cursor.clone()) {
            return Err(paging("the server gave the same cursor again".to_owned()));
        }
        Ok(State::Next(Some(cursor)))
    }
}

#[allow(private_bounds, reason = "only what this crate lists can be listed")]
impl<T: Listed> Stream for Pages<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(item) = this.items.pop_front() {
                return Poll::Ready(Some(item));
            }
            this.state = match &mut this.state {
                State::Done => return Poll::Ready(None),
                State::Next(after) => {
                    let after = after.take();
                    State::Fetching(this.fetch(after))
                }
                State::Fetching(fetch) => {
                    let fetched = ready!(fetch.as_mut().poll(cx));
                    match fetched.and_then(|body| this.take_in(&body)) {
                        Ok(state) => state,
                        Err(error) => {
                            // What came with the page comes first.
                            this.items.push_back(Err(error));
                            State::Done
                        }
                    }
                }
            };
        }
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

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
    #[serde(default)]
    error: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "lenient")]
    has_more: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    last_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    next: Option<String>,
}
