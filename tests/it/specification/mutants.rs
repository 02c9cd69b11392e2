//! Answers that are not as the schema has them.

use serde_json::{Value, json};

use super::document::{list, members};
use super::instances::MARK;

/// An answer with something wrong in it.
pub(crate) struct Mutant {
    /// What was done to it, for messages.
    pub(crate) name: String,
    pub(crate) json: Value,
    /// Where.
    pub(crate) touched: Vec<String>,
    /// The word that nobody knows, if that is what is wrong.
    pub(crate) word: Option<String>,
}

/// What can be done to the value at a pointer.
#[derive(Clone)]
enum Change {
    Removed,
    Replaced(Value),
    /// An unknown word in place of a known one.
    Reworded,
    /// Unknown fields beside the known ones.
    Extended,
}

impl Change {
    fn apply(&self, json: &mut Value, pointer: &str) {
        match self {
            Self::Removed => {
                let (parent, name) = pointer.rsplit_once('/').expect("below something");
                match json.pointer_mut(parent) {
                    Some(Value::Object(fields)) => drop(fields.remove(name)),
                    Some(Value::Array(items)) => items.clear(),
                    // Another change of the same answer took it away.
                    _ => {}
                }
            }
            Self::Replaced(value) => {
                if let Some(place) = json.pointer_mut(pointer) {
                    *place = value.clone();
                }
            }
            Self::Reworded => {
                if let Some(place) = json.pointer_mut(pointer) {
                    *place = json!(word(pointer));
                }
            }
            Self::Extended => {
                if let Some(Value::Object(fields)) = json.pointer_mut(pointer) {
                    let inner = json!({ format!("{MARK}.b"): [null, 7, format!("{MARK}c")] });
                    fields.insert(format!("{MARK}a"), inner);
                    fields.insert("of_next_year".to_owned(), json!(format!("{MARK}d")));
                }
            }
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Removed => "nothing".to_owned(),
            Self::Replaced(value) => value.to_string(),
            Self::Reworded => "an unknown word".to_owned(),
            Self::Extended => "unknown fields".to_owned(),
        }
    }
}

fn word(pointer: &str) -> String {
    format!("{MARK}w{}", pointer.replace('/', "-"))
}

/// Each thing that can be done to it, by itself. `below` a pointer, to leave out the rest; of the
/// values that can be put in the place of another every fourth, unless `all` are asked for.
pub(crate) fn each(json: &Value, below: &str, all: bool) -> Vec<Mutant> {
    let is_tried = |n: usize, change: &Change| match change {
        Change::Replaced(value) => all || value.is_null() || n.is_multiple_of(4),
        _ => true,
    };
    changes(json)
        .into_iter()
        .enumerate()
        .filter(|(n, (pointer, change))| pointer.starts_with(below) && is_tried(*n, change))
        .map(|(_, change)| change)
        .map(|(pointer, change)| mutant(json, &[(pointer, change)]))
        .collect()
}

/// Several things at once, by chance; the same ones for a seed.
pub(crate) fn several(json: &Value, count: usize, seed: u64) -> Vec<Mutant> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let all = changes(json);
    let pick = |rng: &mut fastrand::Rng| {
        let most = rng.usize(2..=6);
        let mut some: Vec<_> = (0..most).filter_map(|_| rng.choice(&all).cloned()).collect();
        // From the inside out, or what is inside would be gone.
        some.sort_by_key(|(pointer, _)| std::cmp::Reverse(pointer.matches('/').count()));
        mutant(json, &some)
    };
    (0..count).map(|_| pick(&mut rng)).collect()
}

fn mutant(json: &Value, changes: &[(String, Change)]) -> Mutant {
    let mut json = json.clone();
    let mut names = Vec::new();
    let mut word = None;
    for (pointer, change) in changes {
        change.apply(&mut json, pointer);
        names.push(format!("{} at {pointer:?}", change.name()));
        if matches!(change, Change::Reworded) && changes.len() == 1 {
            word = Some(self::word(pointer));
        }
    }
    // What is beside an unknown field is not touched.
    let touched = changes.iter().filter(|(_, change)| !matches!(change, Change::Extended));
    let touched = touched.map(|(pointer, _)| pointer.clone()).collect();
    Mutant { name: names.join(", "), json, touched, word }
}

fn changes(json: &Value) -> Vec<(String, Change)> {
    let mut all = Vec::new();
    for (pointer, value) in pointers(json) {
        if !pointer.is_empty() {
            all.push((pointer.clone(), Change::Removed));
        }
        let others = others().into_iter().filter(|other| kind(other) != kind(value));
        all.extend(others.map(|other| (pointer.clone(), Change::Replaced(other))));
        match value {
            Value::Object(_) => all.push((pointer, Change::Extended)),
            Value::String(text) if !text.starts_with(MARK) => {
                all.push((pointer, Change::Reworded));
            }
            Value::String(_) => all.push((pointer, Change::Replaced(json!("")))),
            Value::Number(_) => {
                for odd in [json!(-7), json!(1.5), json!(u64::MAX), json!(1e300)] {
                    all.push((pointer.clone(), Change::Replaced(odd)));
                }
            }
            _ => {}
        }
    }
    all
}

/// One value or more of each type.
fn others() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(7),
        json!(1.5),
        json!(format!("{MARK}o")),
        json!([]),
        json!([null, 7, format!("{MARK}o"), {}]),
        json!({}),
        json!({ format!("{MARK}o"): [7, format!("{MARK}o")] }),
    ]
}

fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

/// Every place of it, itself first.
pub(crate) fn pointers(json: &Value) -> Vec<(String, &Value)> {
    let mut all = vec![(String::new(), json)];
    let below = |name: &str, value| {
        let inner = pointers(value).into_iter();
        let name = name.replace('~', "~0").replace('/', "~1");
        inner.map(move |(pointer, value)| (format!("/{name}{pointer}"), value)).collect::<Vec<_>>()
    };
    for (name, value) in members(json) {
        all.extend(below(name, value));
    }
    for (n, value) in list(json).iter().enumerate() {
        all.extend(below(&n.to_string(), value));
    }
    all
}
