//! Doing what a fault says: answers in place of an operation's, and changes to the shape of
//! an operation's answer.

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use serde_json::{Map, Value, json};

use super::answer::{self, ApiError};
use super::auth;
use super::fault::{EchoPlace, FaultAction};

/// How the connection ends when there is no answer; travels as an extension of the response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cut {
    Close,
    Reset,
}

/// The answer that an action gives in place of the operation's.
pub(super) fn instead(action: &FaultAction, headers: &HeaderMap) -> Option<Response> {
    Some(match action {
        FaultAction::BareError { code } => {
            let message = "The server had an error while processing your request.";
            answer::response(status(*code), &json!({ "code": code, "message": message }))
        }
        FaultAction::ConnectionReset => cut(Cut::Reset),
        FaultAction::EchoAuthorization { place } => echo(*place, headers),
        FaultAction::HugePage { bytes } => huge(*bytes),
        FaultAction::NotJson { code } => html(*code),
        FaultAction::Redirect { to } => {
            let mut response = StatusCode::TEMPORARY_REDIRECT.into_response();
            let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
            response.headers_mut().insert(header::LOCATION, to);
            response
        }
        FaultAction::StatusBefore { code } => error(*code),
        FaultAction::Throttle { retry_after, code } => {
            let message = "Too many requests, or a limit was reached. See the code.";
            let error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, message).code(code.as_str());
            let mut response = error.into_response();
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, (*seconds).into());
            }
            response
        }
        _ => return None,
    })
}

/// The operation's answer as an action leaves it; `place` is the number of the request.
pub(super) async fn after(action: &FaultAction, response: Response, place: usize) -> Response {
    match action {
        FaultAction::AnswerLost => return cut(Cut::Close),
        FaultAction::StatusAfter { code } => return error(*code),
        _ if !response.status().is_success() => return response,
        _ => {}
    }
    let (mut parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    parts.headers.remove(header::CONTENT_LENGTH);
    let body = match action {
        FaultAction::SlowDrip { chunk, interval } => drip(&bytes, *chunk, *interval),
        FaultAction::DeepJson { depth } => deepen(&bytes, *depth),
        FaultAction::Mislabelled { encoding } => {
            let encoding = HeaderValue::from_str(encoding);
            let encoding = encoding.unwrap_or(HeaderValue::from_static("gzip"));
            parts.headers.insert(header::CONTENT_ENCODING, encoding);
            Body::from(bytes)
        }
        FaultAction::TruncatedJson => Body::from(bytes.slice(..bytes.len() / 2)),
        _ => match serde_json::from_slice(&bytes) {
            Ok(value) => Body::from(reshape(action, value, place).to_string()),
            Err(_) => Body::from(bytes),
        },
    };
    Response::from_parts(parts, body)
}

/// `uri` without the cursor, so that a list gives its first page again.
pub(super) fn without_cursor(uri: &Uri) -> Uri {
    let kept: Vec<_> = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !matches!(pair.split('=').next(), Some("after" | "before" | "page")))
        .collect();
    format!("{}?{}", uri.path(), kept.join("&")).parse().unwrap_or_else(|_| uri.clone())
}

fn reshape(action: &FaultAction, mut value: Value, place: usize) -> Value {
    match action {
        FaultAction::MissingFields { fields } => for_each_item(&mut value, |item| {
            item.retain(
                |name, _| {
                    if fields.is_empty() { name == "id" } else { !fields.contains(name) }
                },
            );
        }),
        FaultAction::EndlessPages => {
            repeat_cursor(&mut value);
            if let Some(envelope) = value.as_object_mut() {
                for (name, cursor) in envelope {
                    if matches!(name.as_str(), "last_id" | "next" | "next_page") {
                        *cursor = format!("cursor_{place}").into();
                    }
                }
            }
        }
        FaultAction::RepeatedCursor => repeat_cursor(&mut value),
        FaultAction::UnknownEnumValues => for_each_object(&mut value, &|object| {
            for (name, field) in object {
                let open = [
                    "api_source",
                    "currency",
                    "default",
                    "enabled_tiers",
                    "geography",
                    "group_type",
                    "interval",
                    "mode",
                    "object",
                    "owner_project_access",
                    "principal_type",
                    "purpose",
                    "residency",
                    "resource_type",
                    "role",
                    "service_tier",
                    "status",
                    "type",
                    "user_type",
                ];
                if field.is_string() && open.contains(&name.as_str()) {
                    *field = "a_value_of_next_year".into();
                }
            }
        }),
        FaultAction::UnknownFields => for_each_object(&mut value, &|object| {
            object.insert("a_field_of_next_year".into(), json!({ "nested": [1, "two", null] }));
        }),
        FaultAction::ValueMoved => for_each_object(&mut value, &|object| {
            if let Some(secret) = object.remove("value") {
                object.insert("secret".into(), json!({ "value": secret }));
            }
        }),
        FaultAction::ValueRetyped => for_each_object(&mut value, &|object| {
            if let Some(secret) = object.get_mut("value") {
                *secret = json!([secret.take()]);
            }
        }),
        FaultAction::WrongTypes => for_each_item(&mut value, retype),
        _ => {}
    }
    value
}

fn repeat_cursor(value: &mut Value) {
    let items = value["data"].as_array();
    // The access of a group to a project has no id of its own.
    let last = items.and_then(|items| items.last()).map(|item| item["id"].clone());
    let last = last.filter(Value::is_string);
    let Some(envelope) = value.as_object_mut() else {
        return;
    };
    envelope.insert("has_more".into(), true.into());
    if let Some(next) = envelope.get_mut("next") {
        *next = last.unwrap_or_else(|| "the_same_cursor".into());
    }
    if let Some(next) = envelope.get_mut("next_page") {
        // A page that exists not: the next request's cursor is thrown away all the same.
        *next = "page_the_same".into();
    }
}

/// Runs over the items of a list, or over the one object that is no list.
fn for_each_item(value: &mut Value, mut change: impl FnMut(&mut Map<String, Value>)) {
    let items = match value {
        Value::Object(object) if object.get("data").is_some_and(Value::is_array) => {
            object.get_mut("data").and_then(Value::as_array_mut)
        }
        Value::Object(object) => return change(object),
        _ => None,
    };
    items.into_iter().flatten().filter_map(Value::as_object_mut).for_each(change);
}

/// Runs over every object, the innermost first, so that what is put in is not visited.
fn for_each_object(value: &mut Value, change: &impl Fn(&mut Map<String, Value>)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| for_each_object(item, change)),
        Value::Object(object) => {
            object.values_mut().for_each(|field| for_each_object(field, change));
            change(object);
        }
        _ => {}
    }
}

fn retype(object: &mut Map<String, Value>) {
    for (name, field) in object {
        match field {
            _ if name == "id" || name == "value" => {}
            // The secret of an account that was just made is one level down.
            Value::Object(inner) if inner.contains_key("value") => retype(inner),
            Value::Array(_) | Value::Null => *field = json!({}),
            Value::Bool(_) => *field = "yes".into(),
            Value::Number(number) => *field = number.to_string().into(),
            Value::Object(_) => *field = json!([]),
            Value::String(_) => *field = 7.into(),
        }
    }
}

/// Puts it into the first item of a list, or into the one object. `Value` is not made for such.
fn deepen(bytes: &Bytes, depth: usize) -> Body {
    let text = String::from_utf8_lossy(bytes);
    let item = text.find("[{").map(|at| at + 2);
    let Some(at) = item.or_else(|| text.find('{').map(|at| at + 1)) else {
        return Body::from(bytes.clone());
    };
    let (head, tail) = text.split_at(at);
    let (open, close) = ("[".repeat(depth), "]".repeat(depth));
    Body::from(format!("{head}\"a_field_of_next_year\":{open}{close},{tail}"))
}

fn drip(bytes: &Bytes, chunk: usize, interval: Duration) -> Body {
    let rest = bytes.clone();
    Body::from_stream(stream::unfold(rest, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(interval).await;
        let piece = rest.split_to(chunk.clamp(1, rest.len()));
        Some((Ok::<_, std::convert::Infallible>(piece), rest))
    }))
}

/// A list whose padding is made as it is sent: the fake needs no memory for it.
fn huge(bytes: u64) -> Response {
    const PIECE: u64 = 64 * 1024;
    static FILLER: [u8; PIECE as usize] = [b'x'; PIECE as usize];
    let head = Bytes::from_static(
        b"{\"object\":\"list\",\"first_id\":null,\"last_id\":null,\"has_more\":false,\"data\":[],\
          \"padding\":\"",
    );
    let pieces = std::iter::once(head)
        .chain((0..bytes.div_ceil(PIECE)).map(|_| Bytes::from_static(&FILLER)))
        .chain(std::iter::once(Bytes::from_static(b"\"}")))
        .map(Ok::<_, std::convert::Infallible>);
    let mut response = Response::new(Body::from_stream(stream::iter(pieces)));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn echo(place: EchoPlace, headers: &HeaderMap) -> Response {
    let presented = auth::presented(headers).unwrap_or_default();
    let message = match place {
        EchoPlace::Body => format!("Incorrect API key provided: {presented}."),
        EchoPlace::Header => "Incorrect API key provided.".to_owned(),
    };
    let error = ApiError::new(StatusCode::UNAUTHORIZED, message).code("invalid_api_key");
    let mut response = error.into_response();
    if let (EchoPlace::Header, Ok(value)) = (place, HeaderValue::from_str(presented)) {
        response.headers_mut().insert("x-echo-authorization", value);
    }
    response
}

fn html(code: u16) -> Response {
    let page = "<html>\r\n<head><title>Bad Gateway</title></head>\r\n<body>\r\n\
                <center><h1>Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n";
    let mut response = Response::new(Body::from(page));
    *response.status_mut() = status(code);
    let html = HeaderValue::from_static("text/html");
    response.headers_mut().insert(header::CONTENT_TYPE, html);
    response
}

fn error(code: u16) -> Response {
    let message = match code {
        500.. => "The server had an error while processing your request. Sorry about that!",
        _ => "This request was refused because a fault was asked for.",
    };
    ApiError::new(status(code), message).into_response()
}

fn cut(how: Cut) -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(how);
    response
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_alone_is_taken_out() {
        let uri: Uri = "/v1/x?limit=2&after=id_1&page=p&order=asc".parse().unwrap();
        assert_eq!(without_cursor(&uri).query(), Some("limit=2&order=asc"));
    }

    #[test]
    fn a_retyped_answer_keeps_what_finds_the_key() {
        let minted = json!({"id": "key_1", "name": "n", "created_at": 5, "value": "secret"});
        let wrong = reshape(&FaultAction::WrongTypes, minted.clone(), 0);
        let kept = json!({"id": "key_1", "name": 7, "created_at": "5", "value": "secret"});
        assert_eq!(wrong, kept);
        let account = json!({"id": "a", "api_key": minted});
        let account = reshape(&FaultAction::WrongTypes, account, 0);
        assert_eq!(account["api_key"]["value"], "secret");
    }

    #[test]
    fn all_but_the_id_can_be_missing() {
        let list = json!({"object": "list", "data": [{"id": "a", "name": "n"}], "has_more": false});
        let bare = reshape(&FaultAction::MissingFields { fields: Vec::new() }, list, 0);
        assert_eq!(bare, json!({"object": "list", "data": [{"id": "a"}], "has_more": false}));
    }
}
