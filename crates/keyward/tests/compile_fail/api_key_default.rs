//! There is no default key.

fn main() {
    let _ = keyward::ApiKey::default();
}
