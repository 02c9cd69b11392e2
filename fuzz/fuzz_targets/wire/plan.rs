//! Requests that keep the rules of HTTP, made of bytes. Whose values of `Authorization` they have is
//! an argument; elsewhere they have placeholders, in which nothing may change.

use super::{Known, MOST, Value};

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

type With = fn(&Known) -> &Value;

/// In pieces of these sizes, again and again.
pub(crate) fn pieces<'a, 'b>(
    bytes: &'a [u8],
    sizes: &mut impl Iterator<Item = &'b u8>,
) -> Vec<&'a [u8]> {
    let (mut bytes, mut pieces) = (bytes, Vec::new());
    while !bytes.is_empty() {
        let size = match sizes.next().map_or(0, |size| usize::from(*size)) {
            small @ 0..128 => small + 1,
            large => (large - 127) * (MOST / 128),
        };
        let (piece, rest) = bytes.split_at(size.min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

/// Requests of HTTP/1.1 with bodies of every framing; after an upgrade nothing is put in.
pub(crate) fn http1(plan: &[u8], known: &[&Known], with: With) -> Vec<u8> {
    let mut plan = plan.iter().copied();
    let mut stream = Vec::new();
    let elsewhere = &*String::from_utf8_lossy(&known[0].with_placeholder.plain);
    let trap = format!("GET / HTTP/1.1\r\nAuthorization: {elsewhere}\r\n\r\n");
    let mut is_http = true;
    while let Some(kind) = plan.next() {
        let method = ["GET", "POST", "PUT", "PROPFIND", "M-SEARCH"][usize::from(kind) % 5];
        let mut head = format!("{method} /{elsewhere} HTTP/1.1\r\n");
        let mut upgrades = false;
        for header in plan.by_ref().take(usize::from(kind / 32)) {
            let known = known[usize::from(header / 16) % known.len()];
            let value = if is_http { with(known) } else { &known.with_placeholder };
            let value = String::from_utf8_lossy(&value.plain);
            head += &match header % 16 {
                0..4 => format!("Authorization: {value}\r\n"),
                4 => format!("aUTHORIZATION:{value}\r\n"),
                5 => format!("authorization: \t {value}\r\n"),
                6 => format!("authorization: Basic {elsewhere}\r\n"),
                7 => format!("proxy-authorization: {elsewhere}\r\n"),
                8 => format!("x-authorization: {elsewhere}\r\n"),
                9 => format!("cookie: authorization: {elsewhere}\r\n"),
                10 => "accept:\r\n".to_owned(),
                11 if header / 16 == 0 => {
                    upgrades = true;
                    "Upgrade: websocket\r\n".to_owned()
                }
                _ => format!("host: {header}.example\r\n"),
            };
        }
        stream.extend(head.as_bytes());
        let sizes = |plan: &mut dyn Iterator<Item = u8>| usize::from(plan.next().unwrap_or(0)) * 3;
        match kind % 4 {
            0 => stream.extend(b"\r\n"),
            1 => {
                let body: Vec<u8> = trap.bytes().cycle().take(sizes(&mut plan)).collect();
                stream.extend(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
                stream.extend(body);
            }
            2 => {
                stream.extend(b"Content-Length: 4, 4\r\nContent-Length:4\r\n\r\nGET ");
            }
            _ => {
                stream.extend(b"transfer-encoding: chunked\r\n\r\n");
                for _ in 0..kind / 64 {
                    let chunk: Vec<u8> = trap.bytes().cycle().take(sizes(&mut plan)).collect();
                    if !chunk.is_empty() {
                        stream.extend(format!("{:X};{elsewhere}\r\n", chunk.len()).as_bytes());
                        stream.extend([&*chunk, b"\r\n"].concat());
                    }
                }
                stream.extend(format!("0\r\nAuthorization: {elsewhere}\r\n\r\n").as_bytes());
            }
        }
        is_http &= !upgrades;
    }
    stream
}

/// Frames of HTTP/2: header blocks in any number of them, with padding and priority, and others.
pub(crate) fn http2(plan: &[u8], known: &[&Known], with: With) -> Vec<u8> {
    let mut plan = plan.iter().copied();
    let mut stream = PREFACE.to_vec();
    let elsewhere = &known[0].with_placeholder;
    let field = |index: u8, value: &Value, coded: bool| {
        [&[0x1F, index - 15], &*string(value, coded)].concat()
    };
    // What would be a block, or a frame with one, if it were not within another frame.
    let trap =
        [field(AUTHORIZATION, elsewhere, false), field(AUTHORIZATION, elsewhere, true)].concat();
    let trap = [&*trap, &frame(1, 4, &trap)].concat();
    while let Some(kind) = plan.next() {
        if kind % 4 == 0 {
            let payload: Vec<u8> =
                trap.iter().copied().cycle().take(usize::from(kind) * 5).collect();
            let kinds = [0, 2, 3, 4, 6, 7, 8, 10, 0xFA];
            stream.extend(frame(kinds[usize::from(kind / 4) % kinds.len()], kind, &payload));
            continue;
        }
        let mut block = Vec::new();
        for what in plan.by_ref().take(usize::from(kind / 16)) {
            let (coded, known) = (what & 8 != 0, known[usize::from(what / 16) % known.len()]);
            match what % 8 {
                // Added to the table, not added, never added.
                0 => block.extend([&[0x40 | AUTHORIZATION], &*string(with(known), coded)].concat()),
                1 => block
                    .extend([&[0x0F, AUTHORIZATION - 15], &*string(with(known), coded)].concat()),
                2 => block.extend(field(AUTHORIZATION, with(known), coded)),
                3 => block.extend(field(58, elsewhere, coded)),
                4 => {
                    let name = Value::of(b"x-authorization");
                    block.extend(
                        [&[0x40], &*string(&name, coded), &*string(elsewhere, coded)].concat(),
                    );
                }
                5 => block.extend([0x80 | what >> 2 | 1]),
                6 => block.extend([0xFF, what | 0x80, 1]),
                _ => block.extend([0x3F, what & 0x7F]),
            }
        }
        let sizes = [plan.next().unwrap_or(0), plan.next().unwrap_or(0)];
        let mut pieces = pieces(&block, &mut sizes.iter().cycle()).into_iter().peekable();
        let mut payload = Vec::new();
        let mut flags = 0;
        let padding = if kind % 4 == 1 { kind } else { 0 };
        if padding > 0 {
            flags |= 0x8;
            payload.push(padding);
        }
        if kind % 4 != 2 {
            flags |= 0x20;
            payload.extend([0, 0, 0, 0, 16]);
        }
        payload.extend(pieces.next().unwrap_or_default());
        payload.extend(trap.iter().cycle().take(padding.into()));
        flags |= if pieces.peek().is_none() { 0x4 } else { 0 };
        stream.extend(frame(1, flags, &payload));
        while let Some(piece) = pieces.next() {
            stream.extend(frame(9, if pieces.peek().is_none() { 0x4 } else { 0 }, piece));
        }
    }
    stream
}

/// The index of `authorization` in the static table (RFC 7541, appendix A).
const AUTHORIZATION: u8 = 23;

fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
}

/// A string of a header block (RFC 7541, section 5.2).
pub(crate) fn string(value: &Value, coded: bool) -> Vec<u8> {
    let (form, text) = if coded { (0x80, &value.coded) } else { (0, &value.plain) };
    let mut length = vec![form | text.len().min(127) as u8];
    if let Some(mut rest) = text.len().checked_sub(127) {
        while rest >= 0x80 {
            length.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        length.push(rest as u8);
    }
    [&*length, text].concat()
}
