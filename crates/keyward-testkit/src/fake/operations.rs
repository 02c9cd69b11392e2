//! The table of the operations that the fake knows, and of the parameters that their queries may
//! have; a test holds the router to it. What a rule means is `query`'s.

use std::sync::LazyLock;

use super::query::{Parameter, Rule};

/// One operation: its method, its path template without `/v1`, and its query's parameters.
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) query: &'static [Parameter],
}

/// The operation with this method and path template.
pub(super) fn find(method: &str, template: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|operation| operation.method == method && operation.path == template)
}

/// Each operation's method and path template.
pub(super) static NAMES: LazyLock<Vec<(&'static str, &'static str)>> = LazyLock::new(|| {
    OPERATIONS.iter().map(|operation| (operation.method, operation.path)).collect()
});

const AFTER: Parameter = Parameter::new("after", Rule::Text);
const API_KEYS: Parameter = Parameter::new("api_key_ids", Rule::Texts);
const ASCENDING: Parameter = Parameter::new("order", Rule::Choice(&["asc", "desc"]));
const BATCH: Parameter = Parameter::new("batch", Rule::Flag);
const BEFORE: Parameter = Parameter::new("before", Rule::Text);
const DESCENDING: Parameter = Parameter::new("order", Rule::Choice(&["desc", "asc"]));
const EMAILS: Parameter = Parameter::new("emails", Rule::Texts);
const END: Parameter = Parameter::new("end_time", Rule::Seconds);
const GROUP_TYPE: Parameter =
    Parameter::new("group_type", Rule::Choice(&["group", "tenant_group"]));
const INCLUDE: Parameter = Parameter::new("include", Rule::Choices(&["content"]));
const INCLUDE_ARCHIVED: Parameter = Parameter::new("include_archived", Rule::Flag);
const LIMIT: Parameter = limit(1, 20, 100);
const LIMIT_FROM_0: Parameter = limit(0, 20, 100);
const LIMIT_OF_100: Parameter = limit(1, 100, 100);
const LIMIT_OF_1000: Parameter = limit(0, 1000, 1000);
const LIMIT_TO_1000: Parameter = limit(0, 100, 1000);
const MODELS: Parameter = Parameter::new("models", Rule::Texts);
const OWNER_PROJECT_ACCESS: Parameter =
    Parameter::new("owner_project_access", Rule::Choice(&["active", "inactive", "any"]));
const PAGE: Parameter = Parameter::new("page", Rule::Text);
const PROJECT: Parameter = Parameter::new("project_id", Rule::Text);
const PROJECTS: Parameter = Parameter::new("project_ids", Rule::Texts);
const PURPOSE: Parameter = Parameter::new("purpose", Rule::Choice(&["ekm", "psp_decryption"]));
const SERVICE_ACCOUNT: Parameter = Parameter::new("service_account_id", Rule::Text);
const START: Parameter = Parameter::new("start_time", Rule::RequiredSeconds);
const USERS: Parameter = Parameter::new("user_ids", Rule::Texts);
const WIDTH: Parameter = Parameter::new("bucket_width", Rule::Choice(&["1d", "1h", "1m"]));
const WIDTHS_LIMIT: Parameter = Parameter::new("limit", Rule::LimitOfWidth);

const AUDIT_LOGS: &[Parameter] = &[
    Parameter::new("actor_emails", Rule::Texts),
    Parameter::new("actor_ids", Rule::Texts),
    AFTER,
    BEFORE,
    Parameter::new("effective_at", Rule::Range),
    Parameter::new("event_types", Rule::Choices(&super::audit_events::TYPES)),
    LIMIT,
    PROJECTS,
    Parameter::new("resource_ids", Rule::Texts),
    Parameter::new("tenant_only", Rule::Flag),
];

const COSTS: &[Parameter] = &[
    API_KEYS,
    Parameter::new("bucket_width", Rule::Choice(&["1d"])),
    END,
    group_by(&["project_id", "line_item", "api_key_id"]),
    limit(1, 7, 180),
    PAGE,
    PROJECTS,
    START,
];

const USAGE_OF_COMPLETIONS: &[Parameter] = &[
    API_KEYS,
    BATCH,
    END,
    group_by(&["project_id", "user_id", "api_key_id", "model", "batch", "service_tier"]),
    MODELS,
    PAGE,
    PROJECTS,
    START,
    USERS,
    WIDTH,
    WIDTHS_LIMIT,
];

const USAGE_OF_DECISIONS: &[Parameter] = &[
    API_KEYS,
    BATCH,
    END,
    group_by(&[
        "project_id",
        "user_id",
        "api_key_id",
        "model",
        "batch",
        "service_tier",
        "api_source",
    ]),
    MODELS,
    PAGE,
    PROJECTS,
    START,
    USERS,
    WIDTH,
    WIDTHS_LIMIT,
];

const USAGE_OF_FILE_SEARCH: &[Parameter] = &[
    API_KEYS,
    END,
    group_by(&["project_id", "user_id", "api_key_id", "vector_store_id"]),
    PAGE,
    PROJECTS,
    START,
    USERS,
    Parameter::new("vector_store_ids", Rule::Texts),
    WIDTH,
    WIDTHS_LIMIT,
];

const USAGE_OF_IMAGES: &[Parameter] = &[
    API_KEYS,
    END,
    group_by(&["project_id", "user_id", "api_key_id", "model", "size", "source"]),
    MODELS,
    PAGE,
    PROJECTS,
    Parameter::new(
        "sizes",
        Rule::Choices(&["256x256", "512x512", "1024x1024", "1792x1792", "1024x1792"]),
    ),
    Parameter::new(
        "sources",
        Rule::Choices(&["image.generation", "image.edit", "image.variation"]),
    ),
    START,
    USERS,
    WIDTH,
    WIDTHS_LIMIT,
];

const USAGE_OF_MODELS: &[Parameter] = &[
    API_KEYS,
    END,
    group_by(&["project_id", "user_id", "api_key_id", "model"]),
    MODELS,
    PAGE,
    PROJECTS,
    START,
    USERS,
    WIDTH,
    WIDTHS_LIMIT,
];

const USAGE_OF_PROJECTS: &[Parameter] =
    &[END, group_by(&["project_id"]), PAGE, PROJECTS, START, WIDTH, WIDTHS_LIMIT];

const USAGE_OF_WEB_SEARCH: &[Parameter] = &[
    API_KEYS,
    Parameter::new("context_levels", Rule::Choices(&["low", "medium", "high"])),
    END,
    group_by(&["project_id", "user_id", "api_key_id", "model", "context_level"]),
    MODELS,
    PAGE,
    PROJECTS,
    START,
    USERS,
    WIDTH,
    WIDTHS_LIMIT,
];

/// In order of their paths.
static OPERATIONS: [Operation; 146] = [
    get("/models"),
    list("/organization/admin_api_keys", &[AFTER, ASCENDING, LIMIT]),
    post("/organization/admin_api_keys"),
    delete("/organization/admin_api_keys/{key_id}"),
    get("/organization/admin_api_keys/{key_id}"),
    list("/organization/audit_logs", AUDIT_LOGS),
    list("/organization/certificates", &[AFTER, DESCENDING, LIMIT]),
    post("/organization/certificates"),
    post("/organization/certificates/activate"),
    post("/organization/certificates/deactivate"),
    delete("/organization/certificates/{certificate_id}"),
    list("/organization/certificates/{certificate_id}", &[INCLUDE]),
    post("/organization/certificates/{certificate_id}"),
    list("/organization/costs", COSTS),
    get("/organization/data_retention"),
    post("/organization/data_retention"),
    list("/organization/external_keys", &[AFTER, ASCENDING, LIMIT, PURPOSE]),
    post("/organization/external_keys"),
    delete("/organization/external_keys/{external_key_id}"),
    get("/organization/external_keys/{external_key_id}"),
    post("/organization/external_keys/{external_key_id}/validate"),
    list("/organization/external_storage", &[AFTER, ASCENDING, LIMIT, PROJECT]),
    post("/organization/external_storage"),
    delete("/organization/external_storage/{external_storage_id}"),
    get("/organization/external_storage/{external_storage_id}"),
    post("/organization/external_storage/{external_storage_id}/validate"),
    list("/organization/groups", &[AFTER, ASCENDING, LIMIT_TO_1000]),
    post("/organization/groups"),
    delete("/organization/groups/{group_id}"),
    get("/organization/groups/{group_id}"),
    post("/organization/groups/{group_id}"),
    list("/organization/groups/{group_id}/roles", &[AFTER, ASCENDING, LIMIT_TO_1000]),
    post("/organization/groups/{group_id}/roles"),
    delete("/organization/groups/{group_id}/roles/{role_id}"),
    get("/organization/groups/{group_id}/roles/{role_id}"),
    list("/organization/groups/{group_id}/users", &[AFTER, DESCENDING, LIMIT_TO_1000]),
    post("/organization/groups/{group_id}/users"),
    delete("/organization/groups/{group_id}/users/{user_id}"),
    get("/organization/groups/{group_id}/users/{user_id}"),
    list("/organization/invites", &[AFTER, LIMIT]),
    post("/organization/invites"),
    delete("/organization/invites/{invite_id}"),
    get("/organization/invites/{invite_id}"),
    list("/organization/projects", &[AFTER, INCLUDE_ARCHIVED, LIMIT]),
    post("/organization/projects"),
    get("/organization/projects/{project_id}"),
    post("/organization/projects/{project_id}"),
    list("/organization/projects/{project_id}/api_keys", &[AFTER, LIMIT, OWNER_PROJECT_ACCESS]),
    delete("/organization/projects/{project_id}/api_keys/{api_key_id}"),
    get("/organization/projects/{project_id}/api_keys/{api_key_id}"),
    post("/organization/projects/{project_id}/api_keys/{api_key_id}"),
    post("/organization/projects/{project_id}/archive"),
    list("/organization/projects/{project_id}/certificates", &[AFTER, DESCENDING, LIMIT]),
    post("/organization/projects/{project_id}/certificates/activate"),
    post("/organization/projects/{project_id}/certificates/deactivate"),
    get("/organization/projects/{project_id}/data_retention"),
    post("/organization/projects/{project_id}/data_retention"),
    list("/organization/projects/{project_id}/groups", &[AFTER, ASCENDING, LIMIT_FROM_0]),
    post("/organization/projects/{project_id}/groups"),
    delete("/organization/projects/{project_id}/groups/{group_id}"),
    list("/organization/projects/{project_id}/groups/{group_id}", &[GROUP_TYPE]),
    get("/organization/projects/{project_id}/hosted_tool_permissions"),
    post("/organization/projects/{project_id}/hosted_tool_permissions"),
    delete("/organization/projects/{project_id}/model_permissions"),
    get("/organization/projects/{project_id}/model_permissions"),
    post("/organization/projects/{project_id}/model_permissions"),
    list("/organization/projects/{project_id}/rate_limits", &[AFTER, BEFORE, LIMIT_OF_100]),
    post("/organization/projects/{project_id}/rate_limits/{rate_limit_id}"),
    list("/organization/projects/{project_id}/service_accounts", &[AFTER, LIMIT]),
    post("/organization/projects/{project_id}/service_accounts"),
    delete("/organization/projects/{project_id}/service_accounts/{service_account_id}"),
    get("/organization/projects/{project_id}/service_accounts/{service_account_id}"),
    post("/organization/projects/{project_id}/service_accounts/{service_account_id}"),
    post("/organization/projects/{project_id}/service_accounts/{service_account_id}/api_keys"),
    get("/organization/projects/{project_id}/service_tier_settings"),
    post("/organization/projects/{project_id}/service_tier_settings"),
    list(
        "/organization/projects/{project_id}/spend_alerts",
        &[AFTER, ASCENDING, BEFORE, LIMIT_FROM_0],
    ),
    post("/organization/projects/{project_id}/spend_alerts"),
    delete("/organization/projects/{project_id}/spend_alerts/{alert_id}"),
    get("/organization/projects/{project_id}/spend_alerts/{alert_id}"),
    post("/organization/projects/{project_id}/spend_alerts/{alert_id}"),
    delete("/organization/projects/{project_id}/spend_limit"),
    get("/organization/projects/{project_id}/spend_limit"),
    post("/organization/projects/{project_id}/spend_limit"),
    list("/organization/projects/{project_id}/users", &[AFTER, LIMIT]),
    post("/organization/projects/{project_id}/users"),
    delete("/organization/projects/{project_id}/users/{user_id}"),
    get("/organization/projects/{project_id}/users/{user_id}"),
    post("/organization/projects/{project_id}/users/{user_id}"),
    list("/organization/roles", &[AFTER, ASCENDING, LIMIT_OF_1000]),
    post("/organization/roles"),
    delete("/organization/roles/{role_id}"),
    get("/organization/roles/{role_id}"),
    post("/organization/roles/{role_id}"),
    list("/organization/spend_alerts", &[AFTER, ASCENDING, BEFORE, LIMIT_FROM_0]),
    post("/organization/spend_alerts"),
    delete("/organization/spend_alerts/{alert_id}"),
    get("/organization/spend_alerts/{alert_id}"),
    post("/organization/spend_alerts/{alert_id}"),
    delete("/organization/spend_limit"),
    get("/organization/spend_limit"),
    post("/organization/spend_limit"),
    list("/organization/usage/audio_speeches", USAGE_OF_MODELS),
    list("/organization/usage/audio_transcriptions", USAGE_OF_MODELS),
    list("/organization/usage/code_interpreter_sessions", USAGE_OF_PROJECTS),
    list("/organization/usage/completions", USAGE_OF_COMPLETIONS),
    list("/organization/usage/decisions", USAGE_OF_DECISIONS),
    list("/organization/usage/embeddings", USAGE_OF_MODELS),
    list("/organization/usage/file_search_calls", USAGE_OF_FILE_SEARCH),
    list("/organization/usage/images", USAGE_OF_IMAGES),
    list("/organization/usage/moderations", USAGE_OF_MODELS),
    list("/organization/usage/vector_stores", USAGE_OF_PROJECTS),
    list("/organization/usage/web_search_calls", USAGE_OF_WEB_SEARCH),
    list("/organization/users", &[AFTER, EMAILS, LIMIT]),
    delete("/organization/users/{user_id}"),
    get("/organization/users/{user_id}"),
    post("/organization/users/{user_id}"),
    list("/organization/users/{user_id}/roles", &[AFTER, ASCENDING, LIMIT_TO_1000]),
    post("/organization/users/{user_id}/roles"),
    delete("/organization/users/{user_id}/roles/{role_id}"),
    get("/organization/users/{user_id}/roles/{role_id}"),
    list("/organization/workload_identity_providers", &[AFTER, ASCENDING, LIMIT]),
    post("/organization/workload_identity_providers"),
    delete("/organization/workload_identity_providers/{workload_identity_provider_id}"),
    get("/organization/workload_identity_providers/{workload_identity_provider_id}"),
    post("/organization/workload_identity_providers/{workload_identity_provider_id}"),
    list(
        "/organization/workload_identity_providers/{workload_identity_provider_id}/federation_rules",
        &[AFTER, ASCENDING, LIMIT, SERVICE_ACCOUNT],
    ),
    post(
        "/organization/workload_identity_providers/{workload_identity_provider_id}/federation_rules",
    ),
    delete(
        "/organization/workload_identity_providers/{workload_identity_provider_id}/federation_rules/{workload_identity_federation_rule_id}",
    ),
    get(
        "/organization/workload_identity_providers/{workload_identity_provider_id}/federation_rules/{workload_identity_federation_rule_id}",
    ),
    post(
        "/organization/workload_identity_providers/{workload_identity_provider_id}/federation_rules/{workload_identity_federation_rule_id}",
    ),
    list("/projects/{project_id}/groups/{group_id}/roles", &[AFTER, ASCENDING, LIMIT_TO_1000]),
    post("/projects/{project_id}/groups/{group_id}/roles"),
    delete("/projects/{project_id}/groups/{group_id}/roles/{role_id}"),
    get("/projects/{project_id}/groups/{group_id}/roles/{role_id}"),
    list("/projects/{project_id}/roles", &[AFTER, ASCENDING, LIMIT_OF_1000]),
    post("/projects/{project_id}/roles"),
    delete("/projects/{project_id}/roles/{role_id}"),
    get("/projects/{project_id}/roles/{role_id}"),
    post("/projects/{project_id}/roles/{role_id}"),
    list("/projects/{project_id}/users/{user_id}/roles", &[AFTER, ASCENDING, LIMIT_TO_1000]),
    post("/projects/{project_id}/users/{user_id}/roles"),
    delete("/projects/{project_id}/users/{user_id}/roles/{role_id}"),
    get("/projects/{project_id}/users/{user_id}/roles/{role_id}"),
    post("/realtime/client_secrets"),
    post("/responses"),
];

const fn get(path: &'static str) -> Operation {
    list(path, &[])
}

/// A reading operation whose query has parameters.
const fn list(path: &'static str, query: &'static [Parameter]) -> Operation {
    Operation { method: "GET", path, query }
}

const fn post(path: &'static str) -> Operation {
    Operation { method: "POST", path, query: &[] }
}

const fn delete(path: &'static str) -> Operation {
    Operation { method: "DELETE", path, query: &[] }
}

const fn limit(min: usize, default: usize, max: usize) -> Parameter {
    Parameter::new("limit", Rule::Limit { min, default, max })
}

const fn group_by(dimensions: &'static [&'static str]) -> Parameter {
    Parameter::new("group_by", Rule::Choices(dimensions))
}
