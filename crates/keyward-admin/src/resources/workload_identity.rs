//! Workload identity: who may get a service account's tokens without any key.

use std::collections::BTreeMap;

use keyward_core::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{Named, PAGE, named};
use crate::page::Listed;
use crate::transport::Call;
use crate::wire::{lenient, lenient_struct, open_enum, required_id};
use crate::{
    Client, Error, ErrorKind, FederationRuleHandle, FederationRuleId, FederationRules, Pages,
    WorkloadIdentityProviderId, decode, operations,
};

/// An issuer of tokens, such as a cluster or a build service, that OpenAI is to trust.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct WorkloadIdentityProvider {
    /// The id.
    #[serde(deserialize_with = "required_id")]
    pub id: WorkloadIdentityProviderId,
    /// The name.
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
    /// What it is for.
    #[serde(default, deserialize_with = "lenient")]
    pub description: Option<String>,
    /// What sort of tokens it issues.
    #[serde(default, rename = "type", deserialize_with = "lenient")]
    pub kind: Option<WorkloadIdentityProviderKind>,
    /// The issuer that its tokens name.
    #[serde(default, deserialize_with = "lenient")]
    pub issuer: Option<String>,
    /// The audience that its tokens name.
    #[serde(default, deserialize_with = "lenient")]
    pub audience: Option<String>,
    /// Whether its tokens are taken.
    #[serde(default, deserialize_with = "lenient")]
    pub enabled: Option<bool>,
    /// How the signatures of its tokens are checked.
    #[serde(default, deserialize_with = "lenient")]
    pub verification: Option<TokenVerification>,
    /// Attributes that are made of the claims of its tokens.
    #[serde(default, deserialize_with = "lenient")]
    pub attribute_transformations: Option<Vec<AttributeTransformation>>,
    /// When it was registered.
    #[serde(default, deserialize_with = "lenient")]
    pub created_at: Option<Timestamp>,
    /// When it was last changed.
    #[serde(default, deserialize_with = "lenient")]
    pub updated_at: Option<Timestamp>,
}

impl Listed for WorkloadIdentityProvider {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

open_enum! {
    /// What sort of tokens are issued.
    pub enum WorkloadIdentityProviderKind {
        /// Those of OpenID Connect.
        Oidc = "oidc",
    }
}

/// How the signatures of tokens are checked.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct TokenVerification {
    /// With what keys.
    #[serde(default, rename = "type", deserialize_with = "lenient")]
    pub kind: Option<TokenVerificationKind>,
    /// Where keys are looked up; none when that follows from the issuer.
    #[serde(default, deserialize_with = "lenient")]
    pub discovery_url: Option<String>,
    /// The keys that were uploaded.
    #[serde(default, deserialize_with = "jwks")]
    pub jwks: Option<JwkSet>,
}

open_enum! {
    /// With what keys signatures are checked.
    pub enum TokenVerificationKind {
        /// With those that the issuer publishes.
        Discovery = "discovery",
        /// With those that were uploaded.
        UploadedJwks = "uploaded_jwks",
    }
}

/// An attribute that is made of the claims of a token.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[non_exhaustive]
pub struct AttributeTransformation {
    /// The attribute.
    #[serde(default, deserialize_with = "lenient")]
    pub attribute: Option<String>,
    /// How it is made.
    #[serde(default, deserialize_with = "lenient")]
    pub expression: Option<String>,
}

lenient_struct!(AttributeTransformation, TokenVerification);

/// A JSON Web Key Set: the public keys of an issuer.
#[derive(Clone, Debug)]
pub struct JwkSet(Box<RawValue>);

impl JwkSet {
    /// Reads a key set.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`] for what is not a key set, and for one with a private or a
    /// symmetric key in it, which nobody but the issuer may have.
    pub fn parse(json: &str) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<BTreeMap<String, serde::de::IgnoredAny>>,
        }

        let refused = |why| Error::new(ErrorKind::InvalidRequest, why);
        let set: Set = serde_json::from_str(json).map_err(|_| refused("not a JSON Web Key Set"))?;
        if set.keys.iter().any(|key| key.contains_key("d") || key.contains_key("k")) {
            return Err(refused("the key set has a secret key in it; upload public keys only"));
        }
        RawValue::from_string(json.to_owned())
            .map(Self)
            .map_err(|_| refused("not a JSON Web Key Set"))
    }

    /// The JSON.
    #[must_use]
    pub fn json(&self) -> &str {
        self.0.get()
    }
}

impl Serialize for JwkSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Whatever object stands there, as it is.
fn jwks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<JwkSet>, D::Error> {
    let json = Box::<RawValue>::deserialize(deserializer)?;
    Ok(json.get().starts_with('{').then_some(JwkSet(json)))
}

/// Which provider is to be registered.
#[derive(Clone, Debug, Serialize)]
#[must_use = "pass it to `create`"]
pub struct NewWorkloadIdentityProvider {
    #[serde(rename = "type")]
    kind: WorkloadIdentityProviderKind,
    #[serde(flatten)]
    fields: Fields,
}

impl NewWorkloadIdentityProvider {
    /// An issuer of OpenID Connect, of this name, and the audience that its tokens must name. A
    /// name used once can be [reconciled](WorkloadIdentityProviders::reconcile).
    pub fn oidc(
        name: impl Into<String>,
        issuer: impl Into<String>,
        audience: impl Into<String>,
    ) -> Self {
        let fields = Fields {
            name: Some(name.into()),
            issuer: Some(issuer.into()),
            audience: Some(audience.into()),
            ..Fields::default()
        };
        Self { kind: WorkloadIdentityProviderKind::Oidc, fields }
    }

    /// Says what it is for.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.fields.description = Some(Some(text.into()));
        self
    }

    /// Whether its tokens are taken from the start.
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.fields.enabled = Some(enabled);
        self
    }

    /// Checks signatures with the keys that the issuer publishes, at this address or where its
    /// name says.
    pub fn discovery(mut self, url: Option<&str>) -> Self {
        self.fields.verification = Some(Verification::discovery(url));
        self
    }

    /// Checks signatures with these keys.
    pub fn uploaded_jwks(mut self, jwks: JwkSet) -> Self {
        self.fields.verification = Some(Verification::UploadedJwks { jwks });
        self
    }

    /// Makes an attribute of the claims of a token, beside others named so.
    pub fn transform(
        mut self,
        attribute: impl Into<String>,
        expression: impl Into<String>,
    ) -> Self {
        self.fields.transform(attribute.into(), expression.into());
        self
    }
}

/// What to change of a provider. What is not said stays as it is.
#[derive(Clone, Debug, Default, Serialize)]
#[must_use = "pass it to `update`"]
pub struct WorkloadIdentityProviderUpdate {
    #[serde(flatten)]
    fields: Fields,
}

impl WorkloadIdentityProviderUpdate {
    /// No change yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives it another name.
    pub fn rename(mut self, name: impl Into<String>) -> Self {
        self.fields.name = Some(name.into());
        self
    }

    /// Says what it is for; nothing takes that away.
    pub fn description(mut self, text: Option<&str>) -> Self {
        self.fields.description = Some(text.map(str::to_owned));
        self
    }

    /// The issuer that its tokens name.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.fields.issuer = Some(issuer.into());
        self
    }

    /// The audience that its tokens name.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.fields.audience = Some(audience.into());
        self
    }

    /// Whether its tokens are taken.
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.fields.enabled = Some(enabled);
        self
    }

    /// Checks signatures with the keys that the issuer publishes, at this address or where its
    /// name says.
    pub fn discovery(mut self, url: Option<&str>) -> Self {
        self.fields.verification = Some(Verification::discovery(url));
        self
    }

    /// Checks signatures with these keys.
    pub fn uploaded_jwks(mut self, jwks: JwkSet) -> Self {
        self.fields.verification = Some(Verification::UploadedJwks { jwks });
        self
    }

    /// Makes this attribute of the claims of a token and others named so, and none but them.
    pub fn transform(
        mut self,
        attribute: impl Into<String>,
        expression: impl Into<String>,
    ) -> Self {
        self.fields.transform(attribute.into(), expression.into());
        self
    }
}

#[derive(Clone, Debug, Default, Serialize)]
struct Fields {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audience: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification: Option<Verification>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attribute_transformations: Option<Vec<AttributeTransformation>>,
}

impl Fields {
    fn transform(&mut self, attribute: String, expression: String) {
        self.attribute_transformations.get_or_insert_default().push(AttributeTransformation {
            attribute: Some(attribute),
            expression: Some(expression),
        });
    }
}

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Verification {
    /// The address is sent even if there is none.
    Discovery {
        discovery_url: Option<String>,
    },
    UploadedJwks {
        jwks: JwkSet,
    },
}

impl Verification {
    fn discovery(url: Option<&str>) -> Self {
        Self::Discovery { discovery_url: url.map(str::to_owned) }
    }
}

/// The issuers whose tokens are taken. It comes from [`Client::workload_identity_providers`].
///
/// ```
/// # async fn example(client: &keyward_admin::Client) -> Result<(), keyward_admin::Error> {
/// use keyward_admin::{NewFederationRule, NewWorkloadIdentityProvider, Scope, Scopes};
///
/// let actions = "https://token.actions.githubusercontent.com";
/// let new = NewWorkloadIdentityProvider::oidc("ci", actions, "https://api.openai.com/v1");
/// let provider = client.workload_identity_providers().create(new).await?;
///
/// let rule = NewFederationRule::new("proj_abc", "svc_acct_abc", "repository", "example/website")
///     .permissions(&Scopes::only(Scope::RESPONSES_WRITE));
/// client.workload_identity_provider(provider.id).federation_rules().create(&rule).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct WorkloadIdentityProviders {
    client: Client,
}

impl WorkloadIdentityProviders {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Lists the providers.
    ///
    /// In pages of 100; for the end and the errors see [`Pages`].
    ///
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/workload_identity_providers/methods/list)
    pub fn list(&self) -> Pages<WorkloadIdentityProvider> {
        let call = Call::new(operations::IDENTITY_PROVIDERS_LIST, []).query("limit", PAGE);
        Pages::new(self.client.clone(), call)
    }

    /// Registers one. It is sent once.
    ///
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/workload_identity_providers/methods/create)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutcomeUnknown`] when nobody knows whether it was registered: see
    /// [`reconcile`](Self::reconcile).
    ///
    /// # Security
    ///
    /// Nobody gets in by a provider alone: it takes a [rule](FederationRules) too.
    pub async fn create(
        &self,
        new: NewWorkloadIdentityProvider,
    ) -> Result<WorkloadIdentityProvider, Error> {
        let call = Call::new(operations::IDENTITY_PROVIDERS_CREATE, []).json(&new);
        let body = self.client.transport().send(&call).await?;
        decode::answer(&call, &body).map_err(Error::into_outcome_unknown)
    }

    /// The providers of exactly this name: what a create call of unknown outcome has made, if
    /// anything.
    ///
    /// # Errors
    ///
    /// As of listing.
    pub async fn reconcile(&self, name: &str) -> Result<Vec<WorkloadIdentityProvider>, Error> {
        let providers = self.list().all().await?;
        named(providers, &operations::IDENTITY_PROVIDERS_LIST, name, |p| {
            Named::of(p.name.as_deref())
        })
    }
}

/// One provider, and its rules. It comes from [`Client::workload_identity_provider`].
#[derive(Clone, Debug)]
pub struct WorkloadIdentityProviderHandle {
    client: Client,
    id: WorkloadIdentityProviderId,
}

impl WorkloadIdentityProviderHandle {
    pub(crate) fn new(client: Client, id: WorkloadIdentityProviderId) -> Self {
        Self { client, id }
    }

    /// Describes it.
    ///
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/workload_identity_providers/methods/retrieve)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when there is none of this id.
    pub async fn get(&self) -> Result<WorkloadIdentityProvider, Error> {
        self.call(Call::new(operations::IDENTITY_PROVIDER_GET, [self.id.as_str()])).await
    }

    /// Changes it.
    ///
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/workload_identity_providers/methods/update)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`] for a change that the server does not take,
    /// [`ErrorKind::NotFound`] when there is none of this id.
    pub async fn update(
        &self,
        update: WorkloadIdentityProviderUpdate,
    ) -> Result<WorkloadIdentityProvider, Error> {
        let call = Call::new(operations::IDENTITY_PROVIDER_UPDATE, [self.id.as_str()]);
        self.call(call.json(&update)).await
    }

    /// Deletes it. Its rules must be deleted first.
    ///
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/workload_identity_providers/methods/delete)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when there is none of this id.
    pub async fn delete(&self) -> Result<(), Error> {
        let call = Call::new(operations::IDENTITY_PROVIDER_DELETE, [self.id.as_str()]);
        decode::done(&call, &self.client.transport().send(&call).await?)
    }

    /// The rules of what its tokens are good for.
    #[must_use]
    pub fn federation_rules(&self) -> FederationRules {
        FederationRules::new(self.client.clone(), self.id.clone())
    }

    /// One of these rules.
    #[must_use]
    pub fn federation_rule(&self, id: impl Into<FederationRuleId>) -> FederationRuleHandle {
        FederationRuleHandle::new(self.client.clone(), self.id.clone(), id.into())
    }

    async fn call(&self, call: Call) -> Result<WorkloadIdentityProvider, Error> {
        decode::answer(&call, &self.client.transport().send(&call).await?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resources::shapes;

    #[test]
    fn a_provider_is_read_whatever_it_has() {
        let full = json!({
            "object": "organization.workload_identity_provider", "id": "idp-1", "name": "ci",
            "description": "builds", "type": "smoke signals", "issuer": "https://i", "audience": "a",
            "enabled": true, "created_at": 1_790_000_000, "updated_at": 1_790_000_007,
            "verification": {
                "type": "by nose", "discovery_url": "https://d", "jwks": {"keys": []},
            },
            "attribute_transformations": [{"attribute": "repo", "expression": "claims.repo"}],
        });
        shapes::check::<WorkloadIdentityProvider>(&["id"], &full);
        let read: WorkloadIdentityProvider = decode::decode(full.to_string().as_bytes()).unwrap();
        let verification = read.verification.unwrap();
        assert_eq!(verification.jwks.unwrap().json(), r#"{"keys":[]}"#);
    }

    #[test]
    fn a_key_set_is_one_and_has_no_secret() {
        for (json, is_taken) in [
            (r#"{"keys": []}"#, true),
            (r#"{"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}"#, true),
            (r#"{"keys": [{"kty": "EC", "x": "AA"}, {"kty": "EC", "x": "AA", "d": "AA"}]}"#, false),
            (r#"{"keys": [{"kty": "oct", "k": "AA"}]}"#, false),
            (r#"{"keys": ["AA"]}"#, false),
            (r#"{"kty": "EC"}"#, false),
            ("{", false),
            ("", false),
        ] {
            let set = JwkSet::parse(json);
            assert_eq!(set.is_ok(), is_taken, "{json}");
            match set {
                Ok(set) => assert_eq!(set.json(), json),
                Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidRequest),
            }
        }
    }

    #[test]
    fn a_provider_is_asked_for_as_documented() {
        let new = || NewWorkloadIdentityProvider::oidc("ci", "https://i", "a");
        let update = WorkloadIdentityProviderUpdate::new;
        let jwks = JwkSet::parse(r#"{"keys": []}"#).unwrap();
        let plain = json!({"type": "oidc", "name": "ci", "issuer": "https://i", "audience": "a"});
        let with = |field: &str, value| {
            let mut json = plain.clone();
            json[field] = value;
            json
        };
        let uploaded = json!({"type": "uploaded_jwks", "jwks": {"keys": []}});
        let transformed = json!([
            {"attribute": "x", "expression": "1"}, {"attribute": "y", "expression": "2"},
        ]);
        for (sent, expected) in [
            (serde_json::to_string(&new()), plain.clone()),
            (serde_json::to_string(&new().description("d")), with("description", json!("d"))),
            (serde_json::to_string(&new().enabled(false)), with("enabled", json!(false))),
            (
                serde_json::to_string(&new().discovery(None)),
                with("verification", json!({"type": "discovery", "discovery_url": null})),
            ),
            (
                serde_json::to_string(&new().uploaded_jwks(jwks.clone())),
                with("verification", uploaded.clone()),
            ),
            (
                serde_json::to_string(&new().transform("x", "1").transform("y", "2")),
                with("attribute_transformations", transformed.clone()),
            ),
            (serde_json::to_string(&update()), json!({})),
            (serde_json::to_string(&update().description(None)), json!({"description": null})),
            (
                serde_json::to_string(
                    &update().rename("n").description(Some("d")).issuer("i").audience("a"),
                ),
                json!({"name": "n", "description": "d", "issuer": "i", "audience": "a"}),
            ),
            (
                serde_json::to_string(
                    &update().enabled(true).discovery(Some("https://d")).transform("x", "1"),
                ),
                json!({
                    "enabled": true,
                    "verification": {"type": "discovery", "discovery_url": "https://d"},
                    "attribute_transformations": [{"attribute": "x", "expression": "1"}],
                }),
            ),
            (
                serde_json::to_string(&update().uploaded_jwks(jwks)),
                json!({"verification": uploaded}),
            ),
        ] {
            let sent: serde_json::Value = serde_json::from_str(&sent.unwrap()).unwrap();
            assert_eq!(sent, expected);
        }
    }
}
