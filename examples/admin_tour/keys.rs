//! Projects, service accounts, keys and users.

use std::time::Duration;

use keyward_admin::{
    KeyUpdate, NewAdminKey, NewProject, NewServiceAccount, NewServiceAccountKey, ProjectUpdate,
    Scope, Scopes, ServiceAccountRole, ServiceAccountUpdate, User, UserRole, UserUpdate,
};

use crate::{NONE, Tour, people};

const HOUR: Duration = Duration::from_secs(3_600);

pub(crate) async fn tour(tour: &mut Tour) {
    admin_keys(tour).await;
    projects(tour).await;
    users(tour).await;
}

async fn admin_keys(tour: &mut Tour) {
    const ALL: &str = "/organization/admin_api_keys";
    const ONE: &str = "/organization/admin_api_keys/{key_id}";

    let client = tour.client.clone();
    let listed = tour.read(ALL, client.admin_keys().list().first_page()).await;
    let new = NewAdminKey::new("keyward-tour").expires_in(HOUR);
    let made = tour.write("POST", ALL, client.admin_keys().create(new)).await;
    let made = made.and_then(|minted| minted.metadata.id);
    let any = listed.and_then(|page| Some(page.items.into_iter().next()?.ok()?.id));
    let id = made.clone().or(any).unwrap_or_else(|| NONE.into());
    tour.read(ONE, client.admin_key(&id).get()).await;
    let id = made.unwrap_or_else(|| NONE.into());
    tour.write("DELETE", ONE, client.admin_key(id).delete()).await;
}

async fn projects(tour: &mut Tour) {
    const ALL: &str = "/organization/projects";
    const ONE: &str = "/organization/projects/{project_id}";
    const ARCHIVE: &str = "/organization/projects/{project_id}/archive";
    const ACCOUNTS: &str = "/organization/projects/{project_id}/service_accounts";
    const ACCOUNT: &str =
        "/organization/projects/{project_id}/service_accounts/{service_account_id}";
    const MINT: &str =
        "/organization/projects/{project_id}/service_accounts/{service_account_id}/api_keys";
    const KEYS: &str = "/organization/projects/{project_id}/api_keys";
    const KEY: &str = "/organization/projects/{project_id}/api_keys/{api_key_id}";

    let client = tour.client.clone();
    let listed = tour.read(ALL, client.projects().list().first_page()).await;
    let made =
        tour.write("POST", ALL, client.projects().create(NewProject::new("keyward-tour"))).await;
    let any = listed.and_then(|page| Some(page.items.into_iter().next()?.ok()?.id));
    let id = made.map(|project| project.id).or(any).unwrap_or_else(|| NONE.into());
    let project = client.project(id);
    tour.read(ONE, project.get()).await;
    tour.write("POST", ONE, project.modify(ProjectUpdate::rename("keyward-tour-2"))).await;

    let new = NewServiceAccount::without_key("keyward-tour");
    let made = tour.write("POST", ACCOUNTS, project.service_accounts().create(new)).await;
    let listed = tour.read(ACCOUNTS, project.service_accounts().list().first_page()).await;
    let any = listed.and_then(|page| Some(page.items.into_iter().next()?.ok()?.id));
    let id = made.and_then(|made| made.id).or(any).unwrap_or_else(|| NONE.into());
    let account = project.service_account(id);
    tour.read(ACCOUNT, account.get()).await;
    let update = ServiceAccountUpdate::role(ServiceAccountRole::Member);
    tour.write("POST", ACCOUNT, account.update(update)).await;

    let new = NewServiceAccountKey::new("keyward-tour", Scopes::only(Scope::RESPONSES_WRITE))
        .expires_in(HOUR);
    let made = tour.write("POST", MINT, account.create_key(new)).await;
    let listed = tour.read(KEYS, project.api_keys().list().first_page()).await;
    let any = listed.and_then(|page| Some(page.items.into_iter().next()?.ok()?.id));
    let id = made.and_then(|minted| minted.metadata.id).or(any).unwrap_or_else(|| NONE.into());
    let key = project.api_key(id);
    tour.read(KEY, key.get()).await;
    tour.write("POST", KEY, key.update(KeyUpdate::scopes(&Scopes::read_only()))).await;
    tour.write("DELETE", KEY, key.delete()).await;
    tour.write("DELETE", ACCOUNT, account.delete()).await;
    tour.write("POST", ARCHIVE, project.archive()).await;
}

async fn users(tour: &mut Tour) {
    const ALL: &str = "/organization/users";
    const ONE: &str = "/organization/users/{user_id}";

    let client = tour.client.clone();
    let listed = tour.read(ALL, client.users().list().first_page()).await;
    let users: Vec<_> =
        listed.map(|page| page.items.into_iter().flatten().collect()).unwrap_or_default();
    // The guest is a user that was made for this. Nobody else is changed or deleted.
    let is_guest = |user: &&User| user.name.as_deref() == Some(GUEST);
    let any = users.first().map_or_else(|| NONE.into(), |user| user.id.clone());
    let guest = users.iter().find(is_guest).map_or_else(|| NONE.into(), |user| user.id.clone());
    tour.read(ONE, client.user(any).get()).await;
    people::tour(tour, &guest).await;
    let update = UserUpdate::role(UserRole::Reader);
    tour.write("POST", ONE, client.user(&guest).modify(update)).await;
    tour.write("DELETE", ONE, client.user(&guest).delete()).await;
}

/// The name of the user that is changed and deleted.
const GUEST: &str = "keyward-tour guest";
