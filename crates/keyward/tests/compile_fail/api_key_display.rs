//! A key cannot be formatted with `{}`.

fn main() {
    let key = keyward::ApiKey::parse(String::from("x")).unwrap();
    println!("{key}");
}
