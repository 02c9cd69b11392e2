//! [`Requests`]: what a client sends on one connection, read as it is encrypted, and the places in
//! it where a key belongs in the place of its placeholder.

use std::ops::Range;
use std::sync::Arc;

use super::http1::Http1;
use super::http2::Http2;
use super::placeholder::MARK;
use super::table::{Entry, Form, KeyBytes, Table};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the client has sent on a connection so far. No byte of it is kept.
#[derive(Debug)]
pub(super) struct Requests {
    /// Whether keys are put in: in early data none is.
    is_begun: bool,
    /// Whether it was told that a placeholder is left as it is.
    is_told: bool,
    protocol: Protocol,
    progress: Progress,
    /// Empty between two records; kept for their room.
    found: Found,
    splices: Vec<Splice>,
}

#[derive(Debug)]
enum Protocol {
    Http1(Http1),
    Http2(Http2),
    /// It can still be either, after so many bytes of the preface of HTTP/2.
    Unknown(usize),
}

/// What is known of the value of `Authorization` that is being read.
#[derive(Debug)]
enum Progress {
    /// It is none that stands for a key.
    Foreign,
    /// So far it is the scheme, or a part of it.
    Scheme,
    /// So far it is this one's; a part of the key is out.
    Of(Arc<Entry>),
}

/// A piece of the key in the place of a piece of its placeholder.
#[derive(Debug)]
pub(super) struct Splice {
    /// The place in the record.
    pub(super) at: Range<usize>,
    pub(super) entry: Arc<Entry>,
    pub(super) form: Form,
    /// The piece of the key in this form begins here.
    pub(super) from: usize,
}

impl Splice {
    /// The piece of the key.
    pub(super) fn of<'a>(&self, key: &'a KeyBytes<'_>) -> &'a [u8] {
        // Key and placeholder are of one length, so that the piece is always there.
        &key.as_ref()[self.from..self.from + self.at.len()]
    }
}

/// The pieces of values of `Authorization` that stand in one record.
#[derive(Debug, Default)]
pub(super) struct Found(Vec<Piece>);

#[derive(Debug)]
struct Piece {
    at: Range<usize>,
    /// How much of the value came before.
    offset: usize,
    form: Form,
    /// The value's length, where it is known.
    whole: Option<usize>,
}

impl Found {
    /// A piece of a value of HTTP/1.1, which may end here.
    pub(super) fn plain(&mut self, at: usize, len: usize, offset: usize, ends: bool) {
        let whole = ends.then_some(offset + len);
        self.push(Piece { at: at..at + len, offset, form: Form::Plain, whole });
    }

    /// A piece of a value of HTTP/2.
    pub(super) fn field(&mut self, at: usize, len: usize, offset: usize, form: Form, whole: usize) {
        self.push(Piece { at: at..at + len, offset, form, whole: Some(whole) });
    }

    /// Pieces of one value that touch, because they were handed over in several slices, are one.
    fn push(&mut self, piece: Piece) {
        if let Some(last) = self.0.last_mut()
            && piece.offset > 0
            && last.at.end == piece.at.start
            && last.offset + last.at.len() == piece.offset
        {
            last.at.end = piece.at.end;
            last.whole = piece.whole;
            return;
        }
        self.0.push(piece);
    }
}

impl Requests {
    /// A new connection's, up to the end of its handshake.
    pub(super) fn early() -> Self {
        Self {
            is_begun: false,
            is_told: false,
            protocol: Protocol::Unknown(0),
            progress: Progress::Foreign,
            found: Found::default(),
            splices: Vec::new(),
        }
    }

    /// From now on keys are put in: what is sent cannot be recorded and sent again.
    pub(super) fn begin(&mut self) {
        self.is_begun = true;
    }

    /// Reads a record on, and tells where keys belong, in order.
    pub(super) fn read(&mut self, record: &[&[u8]], table: &Table) -> Vec<Splice> {
        let was_opaque = self.is_opaque();
        let mut found = std::mem::take(&mut self.found);
        let mut base = 0;
        for slice in record {
            self.walk(slice, base, &mut found);
            base += slice.len();
        }
        let mut splices = std::mem::take(&mut self.splices);
        for piece in found.0.drain(..) {
            splices.extend(self.settle(&piece, record, table));
        }
        self.found = found;
        self.end_of_record(record, was_opaque);
        splices
    }

    /// Takes the room of what was told back. Nothing of it is kept.
    pub(super) fn take_back(&mut self, mut splices: Vec<Splice>) {
        splices.clear();
        self.splices = splices;
    }

    fn walk(&mut self, mut bytes: &[u8], mut base: usize, found: &mut Found) {
        while let Protocol::Unknown(have) = &mut self.protocol {
            let Some((byte, rest)) = bytes.split_first() else { return };
            if *byte != PREFACE[*have] {
                // A method, such as PROPFIND, can begin as it does.
                let mut http1 = Http1::new();
                http1.read(&PREFACE[..*have], 0, found);
                self.protocol = Protocol::Http1(http1);
                break;
            }
            *have += 1;
            if *have == PREFACE.len() {
                self.protocol = Protocol::Http2(Http2::new());
            }
            (bytes, base) = (rest, base + 1);
        }
        match &mut self.protocol {
            Protocol::Http1(it) => it.read(bytes, base, found),
            Protocol::Http2(it) => it.read(bytes, base, found),
            Protocol::Unknown(_) => {}
        }
    }

    /// Where nothing more is put in, no key is held, and an operator who wonders about a 401 is
    /// told. What made it so may have had its own key put in in the same record.
    fn end_of_record(&mut self, record: &[&[u8]], was_opaque: bool) {
        if !self.is_opaque() {
            return;
        }
        self.progress = Progress::Foreign;
        // The coded form of HTTP/2 does not show its end; there it never comes to this with a client
        // that keeps the rules.
        let is_left = matches!(self.protocol, Protocol::Http2(_))
            || was_opaque
                && !self.is_told
                && record.iter().any(|slice| memchr::memmem::find(slice, MARK).is_some());
        if is_left {
            self.tell("what was sent before on the connection cannot be followed");
        }
    }

    fn is_opaque(&self) -> bool {
        match &self.protocol {
            Protocol::Http1(it) => it.is_opaque(),
            Protocol::Http2(it) => it.is_opaque(),
            Protocol::Unknown(_) => false,
        }
    }

    /// Once a connection.
    fn tell(&mut self, why: &'static str) {
        if !std::mem::replace(&mut self.is_told, true) {
            tracing::warn!(
                target: "keyward::wire",
                why,
                "placeholders are sent as they are; a 401 to them is not the key's"
            );
        }
    }

    /// Decides what to do with a piece of a value.
    fn settle(&mut self, piece: &Piece, record: &[&[u8]], table: &Table) -> Option<Splice> {
        let Piece { at, offset, form, whole } = piece;
        let scheme = form.scheme();
        let progress = match std::mem::replace(&mut self.progress, Progress::Foreign) {
            _ if *offset == 0 => Progress::Scheme,
            progress => progress,
        };
        self.progress = with_bytes(record, at, |bytes| match progress {
            Progress::Foreign => Progress::Foreign,
            Progress::Scheme if offset + bytes.len() <= scheme.len() => {
                match scheme[*offset..].starts_with(bytes) {
                    true => Progress::Scheme,
                    false => Progress::Foreign,
                }
            }
            Progress::Scheme => match table.find(*form, *offset, bytes, *whole) {
                Some(entry) => Progress::Of(entry),
                None => Progress::Foreign,
            },
            Progress::Of(entry) => {
                let rest = entry.value(*form).get(*offset..).unwrap_or_default();
                match rest.starts_with(bytes) {
                    true => Progress::Of(entry),
                    false => Progress::Foreign,
                }
            }
        });
        let Progress::Of(entry) = &self.progress else { return None };
        if !self.is_begun {
            self.progress = Progress::Foreign;
            self.tell("they are in early data, which can be recorded and sent again");
            return None;
        }
        let entry = Arc::clone(entry);
        if *whole == Some(offset + at.len()) {
            // A connection that waits holds no key.
            self.progress = Progress::Foreign;
        }
        let skipped = scheme.len().saturating_sub(*offset);
        let at = at.start + skipped..at.end;
        let from = offset + skipped - scheme.len();
        (!at.is_empty()).then_some(Splice { at, entry, form: *form, from })
    }
}

/// Shows a range of the record in one piece. Seldom it must be put together; the buffer is wiped,
/// because the value may be a key that the application put there itself.
fn with_bytes<T>(record: &[&[u8]], at: &Range<usize>, look: impl FnOnce(&[u8]) -> T) -> T {
    let mut base = 0;
    for slice in record {
        if at.start >= base && at.end <= base + slice.len() {
            return look(&slice[at.start - base..at.end - base]);
        }
        base += slice.len();
    }
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(at.len()));
    let mut base = 0;
    for slice in record {
        let start = at.start.clamp(base, base + slice.len()) - base;
        let end = at.end.clamp(base, base + slice.len()) - base;
        bytes.extend_from_slice(&slice[start..end]);
        base += slice.len();
    }
    look(&bytes)
}
