//! A key that no policy has admitted cannot enter the Admin API client.

fn client(key: keyward::ApiKey) {
    let _ = keyward_admin::Client::new(key);
}

fn main() {}
