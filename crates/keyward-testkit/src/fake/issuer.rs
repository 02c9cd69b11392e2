//! [`FakeIssuer`]: a platform that signs tokens in which it says who a workload is.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// An issuer of the tokens that are exchanged for access tokens: what a Kubernetes cluster, GitHub
/// or a cloud is to OpenAI.
///
/// Its key is made when it is, and signs with ES256.
///
/// ```
/// use keyward_testkit::FakeIssuer;
///
/// let issuer = FakeIssuer::new("https://cluster.example");
/// let token = issuer.token("openai", "checkout", 1_790_000_600);
/// assert_eq!(token.split('.').count(), 3);
/// ```
pub struct FakeIssuer {
    name: String,
    key: EncodingKey,
    jwk: Jwk,
}

impl FakeIssuer {
    /// An issuer of this name, which is the `iss` of its tokens.
    ///
    /// # Panics
    ///
    /// If the system has no random numbers.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let pair =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .expect("random numbers");
        let key = EncodingKey::from_ec_der(pair.as_ref());
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).expect("a key just made");
        jwk.common.key_id = Some("1".to_owned());
        Self { name: name.to_owned(), key, jwk }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its public key: the JSON Web Key Set that a provider is registered with.
    #[must_use]
    pub fn jwks(&self) -> String {
        json!({ "keys": [self.jwk] }).to_string()
    }

    /// A token for an audience that says who somebody is, until unix seconds.
    #[must_use]
    pub fn token(&self, audience: &str, sub: &str, expires_at: u64) -> String {
        let iss = &self.name;
        self.encode(&json!({ "iss": iss, "aud": audience, "sub": sub, "exp": expires_at }))
    }

    /// A token with these claims and no others, true or not: a JSON object.
    ///
    /// # Panics
    ///
    /// If the claims are no JSON object.
    #[must_use]
    pub fn sign(&self, claims: &str) -> String {
        let claims: Value = serde_json::from_str(claims).expect("claims are JSON");
        assert!(claims.is_object(), "claims are an object");
        self.encode(&claims)
    }

    fn encode(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid.clone_from(&self.jwk.common.key_id);
        jsonwebtoken::encode(&header, claims, &self.key).expect("a key just made")
    }
}

impl fmt::Debug for FakeIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeIssuer").field("name", &self.name).finish_non_exhaustive()
    }
}
