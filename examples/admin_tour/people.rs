//! Groups, roles, invites, certificates and data retention; and the project in which this and
//! what follows is done.

use keyward_admin::{
    DataRetentionKind, GroupId, NewCertificate, NewInvite, NewProject, NewRole, ProjectHandle,
    ProjectUserRole, RoleAssignments, RoleHandle, RoleId, RoleUpdate, Roles, UserId, UserRole,
};

use crate::{NONE, Tour, clouds, limits};

/// A made-up certificate authority, good for nothing: its key was thrown away.
const CERTIFICATE: &str = include_str!("certificate.pem");

pub(crate) async fn tour(tour: &mut Tour, guest: &UserId) {
    let client = tour.client.clone();
    let made = match tour.read_only {
        true => None,
        false => client.projects().create(NewProject::new("keyward-tour-people")).await.ok(),
    };
    let any = client.projects().list().first_page().await.ok();
    let any = any.and_then(|page| Some(page.items.into_iter().next()?.ok()?.id));
    let id = made.map(|p| p.id).or(any).unwrap_or_else(|| NONE.into());
    let project = client.project(&id);

    let group = groups(tour, guest).await;
    roles(tour, &project, &group, guest).await;
    invites(tour).await;
    certificates(tour, &project).await;
    data_retention(tour, &project).await;
    limits::tour(tour, &project).await;
    clouds::tour(tour, &id, &project).await;
    tour.write("DELETE", "/organization/groups/{group_id}", client.group(group).delete()).await;
    if !tour.read_only {
        // Not counted: the tour has archived a project before.
        let _ = project.archive().await;
    }
}

async fn groups(tour: &mut Tour, guest: &UserId) -> GroupId {
    const ALL: &str = "/organization/groups";
    const ONE: &str = "/organization/groups/{group_id}";
    const USERS: &str = "/organization/groups/{group_id}/users";
    const USER: &str = "/organization/groups/{group_id}/users/{user_id}";

    let client = tour.client.clone();
    let listed = tour.read(ALL, client.groups().list().first_page()).await;
    let made = tour.write("POST", ALL, client.groups().create("keyward-tour")).await;
    let any = listed.and_then(|page| Some(page.items.into_iter().next()?.ok()?.id));
    let id = made.map(|group| group.id).or(any).unwrap_or_else(|| NONE.into());
    let group = client.group(&id);
    tour.read(ONE, group.get()).await;
    tour.write("POST", ONE, group.rename("keyward-tour-2")).await;
    tour.write("POST", USERS, group.add_user(guest)).await;
    tour.read(USERS, group.users().first_page()).await;
    tour.read(USER, group.get_user(guest)).await;
    tour.write("DELETE", USER, group.remove_user(guest)).await;
    id
}

async fn roles(tour: &mut Tour, project: &ProjectHandle, group: &GroupId, guest: &UserId) {
    const PROJECT_USERS: &str = "/organization/projects/{project_id}/users";
    const PROJECT_USER: &str = "/organization/projects/{project_id}/users/{user_id}";
    const PROJECT_GROUPS: &str = "/organization/projects/{project_id}/groups";
    const PROJECT_GROUP: &str = "/organization/projects/{project_id}/groups/{group_id}";

    let client = tour.client.clone();
    let all = ("/organization/roles", "/organization/roles/{role_id}");
    let role = make_role(tour, all, &client.roles(), |id| client.role(id)).await;
    let paths = ("/projects/{project_id}/roles", "/projects/{project_id}/roles/{role_id}");
    let own = make_role(tour, paths, &project.roles(), |id| project.role(id)).await;

    let users = project.users();
    tour.write("POST", PROJECT_USERS, users.add(guest, ProjectUserRole::Member)).await;
    tour.read(PROJECT_USERS, users.list().first_page()).await;
    tour.read(PROJECT_USER, project.user(guest).get()).await;
    let owner = ProjectUserRole::Owner;
    tour.write("POST", PROJECT_USER, project.user(guest).set_role(owner)).await;
    tour.write("POST", PROJECT_GROUPS, project.groups().add(group, &own)).await;
    tour.read(PROJECT_GROUPS, project.groups().list().first_page()).await;
    tour.read(PROJECT_GROUP, project.group(group).get()).await;

    let of_user = "/organization/users/{user_id}/roles";
    let of_group = "/organization/groups/{group_id}/roles";
    let of_project_user = "/projects/{project_id}/users/{user_id}/roles";
    let of_project_group = "/projects/{project_id}/groups/{group_id}/roles";
    assignments(tour, of_user, client.user(guest).roles(), &role).await;
    assignments(tour, of_group, client.group(group).roles(), &role).await;
    assignments(tour, of_project_user, project.user(guest).roles(), &own).await;
    assignments(tour, of_project_group, project.group(group).roles(), &own).await;

    tour.write("DELETE", PROJECT_GROUP, project.group(group).remove()).await;
    tour.write("DELETE", PROJECT_USER, project.user(guest).remove()).await;
    tour.write("DELETE", paths.1, project.role(own).delete()).await;
    tour.write("DELETE", all.1, client.role(role).delete()).await;
}

async fn make_role(
    tour: &mut Tour,
    (all, one): (&str, &str),
    roles: &Roles,
    handle: impl Fn(RoleId) -> RoleHandle,
) -> RoleId {
    let listed = tour.read(all, roles.list().first_page()).await;
    let new = NewRole::new("keyward-tour").permit("api.model.request");
    let made = tour.write("POST", all, roles.create(new)).await;
    let any = listed.and_then(|page| Some(page.items.into_iter().next()?.ok()?.id));
    let id = made.map(|role| role.id).or(any).unwrap_or_else(|| NONE.into());
    tour.read(one, handle(id.clone()).get()).await;
    let update = RoleUpdate::default().rename("keyward-tour-2");
    tour.write("POST", one, handle(id.clone()).update(update)).await;
    id
}

async fn assignments(tour: &mut Tour, all: &str, assignments: RoleAssignments, role: &RoleId) {
    let one = format!("{all}/{{role_id}}");
    tour.write("POST", all, assignments.assign(role)).await;
    tour.read(all, assignments.list().first_page()).await;
    tour.read(&one, assignments.get(role)).await;
    tour.write("DELETE", &one, assignments.unassign(role)).await;
}

async fn invites(tour: &mut Tour) {
    const ALL: &str = "/organization/invites";
    const ONE: &str = "/organization/invites/{invite_id}";

    let client = tour.client.clone();
    let listed = tour.read(ALL, client.invites().list().first_page()).await;
    let new = NewInvite::new("keyward-tour@example.com", UserRole::Reader);
    let made = tour.write("POST", ALL, client.invites().create(new)).await;
    let any = listed.and_then(|page| Some(page.items.into_iter().next()?.ok()?.id));
    let id = made.map(|invite| invite.id).or(any).unwrap_or_else(|| NONE.into());
    tour.read(ONE, client.invite(&id).get()).await;
    tour.write("DELETE", ONE, client.invite(&id).delete()).await;
}

async fn certificates(tour: &mut Tour, project: &ProjectHandle) {
    const ALL: &str = "/organization/certificates";
    const ONE: &str = "/organization/certificates/{certificate_id}";
    const ON: &str = "/organization/certificates/activate";
    const OFF: &str = "/organization/certificates/deactivate";
    const PROJECT: &str = "/organization/projects/{project_id}/certificates";
    const PROJECT_ON: &str = "/organization/projects/{project_id}/certificates/activate";
    const PROJECT_OFF: &str = "/organization/projects/{project_id}/certificates/deactivate";

    let client = tour.client.clone();
    let all = client.certificates();
    let listed = tour.read(ALL, all.list().first_page()).await;
    let Ok(new) = NewCertificate::new("keyward-tour", CERTIFICATE) else { return };
    let made = tour.write("POST", ALL, all.upload(new)).await;
    let any = listed.and_then(|page| Some(page.items.into_iter().next()?.ok()?.id));
    let id = made.map(|certificate| certificate.id).or(any).unwrap_or_else(|| NONE.into());
    let one = client.certificate(&id);
    tour.read(ONE, one.get()).await;
    tour.write("POST", ONE, one.rename("keyward-tour-2")).await;
    tour.write("POST", ON, all.activate(std::slice::from_ref(&id))).await;
    tour.write("POST", OFF, all.deactivate(std::slice::from_ref(&id))).await;
    let own = project.certificates();
    tour.write("POST", PROJECT_ON, own.activate(std::slice::from_ref(&id))).await;
    tour.read(PROJECT, own.list().first_page()).await;
    tour.write("POST", PROJECT_OFF, own.deactivate(std::slice::from_ref(&id))).await;
    tour.write("DELETE", ONE, one.delete()).await;
}

/// What is set is what is set already.
async fn data_retention(tour: &mut Tour, project: &ProjectHandle) {
    const ALL: &str = "/organization/data_retention";
    const PROJECT: &str = "/organization/projects/{project_id}/data_retention";

    let client = tour.client.clone();
    let now = tour.read(ALL, client.data_retention().get()).await;
    let kind = now.and_then(|r| r.kind).unwrap_or(DataRetentionKind::ZeroDataRetention);
    tour.write("POST", ALL, client.data_retention().set(kind)).await;
    let now = tour.read(PROJECT, project.data_retention().get()).await;
    let kind = now.and_then(|r| r.kind).unwrap_or(DataRetentionKind::OrganizationDefault);
    tour.write("POST", PROJECT, project.data_retention().set(kind)).await;
}
