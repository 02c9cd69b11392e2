//! A key is not a text, so nothing that takes a text takes it by accident.

fn takes_text(_: &str) {}

fn main() {
    let key = keyward::ApiKey::parse(String::from("x")).unwrap();
    takes_text(&key);
}
