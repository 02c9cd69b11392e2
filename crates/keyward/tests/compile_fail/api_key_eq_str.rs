//! A key cannot be compared with a text, which would take less time the sooner they differ.

fn main() {
    let key = keyward::ApiKey::parse(String::from("x")).unwrap();
    let _ = key == "x";
}
