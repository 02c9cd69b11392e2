//! `/organization/workload_identity_providers` and their `federation_rules`: whose tokens stand for
//! which service account. They are exchanged by `token_exchange`.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};

use super::answer::{ApiError, Fields, Json, Noted, invalid};
use super::issuer::FakeIssuer;
use super::page;
use super::query::{Ids, Parameters};
use super::state::{Organization, Shared};

const PROVIDER: &str = "workload identity provider";
const RULE: &str = "federation rule";

pub(super) fn routes() -> Router<Arc<Shared>> {
    let providers = "/v1/organization/workload_identity_providers";
    let provider = format!("{providers}/{{workload_identity_provider_id}}");
    let rule = format!("{provider}/federation_rules/{{workload_identity_federation_rule_id}}");
    Router::new()
        .route(providers, get(list).post(create))
        .route(&provider, get(retrieve).post(update).delete(delete))
        .route(&format!("{provider}/federation_rules"), get(list_rules).post(create_rule))
        .route(&rule, get(retrieve_rule).post(update_rule).delete(delete_rule))
}

async fn list(State(shared): State<Arc<Shared>>, query: Parameters) -> Result<Json, ApiError> {
    let organization = shared.organization();
    let entries = organization.identity_providers.entries(|_, provider| Some(provider.clone()));
    page::by_id(entries, &query)
}

async fn create(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<Noted, ApiError> {
    let fields = Fields::parse(
        &body,
        &[
            "type",
            "name",
            "issuer",
            "audience",
            "description",
            "enabled",
            "attribute_transformations",
            "verification",
        ],
    )?;
    fields.required_choice("type", &["oidc"])?;
    for field in ["name", "issuer", "audience"] {
        fields.required_text(field)?;
    }
    check_provider(&fields)?;
    let mut organization = shared.organization();
    let id = organization.new_id("wip_");
    let now = shared.clock.now();
    let mut provider = json!({
        "object": "organization.workload_identity_provider",
        "id": id,
        "description": null,
        "enabled": true,
        "attribute_transformations": [],
        "verification": { "type": "discovery", "discovery_url": null },
        "created_at": now,
        "updated_at": now,
    });
    fields.write_to(&mut provider);
    organization.identity_providers.add(id.clone(), provider.clone());
    let event = json!({ "id": id, "data": {} });
    Ok(Json(provider).noting("workload_identity_provider.created", None, event))
}

async fn retrieve(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Json, ApiError> {
    Ok(Json(provider(&shared.organization(), &ids)?.clone()))
}

async fn update(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    body: Bytes,
) -> Result<Noted, ApiError> {
    let fields = Fields::parse(
        &body,
        &[
            "name",
            "issuer",
            "audience",
            "description?",
            "enabled",
            "attribute_transformations",
            "verification",
        ],
    )?;
    for field in ["name", "issuer", "audience"] {
        fields.text(field)?;
    }
    check_provider(&fields)?;
    let id = &ids["workload_identity_provider_id"];
    let mut organization = shared.organization();
    let provider = organization.identity_providers.get_mut(PROVIDER, id)?;
    fields.write_to(provider);
    provider["updated_at"] = shared.clock.now().into();
    let event = json!({ "id": id, "changes_requested": {} });
    Ok(Json(provider.clone()).noting("workload_identity_provider.updated", None, event))
}

/// Takes the provider's rules along.
async fn delete(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Noted, ApiError> {
    let id = &ids["workload_identity_provider_id"];
    let mut organization = shared.organization();
    let name = organization.identity_providers.delete(PROVIDER, id)?["name"].clone();
    organization.federation_rules.delete_all(|rule| rule["workload_identity_provider_id"] == *id);
    let object = "organization.workload_identity_provider.deleted";
    let answer = json!({ "object": object, "id": id, "deleted": true });
    let event = json!({ "id": id, "name": name });
    Ok(Json(answer).noting("workload_identity_provider.deleted", None, event))
}

async fn list_rules(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    query: Parameters,
) -> Result<Json, ApiError> {
    let organization = shared.organization();
    let provider = &provider(&organization, &ids)?["id"];
    let account = query.get("service_account_id");
    let entries = organization.federation_rules.entries(|_, rule| {
        let wanted = rule["workload_identity_provider_id"] == *provider
            && account.is_none_or(|account| rule["service_account_id"] == account);
        wanted.then(|| rule.clone())
    });
    page::by_id(entries, &query)
}

async fn create_rule(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    body: Bytes,
) -> Result<Noted, ApiError> {
    let fields = Fields::parse(
        &body,
        &[
            "project_id",
            "service_account_id",
            "attribute_matchers",
            "name",
            "description",
            "enabled",
            "permissions",
        ],
    )?;
    let project = fields.required_text("project_id")?;
    let account = fields.required_text("service_account_id")?;
    if !fields.contains("attribute_matchers") {
        return Err(ApiError::missing("attribute_matchers"));
    }
    check_rule(&fields)?;
    let mut organization = shared.organization();
    let provider = provider(&organization, &ids)?["id"].clone();
    organization.service_account(&project, &account)?;
    let id = organization.new_id("wifr_");
    let now = shared.clock.now();
    let mut rule = json!({
        "object": "organization.workload_identity_federation_rule",
        "id": id,
        "workload_identity_provider_id": provider,
        "name": null,
        "description": null,
        "enabled": true,
        "permissions": { "type": "service_account_default" },
        "created_at": now,
        "updated_at": now,
    });
    fields.write_to(&mut rule);
    organization.federation_rules.add(id.clone(), rule.clone());
    let event = json!({ "id": id, "identity_provider_id": provider, "data": {} });
    let kind = "workload_identity_provider_mapping.created";
    Ok(Json(rule).noting(kind, Some(&project), event))
}

async fn retrieve_rule(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Json, ApiError> {
    Ok(Json(rule(&shared.organization(), &ids)?.clone()))
}

async fn update_rule(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    body: Bytes,
) -> Result<Noted, ApiError> {
    let fields = Fields::parse(
        &body,
        &["attribute_matchers", "name?", "description?", "enabled", "permissions"],
    )?;
    check_rule(&fields)?;
    let mut organization = shared.organization();
    let project = rule(&organization, &ids)?["project_id"].clone();
    let id = &ids["workload_identity_federation_rule_id"];
    let rule = organization.federation_rules.get_mut(RULE, id)?;
    fields.write_to(rule);
    rule["updated_at"] = shared.clock.now().into();
    let provider = &rule["workload_identity_provider_id"];
    let event = json!({ "id": id, "identity_provider_id": provider, "changes_requested": {} });
    let kind = "workload_identity_provider_mapping.updated";
    Ok(Json(rule.clone()).noting(kind, project.as_str(), event))
}

async fn delete_rule(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Noted, ApiError> {
    let id = &ids["workload_identity_federation_rule_id"];
    let mut organization = shared.organization();
    let rule = rule(&organization, &ids)?.clone();
    organization.federation_rules.delete(RULE, id)?;
    let object = "organization.workload_identity_federation_rule.deleted";
    let answer = json!({ "object": object, "id": id, "deleted": true });
    let event = json!({
        "id": id,
        "identity_provider_id": rule["workload_identity_provider_id"],
        "project_id": rule["project_id"],
        "service_account_id": rule["service_account_id"],
    });
    let kind = "workload_identity_provider_mapping.deleted";
    Ok(Json(answer).noting(kind, rule["project_id"].as_str(), event))
}

/// A provider with the issuer's key, and a rule for one subject.
pub(super) fn seed(
    organization: &mut Organization,
    issuer: &FakeIssuer,
    audience: &str,
    sub: &str,
    account: &str,
) -> String {
    let project = organization.service_accounts.iter().find(|known| known.id == account);
    let project = project.map(|account| account.project.clone());
    let Some(project) = project else { panic!("no such service account: {account}") };
    let jwks: Value = serde_json::from_str(&issuer.jwks()).expect("written as JSON");
    let provider = organization.new_id("wip_");
    let value = json!({
        "object": "organization.workload_identity_provider",
        "id": provider,
        "type": "oidc",
        "name": issuer.name(),
        "issuer": issuer.name(),
        "audience": audience,
        "description": null,
        "enabled": true,
        "attribute_transformations": [],
        "verification": { "type": "uploaded_jwks", "jwks": jwks },
        "created_at": 0,
        "updated_at": 0,
    });
    organization.identity_providers.add(provider.clone(), value);
    let rule = organization.new_id("wifr_");
    let value = json!({
        "object": "organization.workload_identity_federation_rule",
        "id": rule,
        "workload_identity_provider_id": provider,
        "project_id": project,
        "service_account_id": account,
        "attribute_matchers": { "sub": sub },
        "name": null,
        "description": null,
        "enabled": true,
        "permissions": { "type": "service_account_default" },
        "created_at": 0,
        "updated_at": 0,
    });
    organization.federation_rules.add(rule, value);
    provider
}

fn provider<'a>(organization: &'a Organization, ids: &Ids) -> Result<&'a Value, ApiError> {
    organization.identity_providers.get(PROVIDER, &ids["workload_identity_provider_id"])
}

/// The rule that the path names, if it is the provider's.
fn rule<'a>(organization: &'a Organization, ids: &Ids) -> Result<&'a Value, ApiError> {
    let provider = &provider(organization, ids)?["id"];
    let id = &ids["workload_identity_federation_rule_id"];
    let rule = organization.federation_rules.get(RULE, id)?;
    if rule["workload_identity_provider_id"] != *provider {
        return Err(ApiError::not_found(RULE, id));
    }
    Ok(rule)
}

/// What is checked alike where a provider is made and updated.
fn check_provider(fields: &Fields) -> Result<(), ApiError> {
    fields.text("description")?;
    fields.flag("enabled")?;
    let transformations = "attribute_transformations";
    for transformation in fields.objects(transformations, &["attribute", "expression"])? {
        transformation.required_text("attribute")?;
        transformation.required_text("expression")?;
    }
    let allowed = ["type", "discovery_url?", "jwks"];
    let Some(verification) = fields.object("verification", &allowed)? else {
        return Ok(());
    };
    match verification.required_choice("type", &["discovery", "uploaded_jwks"])?.as_str() {
        // The field must be there, and may be null.
        "discovery" if !verification.contains("discovery_url") => {
            Err(ApiError::missing("verification.discovery_url"))
        }
        "discovery" if verification.contains("jwks") => {
            Err(invalid("verification", "no `jwks` with discovery"))
        }
        "uploaded_jwks" if !verification.value("jwks").is_some_and(Value::is_object) => {
            Err(ApiError::missing("verification.jwks"))
        }
        _ => verification.text("discovery_url").map(drop),
    }
}

/// What is checked alike where a rule is made and updated.
fn check_rule(fields: &Fields) -> Result<(), ApiError> {
    fields.text("name")?;
    fields.text("description")?;
    fields.flag("enabled")?;
    if let Some(matchers) = fields.value("attribute_matchers") {
        let are_plain = matchers.as_object().is_some_and(|matchers| {
            matchers
                .values()
                .all(|value| value.is_string() || value.is_boolean() || value.is_number())
        });
        if !are_plain {
            return Err(invalid(
                "attribute_matchers",
                "an object of strings, booleans and numbers",
            ));
        }
    }
    let Some(permissions) = fields.object("permissions", &["type", "scopes"])? else {
        return Ok(());
    };
    let kinds = ["restricted", "service_account_default"];
    match permissions.required_choice("type", &kinds)?.as_str() {
        "restricted" => permissions.required_texts("scopes").map(drop),
        _ if permissions.contains("scopes") => {
            Err(invalid("permissions", "no `scopes` with service_account_default"))
        }
        _ => Ok(()),
    }
}
