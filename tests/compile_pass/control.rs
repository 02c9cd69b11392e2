//! What stands beside the mistakes in the other files compiles: they fail for one reason each.

fn takes(
    key: keyward::ApiKey,
    project_key: &keyward::ProjectKey,
    admin_key: keyward::AdminKey,
    request: &mut http::Request<()>,
) {
    println!("{key:?} {}", key == key.clone());
    let authorizer = keyward::authorize::Authorizer::new(keyward::KeyPolicy::standard());
    let _ = authorizer.authorize(project_key, request);
    let _ = keyward_admin::Client::new(admin_key).map(|client| client.project("proj_1"));
    let _ = serde_json::to_string(&key.fingerprint());
    let _ = keyward_admin::Scopes::only("api.responses.write");
}

fn main() {
    let _ = takes;
}
