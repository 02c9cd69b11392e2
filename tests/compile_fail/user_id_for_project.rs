//! A user's id cannot be passed for a project's.

fn project(client: &keyward_admin::Client, user: keyward_admin::UserId) {
    let _ = client.project(user);
}

fn main() {}
