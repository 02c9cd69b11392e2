//! What may go wrong, by script: which request, how often, and how. Doing it is `inject`'s.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::operations::NAMES;
use super::token_exchange;

/// Something that goes wrong with requests to one operation of a
/// [`FakeOpenAi`](crate::FakeOpenAi).
///
/// ```
/// use keyward_testkit::{Fault, FaultAction};
///
/// // The second mint succeeds, and its answer never arrives.
/// let lost = Fault::on(
///     "POST",
///     "/organization/projects/{project_id}/service_accounts/{service_account_id}/api_keys",
/// )
/// .after(1)
/// .then(FaultAction::AnswerLost);
/// ```
///
/// Faults are tried in the order in which they were given, and at most one befalls a request; it
/// is not counted by those behind it. So two faults for one operation, once each, befall its first
/// and its second request.
///
/// # As JSON
///
/// ```
/// use keyward_testkit::Fault;
///
/// let faults = Fault::list_from_json(r#"[
///     {
///         "method": "GET",
///         "path": "/organization/projects",
///         "times": 3,
///         "action": {"kind": "throttle", "retry_after": 2, "code": "rate_limit_exceeded"}
///     },
///     {"method": "*", "path": "*", "after": 10, "times": null, "action": {"kind": "answer_lost"}}
/// ]"#)?;
/// assert_eq!(faults.len(), 2);
/// # Ok::<(), keyward_testkit::FaultListError>(())
/// ```
///
/// `method` and `path` may be `*`. `after` is how many matching requests pass first (0), `times` how
/// many it befalls then (1, or `null` for all). A path names its parameters as the fake's
/// [table of operations](crate::FakeOpenAi::operations) does. `action` has the `kind` of a [`FaultAction`] in
/// snake case and its fields; durations are in milliseconds, `duration_ms` and `interval_ms`.
/// An unknown field is an error.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    method: String,
    path: String,
    #[serde(default)]
    after: u32,
    #[serde(default = "once")]
    times: Option<u32>,
    action: FaultAction,
}

impl Fault {
    /// A fault of the operation with this method and path template; `*` is any. What happens is
    /// told by [`FaultPoint::then`].
    pub fn on(method: &str, path: &str) -> FaultPoint {
        FaultPoint { method: method.to_owned(), path: path.to_owned(), after: 0, times: once() }
    }

    /// Reads a list of faults.
    ///
    /// # Errors
    ///
    /// If the text is no JSON list of faults.
    pub fn list_from_json(json: &str) -> Result<Vec<Self>, FaultListError> {
        serde_json::from_str(json).map_err(|e| FaultListError { message: e.to_string() })
    }

    /// What happens.
    #[must_use]
    pub fn action(&self) -> &FaultAction {
        &self.action
    }

    /// Whether it can befall a request at all: a fault that never happens proves nothing.
    pub(super) fn check(&self) -> Result<(), String> {
        let exchanges = self.matches("POST", token_exchange::PATH);
        if self.path == "*" || exchanges || NAMES.iter().any(|(m, path)| self.matches(m, path)) {
            return Ok(());
        }
        Err(format!("the fake has no operation {} {} for a fault", self.method, self.path))
    }

    fn matches(&self, method: &str, template: &str) -> bool {
        let path = self.path.strip_prefix("/v1").unwrap_or(&self.path);
        (self.method == "*" || self.method.eq_ignore_ascii_case(method))
            && (path == "*" || path == template)
    }
}

/// The requests that a [`Fault`] befalls: by default the first that matches, and it alone.
#[derive(Clone, Debug)]
#[must_use = "a fault is made by `then`"]
pub struct FaultPoint {
    method: String,
    path: String,
    after: u32,
    times: Option<u32>,
}

impl FaultPoint {
    /// Befalls `times` requests.
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Befalls every request from then on.
    pub fn always(self) -> Self {
        Self { times: None, ..self }
    }

    /// Lets `requests` of those that match pass first.
    pub fn after(self, requests: u32) -> Self {
        Self { after: requests, ..self }
    }

    /// What happens.
    #[must_use]
    pub fn then(self, action: FaultAction) -> Fault {
        let Self { method, path, after, times } = self;
        Fault { method, path, after, times, action }
    }
}

/// What happens to a request.
///
/// Unless it says otherwise, an action answers in place of the operation, which has no effect.
/// Those that change the shape of an answer change successful ones only.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum FaultAction {
    /// The effect is done, and the connection closed without an answer.
    AnswerLost,
    /// An error without the `error` wrapper and with an integer code, as in OpenAI's own examples.
    BareError {
        /// The status.
        code: u16,
    },
    /// The connection is reset before there is an effect.
    ConnectionReset,
    /// The answer has a field that is nested without need; the operation takes effect.
    DeepJson {
        /// How many lists stand in one another.
        depth: usize,
    },
    /// A 401 that repeats the key that was presented, whole.
    EchoAuthorization {
        /// Where.
        place: EchoPlace,
    },
    /// A list whose every page has another behind it, with a cursor that was not given before.
    EndlessPages,
    /// The answer comes late, or not before the client's time-out.
    Hang {
        /// How long, in real time.
        #[serde(rename = "duration_ms", deserialize_with = "milliseconds")]
        duration: Duration,
        /// Whether the operation takes effect before the wait, or after it, if the client still
        /// listens then.
        #[serde(default)]
        after_effect: bool,
    },
    /// An answer of valid JSON, without end for a client with no bound.
    HugePage {
        /// About how long it is.
        bytes: u64,
    },
    /// The answer says that it is packed, and is not; the operation takes effect.
    Mislabelled {
        /// The `Content-Encoding`.
        encoding: String,
    },
    /// The answer lacks fields that are declared as required; the operation takes effect.
    MissingFields {
        /// Which; if none are named, all but `id`. In a list, it is its items that lack them.
        #[serde(default)]
        fields: Vec<String>,
    },
    /// The HTML page of a proxy.
    NotJson {
        /// The status.
        code: u16,
    },
    /// Another address is told.
    Redirect {
        /// The `Location`.
        to: String,
    },
    /// A list that gives the same page, and says that there is more, whatever the cursor.
    RepeatedCursor,
    /// The answer comes in pieces; the operation takes effect.
    SlowDrip {
        /// The size of a piece, in bytes.
        chunk: usize,
        /// The wait before each piece, in real time.
        #[serde(rename = "interval_ms", deserialize_with = "milliseconds")]
        interval: Duration,
    },
    /// The effect is done, and an error answered.
    StatusAfter {
        /// The status.
        code: u16,
    },
    /// An error is answered.
    StatusBefore {
        /// The status.
        code: u16,
    },
    /// 429.
    Throttle {
        /// The seconds of the `Retry-After` header, if there is one.
        #[serde(default)]
        retry_after: Option<u64>,
        /// The error's code, as `rate_limit_exceeded` or `organization_spend_limit_exceeded`.
        code: String,
    },
    /// The answer's body ends in its middle; the operation takes effect.
    TruncatedJson,
    /// Enumerations have values that nobody has heard of; the operation takes effect.
    UnknownEnumValues,
    /// Every object has fields that nobody has heard of; the operation takes effect.
    UnknownFields,
    /// The `value` of a minted key is not where it was: it is in `secret.value`.
    ValueMoved,
    /// The `value` of a minted key is a list with the text in it.
    ValueRetyped,
    /// Every field but `id`, `value` and the parts of a list's envelope is of another JSON type;
    /// the operation takes effect.
    WrongTypes,
}

/// Where [`FaultAction::EchoAuthorization`] repeats the key.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EchoPlace {
    /// In the error's message.
    Body,
    /// In the header `x-echo-authorization`.
    Header,
}

/// A text that is no list of faults.
#[derive(Clone, Debug)]
pub struct FaultListError {
    message: String,
}

impl fmt::Display for FaultListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a list of faults: {}", self.message)
    }
}

impl Error for FaultListError {}

/// The faults of a fake and how often each has matched.
#[derive(Debug, Default)]
pub(super) struct Script {
    faults: Vec<(Fault, u32)>,
}

impl Script {
    /// Whether each of its faults can befall a request.
    pub(super) fn check(&self) -> Result<(), String> {
        self.faults.iter().try_for_each(|(fault, _)| fault.check())
    }

    pub(super) fn push(&mut self, fault: Fault) {
        self.faults.push((fault, 0));
    }

    pub(super) fn clear(&mut self) {
        self.faults.clear();
    }

    /// What befalls a request to this operation.
    pub(super) fn next(&mut self, method: &str, template: &str) -> Option<FaultAction> {
        for (fault, seen) in &mut self.faults {
            if !fault.matches(method, template) {
                continue;
            }
            let past = fault.times.is_some_and(|times| *seen >= fault.after.saturating_add(times));
            if past {
                continue;
            }
            *seen += 1;
            if *seen > fault.after {
                return Some(fault.action.clone());
            }
        }
        None
    }
}

#[allow(clippy::unnecessary_wraps, reason = "the shape that the field's default must have")]
fn once() -> Option<u32> {
    Some(1)
}

fn milliseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(script: &mut Script) -> Option<u16> {
        match script.next("GET", "/models") {
            Some(FaultAction::StatusBefore { code }) => Some(code),
            _ => None,
        }
    }

    #[test]
    fn faults_of_one_operation_queue() {
        let mut script = Script::default();
        script.push(
            Fault::on("GET", "/models").after(1).then(FaultAction::StatusBefore { code: 500 }),
        );
        script.push(
            Fault::on("get", "/v1/models").times(2).then(FaultAction::StatusBefore { code: 502 }),
        );
        let seen: Vec<_> = (0..4).map(|_| status(&mut script)).collect();
        assert_eq!(seen, [Some(502), Some(500), Some(502), None]);
        assert_eq!(script.next("POST", "/models"), None);
    }

    #[test]
    fn a_wildcard_matches_always() {
        let mut script = Script::default();
        script.push(Fault::on("*", "*").always().then(FaultAction::TruncatedJson));
        assert!((0..100).all(|_| script.next("DELETE", "").is_some()));
    }

    #[test]
    fn every_action_can_be_read() {
        let actions = [
            r#"{"kind":"answer_lost"}"#,
            r#"{"kind":"bare_error","code":500}"#,
            r#"{"kind":"connection_reset"}"#,
            r#"{"kind":"deep_json","depth":9}"#,
            r#"{"kind":"endless_pages"}"#,
            r#"{"kind":"mislabelled","encoding":"gzip"}"#,
            r#"{"kind":"echo_authorization","place":"header"}"#,
            r#"{"kind":"hang","duration_ms":5,"after_effect":true}"#,
            r#"{"kind":"huge_page","bytes":1000}"#,
            r#"{"kind":"missing_fields"}"#,
            r#"{"kind":"missing_fields","fields":["name"]}"#,
            r#"{"kind":"not_json","code":502}"#,
            r#"{"kind":"redirect","to":"http://127.0.0.1:1/"}"#,
            r#"{"kind":"repeated_cursor"}"#,
            r#"{"kind":"slow_drip","chunk":1,"interval_ms":2}"#,
            r#"{"kind":"status_after","code":500}"#,
            r#"{"kind":"status_before","code":500}"#,
            r#"{"kind":"throttle","code":"rate_limit_exceeded"}"#,
            r#"{"kind":"truncated_json"}"#,
            r#"{"kind":"unknown_enum_values"}"#,
            r#"{"kind":"unknown_fields"}"#,
            r#"{"kind":"value_moved"}"#,
            r#"{"kind":"value_retyped"}"#,
            r#"{"kind":"wrong_types"}"#,
        ];
        for action in actions {
            let list = format!(r#"[{{"method":"GET","path":"/models","action":{action}}}]"#);
            let faults = Fault::list_from_json(&list).unwrap();
            assert_eq!((faults[0].after, faults[0].times), (0, Some(1)), "{action}");
        }
        for wrong in ["{}", "[{}]", r#"[{"method":"*","path":"*","action":{"kind":"x"}}]"#] {
            assert!(Fault::list_from_json(wrong).unwrap_err().to_string().contains("no"));
        }
    }
}
