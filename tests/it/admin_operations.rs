//! What the calls do, on the life of keys. That every operation of the table is called, and no
//! other, is held by the tour in `examples`.

use std::collections::BTreeSet;
use std::time::Duration;

use keyward_admin::{
    KeyUpdate, NewAdminKey, NewProject, NewServiceAccount, NewServiceAccountKey,
    OwnerProjectAccess, ProjectStatus, ProjectUpdate, Scope, Scopes, ServiceAccountRole,
    ServiceAccountUpdate,
};
use keyward_core::{ApiKey, KeyKind};

use crate::fixture::Organization;

#[tokio::test]
async fn the_life_of_keys_and_what_they_belong_to() {
    let org = Organization::start().await;
    let client = org.client();
    let fake = &org.fake;

    // Admin keys.
    let year = Duration::from_secs(31_536_000);
    let minted = client.admin_keys().create(NewAdminKey::new("ci").expires_in(year)).await.unwrap();
    assert_eq!(minted.key.kind(), KeyKind::Admin);
    let id = minted.metadata.id.expect("an id");
    let listed = client.admin_keys().list().all().await.unwrap();
    assert!(listed.iter().any(|key| key.id == id && key.expires_at == minted.metadata.expires_at));
    let one = client.admin_key(&id).get().await.unwrap();
    assert!(minted.key.matches_redacted(&one.redacted_value.expect("a redacted value")));
    client.admin_key(&id).delete().await.unwrap();
    assert!(client.admin_key(&id).get().await.unwrap_err().is_not_found());

    // Projects.
    let made = client.projects().create(NewProject::new("batch")).await.unwrap();
    assert_eq!(made.status, Some(ProjectStatus::Active));
    let renamed = client.project(&made.id).modify(ProjectUpdate::rename("nightly")).await.unwrap();
    assert_eq!(renamed.name.as_deref(), Some("nightly"));
    assert_eq!(client.project(&made.id).get().await.unwrap().name.as_deref(), Some("nightly"));
    let archived = client.project(&made.id).archive().await.unwrap();
    assert_eq!(archived.status, Some(ProjectStatus::Archived));
    assert_eq!(client.projects().list().all().await.unwrap().len(), 1);
    assert_eq!(client.projects().list_with_archived().all().await.unwrap().len(), 2);

    // Service accounts.
    let accounts = client.project(&org.project).service_accounts();
    let alone = accounts.create(NewServiceAccount::without_key("worker")).await.unwrap();
    assert_eq!(alone.role, Some(ServiceAccountRole::None));
    assert!(alone.key.is_none());
    let account = client.project(&org.project).service_account(alone.id.clone().expect("an id"));
    let update = ServiceAccountUpdate::role(ServiceAccountRole::Member);
    assert_eq!(account.update(update).await.unwrap().role, Some(ServiceAccountRole::Member));
    assert_eq!(account.get().await.unwrap().name.as_deref(), Some("worker"));
    let with_key = accounts.create(NewServiceAccount::with_unscoped_key("old way")).await.unwrap();
    let first = with_key.key.expect("a key");
    assert_eq!(first.key.kind(), KeyKind::ServiceAccount);
    assert_ne!(
        first.metadata.id.expect("an id").as_str(),
        with_key.id.as_ref().expect("an id").as_str()
    );
    assert_eq!(accounts.list().all().await.unwrap().len(), 3);
    client
        .project(&org.project)
        .service_account(with_key.id.expect("an id"))
        .delete()
        .await
        .unwrap();

    // Keys of a service account.
    let scopes = Scopes::only(Scope::RESPONSES_WRITE);
    let day = Duration::from_secs(86_400);
    let new = NewServiceAccountKey::new("worker-1", scopes).expires_in(day);
    let minted = account.create_key(new).await.unwrap();
    let id = minted.metadata.id.expect("an id");
    let lives = |key: &ApiKey| fake.live_key_values().iter().any(|v| parse(v) == *key);
    assert!(lives(&minted.key));
    let key = client.project(&org.project).api_key(&id);
    let described = key.get().await.unwrap();
    assert_eq!(described.service_account_id(), alone.id.as_ref());
    assert_eq!(described.expires_at, minted.metadata.expires_at);
    let hour = Duration::from_secs(3_600);
    let updated = key.update(KeyUpdate::scopes(&Scopes::All).and_expires_in(hour)).await.unwrap();
    assert!(updated.expires_at < described.expires_at);
    let keys = client.project(&org.project).api_keys();
    assert_eq!(keys.list().all().await.unwrap().len(), 1);
    assert_eq!(keys.list_by_access(&OwnerProjectAccess::Inactive).all().await.unwrap().len(), 0);
    assert_eq!(account.keys().await.unwrap().len(), 1);
    key.delete().await.unwrap();
    assert!(!lives(&minted.key));

    // Users.
    let users = client.users().list().all().await.unwrap();
    let user = client.user(&users[0].id).get().await.unwrap();
    assert_eq!(user.email, users[0].email);
}

#[tokio::test]
async fn a_listing_of_keys_hides_none() {
    let org = Organization::start().await;
    let project = org.project.as_str();
    let value = org.fake.seed_user_project_key(project);
    let client = org.client();
    let listed = client.project(project).api_keys().list().all().await.unwrap();
    let owner = listed[0].owner.as_ref().and_then(|o| o.user.as_ref()).expect("a user");
    org.fake.revoke_access(owner.id.as_ref().expect("an id").as_str(), project);

    let listed = client.project(project).api_keys().list().all().await.unwrap();
    assert_eq!(listed.len(), 1, "the key lives on: {}", org.fake.key_is_live(&value));
    assert_eq!(listed[0].owner_project_access, Some(OwnerProjectAccess::Inactive));
}

#[tokio::test]
async fn an_id_cannot_lead_elsewhere() {
    let org = Organization::start().await;
    let client = org.client();
    for id in ["", ".", "..", ".\t.", "\n"] {
        let error = client.project(id).archive().await.unwrap_err();
        assert_eq!(error.kind(), keyward_admin::ErrorKind::InvalidRequest, "{id}");
    }
    let key = org.fake.admin_key();
    let handle = client.project(key.as_str());
    let error = handle.get().await.unwrap_err();
    assert_eq!(error.kind(), keyward_admin::ErrorKind::InvalidRequest);
    keyward_testkit::assert_no_leak!(&key, format!("{handle:?} {error} {error:?}"));
    assert!(org.fake.requests().is_empty());
    for id in ["a/archive", "a?x=1", "a#b", "%2e%2e", "a b", "ü"] {
        assert!(client.project(id).get().await.unwrap_err().is_not_found(), "{id}");
    }
    let templates: BTreeSet<_> = org.fake.requests().into_iter().map(|r| r.template).collect();
    assert_eq!(templates.into_iter().collect::<Vec<_>>(), ["/organization/projects/{project_id}"]);
}

fn parse(text: &str) -> ApiKey {
    ApiKey::parse(text.to_owned()).expect("a key")
}
