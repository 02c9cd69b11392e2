//! The table of the operations that the fake knows; a test holds the router to it.

/// Each operation's method and path template, without `/v1`.
pub(super) static OPERATIONS: [(&str, &str); 25] = [
    ("GET", "/models"),
    ("GET", "/organization/admin_api_keys"),
    ("POST", "/organization/admin_api_keys"),
    ("DELETE", "/organization/admin_api_keys/{key_id}"),
    ("GET", "/organization/admin_api_keys/{key_id}"),
    ("GET", "/organization/costs"),
    ("GET", "/organization/groups"),
    ("GET", "/organization/projects"),
    ("POST", "/organization/projects"),
    ("GET", "/organization/projects/{project_id}"),
    ("POST", "/organization/projects/{project_id}"),
    ("GET", "/organization/projects/{project_id}/api_keys"),
    (
        "DELETE",
        "/organization/projects/{project_id}/api_keys/{api_key_id}",
    ),
    (
        "GET",
        "/organization/projects/{project_id}/api_keys/{api_key_id}",
    ),
    (
        "POST",
        "/organization/projects/{project_id}/api_keys/{api_key_id}",
    ),
    ("POST", "/organization/projects/{project_id}/archive"),
    (
        "GET",
        "/organization/projects/{project_id}/service_accounts",
    ),
    (
        "POST",
        "/organization/projects/{project_id}/service_accounts",
    ),
    (
        "DELETE",
        "/organization/projects/{project_id}/service_accounts/{service_account_id}",
    ),
    (
        "GET",
        "/organization/projects/{project_id}/service_accounts/{service_account_id}",
    ),
    (
        "POST",
        "/organization/projects/{project_id}/service_accounts/{service_account_id}",
    ),
    (
        "POST",
        "/organization/projects/{project_id}/service_accounts/{service_account_id}/api_keys",
    ),
    ("GET", "/organization/users"),
    ("GET", "/organization/users/{user_id}"),
    ("POST", "/responses"),
];
