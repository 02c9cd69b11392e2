//! An admin key cannot authorize a model request.

fn authorize(key: &keyward::AdminKey, request: &mut http::Request<()>) {
    let authorizer = keyward::authorize::Authorizer::new(keyward::KeyPolicy::standard());
    let _ = authorizer.authorize(key, request);
}

fn main() {}
