//! `/oauth/token`: a token of a workload's platform in, an access token of a service account out
//! (RFC 8693). In the world it is on a host of its own.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::StatusCode;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value, json};

use super::answer::{Json, response};
use super::state::{KeyKind, NewKey, Organization, Owner, Shared};

pub(super) const PATH: &str = "/oauth/token";

/// How long an access token lives, in seconds.
const LIFE: u64 = 3600;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route(PATH, post(exchange))
}

async fn exchange(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<Json, Refusal> {
    let asked = Asked::parse(&body)?;
    let now = shared.clock.now();
    let mut organization = shared.organization();
    let (project, scopes) = admit(&organization, &asked, now)?;
    let token = organization.add_key(NewKey {
        kind: KeyKind::AccessToken,
        name: "access token",
        owner: Owner::ServiceAccount(asked.account),
        project: Some(project),
        now,
        live_from: std::time::Duration::ZERO,
        lifetime: Some(LIFE),
        scopes,
    });
    Ok(Json(json!({
        "access_token": token.value,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "Bearer",
        "expires_in": LIFE,
    })))
}

/// What is asked for.
struct Asked {
    token: String,
    provider: String,
    account: String,
}

impl Asked {
    fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let request = |what: &str| Refusal::new("invalid_request", what);
        let Ok(Value::Object(fields)) = serde_json::from_slice::<Value>(body) else {
            return Err(request("The body is no JSON object"));
        };
        let text = |name: &str| {
            let value = fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
            value.map(str::to_owned).ok_or_else(|| request(&format!("Missing parameter: {name}")))
        };
        if text("grant_type")? != "urn:ietf:params:oauth:grant-type:token-exchange" {
            return Err(Refusal::new("unsupported_grant_type", "Only token exchange is supported"));
        }
        let kinds =
            ["jwt", "id_token"].map(|kind| format!("urn:ietf:params:oauth:token-type:{kind}"));
        if !kinds.contains(&text("subject_token_type")?) {
            return Err(request("Unsupported subject_token_type"));
        }
        Ok(Self {
            token: text("subject_token")?,
            provider: text("identity_provider_id")?,
            account: text("service_account_id")?,
        })
    }
}

/// Whether the token's bearer may be the service account; in which project, and with what scopes.
fn admit(
    organization: &Organization,
    asked: &Asked,
    now: u64,
) -> Result<(String, Vec<String>), Refusal> {
    let unknown = || Refusal::new("invalid_client", "No such identity provider");
    let provider = organization
        .identity_providers
        .get("workload identity provider", &asked.provider)
        .map_err(|_| unknown())?;
    if provider["enabled"] != true {
        return Err(unknown());
    }
    let claims =
        verify(&asked.token, provider, now).map_err(|what| Refusal::new("invalid_grant", what))?;
    let rule = organization.federation_rules.iter().map(|(_, rule)| rule).find(|rule| {
        rule["workload_identity_provider_id"] == asked.provider
            && rule["service_account_id"] == asked.account
            && rule["enabled"] == true
            && is_matched(&rule["attribute_matchers"], &claims)
    });
    let denied = || Refusal::new("access_denied", "No federation rule admits this workload");
    let rule = rule.ok_or_else(denied)?;
    let account = organization
        .service_accounts
        .iter()
        .find(|account| account.id == asked.account && !account.deleted)
        .ok_or_else(denied)?;
    let scopes = rule["permissions"]["scopes"].as_array().map_or_else(Vec::new, |scopes| {
        scopes.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    });
    Ok((account.project.clone(), scopes))
}

/// The claims of a token that the provider's issuer has signed, for its audience, and that holds now.
fn verify(token: &str, provider: &Value, now: u64) -> Result<Map<String, Value>, &'static str> {
    let keys = &provider["verification"]["jwks"];
    let keys: JwkSet = serde_json::from_value(keys.clone())
        .map_err(|_| "The provider's keys are not uploaded, and the fake looks none up")?;
    let header = jsonwebtoken::decode_header(token).map_err(|_| "The subject token is no JWT")?;
    if !matches!(header.alg, Algorithm::ES256 | Algorithm::RS256) {
        return Err("The subject token is signed with an algorithm that is not supported");
    }
    let key = header.kid.as_deref().and_then(|id| keys.find(id));
    let key = key.ok_or("The subject token is signed with an unknown key")?;
    let key = DecodingKey::from_jwk(key).map_err(|_| "The provider's key cannot be used")?;
    let mut validation = Validation::new(header.alg);
    // The times are compared below, by the organization's clock.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation.set_issuer(&[provider["issuer"].as_str().unwrap_or_default()]);
    validation.set_audience(&[provider["audience"].as_str().unwrap_or_default()]);
    let claims = jsonwebtoken::decode::<Map<String, Value>>(token, &key, &validation)
        .map_err(|_| "The subject token's signature, issuer or audience is not the provider's")?
        .claims;
    let time = |name: &str| claims.get(name).and_then(Value::as_f64).map(|at| at as u64);
    if time("exp").is_none_or(|at| at <= now) {
        return Err("The subject token has expired");
    }
    if time("nbf").is_some_and(|at| at > now) {
        return Err("The subject token does not hold yet");
    }
    Ok(claims)
}

/// Whether each attribute that a rule names has the value there. Attributes are claims: what a
/// provider transforms is not computed, and matches nothing.
fn is_matched(matchers: &Value, claims: &Map<String, Value>) -> bool {
    matchers.as_object().is_some_and(|matchers| {
        !matchers.is_empty() && matchers.iter().all(|(name, value)| claims.get(name) == Some(value))
    })
}

/// An error as OAuth words it.
struct Refusal {
    code: &'static str,
    description: String,
}

impl Refusal {
    fn new(code: &'static str, description: &str) -> Self {
        Self { code, description: description.to_owned() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self.code {
            "access_denied" => StatusCode::FORBIDDEN,
            "invalid_client" => StatusCode::UNAUTHORIZED,
            _ => StatusCode::BAD_REQUEST,
        };
        let body = json!({ "error": self.code, "error_description": self.description });
        response(status, &body)
    }
}
