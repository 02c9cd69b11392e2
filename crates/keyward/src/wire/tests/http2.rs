//! Frames and header blocks of HTTP/2.

use proptest::prelude::*;

use super::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
}

/// A number behind a prefix of so many bits (RFC 7541, section 5.1).
fn number(prefix: u8, bits: u32, value: usize) -> Vec<u8> {
    let most = (1 << bits) - 1;
    if value < most {
        return vec![prefix | value as u8];
    }
    let mut out = vec![prefix | most as u8];
    let mut rest = value - most;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
    out
}

fn string(form: Form, text: &[u8]) -> Vec<u8> {
    match form {
        Form::Plain => [number(0, 7, text.len()), text.to_vec()].concat(),
        Form::Coded => {
            let coded = huffman::encode(text);
            [number(0x80, 7, coded.len()), coded.to_vec()].concat()
        }
    }
}

/// A field of a block.
#[derive(Clone, Debug)]
enum Field {
    /// `authorization` with the placeholder of this key, in one of the three literal forms.
    Credential(usize, u8, Form),
    /// Another name with the same value.
    Other(u8, Form),
    /// A name that is spelled out.
    Spelled(u8, Form, Form),
    /// One that the receiver knows by this index.
    Known(usize),
    TableSize(usize),
}

impl Field {
    fn write(&self, credentials: &[&str], elsewhere: &str) -> Vec<u8> {
        let value = |text: &str| format!("Bearer {text}").into_bytes();
        let begin =
            |literal: u8, index| number(literal, if literal == 0x40 { 6 } else { 4 }, index);
        match *self {
            Self::Credential(key, literal, form) => {
                [begin(literal, 23), string(form, &value(credentials[key]))].concat()
            }
            Self::Other(literal, form) => {
                [begin(literal, 58), string(form, &value(elsewhere))].concat()
            }
            Self::Spelled(literal, name, form) => [
                begin(literal, 0),
                string(name, b"x-authorization"),
                string(form, &value(elsewhere)),
            ]
            .concat(),
            Self::Known(index) => number(0x80, 7, index),
            Self::TableSize(size) => number(0x20, 5, size),
        }
    }
}

fn field() -> impl Strategy<Value = Field> {
    let form = || prop::sample::select(vec![Form::Coded, Form::Plain]);
    let literal = || prop::sample::select(vec![0x00_u8, 0x10, 0x40]);
    prop_oneof![
        (0..3_usize, literal(), form()).prop_map(|(key, a, b)| Field::Credential(key, a, b)),
        (literal(), form()).prop_map(|(a, b)| Field::Other(a, b)),
        (literal(), form(), form()).prop_map(|(a, b, c)| Field::Spelled(a, b, c)),
        (1..300_usize).prop_map(Field::Known),
        (0..9_000_usize).prop_map(Field::TableSize),
    ]
}

/// A frame, or the frames of one block.
#[derive(Clone, Debug)]
enum Part {
    Data { traps: usize, padding: u8 },
    Headers { fields: Vec<Field>, padding: Option<u8>, priority: bool, cuts: Vec<usize> },
    Other(u8),
}

impl Part {
    fn write(&self, credentials: &[&str], elsewhere: &str) -> Vec<u8> {
        // What would be a block, or a frame with one, if it were not in a body.
        let trap = Field::Credential(0, 0x10, Form::Plain).write(&[elsewhere], elsewhere);
        let coded = Field::Credential(0, 0x10, Form::Coded).write(&[elsewhere], elsewhere);
        let traps = [trap.clone(), coded, frame(1, 4, &trap)].concat();
        match self {
            Self::Data { traps: count, padding } => {
                let body = [vec![*padding], traps.repeat(*count), vec![0; (*padding).into()]];
                frame(0, 0x8, &body.concat())
            }
            Self::Other(kind) => frame(*kind, 0xff, &traps),
            Self::Headers { fields, padding, priority, cuts } => {
                let block: Vec<u8> =
                    fields.iter().flat_map(|it| it.write(credentials, elsewhere)).collect();
                let mut pieces = pieces(&block, &mut cuts.iter().cycle());
                let first = if pieces.is_empty() { &[][..] } else { pieces.remove(0) };
                let mut flags = if pieces.is_empty() { 0x4 } else { 0 };
                let mut payload = Vec::new();
                if let Some(padding) = padding {
                    flags |= 0x8;
                    payload.push(*padding);
                }
                if *priority {
                    flags |= 0x20;
                    payload.extend([0, 0, 0, 0, 0x10]);
                }
                payload.extend(first);
                payload.extend(trap.iter().cycle().take(padding.unwrap_or(0).into()));
                let mut out = frame(1, flags, &payload);
                let count = pieces.len();
                for (at, piece) in pieces.into_iter().enumerate() {
                    out.extend(frame(9, if at + 1 == count { 0x4 } else { 0 }, piece));
                }
                out
            }
        }
    }
}

fn part() -> impl Strategy<Value = Part> {
    let cuts = prop_oneof![Just(vec![16_384]), prop::collection::vec(1_usize..200, 1..6)];
    prop_oneof![
        (0..40_usize, any::<u8>()).prop_map(|(traps, padding)| Part::Data { traps, padding }),
        (prop::collection::vec(field(), 0..6), prop::option::of(any::<u8>()), any::<bool>(), cuts)
            .prop_map(|(fields, padding, priority, cuts)| Part::Headers {
                fields,
                padding,
                priority,
                cuts
            }),
        prop::sample::select(vec![2_u8, 3, 4, 6, 7, 8, 10, 0xfa]).prop_map(Part::Other),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// In the field `authorization` of header blocks and nowhere else, however it is cut up.
    #[test]
    fn keys_are_put_in_where_they_belong(
        parts in prop::collection::vec(part(), 1..8),
        records in sizes(),
        slices in sizes(),
    ) {
        let mut wire = Wire::new();
        let known = [wire.know(), wire.know(), wire.know()];
        let elsewhere = known[0].placeholder();
        let write = |credentials: [&str; 3]| -> Vec<u8> {
            let parts = parts.iter().flat_map(|part| part.write(&credentials, elsewhere));
            PREFACE.iter().copied().chain(parts).collect()
        };
        let without = write(known.each_ref().map(Known::placeholder));
        let with = write(known.each_ref().map(|it| it.key.as_str()));
        prop_assert_eq!(without.len(), with.len());
        let sent = wire.send(&without, &records, &slices);
        let at = sent.iter().zip(&with).position(|(a, b)| a != b);
        prop_assert_eq!(at, None);
    }

    /// Whatever it reads, it changes nothing without a placeholder, and does not panic.
    #[test]
    fn what_breaks_the_rules_is_left_alone(
        bytes in prop::collection::vec(any::<u8>(), 0..500),
        begins_well: bool,
        records in sizes(),
    ) {
        let mut wire = Wire::new();
        let _known = wire.know();
        let block = [&[0, 0, 200, 1, 4, 0, 0, 0, 1][..], &bytes].concat();
        let bytes = [PREFACE, if begins_well { &block } else { &bytes }].concat();
        prop_assert_eq!(wire.send(&bytes, &records, &[7]), bytes);
    }
}

#[test]
fn a_block_can_be_split_at_every_byte() {
    for form in [Form::Coded, Form::Plain] {
        let mut wire = Wire::new();
        let known: Vec<Known> = (0..20).map(|_| wire.know()).collect();
        assert_eq!(wire.record(&[PREFACE]), PREFACE);
        for one in known.iter().take(3) {
            let block = |text: &str| Field::Credential(0, 0x10, form).write(&[text], "");
            let (without, with) = (block(one.placeholder()), block(&one.key));
            let (request, expected) = (frame(1, 4, &without), frame(1, 4, &with));
            for at in 0..request.len() {
                let (a, b) = request.split_at(at);
                assert_eq!(wire.record(&[a, b]), expected, "two slices at {at}");
                let sent = [wire.record(&[a]), wire.record(&[b])].concat();
                assert_eq!(sent, expected, "two records at {at}");
            }
            for at in 0..without.len() {
                let frames =
                    |block: &[u8]| [frame(1, 0, &block[..at]), frame(9, 4, &block[at..])].concat();
                assert_eq!(wire.record(&[&frames(&without)]), frames(&with), "two frames at {at}");
            }
        }
    }
}

/// The coded placeholder and the coded key are of one length, but not bit by bit.
#[test]
fn the_coded_forms_are_of_one_length() {
    let wire = Wire::new();
    for _ in 0..100 {
        let known = wire.know();
        assert_eq!(known.coded(&known.key).len(), known.coded(known.placeholder()).len());
        assert_eq!(known.coded(known.placeholder())[..5], *Form::Coded.scheme());
    }
}

#[test]
fn what_follows_is_left_alone_where_it_cannot_be_told() {
    let field = Field::Credential(0, 0x10, Form::Coded);
    for broken in [
        // A continuation of nothing, another frame within a block, a block within a block.
        frame(9, 4, &[0x82]),
        [frame(1, 0, &[0x82]), frame(0, 0, b"x")].concat(),
        [frame(1, 0, &[0x82]), frame(1, 4, b"x")].concat(),
        // Padding and priority that do not fit.
        frame(1, 0x4 | 0x8, &[200, 0x82]),
        frame(1, 0x4 | 0x8, &[]),
        frame(1, 0x4 | 0x20, &[0, 0, 0]),
        frame(1, 0x4 | 0x28, &[0, 0, 0, 0, 0]),
        frame(1, 0x4 | 0x28, &[3, 0, 0, 0, 0, 0, 0x82]),
        // A number without an end, and a block that ends within a field.
        frame(1, 4, &[0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]),
        frame(1, 4, &[0x10, 0x05, b'a']),
        frame(1, 4, &[0x1f]),
    ] {
        let mut wire = Wire::new();
        let known = wire.know();
        let next = frame(1, 4, &field.write(&[known.placeholder()], ""));
        let whole = [PREFACE, &broken, &next].concat();
        assert_eq!(wire.record(&[&whole]), whole, "{broken:?}");
        assert_eq!(wire.record(&[&next]), next);
    }
}
