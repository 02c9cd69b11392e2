//! What stands beside the mistakes in the other files compiles: they fail for one reason each.

fn takes(
    key: keyward::ApiKey,
    project_key: &keyward::ProjectKey,
    request: &mut http::Request<()>,
) {
    println!("{key:?} {}", key == key.clone());
    let authorizer = keyward::authorize::Authorizer::new(keyward::KeyPolicy::standard());
    let _ = authorizer.authorize(project_key, request);
    let _ = serde_json::to_string(&key.fingerprint());
}

fn main() {
    let _ = takes;
}
