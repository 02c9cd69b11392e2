//! The written table of operations: every call of the client is one row.
//!
//! Tests hold the client to it: each row is called against the fake organization.

use std::borrow::Cow;
use std::fmt;

/// One operation of the Admin API.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Operation {
    /// The HTTP method.
    pub method: &'static str,
    /// The path below the base URL, with parameters in braces.
    pub path: Cow<'static, str>,
    /// The call that performs it.
    pub call: &'static str,
    /// What repeating it would do.
    pub effect: Effect,
}

/// What repeating an operation would do, and so whether it may be repeated.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Effect {
    /// It makes something each time. It is sent once; a failure that may have come after the
    /// effect is [`ErrorKind::OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown).
    Create,
    /// It changes something, and twice is the same as once.
    Idempotent,
    /// It changes nothing.
    Read,
}

/// What stands for the call of an operation that has none of its own.
const MADE_UP: &str = "raw()";

impl Operation {
    /// An operation that is not in the table.
    pub(crate) fn made_up(method: &'static str, path: String, effect: Effect) -> Self {
        Self { method, path: Cow::Owned(path), call: MADE_UP, effect }
    }

    pub(crate) fn is_made_up(&self) -> bool {
        self.call == MADE_UP
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// The row of the table that a path belongs to. A parameter of the table takes any segment; a row
/// that has the segment itself goes first.
pub(crate) fn find(method: &str, segments: &[&str]) -> Option<&'static Operation> {
    let parameters = |row: &Operation| row.path.split('/').filter(|s| s.starts_with('{')).count();
    let fits = |row: &&Operation| {
        let mut own = row.path.split('/').skip(1);
        let all = segments
            .iter()
            .all(|segment| own.next().is_some_and(|own| own.starts_with('{') || own == *segment));
        row.method == method && all && own.next().is_none()
    };
    OPERATIONS.iter().filter(fits).min_by_key(|row| parameters(row))
}

/// One line of the table in the documentation.
macro_rules! row {
    ($method:literal, $path:literal, $call:literal, $effect:ident) => {
        concat!("| `", $method, " ", $path, "` | `", $call, "` | ", row!($effect), " |")
    };
    (Create) => {
        "makes something: sent once"
    };
    (Idempotent) => {
        "changes something: may be repeated"
    };
    (Read) => {
        "reads: may be repeated"
    };
}

macro_rules! operations {
    ($($name:ident = $method:literal $path:literal, $effect:ident, $call:literal;)*) => {
        $(pub(crate) const $name: Operation = Operation {
            method: $method,
            path: Cow::Borrowed($path),
            call: $call,
            effect: Effect::$effect,
        };)*

        /// Every operation that the client can call, in the order of the reference.
        ///
        /// A call begins at a [`Client`](crate::Client): `project().api_keys().list()` is
        /// `client.project(id).api_keys().list()`. What is not here can be called by
        /// [`Client::raw`](crate::Client::raw).
        ///
        /// | operation | call | what it does |
        /// |---|---|---|
        $(#[doc = row!($method, $path, $call, $effect)])*
        pub const OPERATIONS: &[Operation] = &[$($name),*];

        /// The lines of the table in the documentation.
        #[cfg(test)]
        const LINES: &[&str] = &[$(row!($method, $path, $call, $effect)),*];
    };
}

operations! {
    ADMIN_KEYS_LIST = "GET" "/organization/admin_api_keys", Read, "admin_keys().list()";
    ADMIN_KEYS_CREATE = "POST" "/organization/admin_api_keys", Create, "admin_keys().create()";
    ADMIN_KEY_GET = "GET" "/organization/admin_api_keys/{key_id}", Read, "admin_key().get()";
    ADMIN_KEY_DELETE = "DELETE" "/organization/admin_api_keys/{key_id}", Idempotent, "admin_key().delete()";
    PROJECTS_LIST = "GET" "/organization/projects", Read, "projects().list()";
    PROJECTS_CREATE = "POST" "/organization/projects", Create, "projects().create()";
    PROJECT_GET = "GET" "/organization/projects/{project_id}", Read, "project().get()";
    PROJECT_MODIFY = "POST" "/organization/projects/{project_id}", Idempotent, "project().modify()";
    PROJECT_ARCHIVE = "POST" "/organization/projects/{project_id}/archive", Idempotent, "project().archive()";
    PROJECT_KEYS_LIST = "GET" "/organization/projects/{project_id}/api_keys", Read, "project().api_keys().list()";
    PROJECT_KEY_GET = "GET" "/organization/projects/{project_id}/api_keys/{api_key_id}", Read, "project().api_key().get()";
    PROJECT_KEY_UPDATE = "POST" "/organization/projects/{project_id}/api_keys/{api_key_id}", Idempotent, "project().api_key().update()";
    PROJECT_KEY_DELETE = "DELETE" "/organization/projects/{project_id}/api_keys/{api_key_id}", Idempotent, "project().api_key().delete()";
    SERVICE_ACCOUNTS_LIST = "GET" "/organization/projects/{project_id}/service_accounts", Read, "project().service_accounts().list()";
    SERVICE_ACCOUNTS_CREATE = "POST" "/organization/projects/{project_id}/service_accounts", Create, "project().service_accounts().create()";
    SERVICE_ACCOUNT_GET = "GET" "/organization/projects/{project_id}/service_accounts/{service_account_id}", Read, "project().service_account().get()";
    SERVICE_ACCOUNT_UPDATE = "POST" "/organization/projects/{project_id}/service_accounts/{service_account_id}", Idempotent, "project().service_account().update()";
    SERVICE_ACCOUNT_DELETE = "DELETE" "/organization/projects/{project_id}/service_accounts/{service_account_id}", Idempotent, "project().service_account().delete()";
    SERVICE_ACCOUNT_KEYS_CREATE = "POST" "/organization/projects/{project_id}/service_accounts/{service_account_id}/api_keys", Create, "project().service_account().create_key()";
    PROJECT_USERS_LIST = "GET" "/organization/projects/{project_id}/users", Read, "project().users().list()";
    PROJECT_USERS_ADD = "POST" "/organization/projects/{project_id}/users", Idempotent, "project().users().add()";
    PROJECT_USER_GET = "GET" "/organization/projects/{project_id}/users/{user_id}", Read, "project().user().get()";
    PROJECT_USER_MODIFY = "POST" "/organization/projects/{project_id}/users/{user_id}", Idempotent, "project().user().set_role()";
    PROJECT_USER_REMOVE = "DELETE" "/organization/projects/{project_id}/users/{user_id}", Idempotent, "project().user().remove()";
    PROJECT_GROUPS_LIST = "GET" "/organization/projects/{project_id}/groups", Read, "project().groups().list()";
    PROJECT_GROUPS_ADD = "POST" "/organization/projects/{project_id}/groups", Idempotent, "project().groups().add()";
    PROJECT_GROUP_GET = "GET" "/organization/projects/{project_id}/groups/{group_id}", Read, "project().group().get()";
    PROJECT_GROUP_REMOVE = "DELETE" "/organization/projects/{project_id}/groups/{group_id}", Idempotent, "project().group().remove()";
    USERS_LIST = "GET" "/organization/users", Read, "users().list()";
    USER_GET = "GET" "/organization/users/{user_id}", Read, "user().get()";
    USER_MODIFY = "POST" "/organization/users/{user_id}", Idempotent, "user().modify()";
    USER_DELETE = "DELETE" "/organization/users/{user_id}", Idempotent, "user().delete()";
    INVITES_LIST = "GET" "/organization/invites", Read, "invites().list()";
    INVITES_CREATE = "POST" "/organization/invites", Create, "invites().create()";
    INVITE_GET = "GET" "/organization/invites/{invite_id}", Read, "invite().get()";
    INVITE_DELETE = "DELETE" "/organization/invites/{invite_id}", Idempotent, "invite().delete()";
    COSTS_LIST = "GET" "/organization/costs", Read, "costs().list()";
    GROUPS_LIST = "GET" "/organization/groups", Read, "groups().list()";
    GROUPS_CREATE = "POST" "/organization/groups", Create, "groups().create()";
    GROUP_GET = "GET" "/organization/groups/{group_id}", Read, "group().get()";
    GROUP_UPDATE = "POST" "/organization/groups/{group_id}", Idempotent, "group().rename()";
    GROUP_DELETE = "DELETE" "/organization/groups/{group_id}", Idempotent, "group().delete()";
    GROUP_USERS_LIST = "GET" "/organization/groups/{group_id}/users", Read, "group().users()";
    GROUP_USERS_ADD = "POST" "/organization/groups/{group_id}/users", Idempotent, "group().add_user()";
    GROUP_USER_GET = "GET" "/organization/groups/{group_id}/users/{user_id}", Read, "group().get_user()";
    GROUP_USER_REMOVE = "DELETE" "/organization/groups/{group_id}/users/{user_id}", Idempotent, "group().remove_user()";
    ROLES_LIST = "GET" "/organization/roles", Read, "roles().list()";
    ROLES_CREATE = "POST" "/organization/roles", Create, "roles().create()";
    ROLE_GET = "GET" "/organization/roles/{role_id}", Read, "role().get()";
    ROLE_UPDATE = "POST" "/organization/roles/{role_id}", Idempotent, "role().update()";
    ROLE_DELETE = "DELETE" "/organization/roles/{role_id}", Idempotent, "role().delete()";
    PROJECT_ROLES_LIST = "GET" "/projects/{project_id}/roles", Read, "project().roles().list()";
    PROJECT_ROLES_CREATE = "POST" "/projects/{project_id}/roles", Create, "project().roles().create()";
    PROJECT_ROLE_GET = "GET" "/projects/{project_id}/roles/{role_id}", Read, "project().role().get()";
    PROJECT_ROLE_UPDATE = "POST" "/projects/{project_id}/roles/{role_id}", Idempotent, "project().role().update()";
    PROJECT_ROLE_DELETE = "DELETE" "/projects/{project_id}/roles/{role_id}", Idempotent, "project().role().delete()";
    GROUP_ROLES_LIST = "GET" "/organization/groups/{group_id}/roles", Read, "group().roles().list()";
    GROUP_ROLES_ASSIGN = "POST" "/organization/groups/{group_id}/roles", Idempotent, "group().roles().assign()";
    GROUP_ROLE_GET = "GET" "/organization/groups/{group_id}/roles/{role_id}", Read, "group().roles().get()";
    GROUP_ROLE_UNASSIGN = "DELETE" "/organization/groups/{group_id}/roles/{role_id}", Idempotent, "group().roles().unassign()";
    USER_ROLES_LIST = "GET" "/organization/users/{user_id}/roles", Read, "user().roles().list()";
    USER_ROLES_ASSIGN = "POST" "/organization/users/{user_id}/roles", Idempotent, "user().roles().assign()";
    USER_ROLE_GET = "GET" "/organization/users/{user_id}/roles/{role_id}", Read, "user().roles().get()";
    USER_ROLE_UNASSIGN = "DELETE" "/organization/users/{user_id}/roles/{role_id}", Idempotent, "user().roles().unassign()";
    PROJECT_GROUP_ROLES_LIST = "GET" "/projects/{project_id}/groups/{group_id}/roles", Read, "project().group().roles().list()";
    PROJECT_GROUP_ROLES_ASSIGN = "POST" "/projects/{project_id}/groups/{group_id}/roles", Idempotent, "project().group().roles().assign()";
    PROJECT_GROUP_ROLE_GET = "GET" "/projects/{project_id}/groups/{group_id}/roles/{role_id}", Read, "project().group().roles().get()";
    PROJECT_GROUP_ROLE_UNASSIGN = "DELETE" "/projects/{project_id}/groups/{group_id}/roles/{role_id}", Idempotent, "project().group().roles().unassign()";
    PROJECT_USER_ROLES_LIST = "GET" "/projects/{project_id}/users/{user_id}/roles", Read, "project().user().roles().list()";
    PROJECT_USER_ROLES_ASSIGN = "POST" "/projects/{project_id}/users/{user_id}/roles", Idempotent, "project().user().roles().assign()";
    PROJECT_USER_ROLE_GET = "GET" "/projects/{project_id}/users/{user_id}/roles/{role_id}", Read, "project().user().roles().get()";
    PROJECT_USER_ROLE_UNASSIGN = "DELETE" "/projects/{project_id}/users/{user_id}/roles/{role_id}", Idempotent, "project().user().roles().unassign()";
    CERTIFICATES_LIST = "GET" "/organization/certificates", Read, "certificates().list()";
    CERTIFICATES_UPLOAD = "POST" "/organization/certificates", Create, "certificates().upload()";
    CERTIFICATES_ACTIVATE = "POST" "/organization/certificates/activate", Idempotent, "certificates().activate()";
    CERTIFICATES_DEACTIVATE = "POST" "/organization/certificates/deactivate", Idempotent, "certificates().deactivate()";
    CERTIFICATE_GET = "GET" "/organization/certificates/{certificate_id}", Read, "certificate().get()";
    CERTIFICATE_MODIFY = "POST" "/organization/certificates/{certificate_id}", Idempotent, "certificate().rename()";
    CERTIFICATE_DELETE = "DELETE" "/organization/certificates/{certificate_id}", Idempotent, "certificate().delete()";
    PROJECT_CERTIFICATES_LIST = "GET" "/organization/projects/{project_id}/certificates", Read, "project().certificates().list()";
    PROJECT_CERTIFICATES_ACTIVATE = "POST" "/organization/projects/{project_id}/certificates/activate", Idempotent, "project().certificates().activate()";
    PROJECT_CERTIFICATES_DEACTIVATE = "POST" "/organization/projects/{project_id}/certificates/deactivate", Idempotent, "project().certificates().deactivate()";
    DATA_RETENTION_GET = "GET" "/organization/data_retention", Read, "data_retention().get()";
    DATA_RETENTION_UPDATE = "POST" "/organization/data_retention", Idempotent, "data_retention().set()";
    PROJECT_DATA_RETENTION_GET = "GET" "/organization/projects/{project_id}/data_retention", Read, "project().data_retention().get()";
    PROJECT_DATA_RETENTION_UPDATE = "POST" "/organization/projects/{project_id}/data_retention", Idempotent, "project().data_retention().set()";
    RATE_LIMITS_LIST = "GET" "/organization/projects/{project_id}/rate_limits", Read, "project().rate_limits().list()";
    RATE_LIMIT_UPDATE = "POST" "/organization/projects/{project_id}/rate_limits/{rate_limit_id}", Idempotent, "project().rate_limits().update()";
    SPEND_ALERTS_LIST = "GET" "/organization/spend_alerts", Read, "spend_alerts().list()";
    SPEND_ALERTS_CREATE = "POST" "/organization/spend_alerts", Create, "spend_alerts().create()";
    SPEND_ALERT_GET = "GET" "/organization/spend_alerts/{alert_id}", Read, "spend_alert().get()";
    SPEND_ALERT_UPDATE = "POST" "/organization/spend_alerts/{alert_id}", Idempotent, "spend_alert().update()";
    SPEND_ALERT_DELETE = "DELETE" "/organization/spend_alerts/{alert_id}", Idempotent, "spend_alert().delete()";
    SPEND_LIMIT_GET = "GET" "/organization/spend_limit", Read, "spend_limit().get()";
    SPEND_LIMIT_UPDATE = "POST" "/organization/spend_limit", Idempotent, "spend_limit().update()";
    SPEND_LIMIT_DELETE = "DELETE" "/organization/spend_limit", Idempotent, "spend_limit().delete()";
    PROJECT_SPEND_ALERTS_LIST = "GET" "/organization/projects/{project_id}/spend_alerts", Read, "project().spend_alerts().list()";
    PROJECT_SPEND_ALERTS_CREATE = "POST" "/organization/projects/{project_id}/spend_alerts", Create, "project().spend_alerts().create()";
    PROJECT_SPEND_ALERT_GET = "GET" "/organization/projects/{project_id}/spend_alerts/{alert_id}", Read, "project().spend_alert().get()";
    PROJECT_SPEND_ALERT_UPDATE = "POST" "/organization/projects/{project_id}/spend_alerts/{alert_id}", Idempotent, "project().spend_alert().update()";
    PROJECT_SPEND_ALERT_DELETE = "DELETE" "/organization/projects/{project_id}/spend_alerts/{alert_id}", Idempotent, "project().spend_alert().delete()";
    PROJECT_SPEND_LIMIT_GET = "GET" "/organization/projects/{project_id}/spend_limit", Read, "project().spend_limit().get()";
    PROJECT_SPEND_LIMIT_UPDATE = "POST" "/organization/projects/{project_id}/spend_limit", Idempotent, "project().spend_limit().update()";
    PROJECT_SPEND_LIMIT_DELETE = "DELETE" "/organization/projects/{project_id}/spend_limit", Idempotent, "project().spend_limit().delete()";
    HOSTED_TOOLS_GET = "GET" "/organization/projects/{project_id}/hosted_tool_permissions", Read, "project().hosted_tool_permissions().get()";
    HOSTED_TOOLS_UPDATE = "POST" "/organization/projects/{project_id}/hosted_tool_permissions", Idempotent, "project().hosted_tool_permissions().update()";
    MODEL_PERMISSIONS_GET = "GET" "/organization/projects/{project_id}/model_permissions", Read, "project().model_permissions().get()";
    MODEL_PERMISSIONS_UPDATE = "POST" "/organization/projects/{project_id}/model_permissions", Idempotent, "project().model_permissions().update()";
    MODEL_PERMISSIONS_DELETE = "DELETE" "/organization/projects/{project_id}/model_permissions", Idempotent, "project().model_permissions().delete()";
    SERVICE_TIERS_GET = "GET" "/organization/projects/{project_id}/service_tier_settings", Read, "project().service_tier_settings().get()";
    SERVICE_TIERS_UPDATE = "POST" "/organization/projects/{project_id}/service_tier_settings", Idempotent, "project().service_tier_settings().update()";
    USAGE_AUDIO_SPEECHES = "GET" "/organization/usage/audio_speeches", Read, "usage().audio_speeches()";
    USAGE_AUDIO_TRANSCRIPTIONS = "GET" "/organization/usage/audio_transcriptions", Read, "usage().audio_transcriptions()";
    USAGE_CODE_INTERPRETER = "GET" "/organization/usage/code_interpreter_sessions", Read, "usage().code_interpreter_sessions()";
    USAGE_COMPLETIONS = "GET" "/organization/usage/completions", Read, "usage().completions()";
    USAGE_DECISIONS = "GET" "/organization/usage/decisions", Read, "usage().decisions()";
    USAGE_EMBEDDINGS = "GET" "/organization/usage/embeddings", Read, "usage().embeddings()";
    USAGE_FILE_SEARCH = "GET" "/organization/usage/file_search_calls", Read, "usage().file_search_calls()";
    USAGE_IMAGES = "GET" "/organization/usage/images", Read, "usage().images()";
    USAGE_MODERATIONS = "GET" "/organization/usage/moderations", Read, "usage().moderations()";
    USAGE_VECTOR_STORES = "GET" "/organization/usage/vector_stores", Read, "usage().vector_stores()";
    USAGE_WEB_SEARCH = "GET" "/organization/usage/web_search_calls", Read, "usage().web_search_calls()";
    AUDIT_LOGS_LIST = "GET" "/organization/audit_logs", Read, "audit_logs().list()";
    EXTERNAL_KEYS_LIST = "GET" "/organization/external_keys", Read, "external_keys().list()";
    EXTERNAL_KEYS_CREATE = "POST" "/organization/external_keys", Create, "external_keys().create()";
    EXTERNAL_KEY_GET = "GET" "/organization/external_keys/{external_key_id}", Read, "external_key().get()";
    EXTERNAL_KEY_DELETE = "DELETE" "/organization/external_keys/{external_key_id}", Idempotent, "external_key().delete()";
    EXTERNAL_KEY_VALIDATE = "POST" "/organization/external_keys/{external_key_id}/validate", Idempotent, "external_key().validate()";
    EXTERNAL_STORAGE_LIST = "GET" "/organization/external_storage", Read, "external_storage().list()";
    EXTERNAL_STORAGE_CREATE = "POST" "/organization/external_storage", Create, "external_storage().create()";
    EXTERNAL_STORAGE_GET = "GET" "/organization/external_storage/{external_storage_id}", Read, "external_storage_by_id().get()";
    EXTERNAL_STORAGE_DELETE = "DELETE" "/organization/external_storage/{external_storage_id}", Idempotent, "external_storage_by_id().delete()";
    EXTERNAL_STORAGE_VALIDATE = "POST" "/organization/external_storage/{external_storage_id}/validate", Idempotent, "external_storage_by_id().validate()";
    IDENTITY_PROVIDERS_LIST = "GET" "/organization/workload_identity_providers", Read, "workload_identity_providers().list()";
    IDENTITY_PROVIDERS_CREATE = "POST" "/organization/workload_identity_providers", Create, "workload_identity_providers().create()";
    IDENTITY_PROVIDER_GET = "GET" "/organization/workload_identity_providers/{workload_identity_provider_id}", Read, "workload_identity_provider().get()";
    IDENTITY_PROVIDER_UPDATE = "POST" "/organization/workload_identity_providers/{workload_identity_provider_id}", Idempotent, "workload_identity_provider().update()";
    IDENTITY_PROVIDER_DELETE = "DELETE" "/organization/workload_identity_providers/{workload_identity_provider_id}", Idempotent, "workload_identity_provider().delete()";
    FEDERATION_RULES_LIST = "GET" "/organization/workload_identity_providers/{workload_identity_provider_id}/federation_rules", Read, "workload_identity_provider().federation_rules().list()";
    FEDERATION_RULES_CREATE = "POST" "/organization/workload_identity_providers/{workload_identity_provider_id}/federation_rules", Create, "workload_identity_provider().federation_rules().create()";
    FEDERATION_RULE_GET = "GET" "/organization/workload_identity_providers/{workload_identity_provider_id}/federation_rules/{workload_identity_federation_rule_id}", Read, "workload_identity_provider().federation_rule().get()";
    FEDERATION_RULE_UPDATE = "POST" "/organization/workload_identity_providers/{workload_identity_provider_id}/federation_rules/{workload_identity_federation_rule_id}", Idempotent, "workload_identity_provider().federation_rule().update()";
    FEDERATION_RULE_DELETE = "DELETE" "/organization/workload_identity_providers/{workload_identity_provider_id}/federation_rules/{workload_identity_federation_rule_id}", Idempotent, "workload_identity_provider().federation_rule().delete()";
}

#[cfg(test)]
mod tests {
    use super::{Effect, LINES, OPERATIONS, find};

    #[test]
    fn the_documented_table_has_a_line_for_each_row() {
        assert_eq!(LINES.len(), OPERATIONS.len());
        for (line, row) in LINES.iter().zip(OPERATIONS) {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            let what = match row.effect {
                Effect::Create => "sent once",
                Effect::Idempotent => "changes",
                Effect::Read => "reads",
            };
            assert_eq!(cells.len(), 5, "{line}");
            assert_eq!(cells[1], format!("`{row}`"));
            assert_eq!(cells[2], format!("`{}`", row.call));
            assert!(cells[3].contains(what), "{line}");
        }
    }

    #[test]
    fn a_path_finds_its_own_row() {
        for row in OPERATIONS {
            let segments: Vec<_> = row.path.split('/').skip(1).collect();
            assert_eq!(find(row.method, &segments), Some(row));
            let filled: Vec<_> =
                segments.iter().map(|s| if s.starts_with('{') { "x_1" } else { s }).collect();
            assert_eq!(find(row.method, &filled), Some(row));
        }
        for (method, path) in [
            ("PUT", "organization/users"),
            ("GET", "organization/users/a/b"),
            ("GET", "organization"),
            ("GET", ""),
        ] {
            let segments: Vec<_> = path.split('/').collect();
            assert_eq!(find(method, &segments), None, "{method} {path}");
        }
    }
}
