//! What the resources about people, roles, certificates and retention read and write as JSON.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{
    AssignedRole, Certificate, DataRetention, DataRetentionKind, GroupUser, Invite, NewCertificate,
    NewInvite, NewRole, ProjectGroup, ProjectUser, ProjectUserRole, Role, RoleUpdate, User,
    UserRole, UserUpdate, decode,
};

/// How one type reads: what is read of it is told by its `Debug`.
struct Reading {
    read: fn(&str) -> String,
    /// The least that there may be.
    minimal: &'static str,
    /// Every documented field.
    full: &'static str,
    /// What must be told of `full`.
    told: &'static [&'static str],
    /// Fields of another type, words that nobody knows, fields that nobody knows.
    drifted: &'static str,
    /// What must be told of `drifted`.
    kept: &'static [&'static str],
}

fn read<T: DeserializeOwned + Debug>(json: &str) -> String {
    match decode::decode::<T>(json.as_bytes()) {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("error: {error}"),
    }
}

const READINGS: &[Reading] = &[
    Reading {
        read: read::<User>,
        minimal: r#"{"id": "x"}"#,
        full: r#"{
            "object": "organization.user", "id": "user-1", "name": "Ada", "email": "a@example.com",
            "role": "owner", "added_at": 1, "created": 2, "api_key_last_used_at": 3,
            "is_default": true, "is_service_account": false,
            "is_scale_tier_authorized_purchaser": false, "is_scim_managed": true,
            "technical_level": "high", "developer_persona": "backend",
            "user": {
                "object": "user", "id": "user-2", "email": "b@example.com", "name": "Ada L.",
                "picture": "https://example.com/ada", "enabled": true, "banned": true,
                "banned_at": 4
            },
            "projects": {
                "object": "list", "data": [{"id": "proj_1", "name": "site", "role": "member"}]
            }
        }"#,
        told: &[
            r#"id: UserId("user-1"), name: Some("Ada"), email: Some("a@example.com")"#,
            "role: Some(Owner)",
            "api_key_last_used_at: Some(",
            r#"developer_persona: Some("backend")"#,
            r#"user: Some(UserAccount { id: Some(UserId("user-2"))"#,
            "banned: Some(true)",
            r#"projects: Some([UserProject { id: Some(ProjectId("proj_1")), name: Some("site")"#,
        ],
        drifted: r#"{
            "id": 7, "name": ["Ada"], "role": "auditor", "added_at": "5", "created": {},
            "is_default": "yes", "user": "user-2", "projects": [1], "new": {"a": [1]}
        }"#,
        kept: &[
            r#"id: UserId("7"), name: None"#,
            r#"role: Some(Other("auditor"))"#,
            "is_default: None",
            "user: None, projects: None",
        ],
    },
    Reading {
        read: read::<GroupUser>,
        minimal: r#"{"id": "x"}"#,
        full: r#"{
            "id": "user-1", "name": "Ada", "email": "a@example.com",
            "picture": "https://example.com/ada", "is_service_account": false,
            "user_type": "tenant_user"
        }"#,
        told: &["is_service_account: Some(false)", "user_type: Some(TenantUser)"],
        drifted: r#"{"id": "user-1", "email": null, "is_service_account": 1, "user_type": "bot"}"#,
        kept: &["email: None", "is_service_account: None", r#"user_type: Some(Other("bot"))"#],
    },
    Reading {
        read: read::<Invite>,
        minimal: r#"{"id": "x"}"#,
        full: r#"{
            "object": "organization.invite", "id": "invite-1", "email": "a@example.com",
            "role": "reader", "status": "accepted", "created_at": 1, "expires_at": 2,
            "accepted_at": 3, "projects": [{"id": "proj_1", "role": "member"}]
        }"#,
        told: &[
            "role: Some(Reader), status: Some(Accepted)",
            r#"[InviteProject { id: Some(ProjectId("proj_1")), role: Some(Member) }]"#,
        ],
        drifted: r#"{
            "id": "invite-1", "role": {"name": "owner"}, "status": "bounced", "expires_at": null,
            "projects": [{"role": "guest"}, "proj_1", null]
        }"#,
        kept: &[
            r#"role: None, status: Some(Other("bounced"))"#,
            "expires_at: None",
            r#"projects: Some([InviteProject { id: None, role: Some(Other("guest")) }])"#,
        ],
    },
    Reading {
        read: read::<ProjectUser>,
        minimal: r#"{"id": "x"}"#,
        full: r#"{
            "object": "organization.project.user", "id": "user-1", "name": "Ada",
            "email": "a@example.com", "role": "owner", "added_at": 1
        }"#,
        told: &[r#"name: Some("Ada"), email: Some("a@example.com"), role: Some(Owner)"#],
        drifted: r#"{"id": "user-1", "name": true, "role": "viewer", "added_at": "soon"}"#,
        kept: &["name: None", r#"role: Some(Other("viewer"))"#, "added_at: None"],
    },
    Reading {
        read: read::<ProjectGroup>,
        minimal: r#"{"group_id": "x"}"#,
        full: r#"{
            "object": "project.group", "project_id": "proj_1", "group_id": "group_1",
            "group_name": "on call", "group_type": "tenant_group", "created_at": 1
        }"#,
        told: &[
            r#"group_id: GroupId("group_1"), project_id: Some(ProjectId("proj_1"))"#,
            r#"group_name: Some("on call"), group_type: Some(TenantGroup)"#,
        ],
        drifted: r#"{"group_id": "group_1", "group_name": [], "group_type": "guild"}"#,
        kept: &["group_name: None", r#"group_type: Some(Other("guild"))"#],
    },
    Reading {
        read: read::<Role>,
        minimal: r#"{"id": "x"}"#,
        full: r#"{
            "object": "role", "id": "role_1", "name": "reader", "description": "reads",
            "permissions": ["api.groups.read", "api.usage.read"],
            "resource_type": "api.organization", "predefined_role": true
        }"#,
        told: &[
            r#"name: Some("reader"), description: Some("reads")"#,
            r#"permissions: Some(["api.groups.read", "api.usage.read"])"#,
            "resource_type: Some(Organization), predefined_role: Some(true)",
        ],
        drifted: r#"{
            "id": "role_1", "description": null, "permissions": ["api.x", null, {}],
            "resource_type": "api.tenant", "predefined_role": 0
        }"#,
        kept: &[
            r#"permissions: Some(["api.x"]), resource_type: Some(Other("api.tenant"))"#,
            "predefined_role: None",
        ],
    },
    Reading {
        read: read::<AssignedRole>,
        minimal: r#"{"id": "x"}"#,
        full: r#"{
            "id": "role_1", "name": "reader", "permissions": ["api.groups.read"],
            "resource_type": "api.project", "predefined_role": false, "description": "reads",
            "created_at": 1, "updated_at": 2, "created_by": "user-1",
            "created_by_user_obj": {"id": "user-1"}, "metadata": {"a": [1]},
            "assignment_sources": [{"principal_id": "group_1", "principal_type": "group"}]
        }"#,
        told: &[
            "resource_type: Some(Project), predefined_role: Some(false)",
            r#"created_by: Some("user-1")"#,
            r#"metadata: Some("{\"a\": [1]}")"#,
            r#"[AssignmentSource { principal_id: Some("group_1"), principal_type: Some("group") }]"#,
        ],
        drifted: r#"{
            "id": "role_1", "permissions": "all", "created_at": null, "created_by": {},
            "created_by_user_obj": null, "metadata": 3, "assignment_sources": {"a": 1}
        }"#,
        kept: &[
            "permissions: None",
            r#"created_by_user_obj: None, metadata: Some("3"), assignment_sources: None"#,
        ],
    },
    Reading {
        read: read::<Certificate>,
        minimal: r#"{"id": "x"}"#,
        full: r#"{
            "object": "certificate", "id": "cert_1", "name": "edge", "created_at": 1,
            "certificate_details": {"valid_at": 2, "expires_at": 3, "content": "PEM"},
            "active": true
        }"#,
        told: &[
            r#"id: CertificateId("cert_1"), name: Some("edge")"#,
            r#"content: Some("PEM")"#,
            "active: Some(true)",
        ],
        drifted: r#"{
            "id": "cert_1", "name": null, "active": "pending",
            "certificate_details": {"valid_at": "2", "expires_at": [], "issuer": "x"}
        }"#,
        kept: &["name: None", "expires_at: None, content: None", "active: None"],
    },
    Reading {
        read: read::<DataRetention>,
        minimal: "{}",
        full: r#"{"object": "project.data_retention", "type": "organization_default"}"#,
        told: &["kind: Some(OrganizationDefault)"],
        drifted: r#"{"object": 1, "type": "thirty_days"}"#,
        kept: &[r#"kind: Some(Other("thirty_days"))"#],
    },
];

#[test]
fn whatever_the_server_leaves_out_changes_or_adds_is_read() {
    for Reading { read, minimal, full, told, drifted, kept } in READINGS {
        let shown = read(minimal);
        assert!(!shown.contains("Some") && !shown.contains("error"), "{minimal}: {shown}");

        let shown = read(full);
        assert!(!shown.contains("None") && !shown.contains("Other"), "{full}: {shown}");
        for part in *told {
            assert!(shown.contains(part), "{part} in {shown}");
        }

        let shown = read(drifted);
        for part in *kept {
            assert!(shown.contains(part), "{part} in {shown}");
        }
    }
}

#[test]
fn only_an_id_is_demanded() {
    for Reading { read, minimal, .. } in READINGS.iter().filter(|r| r.minimal != "{}") {
        for json in ["{}", &minimal.replace("\"x\"", "null"), &minimal.replace('x', "")] {
            assert!(read(json).starts_with("error"), "{json}");
        }
    }
}

#[test]
fn what_is_sent_has_the_documented_names_and_nothing_unsaid() {
    fn json(body: &impl Serialize) -> String {
        serde_json::to_string(body).expect("JSON")
    }

    let new = || NewInvite::new("a@example.com", UserRole::Reader);
    let to_default = || NewInvite::with_default_project("a@example.com", UserRole::Reader);
    let everything = UserUpdate::role(UserRole::Owner)
        .role_id("role_1")
        .technical_level("high")
        .developer_persona("backend");
    for (body, expected) in [
        (json(&UserUpdate::default().role_id("role_1")), r#"{"role_id":"role_1"}"#),
        (
            json(&everything),
            r#"{"role":"owner","role_id":"role_1","technical_level":"high","developer_persona":"backend"}"#,
        ),
        // An empty list is for no project; without a list it is the default one.
        (json(&new()), r#"{"email":"a@example.com","role":"reader","projects":[]}"#),
        (json(&to_default()), r#"{"email":"a@example.com","role":"reader"}"#),
        (
            json(&new().to_project("proj_1", ProjectUserRole::Member)),
            r#"{"email":"a@example.com","role":"reader","projects":[{"id":"proj_1","role":"member"}]}"#,
        ),
        (json(&NewRole::new("reader")), r#"{"role_name":"reader","permissions":[]}"#),
        (
            json(&NewRole::new("reader").permit("api.groups.read").describe("reads")),
            r#"{"role_name":"reader","permissions":["api.groups.read"],"description":"reads"}"#,
        ),
        (json(&RoleUpdate::default().rename("reader")), r#"{"role_name":"reader"}"#),
        (
            json(&RoleUpdate::permissions(["api.x"]).describe("reads")),
            r#"{"permissions":["api.x"],"description":"reads"}"#,
        ),
        (
            json(&NewCertificate::new("edge", "PEM").expect("no private key")),
            r#"{"name":"edge","certificate":"PEM"}"#,
        ),
        (json(&DataRetentionKind::ZeroDataRetention), r#""zero_data_retention""#),
    ] {
        assert_eq!(body, expected);
    }
}

#[test]
fn a_private_key_is_no_certificate() {
    for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"] {
        let pem = format!("-----BEGIN CERTIFICATE-----\nc\n-----BEGIN {label}-----\ncanary\n");
        let error = NewCertificate::new("edge", pem).expect_err("refused");
        assert_eq!(error.kind(), crate::ErrorKind::InvalidRequest);
        assert!(!format!("{error} {error:?}").contains("canary"), "{label}");
    }
}
