//! Answers that are not as documented: a minted key survives, and shows itself nowhere.

use keyward_admin::{
    Error, ErrorKind, MintedKey, NewServiceAccount, NewServiceAccountKey, Scope, Scopes,
};
use keyward_core::ApiKey;
use keyward_testkit::leak::error_surfaces;
use keyward_testkit::{EchoPlace, FaultAction, assert_no_leak};

use crate::fixture::{MINT, Organization, with_trace};

fn drifts() -> Vec<FaultAction> {
    vec![
        FaultAction::UnknownFields,
        FaultAction::MissingFields { fields: vec![] },
        FaultAction::MissingFields { fields: vec!["id".into()] },
        FaultAction::MissingFields { fields: vec!["name".into(), "created_at".into()] },
        FaultAction::MissingFields { fields: vec!["value".into()] },
        FaultAction::WrongTypes,
        FaultAction::ValueMoved,
        FaultAction::ValueRetyped,
        FaultAction::UnknownEnumValues,
        FaultAction::TruncatedJson,
        FaultAction::SlowDrip { chunk: 7, interval: std::time::Duration::from_millis(1) },
        FaultAction::HugePage { bytes: 200_000 },
        FaultAction::NotJson { code: 200 },
        FaultAction::StatusAfter { code: 500 },
        FaultAction::AnswerLost,
        FaultAction::EchoAuthorization { place: EchoPlace::Body },
        FaultAction::EchoAuthorization { place: EchoPlace::Header },
    ]
}

/// Mints under a drift, with logs at `TRACE`.
fn mint(
    drift: &FaultAction,
) -> (Result<MintedKey<keyward_admin::ApiKeyId>, Error>, String, Organization) {
    let ((result, org), logs) = with_trace(async {
        let org = Organization::start().await;
        let client = org.client();
        org.fails("POST", MINT, drift.clone());
        let new = NewServiceAccountKey::new("tag-1", Scopes::only(Scope::RESPONSES_WRITE));
        let result =
            client.project(&org.project).service_account(&org.account).create_key(new).await;
        (result, org)
    });
    (result, logs, org)
}

#[test]
fn a_minted_key_shows_itself_nowhere_however_the_answer_drifts() {
    for drift in drifts() {
        let (result, logs, org) = mint(&drift);
        let shown = match &result {
            Ok(minted) => format!("{minted:?} {minted:#?}"),
            Err(error) => error_surfaces(error),
        };
        for secret in org.fake.live_key_values() {
            assert_no_leak!(&secret, [("shown", &shown), ("logs", &logs)]);
        }
    }
}

#[test]
fn a_minted_key_is_never_lost_to_what_stands_beside_it() {
    for drift in drifts() {
        // These take the value itself away.
        let has_value = !matches!(
            &drift,
            FaultAction::AnswerLost
                | FaultAction::EchoAuthorization { .. }
                | FaultAction::HugePage { .. }
                | FaultAction::NotJson { .. }
                | FaultAction::StatusAfter { .. }
                | FaultAction::TruncatedJson
        ) && !matches!(&drift, FaultAction::MissingFields { fields } if
            fields.is_empty() || fields.iter().any(|field| field == "value"));
        let (result, _, org) = mint(&drift);
        if has_value {
            let minted = result.unwrap_or_else(|e| panic!("{drift:?}: {e}"));
            let made = ApiKey::parse(org.minted().remove(0)).expect("a key");
            assert_eq!(minted.key, made, "{drift:?}");
        } else if let Ok(minted) = result {
            // An answer that broke off may have had the value in it by then.
            let made = ApiKey::parse(org.minted().remove(0)).expect("a key");
            assert_eq!(minted.key, made, "{drift:?}");
        }
    }
}

#[tokio::test]
async fn a_listing_survives_what_openai_changes_without_notice() {
    for drift in [
        FaultAction::UnknownFields,
        FaultAction::MissingFields { fields: vec![] },
        FaultAction::WrongTypes,
        FaultAction::UnknownEnumValues,
    ] {
        let org = Organization::start().await;
        let client = org.client();
        let value = org.fake.seed_service_account_key(org.account.as_str());
        let id = org.fake.key_id(&value).expect("an id");
        org.fails("GET", "/organization/projects/{project_id}/api_keys", drift.clone());
        let listed = client.project(&org.project).api_keys().list().all().await;
        let listed = listed.unwrap_or_else(|e| panic!("{drift:?}: {e}"));
        assert_eq!(listed.len(), 1, "{drift:?}");
        assert_eq!(listed[0].id.as_str(), id, "{drift:?}");
    }
}

#[tokio::test]
async fn a_deletion_is_believed_when_the_server_says_so() {
    const KEY: &str = "/organization/projects/{project_id}/api_keys/{api_key_id}";

    let org = Organization::start().await;
    let client = org.builder().max_attempts(1).build().expect("a client");
    let value = org.fake.seed_service_account_key(org.account.as_str());
    let id = org.fake.key_id(&value).expect("an id");
    let key = client.project(&org.project).api_key(id);
    org.fails("DELETE", KEY, FaultAction::NotJson { code: 200 });
    let error = key.delete().await.expect_err("the page of a proxy");
    assert_eq!(error.kind(), ErrorKind::Drift, "{error}");
    assert!(org.fake.key_is_live(&value));
    key.delete().await.expect("deleted");
    assert!(!org.fake.key_is_live(&value));
}

#[tokio::test]
async fn a_key_that_comes_with_an_account_is_not_lost_to_what_the_account_lacks() {
    const ACCOUNTS: &str = "/organization/projects/{project_id}/service_accounts";

    for fields in [vec!["id".to_owned()], vec!["name".to_owned(), "role".to_owned()]] {
        let org = Organization::start().await;
        let client = org.client();
        org.fails("POST", ACCOUNTS, FaultAction::MissingFields { fields });
        let new = NewServiceAccount::with_unscoped_key("worker");
        let made = client.project(&org.project).service_accounts().create(new).await;
        let key = made.expect("an account").key.expect("its key").key;
        assert_eq!(key, ApiKey::parse(org.minted().remove(0)).expect("a key"));
    }
}

#[tokio::test]
async fn reconciling_does_not_guess() {
    const KEYS: &str = "/organization/projects/{project_id}/api_keys";

    for field in ["name", "owner"] {
        let org = Organization::start().await;
        let client = org.client();
        let account = client.project(&org.project).service_account(&org.account);
        let new = NewServiceAccountKey::new("tag-1", Scopes::only(Scope::RESPONSES_WRITE));
        account.create_key(new).await.expect("a key");
        org.fails("GET", KEYS, FaultAction::MissingFields { fields: vec![field.to_owned()] });
        let error = account.reconcile("tag-1").await.expect_err("it cannot be told");
        assert_eq!(error.kind(), ErrorKind::Drift, "without {field}: {error}");
        assert_eq!(account.reconcile("tag-1").await.expect("a listing").len(), 1);
    }
}
