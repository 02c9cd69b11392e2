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
    /// misspelled field must not pass unseen in a test.
    pub(super) fn parse(body: &Bytes, allowed: &[&str]) -> Result<Self, ApiError> {
        let fields = match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => fields,
            _ if body.is_empty() => Map::new(),
            _ => {
                return Err(ApiError::bad_request(
                    "We could not parse the JSON body of your request. The body must be a JSON \
                     object.",
                ));
            }
        };
        match fields.keys().find(|field| !allowed.contains(&field.as_str())) {
            Some(field) => Err(ApiError::bad_request(format!(
                "Unrecognized request argument supplied: {field}"
            ))),
            None => Ok(Self { fields }),
        }
    }

    pub(super) fn contains(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    pub(super) fn text(&self, field: &'static str) -> Result<Option<String>, ApiError> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(invalid(field, "a string")),
        }
    }

    pub(super) fn required_text(&self, field: &'static str) -> Result<String, ApiError> {
        match self.text(field)? {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(ApiError::bad_request(format!("Missing required parameter: '{field}'."))
                .param(field)
                .code("missing_required_parameter")),
        }
    }

    pub(super) fn flag(&self, field: &'static str) -> Result<bool, ApiError> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(invalid(field, "a boolean")),
        }
    }

    /// `expires_in_seconds`, which may be absent but not null.
    pub(super) fn lifetime(&self) -> Result<Option<u64>, ApiError> {
        let field = "expires_in_seconds";
        match self.fields.get(field) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(seconds @ 1..=Self::MAX_LIFETIME) => Ok(Some(seconds)),
                _ => Err(invalid(field, "an integer from 1 to 31536000")),
            },
        }
    }

    /// `scopes`, which may be absent but not null.
    pub(super) fn scopes(&self) -> Result<Option<Vec<String>>, ApiError> {
        let Some(value) = self.fields.get("scopes") else {
            return Ok(None);
        };
        value
            .as_array()
            .and_then(|scopes| {
                scopes.iter().map(|scope| scope.as_str().map(str::to_owned)).collect()
            })
            .map(Some)
            .ok_or_else(|| invalid("scopes", "an array of strings"))
    }
}

fn invalid(field: &'static str, wanted: &str) -> ApiError {
    ApiError::bad_request(format!("Invalid value for '{field}': expected {wanted}."))
        .param(field)
        .code("invalid_value")
}
