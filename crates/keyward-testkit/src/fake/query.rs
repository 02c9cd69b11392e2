//! The parameters of a request: those of its query, held to the rules of the operation, and those
//! of its path.

use std::collections::HashMap;
use std::ops::Index;

use axum::extract::{FromRequestParts, Path, Query};
use http::request::Parts;
use http::{StatusCode, Uri};

use super::answer::ApiError;

/// A parameter that an operation's query may have.
#[derive(Clone, Copy)]
pub(super) struct Parameter {
    name: &'static str,
    rule: Rule,
}

impl Parameter {
    pub(super) const fn new(name: &'static str, rule: Rule) -> Self {
        Self { name, rule }
    }
}

/// What the values of a parameter may be.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// One of these; the first is the default.
    Choice(&'static [&'static str]),
    /// Any number of these, spelled `name[]=a` or `name=a`.
    Choices(&'static [&'static str]),
    Flag,
    Limit {
        min: usize,
        default: usize,
        max: usize,
    },
    /// A limit that depends on the `bucket_width`.
    LimitOfWidth,
    /// `name[gt]=1`, and so with `gte`, `lt` and `lte`.
    Range,
    RequiredSeconds,
    Seconds,
    Text,
    /// Any number of texts, spelled `name[]=a` or `name=a`.
    Texts,
}

/// The parameters of a query, which keep the rules of the operation.
#[derive(Clone)]
pub(super) struct Parameters {
    pairs: Vec<(String, String)>,
    rules: &'static [Parameter],
    limit: usize,
}

impl Parameters {
    /// Reads a query; `cap` is the fake's own bound on a page, so that few entries fill many.
    pub(super) fn parse(
        uri: &Uri,
        rules: &'static [Parameter],
        cap: Option<usize>,
    ) -> Result<Self, ApiError> {
        let Query(pairs) = Query::try_from_uri(uri)
            .map_err(|_| ApiError::bad_request("The query of your request cannot be read."))?;
        Self::new(pairs, rules, cap)
    }

    pub(super) fn new(
        pairs: Vec<(String, String)>,
        rules: &'static [Parameter],
        cap: Option<usize>,
    ) -> Result<Self, ApiError> {
        let mut parameters = Self { pairs, rules, limit: 0 };
        for (name, value) in &parameters.pairs {
            let known = rules.iter().find(|parameter| parameter.is_spelled(name));
            let Some(parameter) = known else {
                let message = format!("Unknown query parameter: '{name}'.");
                return Err(ApiError::bad_request(message).code("unknown_parameter"));
            };
            parameter.admit(value)?;
        }
        for Parameter { name, rule } in rules {
            if matches!(rule, Rule::RequiredSeconds) && parameters.get(name).is_none() {
                return Err(ApiError::missing(name));
            }
        }
        let limit = parameters.read_limit()?;
        parameters.limit = cap.map_or(limit, |cap| limit.min(cap));
        Ok(parameters)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The values of an array parameter.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        self.pairs
            .iter()
            .filter(|(key, _)| key.strip_suffix("[]").unwrap_or(key) == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// Whether an array parameter has this value, or none at all, which admits everything.
    pub(super) fn admits(&self, name: &str, value: Option<&str>) -> bool {
        let wanted = self.all(name);
        wanted.is_empty() || value.is_some_and(|value| wanted.contains(&value))
    }

    pub(super) fn allows(&self, name: &str) -> bool {
        self.rules.iter().any(|parameter| parameter.name == name)
    }

    pub(super) fn choice(&self, name: &str) -> &str {
        self.get(name).unwrap_or_else(|| self.choices(name).first().copied().unwrap_or_default())
    }

    /// What the values of a parameter may be.
    pub(super) fn choices(&self, name: &str) -> &'static [&'static str] {
        let parameter = self.rules.iter().find(|parameter| parameter.name == name);
        match parameter.map(|parameter| parameter.rule) {
            Some(Rule::Choice(choices) | Rule::Choices(choices)) => choices,
            _ => &[],
        }
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    pub(super) fn seconds(&self, name: &str) -> Option<u64> {
        self.get(name).and_then(|value| value.parse().ok())
    }

    /// Whether a number is in the range of `name[gt]` and the like.
    pub(super) fn in_range(&self, name: &str, number: u64) -> bool {
        let bound = |op: &str| self.seconds(&format!("{name}[{op}]"));
        bound("gt").is_none_or(|bound| number > bound)
            && bound("gte").is_none_or(|bound| number >= bound)
            && bound("lt").is_none_or(|bound| number < bound)
            && bound("lte").is_none_or(|bound| number <= bound)
    }

    /// How many entries a page has.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    fn read_limit(&self) -> Result<usize, ApiError> {
        let rule = self.rules.iter().find(|parameter| parameter.name == "limit");
        let (min, default, max) = match (rule.map(|limit| limit.rule), self.get("bucket_width")) {
            (Some(Rule::Limit { min, default, max }), _) => (min, default, max),
            (Some(Rule::LimitOfWidth), Some("1h")) => (1, 24, 168),
            (Some(Rule::LimitOfWidth), Some("1m")) => (1, 60, 1440),
            (Some(Rule::LimitOfWidth), _) => (1, 7, 31),
            _ => return Ok(0),
        };
        let Some(value) = self.get("limit") else {
            return Ok(default);
        };
        value
            .parse()
            .ok()
            .filter(|limit| (min..=max).contains(limit))
            .ok_or_else(|| refused("limit", &format!("an integer from {min} to {max}")))
    }
}

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = ApiError;

    /// Those that the gate has read and put there.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let missing = "The fake has no table entry for this operation.";
        let read = parts.extensions.remove();
        read.ok_or_else(|| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, missing))
    }
}

impl Parameter {
    fn is_spelled(&self, name: &str) -> bool {
        let bare = name == self.name;
        let rest = name.strip_prefix(self.name);
        match self.rule {
            Rule::Choices(_) | Rule::Texts => bare || rest == Some("[]"),
            Rule::Range => matches!(rest, Some("[gt]" | "[gte]" | "[lt]" | "[lte]")),
            _ => bare,
        }
    }

    fn admit(&self, value: &str) -> Result<(), ApiError> {
        let is_number = value.parse::<u64>().is_ok();
        match self.rule {
            Rule::Choice(choices) | Rule::Choices(choices) if !choices.contains(&value) => {
                // The types of events are too many to tell.
                let wanted = if choices.len() > 20 {
                    "a known value".to_owned()
                } else {
                    choices.join(", ")
                };
                Err(refused(self.name, &format!("one of {wanted}")))
            }
            Rule::Flag if !matches!(value, "true" | "false") => {
                Err(refused(self.name, "true or false"))
            }
            Rule::Range | Rule::RequiredSeconds | Rule::Seconds if !is_number => {
                Err(refused(self.name, "unix seconds"))
            }
            _ => Ok(()),
        }
    }
}

/// The parameters of a path, by their names in the template.
///
/// Operations of the organization and of a project share their code, and tell themselves apart by
/// the `project_id`.
pub(super) struct Ids(HashMap<String, String>);

impl Ids {
    pub(super) fn project(&self) -> Option<&str> {
        self.0.get("project_id").map(String::as_str)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl Index<&str> for Ids {
    type Output = str;

    /// # Panics
    ///
    /// If the route has no such parameter: a mistake in the fake.
    fn index(&self, name: &str) -> &str {
        &self.0[name]
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Ids {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(ids) = Path::from_request_parts(parts, state)
            .await
            .map_err(|_| ApiError::bad_request("The path of your request cannot be read."))?;
        Ok(Self(ids))
    }
}

pub(super) fn refused(name: &'static str, wanted: &str) -> ApiError {
    ApiError::bad_request(format!("Invalid value for '{name}': expected {wanted}."))
        .param(name)
        .code("invalid_value")
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &[Parameter] = &[
        Parameter::new("bucket_width", Rule::Choice(&["1d", "1h", "1m"])),
        Parameter::new("effective_at", Rule::Range),
        Parameter::new("flag", Rule::Flag),
        Parameter::new("group_by", Rule::Choices(&["model", "batch"])),
        Parameter::new("limit", Rule::LimitOfWidth),
        Parameter::new("start_time", Rule::RequiredSeconds),
    ];

    fn read(query: &str) -> Result<Parameters, ApiError> {
        Parameters::parse(&format!("/x?{query}").parse().unwrap(), RULES, None)
    }

    #[test]
    fn a_query_that_breaks_a_rule_is_refused() {
        let wrong = [
            "",
            "start_time=x",
            "start_time=1&unknown=1",
            "start_time=1&bucket_width=1y",
            "start_time=1&flag=yes",
            "start_time=1&flag[]=true",
            "start_time=1&group_by=line_item",
            "start_time=1&group_by[]=model&group_by[]=line_item",
            "start_time=1&effective_at=1",
            "start_time=1&effective_at[ge]=1",
            "start_time=1&effective_at[gt]=x",
            "start_time=1&limit=0",
            "start_time=1&limit=32",
            "start_time=1&limit=169&bucket_width=1h",
            "start_time=1&limit=1441&bucket_width=1m",
        ];
        for query in wrong {
            let error = read(query).err().unwrap_or_else(|| panic!("{query} was admitted"));
            assert_eq!(error.status, StatusCode::BAD_REQUEST, "{query}");
        }
    }

    #[test]
    fn arrays_come_with_brackets_and_without() {
        for query in ["group_by[]=model&group_by=batch", "group_by%5B%5D=model&group_by[]=batch"] {
            let parameters = read(&format!("start_time=1&{query}")).unwrap();
            assert_eq!(parameters.all("group_by"), ["model", "batch"]);
        }
    }

    #[test]
    fn the_default_limit_depends_on_the_width() {
        for (width, limit) in [("1d", 7), ("1h", 24), ("1m", 60)] {
            let query = format!("start_time=1&bucket_width={width}");
            assert_eq!(read(&query).unwrap().limit(), limit);
        }
    }

    #[test]
    fn a_range_has_open_and_closed_ends() {
        let parameters = read("start_time=1&effective_at[gt]=3&effective_at[lte]=5").unwrap();
        let inside: Vec<_> = (0..9).filter(|n| parameters.in_range("effective_at", *n)).collect();
        assert_eq!(inside, [4, 5]);
    }
}
