//! JSON out and in: answers, errors as OpenAI words them, and the fields of request bodies.

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde_json::{Map, Value, json};

/// A JSON answer with status 200.
pub(super) struct Json(pub(super) Value);

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        response(StatusCode::OK, &self.0)
    }
}

impl Json {
    /// Notes in the audit log that this happened, in a project or in the organization.
    pub(super) fn noting(self, kind: &'static str, project: Option<&str>, payload: Value) -> Noted {
        Noted { answer: self, events: Vec::new() }.noting(kind, project, payload)
    }
}

/// An answer to what changed something, with what the audit log tells of it.
pub(super) struct Noted {
    answer: Json,
    events: Vec<Event>,
}

impl Noted {
    pub(super) fn noting(
        mut self,
        kind: &'static str,
        project: Option<&str>,
        payload: Value,
    ) -> Self {
        self.events.push(Event { kind, project: project.map(str::to_owned), payload });
        self
    }
}

impl IntoResponse for Noted {
    fn into_response(self) -> Response {
        let mut response = self.answer.into_response();
        response.extensions_mut().insert(Events(self.events));
        response
    }
}

/// What is to be noted in the audit log; travels as an extension of the response to the gate,
/// which knows the actor.
#[derive(Clone, Debug)]
pub(super) struct Events(pub(super) Vec<Event>);

#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) kind: &'static str,
    pub(super) project: Option<String>,
    pub(super) payload: Value,
}

/// An error, answered as `{"error": {"message", "type", "param", "code"}}`.
#[derive(Debug)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    pub(super) message: String,
    pub(super) param: Option<&'static str>,
    pub(super) code: Option<String>,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), param: None, code: None }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn not_found(what: &str, id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("No such {what}: {id}")).code("not_found")
    }

    pub(super) fn missing(param: &'static str) -> Self {
        Self::bad_request(format!("Missing required parameter: '{param}'."))
            .param(param)
            .code("missing_required_parameter")
    }

    pub(super) fn code(self, code: impl Into<String>) -> Self {
        Self { code: Some(code.into()), ..self }
    }

    pub(super) fn param(self, param: &'static str) -> Self {
        Self { param: Some(param), ..self }
    }

    /// The object inside the wrapper.
    pub(super) fn body(&self) -> Value {
        json!({
            "message": self.message,
            "type": self.kind(),
            "param": self.param,
            "code": self.code,
        })
    }

    fn kind(&self) -> &'static str {
        match self.status.as_u16() {
            429 => "requests",
            500.. => "server_error",
            _ => "invalid_request_error",
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        response(self.status, &json!({ "error": self.body() }))
    }
}

pub(super) fn response(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// The fields of a request's body.
pub(super) struct Fields {
    fields: Map<String, Value>,
}

impl Fields {
    /// The longest life that the API lets a caller ask for: a year.
    const MAX_LIFETIME: u64 = 31_536_000;

    /// Reads a body, and refuses a field that is not among `allowed`, as OpenAI does: a
    /// misspelled field must not pass unseen in a test. A field may be null if its name ends in
    /// `?` there.
    pub(super) fn parse(body: &Bytes, allowed: &[&str]) -> Result<Self, ApiError> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Self::admit(fields, allowed),
            _ if body.is_empty() => Ok(Self { fields: Map::new() }),
            _ => Err(ApiError::bad_request(
                "We could not parse the JSON body of your request. The body must be a JSON \
                 object.",
            )),
        }
    }

    fn admit(fields: Map<String, Value>, allowed: &[&str]) -> Result<Self, ApiError> {
        for (name, value) in &fields {
            let known = allowed.iter().find(|field| field.trim_end_matches('?') == name);
            let message = match known {
                None => format!("Unrecognized request argument supplied: {name}"),
                Some(field) if value.is_null() && !field.ends_with('?') => {
                    format!("Invalid value for '{name}': expected no null.")
                }
                Some(_) => continue,
            };
            return Err(ApiError::bad_request(message));
        }
        Ok(Self { fields })
    }

    pub(super) fn contains(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    /// The value of a field that is neither absent nor null.
    pub(super) fn value(&self, field: &str) -> Option<&Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }

    /// Puts the fields that are there into an object, nulls too.
    pub(super) fn write_to(&self, object: &mut Value) {
        for (name, value) in &self.fields {
            object[name] = value.clone();
        }
    }

    pub(super) fn text(&self, field: &'static str) -> Result<Option<String>, ApiError> {
        match self.value(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(invalid(field, "a string")),
        }
    }

    pub(super) fn required_text(&self, field: &'static str) -> Result<String, ApiError> {
        match self.text(field)? {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(ApiError::missing(field)),
        }
    }

    /// One of `allowed`.
    pub(super) fn choice(
        &self,
        field: &'static str,
        allowed: &[&str],
    ) -> Result<Option<String>, ApiError> {
        match self.text(field)? {
            Some(text) if !allowed.contains(&text.as_str()) => {
                Err(invalid(field, &format!("one of {}", allowed.join(", "))))
            }
            text => Ok(text),
        }
    }

    pub(super) fn required_choice(
        &self,
        field: &'static str,
        allowed: &[&str],
    ) -> Result<String, ApiError> {
        self.choice(field, allowed)?.ok_or_else(|| ApiError::missing(field))
    }

    pub(super) fn flag(&self, field: &'static str) -> Result<Option<bool>, ApiError> {
        match self.value(field) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(invalid(field, "a boolean")),
        }
    }

    /// An integer of at least `min`.
    pub(super) fn integer(&self, field: &'static str, min: u64) -> Result<Option<u64>, ApiError> {
        self.value(field)
            .map(|value| {
                value
                    .as_u64()
                    .filter(|number| *number >= min)
                    .ok_or_else(|| invalid(field, &format!("an integer of at least {min}")))
            })
            .transpose()
    }

    pub(super) fn required_integer(&self, field: &'static str, min: u64) -> Result<u64, ApiError> {
        self.integer(field, min)?.ok_or_else(|| ApiError::missing(field))
    }

    pub(super) fn texts(&self, field: &'static str) -> Result<Option<Vec<String>>, ApiError> {
        self.value(field)
            .map(|value| {
                value
                    .as_array()
                    .and_then(|texts| {
                        texts.iter().map(|text| text.as_str().map(str::to_owned)).collect()
                    })
                    .ok_or_else(|| invalid(field, "an array of strings"))
            })
            .transpose()
    }

    pub(super) fn required_texts(&self, field: &'static str) -> Result<Vec<String>, ApiError> {
        self.texts(field)?.ok_or_else(|| ApiError::missing(field))
    }

    /// An object, whose own fields are held to `allowed`.
    pub(super) fn object(
        &self,
        field: &'static str,
        allowed: &[&str],
    ) -> Result<Option<Self>, ApiError> {
        match self.value(field) {
            None => Ok(None),
            Some(Value::Object(fields)) => Self::admit(fields.clone(), allowed).map(Some),
            Some(_) => Err(invalid(field, "an object")),
        }
    }

    /// An array of objects, whose own fields are held to `allowed`.
    pub(super) fn objects(
        &self,
        field: &'static str,
        allowed: &[&str],
    ) -> Result<Vec<Self>, ApiError> {
        let items = match self.value(field) {
            None => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(invalid(field, "an array of objects")),
        };
        items
            .iter()
            .map(|item| match item {
                Value::Object(fields) => Self::admit(fields.clone(), allowed),
                _ => Err(invalid(field, "an array of objects")),
            })
            .collect()
    }

    /// `expires_in_seconds`.
    pub(super) fn lifetime(&self) -> Result<Option<u64>, ApiError> {
        let field = "expires_in_seconds";
        match self.integer(field, 1)? {
            Some(seconds) if seconds > Self::MAX_LIFETIME => {
                Err(invalid(field, "an integer from 1 to 31536000"))
            }
            lifetime => Ok(lifetime),
        }
    }
}

pub(super) fn invalid(field: &'static str, wanted: &str) -> ApiError {
    ApiError::bad_request(format!("Invalid value for '{field}': expected {wanted}."))
        .param(field)
        .code("invalid_value")
}
