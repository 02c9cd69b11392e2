//! [`Pacing`]: how a client keeps to the rates that the server allows, and how its progress is
//! watched.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::operations::Operation;

/// How a [`Client`](crate::Client) keeps to the rates that the server allows.
///
/// Each operation has a gate that all calls of a client, and of its clones, pass in the order in
/// which they came. It begins with eight requests at once and doubles them while all goes well;
/// nothing else slows a server that does not throttle. At the first 429 all wait together, as long
/// as the server asks or else for a moment that doubles; then one request tries, and the next ones
/// follow at the rate that the gate has learned and carefully tries to raise.
///
/// # A `Retry-After` of whole seconds
///
/// It is obeyed by all, and it has its price: a bucket that is full again after a fraction of the
/// second that the server asks for runs over for the rest. Nobody tells the rate, and a client that
/// does not happen to guess it meets two 429s on the way to it: of 600 calls at 50 a second that
/// leaves 0.86 of what the bucket would give if it holds one request, 0.88 if it holds ten, and all
/// of it if it holds fifty. The gate therefore goes slower to its second 429 where the server asks
/// so, learns the rate from it to within a few per cent, and stays below that.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use keyward_admin::Pacing;
///
/// let pacing = Pacing::new()
///     .max_in_flight(16)
///     .max_retry_after(Duration::from_secs(30))
///     .observer(|event| eprintln!("{event}"));
/// # let _ = pacing;
/// ```
#[derive(Clone)]
#[must_use = "give it to `ClientBuilder::pacing`"]
pub struct Pacing {
    max_in_flight: u32,
    max_retry_after: Option<Duration>,
    observer: Option<Arc<Observer>>,
}

type Observer = dyn Fn(&Event) + Send + Sync;

impl Pacing {
    /// At most 64 requests of an operation at once, and a `Retry-After` obeyed up to the client's
    /// [`max_wait`](crate::ClientBuilder::max_wait).
    pub fn new() -> Self {
        Self { max_in_flight: 64, max_retry_after: None, observer: None }
    }

    /// How many requests of one operation may be under way at once: 64 unless said otherwise.
    pub fn max_in_flight(mut self, requests: u32) -> Self {
        self.max_in_flight = requests.max(1);
        self
    }

    /// The longest `Retry-After` that is waited for; unless it is set, the client's
    /// [`max_wait`](crate::ClientBuilder::max_wait).
    ///
    /// A server that asks for more gets no further attempt of that call, and its caller an
    /// [`ErrorKind::Throttled`](crate::ErrorKind::Throttled) that tells how much. Other calls of
    /// the operation wait as long as is allowed here, and then one of them tries.
    pub fn max_retry_after(mut self, wait: Duration) -> Self {
        self.max_retry_after = Some(wait);
        self
    }

    /// Who is told what the gates do and how far listings are. It is called on the task of a call, so it must be quick.
    pub fn observer(mut self, observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    pub(crate) fn with_default_cap(mut self, cap: Duration) -> Self {
        self.max_retry_after.get_or_insert(cap);
        self
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.max_in_flight
    }

    pub(crate) fn cap(&self) -> Duration {
        self.max_retry_after.unwrap_or(Duration::MAX)
    }

    pub(crate) fn tell(&self, event: &Event) {
        if let Some(observer) = &self.observer {
            observer(event);
        }
    }
}

impl Default for Pacing {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Pacing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pacing")
            .field("max_in_flight", &self.max_in_flight)
            .field("max_retry_after", &self.max_retry_after)
            .field("observer", &self.observer.is_some())
            .finish()
    }
}

/// What a gate does and how far a listing is, for a progress line or a log.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The rate at which the server is now believed to take requests.
    #[non_exhaustive]
    Learned {
        /// Whose rate it is.
        operation: Operation,
        /// Requests a second.
        rate: f64,
    },
    /// A page of a listing was read.
    ///
    /// In an [`AuditExport`](crate::AuditExport) each page is a listing of its own, the first and
    /// only page of it; how far an export is, its [`position`](crate::AuditExport::position) tells.
    #[non_exhaustive]
    Page {
        /// What is listed.
        operation: Operation,
        /// Which listing of it: the path with its ids, such as
        /// `/organization/projects/proj_a/api_keys`. Clones share it.
        listing: Arc<str>,
        /// The number of the page, from 1.
        page: usize,
        /// How many items the listing has had with it.
        items: u64,
        /// Whether there is another page.
        has_more: bool,
    },
    /// The first request after a pause was taken.
    #[non_exhaustive]
    Resumed {
        /// Whose pause it was.
        operation: Operation,
    },
    /// Calls wait.
    #[non_exhaustive]
    Waiting {
        /// Whose calls wait.
        operation: Operation,
        /// For how long, as far as is known.
        lasting: Duration,
        /// What they wait for.
        why: Why,
    },
}

/// Why calls wait.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Why {
    /// The server said how long, in a `Retry-After`.
    Asked,
    /// The server asked for fewer requests and did not say how long.
    BackOff,
    /// It is not this call's turn at the learned rate. Told for waits of a second and more.
    Paced,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Learned { operation, rate } => {
                write!(f, "{operation}: the server takes about {rate:.2} requests a second")
            }
            Self::Page { listing, page, items, .. } => {
                write!(f, "{listing}: page {page}, {items} items so far")
            }
            Self::Resumed { operation } => write!(f, "{operation}: going on"),
            Self::Waiting { operation, lasting, why } => {
                write!(f, "{operation}: waiting {:.1} s, {why}", lasting.as_secs_f64())
            }
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asked => "as the server asks",
            Self::BackOff => "because the server is throttling",
            Self::Paced => "to keep to the server's rate",
        })
    }
}
