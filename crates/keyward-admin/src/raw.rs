//! [`RawCall`]: a call of an operation that this version does not know, as safe as the others.

use std::borrow::Cow;
use std::fmt;

use keyward_core::find;
use serde::de::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::body::Body;
use crate::mint::{MintedKey, mint};
use crate::operations::{self, Effect, Operation};
use crate::page::{Cursor, Listed, Pages};
use crate::transport::{Call, holds_key};
use crate::wire::lenient;
use crate::{Client, Error, decode};

/// A call of an operation that OpenAI has and this version does not. It comes from
/// [`Client::raw`].
///
/// It is held to what the typed calls are held to: the key goes to the client's own base URL and
/// nowhere else; a gate, a deadline and limits on the answer; nothing of a key in an error. What
/// cannot be right is an error before anything is sent.
///
/// Whether it is sent again after a failure goes by the method:
///
/// | method | sent again |
/// |---|---|
/// | `GET`, `HEAD` | yes: it changes nothing |
/// | `PUT`, `DELETE` | yes, unless it is to be sent [`once`](Self::once) |
/// | `POST`, `PATCH` | no: it may make something each time. A failure that may have come after the effect is [`ErrorKind::OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown). Say [`idempotent`](Self::idempotent) where twice is the same as once |
///
/// A call of an operation that is in the [table](crate::OPERATIONS) shares its gate with the typed
/// calls.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use keyward_admin::{AdmitContext, ApiKey, Client, KeyPolicy, Timestamp};
/// # let fake = keyward_testkit::FakeOpenAi::start().await?;
/// # let project = fake.seed_project("website");
/// # let now = AdmitContext::at(Timestamp::from_unix_seconds(1_790_000_000));
/// # let key = KeyPolicy::admin().admit(&ApiKey::parse(fake.admin_key())?, &now)?.into_admin_key()?;
/// # let client = Client::builder(key).base_url(fake.base_url()).allow_loopback().build()?;
/// use keyward_admin::Method;
///
/// #[derive(serde::Deserialize)]
/// struct Project {
///     name: String,
/// }
///
/// let answer = client
///     .raw(Method::Get, "/organization/projects/{project_id}")
///     .arg(project)
///     .send()
///     .await?;
/// assert_eq!(answer.json::<Project>()?.name, "website");
///
/// let mut users = client.raw(Method::Get, "/organization/users").query("limit", 50).pages();
/// while let Some(user) = users.next().await {
///     println!("{:?}", user?.id());
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is sent before `send`, `mint` or `pages`"]
pub struct RawCall {
    client: Client,
    method: Method,
    path: Cow<'static, str>,
    args: Vec<String>,
    query: Vec<(Cow<'static, str>, String)>,
    body: Option<Result<Vec<u8>, ()>>,
    repeat: Option<Repeat>,
}

/// The method of a [`RawCall`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Method {
    /// `DELETE`.
    Delete,
    /// `GET`.
    Get,
    /// `HEAD`.
    Head,
    /// `PATCH`.
    Patch,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
}

/// What the caller said of repeating a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Repeat {
    Idempotent,
    Once,
}

/// The answer to a [`RawCall`], whose status was a success.
///
/// # Security
///
/// It may hold a key: `Debug` shows its status and its length, and its bytes are wiped when it is
/// dropped. What is made of them is the caller's. A key that was just made is caught by
/// [`RawCall::mint`], and goes into no other type on its way.
pub struct RawAnswer {
    operation: Operation,
    status: u16,
    request_id: Option<String>,
    body: Body,
}

/// One item of a listing that a [`RawCall`] asked for.
///
/// # Security
///
/// As of [`RawAnswer`]: `Debug` shows its id and its length, and its bytes are wiped.
pub struct RawItem {
    id: String,
    json: Zeroizing<Box<str>>,
}

impl RawCall {
    pub(crate) fn new(client: Client, method: Method, path: Cow<'static, str>) -> Self {
        Self { client, method, path, args: Vec::new(), query: Vec::new(), body: None, repeat: None }
    }

    /// What stands in the place of the next parameter of the path, as one segment, whatever is in
    /// it.
    pub fn arg(mut self, arg: impl fmt::Display) -> Self {
        self.args.push(arg.to_string());
        self
    }

    /// One more parameter of the query. An array is sent as its name with brackets, once for each
    /// value: `.query("project_ids[]", "proj_a").query("project_ids[]", "proj_b")`.
    pub fn query(mut self, name: impl Into<Cow<'static, str>>, value: impl fmt::Display) -> Self {
        self.query.push((name.into(), value.to_string()));
        self
    }

    /// The body, as JSON.
    ///
    /// # Security
    ///
    /// Nothing of it is logged or shown. It is not wiped.
    pub fn json(mut self, body: &impl serde::Serialize) -> Self {
        // serde_json's error may repeat what it could not write.
        self.body = Some(serde_json::to_vec(body).map_err(|_| ()));
        self
    }

    /// Says that sending it twice is the same as sending it once, so that it may be repeated.
    ///
    /// It is an error for an operation that this version knows to make something each time.
    pub fn idempotent(mut self) -> Self {
        self.repeat = Some(Repeat::Idempotent);
        self
    }

    /// Says that sending it twice is not the same as sending it once, whatever its method: it is
    /// not repeated. What only reads may always be.
    pub fn once(mut self) -> Self {
        self.repeat = Some(Repeat::Once);
        self
    }

    /// Sends it.
    ///
    /// An answer to what is sent once is read to 64 KiB at most, because it may hold a key that is
    /// to be wiped.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) for a path that could lead
    /// elsewhere, arguments that do not fit it, a key in the path or the query, or a body that
    /// cannot be sent; nothing is sent then. Else as of any call.
    pub async fn send(self) -> Result<RawAnswer, Error> {
        let call = self.call()?;
        let received = self.client.transport().answer(&call).await?;
        Ok(RawAnswer {
            operation: call.operation,
            status: received.status,
            request_id: received.request_id,
            body: received.body,
        })
    }

    /// Sends it once, and takes the key out of the answer that it makes.
    ///
    /// The key is found wherever it stands in the answer, as by the typed calls: see
    /// [`MintedKey`].
    ///
    /// # Errors
    ///
    /// As of [`send`](Self::send); and
    /// [`ErrorKind::OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown) for an answer without a key.
    pub async fn mint(self) -> Result<MintedKey<String>, Error> {
        let this = self.once();
        let mut call = this.call()?;
        call.operation.effect = Effect::Create;
        mint(&this.client, call).await
    }

    /// The listing that it asks for, page by page, with the cursor in `after`.
    ///
    /// What is wrong with the call is told as the first item.
    pub fn pages(self) -> Pages<RawItem> {
        self.listing(Cursor::After)
    }

    /// The same, with the cursor in `page`, as usage and costs have it.
    pub fn bucket_pages(self) -> Pages<RawItem> {
        self.listing(Cursor::Page)
    }

    fn listing(self, cursor: Cursor) -> Pages<RawItem> {
        let (call, error) = match self.call() {
            Ok(call) if self.method == Method::Get => (call, None),
            Ok(call) => {
                let error = Error::not_sent("a listing is asked for with GET");
                (Call::new(call.operation.clone(), []), Some(error.in_operation(&call.operation)))
            }
            Err(error) => {
                let operation = error.operation().cloned();
                let operation = operation.unwrap_or_else(|| self.shown(Effect::Read));
                (Call::new(operation, []), Some(error))
            }
        };
        let pages = Pages::with_cursor(self.client, call, cursor);
        match error {
            Some(error) => pages.failed(error),
            None => pages,
        }
    }

    /// What is sent, or what is wrong with it.
    fn call(&self) -> Result<Call, Error> {
        let refused =
            |what: String| Err(Error::not_sent(what).in_operation(&self.shown(self.effect())));
        let path = match Path::parse(&self.path) {
            Ok(path) => path,
            Err(what) => return refused(what.to_owned()),
        };
        let (wanted, given) = (path.parameters(), self.args.len());
        if wanted != given {
            return refused(format!("the path has {wanted} parameters, and {given} were given"));
        }
        let body = match &self.body {
            Some(_) if matches!(self.method, Method::Get | Method::Head) => {
                return refused("what only reads has no body".to_owned());
            }
            Some(Err(())) => return refused("the body cannot be written as JSON".to_owned()),
            Some(Ok(body)) => Some(body.clone()),
            None => None,
        };
        let method = self.method.as_str();
        let segments = path.filled(&self.args);
        let (operation, args) = match operations::find(method, &segments) {
            Some(row) => {
                if row.effect == Effect::Create && self.repeat == Some(Repeat::Idempotent) {
                    return refused(
                        "it makes something each time, and cannot be repeated".to_owned(),
                    );
                }
                let operation = Operation { effect: self.effect(), ..row.clone() };
                (operation, args_of(row, &segments))
            }
            None => (
                Operation::made_up(method, self.path.to_string(), self.effect()),
                self.args.clone(),
            ),
        };
        Ok(Call { operation, args, query: self.query.clone(), body })
    }

    fn effect(&self) -> Effect {
        match (self.method, self.repeat) {
            (Method::Get | Method::Head, _) => Effect::Read,
            (_, Some(Repeat::Idempotent)) => Effect::Idempotent,
            (_, Some(Repeat::Once)) | (Method::Patch | Method::Post, None) => Effect::Create,
            (Method::Delete | Method::Put, None) => Effect::Idempotent,
        }
    }

    /// The operation as an error may show it, whatever the caller put into the path.
    fn shown(&self, effect: Effect) -> Operation {
        const MOST: usize = 120;

        let line: String =
            self.path.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        // From a question mark on it is a query, in which anything may stand.
        let line = line.split(['?', '#']).next().unwrap_or_default();
        let mut path = find::scrub(line).into_owned();
        if let Some((cut, _)) = path.char_indices().nth(MOST) {
            path.truncate(cut);
            path.push('…');
        }
        Operation::made_up(self.method.as_str(), path, effect)
    }
}

impl fmt::Debug for RawCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawCall")
            .field("operation", &self.shown(self.effect()).to_string())
            .field("body", &self.body.as_ref().map(|body| body.as_ref().map_or(0, Vec::len)))
            .finish_non_exhaustive()
    }
}

impl Method {
    /// The method as it is sent.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Patch => "PATCH",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl RawAnswer {
    /// The status, which is a success.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The id under which OpenAI's support finds the request.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// The body as it came.
    ///
    /// # Security
    ///
    /// It may hold a key, and what is copied out of it is not wiped.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// Reads the body as JSON, which may be borrowed from.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Drift`](crate::ErrorKind::Drift), which tells the path and the place and never
    /// what stands there.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Error> {
        decode::decode(&self.body).map_err(|error| {
            error.in_operation(&self.operation).with_request_id(self.request_id.clone())
        })
    }
}

impl fmt::Debug for RawAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawAnswer")
            .field("operation", &self.operation.to_string())
            .field("status", &self.status)
            .field("len", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl RawItem {
    /// The id, if it has one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        Some(self.id.as_str()).filter(|id| !id.is_empty())
    }

    /// Its JSON as it came.
    ///
    /// # Security
    ///
    /// It may hold a key, and what is copied out of it is not wiped.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.json.as_bytes()
    }

    /// Reads it, which may be borrowed from.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Drift`](crate::ErrorKind::Drift), which tells the path and the place and never
    /// what stands there.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Error> {
        decode::decode(self.json.as_bytes())
    }
}

impl fmt::Debug for RawItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawItem")
            .field("id", &self.id())
            .field("len", &self.json.len())
            .finish_non_exhaustive()
    }
}

impl<'de> Deserialize<'de> for RawItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        struct Identified {
            #[serde(default, deserialize_with = "lenient")]
            id: Option<String>,
        }

        let json = Zeroizing::new(Box::<str>::from(Box::<RawValue>::deserialize(deserializer)?));
        // What is no object has no id.
        let id = serde_json::from_str::<Identified>(&json).ok().and_then(|item| item.id);
        Ok(Self { id: id.unwrap_or_default(), json })
    }
}

impl Listed for RawItem {
    const MAY_HOLD_KEY: bool = true;

    fn id(&self) -> &str {
        &self.id
    }
}

/// A path below the base URL, in pieces that each stay one piece.
struct Path<'a> {
    segments: Vec<&'a str>,
}

impl<'a> Path<'a> {
    /// Refuses what could lead out of the base URL, or be understood by a server as something else
    /// than what it reads as.
    fn parse(path: &'a str) -> Result<Self, &'static str> {
        const LONGEST: usize = 1024;

        if path.len() > LONGEST {
            return Err("the path is too long");
        }
        if holds_key(path) {
            return Err("a key cannot stand in the path");
        }
        let Some(below) = path.strip_prefix('/') else {
            return Err("the path must begin with `/`, and is below the base URL");
        };
        let segments: Vec<_> = below.split('/').collect();
        for segment in &segments {
            let is_parameter = segment.starts_with('{') && segment.ends_with('}');
            let word = match is_parameter {
                true => segment.trim_start_matches('{').trim_end_matches('}'),
                false => segment,
            };
            match word {
                "" => return Err("a segment of the path is empty"),
                "." | ".." => return Err("the path must not have `.` or `..` in it"),
                _ => {}
            }
            if !word.bytes().all(|b| b.is_ascii_graphic() && !b"?#%\\{}".contains(&b)) {
                return Err(
                    "a segment of the path has a character that must not stand there; parameters \
                     are written as `{name}` and filled by `arg`, and a query is given by `query`",
                );
            }
        }
        Ok(Self { segments })
    }

    fn parameters(&self) -> usize {
        self.segments.iter().filter(|segment| is_parameter(segment)).count()
    }

    /// The segments with what was given in the place of parameters: what the server sees.
    fn filled(&self, given: &'a [String]) -> Vec<&'a str> {
        let mut given = given.iter().map(String::as_str);
        let fill = |segment: &&'a str| match is_parameter(segment) {
            true => given.next().unwrap_or_default(),
            false => segment,
        };
        self.segments.iter().map(fill).collect()
    }
}

/// What stands in the parameters of a row of the table.
fn args_of(row: &Operation, segments: &[&str]) -> Vec<String> {
    let of_row = row.path.split('/').skip(1);
    let both = segments.iter().zip(of_row);
    both.filter(|(_, of_row)| is_parameter(of_row)).map(|(s, _)| (*s).to_owned()).collect()
}

fn is_parameter(segment: &str) -> bool {
    segment.starts_with('{')
}
