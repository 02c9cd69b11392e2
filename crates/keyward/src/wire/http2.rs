//! Where the value of `Authorization` stands in what a client sends by HTTP/2.
//!
//! Header blocks are walked, not decoded: which field it is, and where its value stands. Whatever
//! else frames carry is skipped by its length, so nothing in it is ever taken for a header.

use super::request::Found;
use super::table::Form;

const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// The index of the name `authorization` in the static table (RFC 7541, appendix A).
const AUTHORIZATION: u32 = 23;

/// How far the client has come.
#[derive(Debug)]
pub(super) struct Http2 {
    at: At,
    /// The frame that is being read.
    frame: Frame,
    block: Block,
}

#[derive(Debug)]
enum At {
    /// In a piece of a header block.
    Fragment,
    /// In the head of a frame.
    Head([u8; 9], usize),
    /// Nothing can be told from here on.
    Opaque,
    /// At the length of the padding.
    Padding,
    /// In so many more bytes of priority.
    Priority(u8),
    /// In what is left of the frame.
    Skip,
}

#[derive(Debug, Default)]
struct Frame {
    /// How much of the payload is left, with the padding.
    left: usize,
    padding: usize,
    flags: u8,
}

/// A header block (RFC 7541, section 6), which can come in several frames.
#[derive(Debug)]
enum Block {
    /// At the first byte of a field.
    Field,
    /// In a number that takes more than its first byte.
    Number { of: Number, value: u32, shift: u32 },
    /// At the first byte of a name's length.
    NameLength,
    /// In a name.
    Name(u32),
    /// At the first byte of a value's length.
    ValueLength { wanted: bool },
    /// In a value that has so much more.
    Value { left: u32, whole: u32, form: Form, wanted: bool },
    /// No block is open.
    Closed,
    /// It breaks the rules.
    Broken,
}

/// What a number is of.
#[derive(Clone, Copy, Debug)]
enum Number {
    /// A field that the receiver knows, or the size of its table.
    Known,
    /// The name of a field whose value follows.
    Name,
    NameLength,
    ValueLength {
        form: Form,
        wanted: bool,
    },
}

impl Http2 {
    /// One that has read the preface.
    pub(super) fn new() -> Self {
        Self { at: At::Head([0; 9], 0), frame: Frame::default(), block: Block::Closed }
    }

    /// Whether nothing more can be told.
    pub(super) fn is_opaque(&self) -> bool {
        matches!(self.at, At::Opaque)
    }

    /// Reads on; the bytes stand at `base` in the record.
    pub(super) fn read(&mut self, bytes: &[u8], base: usize, found: &mut Found) {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            at += match &mut self.at {
                At::Opaque => return,
                At::Head(head, have) => {
                    let more = rest.len().min(head.len() - *have);
                    head[*have..*have + more].copy_from_slice(&rest[..more]);
                    *have += more;
                    if *have == head.len() {
                        let head = *head;
                        self.open(head);
                    }
                    more
                }
                At::Padding => {
                    self.frame.padding = rest[0].into();
                    self.take(1);
                    let has_priority = self.frame.flags & PRIORITY != 0;
                    let before = if has_priority { 5 } else { 0 };
                    self.at = match () {
                        // That there is room for the priority was seen with the head.
                        () if self.frame.padding > self.frame.left - before => At::Opaque,
                        () if has_priority => At::Priority(5),
                        () => At::Fragment,
                    };
                    1
                }
                At::Priority(left) => {
                    *left -= 1;
                    let is_over = *left == 0;
                    self.take(1);
                    if is_over {
                        self.at = At::Fragment;
                    }
                    1
                }
                At::Fragment => {
                    let fragment = self.frame.left - self.frame.padding;
                    let more = rest.len().min(fragment);
                    self.block.read(&rest[..more], base + at, found);
                    self.take(more);
                    if more == fragment {
                        self.at = At::Skip;
                    }
                    more
                }
                At::Skip => {
                    let more = rest.len().min(self.frame.left);
                    self.take(more);
                    more
                }
            };
            self.close();
        }
    }

    fn take(&mut self, bytes: usize) {
        self.frame.left = self.frame.left.saturating_sub(bytes);
    }

    fn open(&mut self, head: [u8; 9]) {
        let [a, b, c, kind, flags, ..] = head;
        let left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        let is_open = !matches!(self.block, Block::Closed);
        self.frame = Frame { left, padding: 0, flags: 0 };
        self.at = match kind {
            HEADERS if !is_open => {
                self.frame.flags = flags;
                self.block = Block::Field;
                let extra =
                    usize::from(flags & PADDED != 0) + if flags & PRIORITY != 0 { 5 } else { 0 };
                match () {
                    () if left < extra => At::Opaque,
                    () if flags & PADDED != 0 => At::Padding,
                    () if flags & PRIORITY != 0 => At::Priority(5),
                    () => At::Fragment,
                }
            }
            CONTINUATION if is_open => {
                self.frame.flags = flags & END_HEADERS;
                At::Fragment
            }
            // Between the frames of one block there is no other.
            _ if is_open || kind == CONTINUATION => At::Opaque,
            _ => At::Skip,
        };
    }

    /// Goes on to the next frame when this one is over.
    fn close(&mut self) {
        if self.frame.left > 0 || matches!(self.at, At::Head(..) | At::Opaque) {
            return;
        }
        if matches!(self.at, At::Padding | At::Priority(_)) {
            self.at = At::Opaque;
            return;
        }
        if self.frame.flags & END_HEADERS != 0 && !matches!(self.block, Block::Closed) {
            if !matches!(self.block, Block::Field) {
                self.at = At::Opaque;
                return;
            }
            self.block = Block::Closed;
        }
        self.at =
            if matches!(self.block, Block::Broken) { At::Opaque } else { At::Head([0; 9], 0) };
    }
}

impl Block {
    fn read(&mut self, bytes: &[u8], base: usize, found: &mut Found) {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            match self {
                Self::Closed | Self::Broken => return,
                Self::Name(left) => {
                    let more = (*left).min(u32::try_from(bytes.len() - at).unwrap_or(u32::MAX));
                    *left -= more;
                    at += more as usize;
                    if *left == 0 {
                        *self = Self::ValueLength { wanted: false };
                    }
                }
                Self::Value { left, whole, form, wanted } => {
                    let more = (*left).min(u32::try_from(bytes.len() - at).unwrap_or(u32::MAX));
                    let offset = (*whole - *left) as usize;
                    *left -= more;
                    if *wanted {
                        let whole = *whole as usize;
                        found.field(base + at, more as usize, offset, *form, whole);
                    }
                    at += more as usize;
                    if *left == 0 {
                        *self = Self::Field;
                    }
                }
                _ => {
                    *self = self.step(*byte);
                    at += 1;
                }
            }
        }
    }

    fn step(&self, byte: u8) -> Self {
        match *self {
            Self::Field => match byte {
                // A field of the receiver's table; the table's size.
                0x80.. => number(Number::Known, byte, 7),
                0x20..0x40 => number(Number::Known, byte, 5),
                // A value that is added to the table, or is not, or never is.
                0x40..0x80 => number(Number::Name, byte, 6),
                0x00..0x20 => number(Number::Name, byte, 4),
            },
            Self::NameLength => number(Number::NameLength, byte, 7),
            Self::ValueLength { wanted } => {
                let form = if byte & 0x80 != 0 { Form::Coded } else { Form::Plain };
                number(Number::ValueLength { form, wanted }, byte, 7)
            }
            Self::Number { of, value, shift } => {
                if shift > 21 {
                    return Self::Broken;
                }
                let value = value + (u32::from(byte & 0x7f) << shift);
                match byte & 0x80 {
                    0 => after(of, value),
                    _ => Self::Number { of, value, shift: shift + 7 },
                }
            }
            Self::Name(_) | Self::Value { .. } | Self::Closed | Self::Broken => Self::Broken,
        }
    }
}

/// A number's first byte, of which these lowest bits count.
fn number(of: Number, byte: u8, bits: u32) -> Block {
    let most = (1_u32 << bits) - 1;
    match u32::from(byte) & most {
        value if value == most => Block::Number { of, value, shift: 0 },
        value => after(of, value),
    }
}

fn after(of: Number, value: u32) -> Block {
    match (of, value) {
        (Number::Known, _) => Block::Field,
        (Number::Name, 0) => Block::NameLength,
        (Number::Name, index) => Block::ValueLength { wanted: index == AUTHORIZATION },
        (Number::NameLength, 0) => Block::ValueLength { wanted: false },
        (Number::NameLength, len) => Block::Name(len),
        (Number::ValueLength { .. }, 0) => Block::Field,
        (Number::ValueLength { form, wanted }, len) => {
            Block::Value { left: len, whole: len, form, wanted }
        }
    }
}
