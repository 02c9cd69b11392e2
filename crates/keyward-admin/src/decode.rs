//! Reading an answer, and saying where it is not as documented without saying what stands there.

use keyward_core::find;
use serde::Deserialize;

use crate::transport::Call;
use crate::wire::ErrorShape;
use crate::{Error, ErrorKind};

/// Reads the answer to a call.
pub(crate) fn answer<'a, T: Deserialize<'a>>(call: &Call, body: &'a [u8]) -> Result<T, Error> {
    decode(body).map_err(|error| error.in_operation(&call.operation))
}

/// Reads the answer to a call that only says that it is done: a page of some proxy, or an error
/// under a good status, must not pass for that.
pub(crate) fn done(call: &Call, body: &[u8]) -> Result<(), Error> {
    if body.trim_ascii().is_empty() {
        return Ok(());
    }
    let said: ErrorShape = answer(call, body)?;
    if said.is_error() {
        let what = "the status is a success and the answer is none";
        return Err(Error::new(ErrorKind::Drift, what).in_operation(&call.operation));
    }
    Ok(())
}

/// Reads an answer; a failure names the path and the place, never the content.
pub(crate) fn decode<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Error> {
    // Keeping the path costs a third more, so it is looked for only once there is a failure.
    fast(body).map_or_else(|| located(body), Ok)
}

/// Reads an answer as it should be; nothing, if there is anything wrong with it.
pub(crate) fn fast<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Option<T> {
    // UTF-8 is checked in one go, and not for each text.
    serde_json::from_str(std::str::from_utf8(body).ok()?).ok()
}

fn located<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Error> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize(&mut json);
    read.map_err(|error| {
        let path = error.path().to_string();
        // serde_json's own text quotes values, so only its place is taken.
        let at = error.inner();
        let what = match at.classify() {
            serde_json::error::Category::Eof => "the JSON breaks off",
            serde_json::error::Category::Syntax => "not JSON",
            _ => "not the documented shape",
        };
        let offset = offset(body, at.line(), at.column());
        Error::drift(what, is_plain(&path).then_some(path), offset)
    })
}

/// The byte at a line and a column, which both count from one.
fn offset(body: &[u8], line: usize, column: usize) -> usize {
    let lines = body.split_inclusive(|byte| *byte == b'\n').take(line.saturating_sub(1));
    let before: usize = lines.map(<[u8]>::len).sum();
    (before + column.saturating_sub(1)).min(body.len())
}

/// A path of field names and indices. Names come from the server, so they are looked at too.
fn is_plain(path: &str) -> bool {
    path.len() <= 80
        && path != "."
        && path.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'[' | b']'))
        && find::scrub(path) == path
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::decode;
    use crate::ErrorKind;

    #[derive(Debug, Deserialize)]
    struct Outer {
        #[serde(rename = "data")]
        _data: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        #[serde(rename = "id")]
        _id: u64,
    }

    #[test]
    fn a_drift_tells_the_path_and_the_byte_and_nothing_of_the_content() {
        for (json, path, at) in [
            (r#"{"data":[{"id":1},{"id":"hidden"}]}"#, Some("data[1].id"), r#""hidden"#),
            ("{\n\"data\":\n [{\"id\": \"hidden\"}]}", Some("data[0].id"), "\"hidden"),
            (r#"{"data":[{"id":1}"#, Some("data"), ""),
            (r#"{"data":[{"id":1} hidden]}"#, Some("data"), "} "),
            ("hidden", None, ""),
            ("", None, ""),
        ] {
            let error = decode::<Outer>(json.as_bytes()).expect_err("drift");
            assert_eq!(error.kind(), ErrorKind::Drift);
            assert_eq!(error.drift_path(), path, "{json}: {error}");
            let offset = error.drift_offset().expect("an offset");
            assert!(json[..offset].ends_with(at), "{json}: byte {offset}");
            assert!(!format!("{error} {error:?}").contains("hidden"), "{error}");
            assert!(error.to_string().contains(&format!("byte {offset}")), "{error}");
        }
    }

    #[test]
    fn a_name_that_may_be_a_secret_is_not_told() {
        let mut rng = keyward_testkit::keys::KeyRng::seeded(3);
        let key = keyward_testkit::keys::admin_key(&mut rng);
        let json = format!(r#"{{"{key}":{{"id":"x"}}}}"#);
        let error = decode::<std::collections::BTreeMap<String, Inner>>(json.as_bytes())
            .expect_err("drift");
        assert_eq!(error.drift_path(), None);
        keyward_testkit::assert_no_leak!(&key, format!("{error} {error:?}"));
    }
}
