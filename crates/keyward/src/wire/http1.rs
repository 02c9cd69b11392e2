//! Where the value of `Authorization` stands in what a client sends by HTTP/1.1.
//!
//! Bodies are skipped by their length, so nothing in them is ever taken for a header.

use super::request::Found;

/// How far the client has come.
#[derive(Debug)]
pub(super) struct Http1 {
    at: At,
    name: Name,
    body: Body,
}

#[derive(Debug)]
enum At {
    /// In the value of `Authorization`, after so many bytes of it.
    Authorization(usize),
    /// In the white space in front of a value.
    Before(Header),
    /// In a body that has so much more.
    Body(u64),
    /// In a chunk that has so much more.
    Chunk(u64),
    /// Behind a chunk, up to the end of the line.
    ChunkEnd,
    /// In the line with a chunk's size; its digits may be over.
    ChunkSize { size: u64, over: bool },
    /// In a value that tells of the body.
    Framing(Header),
    /// In the method.
    Method,
    /// In the name of a header.
    Name,
    /// Nothing can be told from here on.
    Opaque,
    /// In the rest of a line of the head.
    Rest,
    /// In the lines behind the last chunk; the line may be empty so far.
    Trailer { empty: bool },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Header {
    Authorization,
    ContentLength,
    Other,
    TransferEncoding,
}

/// What the head says of the body.
#[derive(Debug, Default)]
struct Body {
    length: Option<u64>,
    /// The number that is being read.
    number: Option<u64>,
    /// Another must follow: lengths that are the same can stand in a list.
    comma: bool,
    /// The last seven characters of a transfer encoding.
    coding: Option<u64>,
    /// What follows is not HTTP, or cannot be told.
    opaque: bool,
}

/// A method or the name of a header, in small letters; names that are longer than those that
/// matter have no text.
#[derive(Debug, Default)]
struct Name {
    text: [u8; 17],
    len: usize,
}

impl Http1 {
    pub(super) fn new() -> Self {
        Self { at: At::Method, name: Name::default(), body: Body::default() }
    }

    /// Whether nothing more can be told.
    pub(super) fn is_opaque(&self) -> bool {
        matches!(self.at, At::Opaque)
    }

    /// Reads on; the bytes stand at `base` in the record.
    pub(super) fn read(&mut self, bytes: &[u8], base: usize, found: &mut Found) {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            let rest = &bytes[at..];
            match &mut self.at {
                At::Opaque => return,
                At::Body(left) | At::Chunk(left) => {
                    let skipped = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= skipped as u64;
                    at += skipped;
                    if *left == 0 {
                        let chunk = matches!(self.at, At::Chunk(_));
                        self.at = if chunk { At::ChunkEnd } else { At::Method };
                    }
                    continue;
                }
                At::Authorization(offset) => {
                    let end = memchr::memchr2(b'\r', b'\n', rest);
                    let len = end.unwrap_or(rest.len());
                    found.plain(base + at, len, *offset, end.is_some());
                    *offset += len;
                    at += len;
                    if end.is_some() {
                        self.at = At::Rest;
                    }
                    continue;
                }
                At::Rest => {
                    let Some(end) = memchr::memchr(b'\n', rest) else { return };
                    at += end;
                    self.at = At::Name;
                    self.name.clear();
                }
                At::Before(Header::Authorization)
                    if !matches!(*byte, b' ' | b'\t' | b'\r' | b'\n') =>
                {
                    self.at = At::Authorization(0);
                    continue;
                }
                // Most names stand in the record as a whole.
                At::Name if self.name.len == 0 => match memchr::memchr3(b':', b'\r', b'\n', rest) {
                    Some(len) if rest[len] == b':' && is_token(&rest[..len]) => {
                        self.at = self.after_name(&rest[..len]);
                        at += len;
                    }
                    _ => self.step(*byte),
                },
                _ => self.step(*byte),
            }
            at += 1;
        }
    }

    /// Takes one byte where each counts.
    fn step(&mut self, byte: u8) {
        self.at = match std::mem::replace(&mut self.at, At::Opaque) {
            At::Method => self.method(byte),
            At::Name => self.header_name(byte),
            At::Before(header) if matches!(byte, b' ' | b'\t') => At::Before(header),
            At::Before(_) if byte == b'\n' => self.end_of_value(),
            At::Before(_) if byte == b'\r' => At::Before(Header::Other),
            At::Before(header @ (Header::ContentLength | Header::TransferEncoding)) => {
                self.framing(header, byte)
            }
            At::Before(_) => At::Rest,
            At::Framing(header) => self.framing(header, byte),
            At::ChunkEnd if byte == b'\n' => At::ChunkSize { size: 0, over: false },
            At::ChunkEnd if byte == b'\r' => At::ChunkEnd,
            At::ChunkSize { size: 0, .. } if byte == b'\n' => At::Trailer { empty: true },
            At::ChunkSize { size, .. } if byte == b'\n' => At::Chunk(size),
            At::ChunkSize { size, over } => chunk_size(size, over, byte),
            At::Trailer { empty: true } if byte == b'\n' => At::Method,
            At::Trailer { empty } if byte == b'\r' => At::Trailer { empty },
            At::Trailer { .. } => At::Trailer { empty: byte == b'\n' },
            _ => At::Opaque,
        };
    }

    fn method(&mut self, byte: u8) -> At {
        match byte {
            b'\r' | b'\n' if self.name.len == 0 => At::Method,
            b' ' if self.name.len > 0 => {
                self.body = Body { opaque: self.name.is(b"connect"), ..Body::default() };
                At::Rest
            }
            _ if is_in_token(byte) => {
                self.name.push(byte);
                At::Method
            }
            _ => At::Opaque,
        }
    }

    fn header_name(&mut self, byte: u8) -> At {
        match byte {
            b':' => {
                let name = std::mem::take(&mut self.name);
                self.after_name(name.text.get(..name.len).unwrap_or_default())
            }
            b'\r' if self.name.len == 0 => At::Name,
            b'\n' if self.name.len == 0 => self.end_of_head(),
            // A line that goes on with the one before, as was once allowed.
            b' ' | b'\t' if self.name.len == 0 => At::Rest,
            b' ' | b'\t' | b'\r' | b'\n' => At::Opaque,
            _ => {
                self.name.push(byte);
                At::Name
            }
        }
    }

    fn after_name(&mut self, name: &[u8]) -> At {
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        match name.len() {
            13 if is(b"authorization") => At::Before(Header::Authorization),
            14 if is(b"content-length") => At::Before(Header::ContentLength),
            17 if is(b"transfer-encoding") => At::Before(Header::TransferEncoding),
            len => {
                self.body.opaque |= len == 7 && is(b"upgrade");
                At::Rest
            }
        }
    }

    fn framing(&mut self, header: Header, byte: u8) -> At {
        match (header, byte) {
            (_, b'\n') => return self.end_of_value(),
            (_, b' ' | b'\t' | b'\r') => {}
            (Header::ContentLength, b'0'..=b'9') => {
                let digit = u64::from(byte - b'0');
                let number = self.body.number.unwrap_or(0).checked_mul(10);
                self.body.number = number.and_then(|number| number.checked_add(digit));
                self.body.opaque |= self.body.number.is_none();
                self.body.comma = false;
            }
            (Header::ContentLength, b',') if self.body.number.is_some() => {
                self.body.end_of_length();
                self.body.comma = true;
            }
            (Header::TransferEncoding, _) => {
                let coding = self.body.coding.unwrap_or(0) << 8;
                self.body.coding = Some((coding | u64::from(byte.to_ascii_lowercase())) & LAST_7);
            }
            _ => self.body.opaque = true,
        }
        At::Framing(header)
    }

    fn end_of_value(&mut self) -> At {
        self.body.end_of_length();
        self.body.opaque |= self.body.comma;
        self.name.clear();
        At::Name
    }

    fn end_of_head(&mut self) -> At {
        self.name.clear();
        match std::mem::take(&mut self.body) {
            Body { opaque: true, .. } | Body { length: Some(_), coding: Some(_), .. } => At::Opaque,
            Body { coding: Some(CHUNKED), .. } => At::ChunkSize { size: 0, over: false },
            Body { coding: Some(_), .. } => At::Opaque,
            Body { length: Some(length @ 1..), .. } => At::Body(length),
            Body { .. } => At::Method,
        }
    }
}

impl Body {
    fn end_of_length(&mut self) {
        if let Some(number) = self.number.take() {
            self.opaque |= self.length.is_some_and(|length| length != number);
            self.length = Some(number);
        }
    }
}

/// Whether a method can have it (RFC 9110, section 5.6.2); `M-SEARCH` does, and small letters are
/// others than capitals.
fn is_in_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether a name has no white space, which nobody may send.
fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && !name.iter().any(|byte| matches!(byte, b' ' | b'\t'))
}

const LAST_7: u64 = (1 << 56) - 1;
const CHUNKED: u64 = u64::from_be_bytes(*b"\0chunked");

fn chunk_size(size: u64, over: bool, byte: u8) -> At {
    match byte {
        b'\r' | b';' | b' ' | b'\t' => At::ChunkSize { size, over: true },
        _ if over => At::ChunkSize { size, over },
        _ => match char::from(byte).to_digit(16) {
            Some(digit) if size >> 59 == 0 => {
                At::ChunkSize { size: size << 4 | u64::from(digit), over }
            }
            _ => At::Opaque,
        },
    }
}

impl Name {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.text.get_mut(self.len) {
            *place = byte.to_ascii_lowercase();
        }
        self.len = self.len.saturating_add(1);
    }

    fn clear(&mut self) {
        self.len = 0;
    }

    fn is(&self, name: &[u8]) -> bool {
        self.text.get(..self.len) == Some(name)
    }
}
