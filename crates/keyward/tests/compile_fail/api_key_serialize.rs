//! A key cannot be serialized.

fn main() {
    let key = keyward::ApiKey::parse(String::from("x")).unwrap();
    let _ = serde_json::to_string(&key);
}
