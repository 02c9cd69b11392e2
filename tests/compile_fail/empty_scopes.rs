//! "No scopes", which the API takes for all of them, cannot be said.

fn main() {
    let _ = keyward_admin::Scopes::Only(Vec::new());
}
