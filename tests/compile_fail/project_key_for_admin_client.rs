//! A project key cannot enter the Admin API client.

fn client(key: keyward::ProjectKey) {
    let _ = keyward_admin::Client::new(key);
}

fn main() {}
