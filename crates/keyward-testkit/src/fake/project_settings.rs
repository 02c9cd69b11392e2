//! What a project may use: `hosted_tool_permissions`, `model_permissions` and
//! `service_tier_settings`. They permit and forbid nothing here.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};

use super::answer::{ApiError, Fields, Json, invalid};
use super::query::Ids;
use super::state::Shared;

pub(super) fn routes() -> Router<Arc<Shared>> {
    let project = "/v1/organization/projects/{project_id}";
    Router::new()
        .route(&format!("{project}/hosted_tool_permissions"), get(tools).post(update_tools))
        .route(
            &format!("{project}/model_permissions"),
            get(models).post(update_models).delete(delete_models),
        )
        .route(&format!("{project}/service_tier_settings"), get(tiers).post(update_tiers))
}

static TOOLS: [&str; 5] =
    ["file_search", "web_search", "image_generation", "mcp", "code_interpreter"];

/// The settings of a project, as they are shown.
pub(super) struct Settings {
    models: Value,
    tiers: Value,
    tools: Value,
}

impl Settings {
    /// Nothing is denied.
    fn all_models() -> Value {
        json!({ "object": "project.model_permissions", "mode": "deny_list", "model_ids": [] })
    }
}

impl Default for Settings {
    fn default() -> Self {
        let tools = TOOLS.map(|tool| (tool.to_owned(), json!({ "enabled": true })));
        Self {
            models: Self::all_models(),
            tiers: json!({
                "object": "project.service_tier_settings",
                "default": "standard",
                "enabled_tiers": "all",
            }),
            tools: Value::Object(tools.into_iter().collect()),
        }
    }
}

async fn tools(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Json, ApiError> {
    let organization = shared.organization();
    Ok(Json(organization.active_project(&ids["project_id"])?.settings.tools.clone()))
}

async fn update_tools(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    body: Bytes,
) -> Result<Json, ApiError> {
    let nullable = TOOLS.map(|tool| format!("{tool}?"));
    let fields = Fields::parse(&body, &nullable.each_ref().map(String::as_str))?;
    let mut changes = Vec::new();
    for tool in TOOLS {
        if let Some(permission) = fields.object(tool, &["enabled"])? {
            let enabled =
                permission.flag("enabled")?.ok_or_else(|| ApiError::missing("enabled"))?;
            changes.push((tool, enabled));
        }
    }
    let mut organization = shared.organization();
    let tools = &mut organization.active_project_mut(&ids["project_id"])?.settings.tools;
    for (tool, enabled) in changes {
        tools[tool] = json!({ "enabled": enabled });
    }
    Ok(Json(tools.clone()))
}

async fn models(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Json, ApiError> {
    let organization = shared.organization();
    Ok(Json(organization.active_project(&ids["project_id"])?.settings.models.clone()))
}

async fn update_models(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    body: Bytes,
) -> Result<Json, ApiError> {
    let fields = Fields::parse(&body, &["mode", "model_ids"])?;
    fields.required_choice("mode", &["allow_list", "deny_list"])?;
    fields.required_texts("model_ids")?;
    let mut organization = shared.organization();
    let models = &mut organization.active_project_mut(&ids["project_id"])?.settings.models;
    fields.write_to(models);
    Ok(Json(models.clone()))
}

async fn delete_models(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Json, ApiError> {
    let mut organization = shared.organization();
    let project = organization.active_project_mut(&ids["project_id"])?;
    project.settings.models = Settings::all_models();
    // Without an id.
    Ok(Json(json!({ "object": "project.model_permissions.deleted", "deleted": true })))
}

async fn tiers(State(shared): State<Arc<Shared>>, ids: Ids) -> Result<Json, ApiError> {
    let organization = shared.organization();
    Ok(Json(organization.active_project(&ids["project_id"])?.settings.tiers.clone()))
}

async fn update_tiers(
    State(shared): State<Arc<Shared>>,
    ids: Ids,
    body: Bytes,
) -> Result<Json, ApiError> {
    let fields = Fields::parse(&body, &["default", "enabled_tiers"])?;
    fields.choice("default", &["standard", "fast", "scale"])?;
    // Either `all` or a list.
    if fields.value("enabled_tiers").is_some_and(|tiers| *tiers != "all") {
        let tiers = fields.required_texts("enabled_tiers")?;
        if tiers.iter().any(|tier| !matches!(tier.as_str(), "flex" | "fast" | "ultrafast")) {
            return Err(invalid("enabled_tiers", "all, or a list of flex, fast, ultrafast"));
        }
    }
    let mut organization = shared.organization();
    let tiers = &mut organization.active_project_mut(&ids["project_id"])?.settings.tiers;
    fields.write_to(tiers);
    Ok(Json(tiers.clone()))
}
