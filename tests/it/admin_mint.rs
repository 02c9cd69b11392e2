//! A call that makes something is sent once, and what it may have made can be found.

use std::time::Duration;

use keyward_admin::{
    ErrorKind, NewAdminKey, NewProject, NewServiceAccount, NewServiceAccountKey, Scope, Scopes,
};
use keyward_testkit::FaultAction;
use keyward_testkit::assert_no_leak;
use keyward_testkit::leak::error_surfaces;

use crate::fixture::{MINT, Organization};

/// How an answer can be lost, and whether the call had its effect by then.
fn lost() -> Vec<(FaultAction, bool)> {
    let hang = Duration::from_millis(1_500);
    vec![
        (FaultAction::StatusAfter { code: 500 }, true),
        (FaultAction::StatusAfter { code: 502 }, true),
        (FaultAction::StatusAfter { code: 408 }, true),
        (FaultAction::AnswerLost, true),
        (FaultAction::Hang { duration: hang, after_effect: true }, true),
        (FaultAction::StatusBefore { code: 500 }, false),
        (FaultAction::StatusBefore { code: 503 }, false),
        (FaultAction::ConnectionReset, false),
        (FaultAction::NotJson { code: 502 }, false),
    ]
}

fn scopes() -> Scopes {
    Scopes::only(Scope::RESPONSES_WRITE)
}

#[tokio::test]
async fn a_service_account_key_of_unknown_outcome_is_found_and_deleted() {
    for (fault, happened) in lost() {
        let org = Organization::start().await;
        let client = org.hasty_client();
        let account = client.project(&org.project).service_account(&org.account);
        account.create_key(NewServiceAccountKey::new("other", scopes())).await.unwrap();
        org.fails("POST", MINT, fault.clone());

        let new = NewServiceAccountKey::new("tag-1", scopes());
        let error = account.create_key(new).await.expect_err("lost");
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{fault:?}: {error}");
        assert_eq!(org.fake.count("POST", MINT), 2, "{fault:?}: the lost call and the one before");
        for key in org.fake.live_key_values() {
            assert_no_leak!(&key, error_surfaces(&error));
        }

        let found = account.reconcile("tag-1").await.unwrap();
        assert_eq!(found.len(), usize::from(happened), "{fault:?}");
        for key in found {
            client.project(&org.project).api_key(key.id).delete().await.unwrap();
        }
        assert!(account.reconcile("tag-1").await.unwrap().is_empty());
        assert_eq!(org.minted().len(), 1, "the other key lives on");
    }
}

#[tokio::test]
async fn an_admin_key_of_unknown_outcome_is_found_and_deleted() {
    const PATH: &str = "/organization/admin_api_keys";
    for (fault, happened) in lost() {
        let org = Organization::start().await;
        let client = org.hasty_client();
        org.fails("POST", PATH, fault.clone());
        let error = client.admin_keys().create(NewAdminKey::new("tag-1")).await.expect_err("lost");
        assert!(error.is_outcome_unknown(), "{fault:?}: {error}");
        assert_eq!(org.fake.count("POST", PATH), 1, "{fault:?}");
        let found = client.admin_keys().reconcile("tag-1").await.unwrap();
        assert_eq!(found.len(), usize::from(happened), "{fault:?}");
        for key in found {
            client.admin_key(key.id).delete().await.unwrap();
        }
        assert!(org.minted().is_empty());
    }
}

#[tokio::test]
async fn a_service_account_or_a_project_of_unknown_outcome_is_found() {
    const ACCOUNTS: &str = "/organization/projects/{project_id}/service_accounts";
    const PROJECTS: &str = "/organization/projects";
    for (fault, happened) in lost() {
        let org = Organization::start().await;
        let client = org.hasty_client();
        org.fails("POST", ACCOUNTS, fault.clone());
        let accounts = client.project(&org.project).service_accounts();
        let new = NewServiceAccount::with_unscoped_key("tag-1");
        let error = accounts.create(new).await.expect_err("lost");
        assert!(error.is_outcome_unknown(), "{fault:?}: {error}");
        assert_eq!(org.fake.count("POST", ACCOUNTS), 1, "{fault:?}");
        assert_eq!(accounts.reconcile("tag-1").await.unwrap().len(), usize::from(happened));

        org.fails("POST", PROJECTS, fault.clone());
        let error = client.projects().create(NewProject::new("tag-2")).await.expect_err("lost");
        assert!(error.is_outcome_unknown(), "{fault:?}: {error}");
        assert_eq!(org.fake.count("POST", PROJECTS), 1, "{fault:?}");
        let found = client.projects().reconcile("tag-2").await.unwrap();
        assert_eq!(found.len(), usize::from(happened), "{fault:?}");
    }
}

#[tokio::test]
async fn what_surely_made_nothing_is_not_unknown() {
    let throttle = |after| FaultAction::Throttle { retry_after: after, code: "rate_limit".into() };
    for (fault, kind) in [
        (throttle(Some(1)), ErrorKind::Throttled),
        (FaultAction::StatusBefore { code: 400 }, ErrorKind::InvalidRequest),
        (FaultAction::StatusBefore { code: 403 }, ErrorKind::Permission),
        (FaultAction::StatusBefore { code: 409 }, ErrorKind::Conflict),
    ] {
        let org = Organization::start().await;
        let client = org.client();
        org.fails("POST", MINT, fault.clone());
        let account = client.project(&org.project).service_account(&org.account);
        let new = NewServiceAccountKey::new("tag-1", scopes());
        let error = account.create_key(new).await.expect_err("refused");
        assert_eq!(error.kind(), kind, "{fault:?}: {error}");
        assert_eq!(org.fake.count("POST", MINT), 1, "{fault:?}: a create call is sent once");
        assert!(org.minted().is_empty(), "{fault:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_got_nothing() {
    let org = Organization::start().await;
    let client = org.client();
    let account = client.project(&org.project).service_account(&org.account);
    org.fake.shutdown().await;
    let new = NewServiceAccountKey::new("tag-1", scopes());
    let error = account.create_key(new).await.expect_err("no server");
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
}

#[tokio::test]
async fn a_status_that_no_server_of_openai_gives_says_nothing() {
    let org = Organization::start().await;
    let client = org.client();
    org.fails("POST", MINT, FaultAction::StatusAfter { code: 499 });
    let account = client.project(&org.project).service_account(&org.account);
    let new = NewServiceAccountKey::new("tag-1", scopes());
    let error = account.create_key(new).await.expect_err("a proxy's word");
    assert!(error.is_outcome_unknown(), "{error}");
    assert_eq!(account.reconcile("tag-1").await.expect("a listing").len(), 1);
}
