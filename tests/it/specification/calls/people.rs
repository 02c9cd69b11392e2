//! Users, invites, groups, roles and their assignments.

use keyward_admin::{
    Error, GroupType, NewInvite, NewRole, ProjectUserRole, RoleUpdate, UserRole, UserUpdate,
};

use super::{Call, calls};

pub(super) fn calls() -> Vec<Call> {
    let mut calls = users();
    calls.extend(groups());
    calls.extend(roles());
    calls.extend(assignments());
    calls
}

fn users() -> Vec<Call> {
    calls! { c;
        pages "GET" "/organization/users" {
            "all" => c.users().list();
            "by address" => c.users().list_by_email(["ada+1@example.com", "bob@example.com"]);
        }
        one "GET" "/organization/users/{user_id}" {
            "it" => c.user("user_1").get();
        }
        one "POST" "/organization/users/{user_id}" {
            "role by id" => c.user("user_1").modify(UserUpdate::default().role_id("role_1"));
            "every role" => async {
                for role in [UserRole::Owner, UserRole::Reader] {
                    c.user("user_1").modify(UserUpdate::role(role)).await?;
                }
                Ok::<_, Error>(())
            };
            "most" => c.user("user_1").modify(
                UserUpdate::role(UserRole::Owner)
                    .role_id("role_1")
                    .technical_level("high")
                    .developer_persona("backend"),
            );
        }
        one "DELETE" "/organization/users/{user_id}" {
            "it" => c.user("user_1").delete();
        }
        pages "GET" "/organization/invites" {
            "all" => c.invites().list();
        }
        one "POST" "/organization/invites" {
            "least" => c.invites().create(
                NewInvite::with_default_project("ada@example.com", UserRole::Reader),
            );
            "no project" =>
                c.invites().create(NewInvite::new("ada@example.com", UserRole::Owner));
            "most" => c.invites().create(
                NewInvite::new("ada@example.com", UserRole::Owner)
                    .to_project("proj_1", ProjectUserRole::Member)
                    .to_project("proj_2", ProjectUserRole::Owner),
            );
        }
        one "GET" "/organization/invites/{invite_id}" {
            "it" => c.invite("invite_1").get();
        }
        one "DELETE" "/organization/invites/{invite_id}" {
            "it" => c.invite("invite_1").delete();
        }
        pages "GET" "/organization/projects/{project_id}/users" {
            "all" => c.project("proj_1").users().list();
        }
        one "POST" "/organization/projects/{project_id}/users" {
            "by id" => c.project("proj_1").users().add("user_1", ProjectUserRole::Member);
            "by address" =>
                c.project("proj_1").users().add_by_email("ada@example.com", ProjectUserRole::Owner);
        }
        one "GET" "/organization/projects/{project_id}/users/{user_id}" {
            "it" => c.project("proj_1").user("user_1").get();
        }
        one "POST" "/organization/projects/{project_id}/users/{user_id}" {
            "member" => c.project("proj_1").user("user_1").set_role(ProjectUserRole::Member);
            "owner" => c.project("proj_1").user("user_1").set_role(ProjectUserRole::Owner);
        }
        one "DELETE" "/organization/projects/{project_id}/users/{user_id}" {
            "it" => c.project("proj_1").user("user_1").remove();
        }
    }
}

fn groups() -> Vec<Call> {
    calls! { c;
        pages "GET" "/organization/groups" {
            "all" => c.groups().list();
        }
        one "POST" "/organization/groups" {
            "it" => c.groups().create("engineers");
        }
        one "GET" "/organization/groups/{group_id}" {
            "it" => c.group("group_1").get();
        }
        one "POST" "/organization/groups/{group_id}" {
            "it" => c.group("group_1").rename("engineering");
        }
        one "DELETE" "/organization/groups/{group_id}" {
            "it" => c.group("group_1").delete();
        }
        pages "GET" "/organization/groups/{group_id}/users" {
            "all" => c.group("group_1").users();
        }
        one "POST" "/organization/groups/{group_id}/users" {
            "it" => c.group("group_1").add_user("user_1");
        }
        one "GET" "/organization/groups/{group_id}/users/{user_id}" {
            "it" => c.group("group_1").get_user("user_1");
        }
        one "DELETE" "/organization/groups/{group_id}/users/{user_id}" {
            "it" => c.group("group_1").remove_user("user_1");
        }
        pages "GET" "/organization/projects/{project_id}/groups" {
            "all" => c.project("proj_1").groups().list();
        }
        one "POST" "/organization/projects/{project_id}/groups" {
            "it" => c.project("proj_1").groups().add("group_1", "role_1");
        }
        one "GET" "/organization/projects/{project_id}/groups/{group_id}" {
            "it" => c.project("proj_1").group("group_1").get();
            "group" => c.project("proj_1").group("group_1").get_of_type(&GroupType::Group);
            "tenant" => c.project("proj_1").group("group_1").get_of_type(&GroupType::TenantGroup);
        }
        one "DELETE" "/organization/projects/{project_id}/groups/{group_id}" {
            "it" => c.project("proj_1").group("group_1").remove();
        }
    }
}

fn roles() -> Vec<Call> {
    calls! { c;
        pages "GET" "/organization/roles" {
            "all" => c.roles().list();
        }
        one "POST" "/organization/roles" {
            "least" => c.roles().create(NewRole::new("reader"));
            "most" => c.roles().create(
                NewRole::new("reader").permit("api.groups.read").permit("a.b").describe("Reads."),
            );
        }
        one "GET" "/organization/roles/{role_id}" {
            "it" => c.role("role_1").get();
        }
        one "POST" "/organization/roles/{role_id}" {
            "least" => c.role("role_1").update(RoleUpdate::default());
            "most" => c.role("role_1").update(
                RoleUpdate::permissions(["api.groups.read"]).describe("Reads.").rename("look"),
            );
        }
        one "DELETE" "/organization/roles/{role_id}" {
            "it" => c.role("role_1").delete();
        }
        pages "GET" "/projects/{project_id}/roles" {
            "all" => c.project("proj_1").roles().list();
        }
        one "POST" "/projects/{project_id}/roles" {
            "least" => c.project("proj_1").roles().create(NewRole::new("reader"));
            "most" => c.project("proj_1").roles().create(
                NewRole::new("reader").permit("api.files.read").describe("Reads."),
            );
        }
        one "GET" "/projects/{project_id}/roles/{role_id}" {
            "it" => c.project("proj_1").role("role_1").get();
        }
        one "POST" "/projects/{project_id}/roles/{role_id}" {
            "least" => c.project("proj_1").role("role_1").update(RoleUpdate::default());
            "most" => c.project("proj_1").role("role_1").update(
                RoleUpdate::permissions(["api.files.read"]).describe("Reads.").rename("look"),
            );
        }
        one "DELETE" "/projects/{project_id}/roles/{role_id}" {
            "it" => c.project("proj_1").role("role_1").delete();
        }
    }
}

fn assignments() -> Vec<Call> {
    macro_rules! of {
        ($($path:literal, $one:literal: $client:ident => $of:expr;)*) => {{
            let mut all = Vec::new();
            $(all.extend(calls! { $client;
                pages "GET" $path { "all" => $of.list(); }
                one "POST" $path { "it" => $of.assign("role_1"); }
                one "GET" $one { "it" => $of.get("role_1"); }
                one "DELETE" $one { "it" => $of.unassign("role_1"); }
            });)*
            all
        }};
    }
    of! {
        "/organization/users/{user_id}/roles", "/organization/users/{user_id}/roles/{role_id}":
            c => c.user("user_1").roles();
        "/organization/groups/{group_id}/roles", "/organization/groups/{group_id}/roles/{role_id}":
            c => c.group("group_1").roles();
        "/projects/{project_id}/users/{user_id}/roles",
        "/projects/{project_id}/users/{user_id}/roles/{role_id}":
            c => c.project("proj_1").user("user_1").roles();
        "/projects/{project_id}/groups/{group_id}/roles",
        "/projects/{project_id}/groups/{group_id}/roles/{role_id}":
            c => c.project("proj_1").group("group_1").roles();
    }
}
