//! A key cannot be made from a literal, which would be a key in the source code.

fn main() {
    let _ = keyward::ApiKey::parse("x");
}
