//! [`Peeked`]: a body of which the beginning was read, and which is whole all the same.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Buf as _;
use http_body::{Body, Frame, SizeHint};
use zeroize::Zeroizing;

/// A response's body, from its first byte on. Of an error's, the beginning may have been read
/// already, to see what it says; it is kept here and comes first.
#[cfg_attr(
    not(feature = "tower"),
    allow(unreachable_pub, reason = "reqwest has a body of its own, in which it is wrapped")
)]
pub struct Peeked<B: Body> {
    seen: VecDeque<Result<Frame<B::Data>, B::Error>>,
    rest: B,
    has_ended: bool,
}

/// The most that is read of a body before it is handed on.
const MOST: usize = 16 * 1024;

/// And the most frames: those without data do not count towards [`MOST`], and a body that is always
/// ready with one more never gives the clock a turn.
const FRAMES: usize = 64;

/// How long that may take. A server that sends the head of an answer and no body holds up nobody
/// for longer.
const WITHIN: Duration = Duration::from_secs(2);

impl<B: Body + Unpin> Peeked<B> {
    /// A body of which nothing was read.
    pub(super) fn unread(rest: B) -> Self {
        Self { seen: VecDeque::new(), rest, has_ended: false }
    }

    /// Reads what is there of the body, up to a bound in bytes and in time, and yields a copy of
    /// it. What goes wrong meanwhile is kept for whoever reads the body.
    pub(super) async fn peek(&mut self) -> Zeroizing<Vec<u8>> {
        // In one piece, so that nothing of it is left behind: an answer can repeat the key.
        let mut copy = Zeroizing::new(Vec::with_capacity(MOST));
        let read = async {
            while copy.len() < MOST && self.seen.len() < FRAMES && !self.has_ended {
                let frame = poll_fn(|cx| Pin::new(&mut self.rest).poll_frame(cx)).await;
                self.keep(frame, &mut copy);
            }
        };
        // Whether it was in time, or not: what there is, is there.
        let _ = tokio::time::timeout(WITHIN, read).await;
        copy
    }

    /// Whether the whole body was read ahead, and nothing went wrong.
    pub(super) fn is_all_seen(&self) -> bool {
        self.has_ended && self.seen.back().is_none_or(Result::is_ok)
    }

    fn keep(&mut self, frame: Option<Result<Frame<B::Data>, B::Error>>, copy: &mut Vec<u8>) {
        let Some(frame) = frame else {
            self.has_ended = true;
            return;
        };
        self.has_ended = frame.is_err();
        if let Ok(Some(data)) = frame.as_ref().map(Frame::data_ref) {
            // A piece may be several, of which the first is seen; more than one, no client makes.
            let chunk = data.chunk();
            copy.extend_from_slice(&chunk[..chunk.len().min(MOST - copy.len())]);
        }
        self.seen.push_back(frame);
    }
}

impl<B: Body + Unpin> Body for Peeked<B>
where
    B::Data: Unpin,
    B::Error: Unpin,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.get_mut();
        if let Some(frame) = this.seen.pop_front() {
            return Poll::Ready(Some(frame));
        }
        if this.has_ended {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut this.rest).poll_frame(cx));
        this.has_ended = frame.is_none();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.seen.is_empty() && (self.has_ended || self.rest.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let seen = self.seen.iter().filter_map(|frame| frame.as_ref().ok()?.data_ref());
        let seen: u64 = seen.map(|data| data.remaining() as u64).sum();
        let rest = if self.has_ended { SizeHint::with_exact(0) } else { self.rest.size_hint() };
        let mut hint = SizeHint::new();
        hint.set_lower(seen.saturating_add(rest.lower()));
        if let Some(upper) = rest.upper() {
            hint.set_upper(seen.saturating_add(upper));
        }
        hint
    }
}

/// Nothing of what was read: an answer can repeat the key.
impl<B: Body> fmt::Debug for Peeked<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peeked").field("seen", &self.seen.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// A body that comes in pieces, and may fail in the middle, or hang at its end.
    struct Pieces(VecDeque<Result<&'static [u8], &'static str>>, bool);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = &'static str;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
            match self.0.pop_front() {
                None if self.1 => Poll::Pending,
                None => Poll::Ready(None),
                Some(piece) => {
                    Poll::Ready(Some(piece.map(|piece| Frame::data(Bytes::from_static(piece)))))
                }
            }
        }
    }

    static LARGE: [u8; 10_000] = [b'x'; 10_000];

    /// What a reader gets, in the end with the error.
    async fn read(mut body: Peeked<Pieces>) -> (Vec<u8>, Option<&'static str>) {
        let mut all = Vec::new();
        loop {
            match poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                None => return (all, None),
                Some(Err(error)) => return (all, Some(error)),
                Some(Ok(frame)) => all.extend_from_slice(&frame.into_data().expect("data")),
            }
        }
    }

    /// Frames of nothing, without end.
    struct Empty;

    impl Body for Empty {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            Poll::Ready(Some(Ok(Frame::data(Bytes::new()))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn frames_of_nothing_come_to_an_end() {
        let mut body = Peeked::unread(Empty);
        assert!(body.peek().await.is_empty());
        assert_eq!(body.seen.len(), FRAMES);
        assert!(!body.is_all_seen());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_peeked_at_is_still_whole() {
        let whole = [&LARGE[..], &LARGE[..], &LARGE[..]].concat();
        for (pieces, hangs, seen, all, error) in [
            (vec![], false, 0, vec![], None),
            (vec![Ok(&b"a"[..]), Ok(b""), Ok(b"bc")], false, 3, b"abc".to_vec(), None),
            (vec![Ok(&b"a"[..]), Err("lost")], false, 1, b"a".to_vec(), Some("lost")),
            (vec![Ok(&LARGE[..]); 3], false, MOST, whole, None),
            (vec![Ok(&b"a"[..])], true, 1, b"a".to_vec(), None),
        ] {
            let mut body = Peeked::unread(Pieces(pieces.into(), hangs));
            let begun = tokio::time::Instant::now();
            let copy = body.peek().await;
            assert!(begun.elapsed() <= WITHIN, "it waits without end");
            assert_eq!(copy.len(), seen);
            assert!(all.starts_with(&copy));
            assert_eq!(body.is_all_seen(), !hangs && error.is_none() && seen == all.len());
            assert!(body.size_hint().lower() >= seen as u64);
            if hangs {
                assert!(!body.is_end_stream());
                continue;
            }
            assert_eq!(read(body).await, (all, error));
        }
    }
}
