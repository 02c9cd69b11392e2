//! A project key cannot be made without a policy.

fn main() {
    let key = keyward::ApiKey::parse(String::from("x")).unwrap();
    let _ = keyward::ProjectKey { key, expires_at: None };
}
