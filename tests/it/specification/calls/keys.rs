//! Projects, keys, service accounts and audit logs.

use std::time::Duration;

use keyward_admin::{
    AuditEventType, AuditLogQuery, Error, KeyUpdate, NewAdminKey, NewProject, NewServiceAccount,
    NewServiceAccountKey, OwnerProjectAccess, ProjectUpdate, Scope, Scopes, ServiceAccountRole,
    ServiceAccountUpdate,
};

use super::{Call, at, calls};

const SECOND: Duration = Duration::from_secs(1);
const YEAR: Duration = Duration::from_secs(31_536_000);

fn some_scopes() -> Scopes {
    Scopes::only(Scope::RESPONSES_WRITE).and(Scope::MODEL_REQUEST)
}

pub(super) fn calls() -> Vec<Call> {
    let mut calls = organization();
    calls.extend(project());
    calls
}

fn organization() -> Vec<Call> {
    calls! { c;
        pages "GET" "/organization/admin_api_keys" {
            "all" => c.admin_keys().list();
        }
        one "POST" "/organization/admin_api_keys" {
            "least" => c.admin_keys().create(NewAdminKey::new("ci"));
            "shortest" => c.admin_keys().create(NewAdminKey::new("ci").expires_in(SECOND / 2));
            "longest" => c.admin_keys().create(NewAdminKey::new("ci").expires_in(YEAR));
        }
        one "GET" "/organization/admin_api_keys/{key_id}" {
            "it" => c.admin_key("key_1").get();
        }
        one "DELETE" "/organization/admin_api_keys/{key_id}" {
            "it" => c.admin_key("key_1").delete();
        }
        pages "GET" "/organization/audit_logs" {
            "all" => c.audit_logs().list(&AuditLogQuery::new());
            "most" => c.audit_logs().list(
                &AuditLogQuery::new()
                    .since(at(0))
                    .after(at(1))
                    .until(at(3))
                    .up_to(at(2))
                    .of_project("proj_1")
                    .of_project("proj_2")
                    .of_type(AuditEventType::API_KEY_CREATED)
                    .of_type(AuditEventType::API_KEY_DELETED)
                    .by_actor("user_1")
                    .by_actor("user_2")
                    .by_email("ada+1@example.com")
                    .by_email("bob@example.com")
                    .on_resource("key_1")
                    .on_resource("proj_1")
                    .tenant_only()
                    .before("audit_log_1"),
            );
        }
        pages "GET" "/organization/projects" {
            "all" => c.projects().list();
            "archived too" => c.projects().list_with_archived();
        }
        one "POST" "/organization/projects" {
            "least" => c.projects().create(NewProject::new("website"));
            "most" => c.projects().create(
                NewProject::new("website").residency("EU_STORAGE_PROCESSING").external_key("ek_1"),
            );
        }
        one "GET" "/organization/projects/{project_id}" {
            "it" => c.project("proj_1").get();
        }
        one "POST" "/organization/projects/{project_id}" {
            "least" => c.project("proj_1").modify(ProjectUpdate::rename("web"));
            "key" => c.project("proj_1").modify(ProjectUpdate::default().external_key("ek_1"));
            "most" => c.project("proj_1").modify(ProjectUpdate::rename("web").external_key("ek_1"));
        }
        one "POST" "/organization/projects/{project_id}/archive" {
            "it" => c.project("proj_1").archive();
        }
    }
}

fn project() -> Vec<Call> {
    calls! { c;
        pages "GET" "/organization/projects/{project_id}/api_keys" {
            "all" => c.project("proj_1").api_keys().list();
            "active" =>
                c.project("proj_1").api_keys().list_by_access(&OwnerProjectAccess::Active);
            "any" => c.project("proj_1").api_keys().list_by_access(&OwnerProjectAccess::Any);
            "inactive" =>
                c.project("proj_1").api_keys().list_by_access(&OwnerProjectAccess::Inactive);
        }
        one "GET" "/organization/projects/{project_id}/api_keys/{api_key_id}" {
            "it" => c.project("proj_1").api_key("key_1").get();
        }
        one "POST" "/organization/projects/{project_id}/api_keys/{api_key_id}" {
            "all scopes" =>
                c.project("proj_1").api_key("key_1").update(KeyUpdate::scopes(&Scopes::All));
            "expiry" => c.project("proj_1").api_key("key_1").update(KeyUpdate::expires_in(SECOND));
            "most" => c.project("proj_1").api_key("key_1").update(
                KeyUpdate::scopes(&some_scopes()).and_expires_in(YEAR),
            );
        }
        one "DELETE" "/organization/projects/{project_id}/api_keys/{api_key_id}" {
            "it" => c.project("proj_1").api_key("key_1").delete();
        }
        pages "GET" "/organization/projects/{project_id}/service_accounts" {
            "all" => c.project("proj_1").service_accounts().list();
        }
        one "POST" "/organization/projects/{project_id}/service_accounts" {
            "no key" => c.project("proj_1").service_accounts().create(
                NewServiceAccount::without_key("backend"),
            );
            "a key" => c.project("proj_1").service_accounts().create(
                NewServiceAccount::with_unscoped_key("backend"),
            );
            "a key that expires" => c.project("proj_1").service_accounts().create(
                NewServiceAccount::with_expiring_unscoped_key("backend", YEAR),
            );
        }
        one "GET" "/organization/projects/{project_id}/service_accounts/{service_account_id}" {
            "it" => c.project("proj_1").service_account("sa_1").get();
        }
        one "POST" "/organization/projects/{project_id}/service_accounts/{service_account_id}" {
            "name" => c.project("proj_1").service_account("sa_1").update(
                ServiceAccountUpdate::default().rename("batch"),
            );
            "every role" => async {
                for role in [ServiceAccountRole::Member, ServiceAccountRole::Owner] {
                    let update = ServiceAccountUpdate::role(role).rename("batch");
                    c.project("proj_1").service_account("sa_1").update(update).await?;
                }
                Ok::<_, Error>(())
            };
        }
        one "DELETE" "/organization/projects/{project_id}/service_accounts/{service_account_id}" {
            "it" => c.project("proj_1").service_account("sa_1").delete();
        }
        one "POST" "/organization/projects/{project_id}/service_accounts/{service_account_id}/api_keys" {
            "least" => c.project("proj_1").service_account("sa_1").create_key(
                NewServiceAccountKey::new("one", Scopes::All),
            );
            "most" => c.project("proj_1").service_account("sa_1").create_key(
                NewServiceAccountKey::new("one", some_scopes()).expires_in(YEAR),
            );
        }
    }
}
