//! What every type of an answer must stand: fields that are missing, unknown or of another type.

use std::fmt::Debug;

use keyward_core::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::decode;

/// Holds a type to the house's rule, with an object in which every documented field is.
///
/// Every value of it must be found again in what was read; nothing but the `required` fields may
/// be needed; and no field may fail the whole by what stands in it.
#[track_caller]
pub(crate) fn check<T: DeserializeOwned + Debug>(required: &[&str], full: &Value) {
    let read = read::<T>(full).expect("every documented field");
    assert!(!read.contains("None"), "a field is passed over: {read}");
    for text in leaves(full) {
        assert!(read.contains(&text), "{text} is lost: {read}");
    }

    let mut minimal = full.clone();
    fields(&mut minimal).retain(|name, _| required.contains(&name.as_str()));
    self::read::<T>(&minimal).expect("the required fields alone");

    let mut unknown = full.clone();
    fields(&mut unknown).insert("of_next_year".to_owned(), json!({"a": [1]}));
    assert_eq!(self::read::<T>(&unknown), Some(read), "an unknown field changes what is read");

    for name in required {
        for value in [json!(null), json!(""), json!([]), json!({}), json!(true)] {
            let mut broken = full.clone();
            fields(&mut broken).insert((*name).to_owned(), value);
            assert_eq!(self::read::<T>(&broken), None, "`{name}` can be anything");
        }
    }

    let pointers = pointers(full);
    for pointer in pointers.iter().filter(|p| !required.contains(&p.trim_start_matches('/'))) {
        for value in [
            json!(null),
            json!(true),
            json!(-7),
            json!(1.5),
            json!("unheard-of"),
            json!([]),
            json!([null, 7, "unheard-of", {}]),
            json!({}),
            json!({"unheard-of": [7]}),
        ] {
            let mut odd = full.clone();
            *odd.pointer_mut(pointer).expect("a pointer into it") = value.clone();
            assert!(self::read::<T>(&odd).is_some(), "{value} at {pointer} fails it");
        }
    }
}

fn read<T: DeserializeOwned + Debug>(json: &Value) -> Option<String> {
    decode::decode::<T>(json.to_string().as_bytes()).ok().map(|value| format!("{value:?}"))
}

fn fields(object: &mut Value) -> &mut serde_json::Map<String, Value> {
    object.as_object_mut().expect("an object")
}

/// What stands at the ends of an object, as `Debug` shows it; `object` says nothing.
pub(crate) fn leaves(json: &Value) -> Vec<String> {
    match json {
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| *name != "object")
            .flat_map(|(name, value)| match value.as_i64() {
                Some(at) if name.ends_with("_at") || name.ends_with("_time") => {
                    vec![format!("{:?}", Timestamp::from_unix_seconds(at))]
                }
                _ => leaves(value),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(leaves).collect(),
        Value::String(text) => vec![text.clone()],
        other => vec![other.to_string()],
    }
}

pub(crate) fn pointers(json: &Value) -> Vec<String> {
    let below = |name: String, value: &Value| {
        let mut all = vec![format!("/{name}")];
        all.extend(pointers(value).iter().map(|p| format!("/{name}{p}")));
        all
    };
    match json {
        Value::Object(fields) => {
            fields.iter().flat_map(|(name, value)| below(name.clone(), value)).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().flat_map(|(n, value)| below(n.to_string(), value)).collect()
        }
        _ => Vec::new(),
    }
}
