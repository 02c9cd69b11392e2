//! Who asks, and whether they may: keys, their kinds, scopes and expiry, and the cache in between.

use http::{HeaderMap, Method, StatusCode, header};

use super::answer::ApiError;
use super::client_secrets::CALLS;
use super::state::{Key, KeyKind, Organization, Owner, Shared};

/// The id of the key that a request was admitted with.
#[derive(Clone)]
pub(super) struct AdmittedKey(pub(super) String);

/// What an operation asks of a key.
#[derive(Clone, Copy)]
enum Need {
    /// An admin key; the scope is what another key is told that it lacks.
    Admin(&'static str),
    /// A key of a project with one of these scopes; the first is the one that is told.
    Inference(&'static [&'static str]),
    /// A client secret, or a key of a project with this scope.
    Session(&'static [&'static str]),
}

impl Need {
    fn of(method: &Method, template: &str) -> Self {
        match template {
            "/models" => Self::Inference(&["api.model.request", "api.all.read"]),
            "/realtime/client_secrets" => Self::Inference(&["api.model.request"]),
            CALLS => Self::Session(&["api.model.request"]),
            "/responses" => Self::Inference(&["api.responses.write"]),
            _ if method == Method::GET => Self::Admin("api.management.read"),
            _ => Self::Admin("api.management.write"),
        }
    }

    fn scope(self) -> &'static str {
        match self {
            Self::Admin(scope) => scope,
            Self::Inference(scopes) | Self::Session(scopes) => scopes[0],
        }
    }
}

/// Admits a request to an operation, and notes that its key was used. The id of the key is for
/// those who want to know who spent the money.
pub(super) fn admit(
    shared: &Shared,
    method: &Method,
    template: &str,
    headers: &HeaderMap,
) -> Result<String, ApiError> {
    let Some(presented) = presented(headers) else {
        return Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "Missing bearer authentication in header",
        ));
    };
    let mut organization = shared.organization();
    let now = shared.clock.precise();
    let key = organization
        .keys
        .iter()
        .position(|key| key.value == presented)
        .filter(|at| is_accepted(shared, &organization, &organization.keys[*at]))
        .ok_or_else(|| unknown_key(presented))?;
    let need = Need::of(method, template);
    may(shared, &organization, &organization.keys[key], need)?;
    let key = &mut organization.keys[key];
    key.last_used_at = Some(now.as_secs());
    Ok(key.id.clone())
}

/// The text that a request presents as its key.
pub(super) fn presented(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// Whether the edge knows the key by now, and knows it still.
fn is_accepted(shared: &Shared, organization: &Organization, key: &Key) -> bool {
    let now = shared.clock.precise();
    let archived = key.project.as_ref().is_some_and(|id| organization.active_project(id).is_err());
    let cached = shared.options.auth_cache;
    let lost = matches!(key.owner, Owner::User(_)) && !organization.owner_has_access(key);
    now >= key.live_from
        && key.deleted_at.is_none_or(|at| now < at + cached)
        && !key.has_expired(now.as_secs())
        && !archived
        && !lost
}

fn may(
    shared: &Shared,
    organization: &Organization,
    key: &Key,
    need: Need,
) -> Result<(), ApiError> {
    let allowed = match (need, key.kind) {
        (Need::Admin(_), KeyKind::Admin) => true,
        (Need::Session(_), KeyKind::ClientSecret) => true,
        (Need::Admin(_), _) | (_, KeyKind::Admin | KeyKind::ClientSecret) => false,
        (Need::Inference(any) | Need::Session(any), _) => {
            let scopes = key.scopes_at(shared.clock.precise());
            // The keys of an account that is about to be deleted work as long as the cache does.
            let powerless = key.deleted_at.is_none() && !organization.owner_has_access(key);
            !powerless
                && (scopes.is_empty() || any.iter().any(|scope| scopes.iter().any(|s| s == scope)))
        }
    };
    if !allowed {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            format!(
                "You have insufficient permissions for this operation. Missing scopes: {}.",
                need.scope()
            ),
        )
        .code("missing_scope"));
    }
    let of_a_person = matches!(key.kind, KeyKind::LegacyUser | KeyKind::Project);
    if shared.options.service_account_keys_only && of_a_person {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "This organization allows service account API keys only.",
        ));
    }
    Ok(())
}

fn unknown_key(presented: &str) -> ApiError {
    let message = format!(
        "Incorrect API key provided: {}. You can find your API key at \
         https://platform.openai.com/account/api-keys.",
        masked(presented)
    );
    ApiError::new(StatusCode::UNAUTHORIZED, message).code("invalid_api_key")
}

/// What OpenAI echoes of a key: its first eight and last four characters; all of what is too
/// short to be a key.
fn masked(presented: &str) -> String {
    match presented.len().checked_sub(12) {
        Some(hidden @ 1..) => {
            let (head, tail) = (&presented[..8], &presented[presented.len() - 4..]);
            format!("{head}{}{tail}", "*".repeat(hidden))
        }
        _ => presented.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_echoed_is_masked_unless_it_is_short() {
        assert_eq!(masked("sk-proj-0123456789ab"), "sk-proj-********89ab");
        assert_eq!(masked("hunter2"), "hunter2");
    }

    #[test]
    fn the_scheme_is_bearer() {
        let mut headers = HeaderMap::new();
        assert_eq!(presented(&headers), None);
        headers.insert(header::AUTHORIZATION, "bearer abc ".parse().unwrap());
        assert_eq!(presented(&headers), Some("abc"));
        headers.insert(header::AUTHORIZATION, "Basic abc".parse().unwrap());
        assert_eq!(presented(&headers), None);
    }
}
