//! Groups, roles, invites, and who has access to what.

use super::every_operation::{invite, role};
use super::*;

const GROUPS: &str = "/organization/groups";
const ROLES: &str = "/organization/roles";
const USERS: &str = "/organization/users";
const INVITES: &str = "/organization/invites";

async fn made(s: &Scene, path: &str, body: Value) -> String {
    s.admin.ok(Method::POST, path, Some(body)).await["id"].as_str().unwrap().to_owned()
}

async fn listed(s: &Scene, path: &str, field: &str) -> Vec<String> {
    texts(&s.admin.ok(Method::GET, path, None).await, field)
}

#[tokio::test]
async fn groups_are_renamed_and_have_members() {
    let s = Scene::new().await;
    let group = made(&s, GROUPS, json!({ "name": "staff" })).await;
    let path = format!("{GROUPS}/{group}");
    let renamed = s.admin.ok(Method::POST, &path, Some(json!({ "name": "team" }))).await;
    assert!(renamed.get("group_type").is_none() && renamed["name"] == "team");
    assert_eq!(s.admin.get(&path).await.1["name"], "team");
    for name in ["", &"x".repeat(256)] {
        assert_eq!(s.admin.post(&path, json!({ "name": name })).await.0, 400);
    }

    let users = [s.fake.seed_user("Ada"), s.fake.seed_user("Grace")];
    let members = format!("{path}/users");
    for user in &users {
        let added = s.admin.ok(Method::POST, &members, Some(json!({ "user_id": user }))).await;
        assert_eq!((&added["object"], &added["user_id"]), (&json!("group.user"), &json!(user)));
    }
    // The newest first, unless asked otherwise.
    assert_eq!(listed(&s, &members, "name").await, ["Grace", "Ada"]);
    assert_eq!(listed(&s, &format!("{members}?order=asc"), "name").await, ["Ada", "Grace"]);
    let member = format!("{members}/{}", users[0]);
    assert_eq!(s.admin.get(&member).await.1["email"], "ada@example.com");
    let removed = s.admin.ok(Method::DELETE, &member, None).await;
    assert_eq!(removed, json!({ "object": "group.user.deleted", "deleted": true }));
    assert_eq!(s.admin.get(&member).await.0, 404);
    assert_eq!(listed(&s, &members, "name").await, ["Grace"]);
    assert_eq!(s.admin.post(&members, json!({ "user_id": "user-none" })).await.0, 404);

    s.admin.ok(Method::DELETE, &path, None).await;
    assert_eq!((s.admin.get(&path).await.0, s.admin.get(&members).await.0), (404, 404));
    assert!(listed(&s, GROUPS, "id").await.is_empty());
}

#[tokio::test]
async fn roles_come_back_under_another_name() {
    let s = Scene::new().await;
    for roles in [ROLES.to_owned(), format!("/projects/{}/roles", s.project)] {
        let body = role("auditor");
        let made = s.admin.ok(Method::POST, &roles, Some(body.clone())).await;
        assert!(made.get("role_name").is_none() && made["name"] == "auditor", "{made}");
        assert_eq!(made["predefined_role"], false);
        assert_eq!(s.admin.post(&roles, body).await.0, 400, "the name is taken");
        let path = format!("{roles}/{}", made["id"].as_str().unwrap());
        let change = json!({ "permissions": ["a", "b"], "role_name": "reviewer" });
        s.admin.ok(Method::POST, &path, Some(change)).await;
        let shown = s.admin.ok(Method::GET, &path, None).await;
        assert_eq!(
            (&shown["name"], &shown["permissions"]),
            (&json!("reviewer"), &json!(["a", "b"]))
        );
        assert_eq!(listed(&s, &roles, "name").await.len(), 3);
        let predefined = listed(&s, &roles, "id").await.remove(0);
        assert_eq!(s.admin.delete(&format!("{roles}/{predefined}")).await.0, 400);
        let deleted = s.admin.ok(Method::DELETE, &path, None).await;
        assert_eq!(deleted["object"], "role.deleted");
        assert_eq!(s.admin.get(&path).await.0, 404);
    }
}

#[tokio::test]
async fn roles_of_the_organization_and_of_a_project_are_assigned_apart() {
    let s = Scene::new().await;
    let user = s.fake.seed_user("Ada");
    let group = s.fake.seed_group("staff");
    for scope in ["/organization".to_owned(), format!("/projects/{}", s.project)] {
        let role = made(&s, &format!("{scope}/roles"), role("auditor")).await;
        for (kind, principal) in
            [("user", format!("users/{user}")), ("group", format!("groups/{group}"))]
        {
            let assignments = format!("{scope}/{principal}/roles");
            let body = json!({ "role_id": role });
            let assigned = s.admin.ok(Method::POST, &assignments, Some(body.clone())).await;
            assert_eq!(assigned["object"], format!("{kind}.role"));
            assert_eq!(assigned["role"]["id"], role.as_str());
            assert!(assigned[kind]["id"].is_string());
            assert_eq!(assigned["group"].get("scim_managed").is_some(), kind == "group");
            s.admin.ok(Method::POST, &assignments, Some(body)).await;
            assert_eq!(listed(&s, &assignments, "id").await, [role.as_str()]);
            let path = format!("{assignments}/{role}");
            assert_eq!(s.admin.get(&path).await.1["created_at"], START);
            let removed = s.admin.ok(Method::DELETE, &path, None).await;
            let object = format!("{kind}.role.deleted");
            assert_eq!(removed, json!({ "object": object, "deleted": true }));
            assert_eq!((s.admin.get(&path).await.0, s.admin.delete(&path).await.0), (404, 404));
            assert!(listed(&s, &assignments, "id").await.is_empty());
            let unknown = json!({ "role_id": "role_none" });
            assert_eq!(s.admin.post(&assignments, unknown).await.0, 404);
        }
    }
}

#[tokio::test]
async fn what_is_deleted_takes_its_assignments_along() {
    let s = Scene::new().await;
    let user = s.fake.seed_user("Ada");
    let role = made(&s, ROLES, role("auditor")).await;
    let assignments = format!("{USERS}/{user}/roles");
    s.admin.ok(Method::POST, &assignments, Some(json!({ "role_id": role }))).await;
    s.admin.ok(Method::DELETE, &format!("{ROLES}/{role}"), None).await;
    assert!(listed(&s, &assignments, "id").await.is_empty());
    s.admin.ok(Method::DELETE, &format!("{USERS}/{user}"), None).await;
    assert_eq!(s.admin.get(&assignments).await.0, 404);
}

#[tokio::test]
async fn people_join_projects_and_leave_them() {
    let s = Scene::new().await;
    let user = s.fake.seed_user("Ada");
    let users = s.project_path("/users");
    for wrong in [
        json!({ "user_id": user }),
        json!({ "role": "member" }),
        json!({ "user_id": user, "email": "ada@example.com", "role": "member" }),
    ] {
        assert_eq!(s.admin.post(&users, wrong).await.0, 400);
    }
    let body = json!({ "email": "ada@example.com", "role": "member" });
    let added = s.admin.ok(Method::POST, &users, Some(body.clone())).await;
    assert_eq!((&added["id"], &added["added_at"]), (&json!(user), &json!(START)));
    assert_eq!(s.admin.post(&users, body).await.0, 400, "already there");
    let path = format!("{users}/{user}");
    s.admin.ok(Method::POST, &path, Some(json!({ "role": "owner" }))).await;
    assert_eq!(s.admin.get(&path).await.1["role"], "owner");
    let person = s.admin.get(&format!("{USERS}/{user}")).await.1;
    assert_eq!(person["projects"]["data"][0]["role"], "owner");
    assert_eq!(listed(&s, &users, "id").await, [user.as_str()]);
    s.admin.ok(Method::DELETE, &path, None).await;
    assert_eq!((s.admin.get(&path).await.0, listed(&s, &users, "id").await.len()), (404, 0));
}

#[tokio::test]
async fn one_who_is_removed_takes_their_keys_along() {
    let s = Scene::new().await;
    let key = Api::new(&s.fake, &s.fake.seed_user_project_key(&s.project));
    let user = listed(&s, &s.project_path("/users"), "id").await.remove(0);
    assert_eq!(uses(&key).await, 200);
    let path = format!("{USERS}/{user}");
    let body = json!({ "role": "owner", "developer_persona": "builder" });
    let modified = s.admin.ok(Method::POST, &path, Some(body)).await;
    assert_eq!(
        (&modified["role"], &modified["developer_persona"]),
        (&json!("owner"), &json!("builder"))
    );
    assert_eq!(s.admin.post(&path, json!({ "role": "king" })).await.0, 400);
    let deleted = s.admin.ok(Method::DELETE, &path, None).await;
    assert_eq!(deleted["object"], "organization.user.deleted");
    assert_eq!((uses(&key).await, s.admin.get(&path).await.0), (401, 404));
    assert!(listed(&s, &s.project_path("/users"), "id").await.is_empty());
    let owner = listed(&s, USERS, "id").await.remove(0);
    assert_eq!(s.admin.delete(&format!("{USERS}/{owner}")).await.0, 400, "the last owner");
}

#[tokio::test]
async fn groups_have_access_to_projects() {
    let s = Scene::new().await;
    let group = s.fake.seed_group("staff");
    let groups = s.project_path("/groups");
    let body = json!({ "group_id": group, "role": "member" });
    let added = s.admin.ok(Method::POST, &groups, Some(body)).await;
    assert_eq!((&added["group_name"], &added["group_type"]), (&json!("staff"), &json!("group")));
    let path = format!("{groups}/{group}");
    assert_eq!(s.admin.get(&path).await.1, added);
    assert_eq!(s.admin.get(&format!("{path}?group_type=tenant_group")).await.0, 404);
    let roles = format!("/projects/{}/groups/{group}/roles", s.project);
    assert_eq!(listed(&s, &roles, "name").await, ["member"]);
    let removed = s.admin.ok(Method::DELETE, &path, None).await;
    assert_eq!(removed, json!({ "object": "project.group.deleted", "deleted": true }));
    assert!(listed(&s, &groups, "group_id").await.is_empty());
    assert!(listed(&s, &roles, "id").await.is_empty());
}

#[tokio::test]
async fn the_invited_accept_or_are_too_late() {
    let s = Scene::new().await;
    let mut body = invite("ada@example.com");
    body["projects"] = json!([{ "id": s.project, "role": "owner" }]);
    let early = made(&s, INVITES, body).await;
    let late = made(&s, INVITES, invite("grace@example.com")).await;
    let user = s.fake.accept_invite(&early);
    let person = s.admin.get(&format!("{USERS}/{user}")).await.1;
    assert_eq!((&person["email"], &person["role"]), (&json!("ada@example.com"), &json!("reader")));
    assert_eq!(listed(&s, &s.project_path("/users"), "id").await, [user.as_str()]);
    s.fake.clock().advance(Duration::from_secs(7 * 86_400));
    assert_eq!(listed(&s, INVITES, "status").await, ["accepted", "expired"]);
    assert_eq!(s.admin.delete(&format!("{INVITES}/{early}")).await.0, 400);
    let deleted = s.admin.ok(Method::DELETE, &format!("{INVITES}/{late}"), None).await;
    assert_eq!(deleted["object"], "organization.invite.deleted");
    assert_eq!(s.admin.get(&format!("{INVITES}/{late}")).await.0, 404);
    for wrong in [
        json!({ "email": "nobody", "role": "reader" }),
        json!({ "email": "x@example.com", "role": "member" }),
        json!({ "email": "ada@example.com", "role": "reader" }),
    ] {
        assert_eq!(s.admin.post(INVITES, wrong.clone()).await.0, 400, "{wrong}");
    }
}
