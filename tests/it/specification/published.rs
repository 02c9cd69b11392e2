//! What OpenAI's own examples and answers have been seen to be that its specification does not
//! allow. These need no specification.

use http::StatusCode;
use keyward_admin::{ErrorKind, NewRole, Project};
use keyward_core::Timestamp;
use keyward_testkit::keys::{self, KeyRng};
use serde_json::json;

use super::calls::{self, Call};
use super::server::{Quiet, Server};

/// Fields that the specification says are always there, and that are missing.
#[test]
fn missing_fields_are_none() {
    let (server, quiet) = (Server::start(), Quiet::start());
    let client = server.client();
    let key = json!({
        "object": "organization.admin_api_key", "id": "key_1", "name": "ci",
        "redacted_value": "sk-admin...def", "created_at": 1_711_471_533,
        "owner": { "type": "user", "object": "organization.user", "id": "user_1" },
    });
    server.answers([key]);
    let key = quiet.run(client.admin_key("key_1").get()).expect("an admin key");
    assert_eq!((key.id.as_str(), key.expires_at, key.last_used_at), ("key_1", None, None));

    let key = json!({
        "object": "organization.project.api_key", "id": "key_2", "redacted_value": "sk-abc...def",
        "created_at": 1_711_471_533, "owner": { "type": "user" },
    });
    server.answers([key]);
    let key = quiet.run(client.project("p").api_key("key_2").get()).expect("a project key");
    assert_eq!((key.id.as_str(), key.expires_at), ("key_2", None));

    for answer in [
        json!({ "id": "group_1", "name": "g", "created_at": 7 }),
        json!({ "id": "group_1", "name": "g", "created_at": 7, "group_type": null }),
    ] {
        server.answers([answer]);
        let group = quiet.run(client.group("group_1").get()).expect("a group");
        assert_eq!((group.name.as_deref(), group.group_type), (Some("g"), None));
    }
    let group = json!({ "object": "project.group", "project_id": "p", "group_id": "group_1" });
    server.answers([group]);
    let group = quiet.run(client.project("p").group("group_1").get()).expect("a group");
    assert_eq!(group.group_type, None);

    let role = json!({ "id": "role_1", "name": "r", "permissions": [], "description": null });
    server.answers([json!({ "object": "list", "data": [role], "has_more": false, "next": null })]);
    let roles = quiet.run(client.user("user_1").roles().list().all()).expect("roles");
    assert_eq!(roles[0].id.as_str(), "role_1");
    assert!(roles[0].assignment_sources.is_none());

    server.answers([json!({ "id": "invite_1", "email": "a@example.com", "role": "owner" })]);
    let invite = quiet.run(client.invite("invite_1").get()).expect("an invite");
    assert!(invite.projects.is_none() && invite.expires_at.is_none());

    server.answers([json!({ "id": "user_1", "email": "a@example.com", "added_at": 7 })]);
    let user = quiet.run(client.user("user_1").get()).expect("a user");
    assert!(user.projects.is_none());
    assert_eq!(user.added_at, Some(Timestamp::from_unix_seconds(7)));
}

/// Every deletion, by each of the answers that were seen.
#[test]
fn deletions_need_neither_an_id_nor_a_word() {
    let (server, quiet) = (Server::start(), Quiet::start());
    let client = server.client();
    let deletions: Vec<Call> = calls::all().into_iter().filter(|c| c.method == "DELETE").collect();
    let paths: std::collections::BTreeSet<_> = deletions.iter().map(|c| c.path).collect();
    assert_eq!(paths.len(), 25);
    for call in &deletions {
        for answer in [
            json!({ "object": "x.deleted", "id": "x_1", "deleted": true }),
            json!({ "object": "x.deleted", "deleted": true }),
            json!({ "object": "x.deleted", "id": "x_1" }),
            json!({ "object": "x.deleted" }),
            json!({ "id": "x_1", "name": "x", "of_next_year": [1] }),
            json!({}),
        ] {
            server.answers([answer.clone()]);
            let seen = quiet.run(call.run(&client));
            assert!(seen.is_ok(), "{}: {seen:?} of {answer}", call.name());
        }
        server.answers([json!({ "id": "x_1", "deleted": false })]);
        let seen = quiet.run(call.run(&client));
        let error = seen.expect_err("not deleted");
        assert_eq!(error.kind(), ErrorKind::Drift, "{}", call.name());
    }
}

/// Both published examples of an error lack the wrapper and have a number for a code.
#[test]
fn errors_are_read_in_every_shape() {
    const MESSAGE: &str = "No such thing zqmark.";
    let (server, quiet) = (Server::start(), Quiet::start());
    let client = server.client();
    let wrapped = json!({
        "error": { "message": MESSAGE, "type": "x", "param": null, "code": null },
    });
    let numbered = json!({ "error": { "message": MESSAGE, "code": 404 } });
    let bare = json!({ "code": 404, "message": MESSAGE });
    let word = json!({ "error": "not_found", "error_description": MESSAGE });
    for body in [wrapped, numbered, bare, word] {
        server.fails(StatusCode::NOT_FOUND, &body.to_string());
        let error = quiet.run(client.project("p").get()).expect_err("a failure");
        assert!(error.is_not_found(), "{error} of {body}");
        assert!(error.to_string().contains("No such thing"), "{error} of {body}");
    }
    for body in ["", "null", "[]", "<html>zqmark</html>", "{\"error\": ", "\"zqmark\"", "7"] {
        server.fails(StatusCode::NOT_FOUND, body);
        let error = quiet.run(client.project("p").get()).expect_err("a failure");
        assert!(error.is_not_found(), "{error} of {body}");
        assert!(!format!("{error} {error:?}").contains("zqmark"), "{error:?}");
    }
}

/// The listing of admin keys has been seen to have project keys in it, called admin keys.
#[test]
fn project_keys_among_admin_keys_are_told_apart() {
    let (server, quiet) = (Server::start(), Quiet::start());
    let client = server.client();
    let row = |id: &str, redacted: &str| {
        json!({
            "object": "organization.admin_api_key", "id": id, "name": id,
            "redacted_value": redacted, "created_at": 7, "last_used_at": null,
        })
    };
    let key = keys::admin_key(&mut KeyRng::seeded(3));
    let (head, tail) = (&key[..12], &key[key.len() - 3..]);
    let data = [row("key_1", &format!("{head}...{tail}")), row("key_2", "sk-proj-...xyz")];
    server.answers([json!({ "object": "list", "data": data, "has_more": false })]);
    let listed = quiet.run(client.admin_keys().list().all()).expect("keys");
    let redacted: Vec<_> = listed.iter().map(|k| k.redacted_value.as_deref()).collect();
    assert_eq!(redacted[1], Some("sk-proj-...xyz"));
    assert!(redacted[0].is_some_and(|value| value.starts_with("sk-admin-")));
}

/// What is called one thing in one place and another in the next.
#[test]
fn names_that_disagree_are_read() {
    let (server, quiet) = (Server::start(), Quiet::start());
    let client = server.client();
    for name in ["scim_managed", "is_scim_managed"] {
        server.answers([json!({ "id": "group_1", "name": "g", name: true })]);
        let group = quiet.run(client.group("group_1").get()).expect("a group");
        assert_eq!(group.is_scim_managed(), Some(true), "{name}");
    }

    server.answers([json!({ "id": "role_1", "name": "look", "permissions": ["a.b"] })]);
    let role = quiet.run(client.roles().create(NewRole::new("look"))).expect("a role");
    assert_eq!(role.name.as_deref(), Some("look"));
    let sent = server.requests().pop().expect("a request").body;
    let sent: serde_json::Value = serde_json::from_slice(&sent).expect("JSON");
    assert_eq!(sent["role_name"], "look");
    assert_eq!(sent.get("name"), None);

    let kind = keyward_admin::DataRetentionKind::ZeroDataRetention;
    server.answers([json!({ "object": "x", "type": "zero_data_retention" })]);
    let set = quiet.run(client.data_retention().set(kind.clone())).expect("a setting");
    assert_eq!(set.kind, Some(kind));
    let sent = server.requests().pop().expect("a request").body;
    let sent: serde_json::Value = serde_json::from_slice(&sent).expect("JSON");
    assert_eq!(sent, json!({ "retention_type": "zero_data_retention" }));
}

/// One of the published examples has fields that nobody documented; a listing of projects must
/// stand them, and what it does not know yet.
#[test]
fn projects_are_listed_whatever_is_new_in_them() {
    let (server, quiet) = (Server::start(), Quiet::start());
    let client = server.client();
    let project = |n: u32| {
        json!({
            "object": "organization.project", "id": format!("proj_{n}"), "name": "website",
            "created_at": 7, "archived_at": null, "status": "hibernating",
            "is_initial": true, "geography": { "region": "eu" },
        })
    };
    let page =
        |n, has_more| json!({ "object": "list", "data": [project(n)], "has_more": has_more });
    server.answers([page(1, true), page(2, false)]);
    let projects: Vec<Project> = quiet.run(client.projects().list().all()).expect("projects");
    let ids: Vec<_> = projects.iter().map(|p| p.id.as_str()).collect();
    assert_eq!(ids, ["proj_1", "proj_2"]);
    let status = projects[0].status.as_ref().map(keyward_admin::ProjectStatus::as_str);
    assert_eq!(status, Some("hibernating"));
    let after = server.requests().pop().expect("a request").query;
    assert!(after.contains("after=proj_1"), "{after}");
}
