//! Federation rules: which tokens of a workload identity provider are good for which service
//! account.

use std::collections::BTreeMap;

use keyward_core::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::PAGE;
use crate::page::Listed;
use crate::transport::Call;
use crate::wire::{Lenient, lenient, lenient_struct, open_enum, required_id};
use crate::{
    Client, Decimal, Error, FederationRuleId, Pages, ProjectId, Scope, Scopes, ServiceAccountId,
    WorkloadIdentityProviderId, decode, operations,
};

/// Which tokens are good for which service account.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct FederationRule {
    /// The id.
    #[serde(deserialize_with = "required_id")]
    pub id: FederationRuleId,
    /// The provider that issues the tokens.
    #[serde(default, deserialize_with = "lenient")]
    pub workload_identity_provider_id: Option<WorkloadIdentityProviderId>,
    /// The name.
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
    /// What it is for.
    #[serde(default, deserialize_with = "lenient")]
    pub description: Option<String>,
    /// Whether it holds.
    #[serde(default, deserialize_with = "lenient")]
    pub enabled: Option<bool>,
    /// What the attributes of a token must be. One that is not as documented is not in it.
    #[serde(default, deserialize_with = "lenient")]
    pub attribute_matchers: Option<BTreeMap<String, AttributeValue>>,
    /// The project of the service account.
    #[serde(default, deserialize_with = "lenient")]
    pub project_id: Option<ProjectId>,
    /// The service account.
    #[serde(default, deserialize_with = "lenient")]
    pub service_account_id: Option<ServiceAccountId>,
    /// What may be done with such a token.
    #[serde(default, deserialize_with = "lenient")]
    pub permissions: Option<FederationPermissions>,
    /// When it was made.
    #[serde(default, deserialize_with = "lenient")]
    pub created_at: Option<Timestamp>,
    /// When it was last changed.
    #[serde(default, deserialize_with = "lenient")]
    pub updated_at: Option<Timestamp>,
}

impl Listed for FederationRule {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

/// What may be done with a token.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct FederationPermissions {
    /// All that the service account may do, or less.
    #[serde(default, rename = "type", deserialize_with = "lenient")]
    pub kind: Option<FederationPermissionsKind>,
    /// What may be done, if it is less.
    #[serde(default, deserialize_with = "lenient")]
    pub scopes: Option<Vec<Scope>>,
}

lenient_struct!(FederationPermissions);

open_enum! {
    /// How much of what a service account may do can be done with a token.
    pub enum FederationPermissionsKind {
        /// What is listed.
        Restricted = "restricted",
        /// All.
        ServiceAccountDefault = "service_account_default",
    }
}

/// What an attribute of a token must be.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AttributeValue {
    /// Yes or no.
    Boolean(bool),
    /// A number.
    Number(Decimal),
    /// A text.
    Text(String),
}

impl From<bool> for AttributeValue {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<Decimal> for AttributeValue {
    fn from(number: Decimal) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for AttributeValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for AttributeValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl Serialize for AttributeValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Boolean(value) => serializer.serialize_bool(*value),
            // Its digits as they are, not what a binary fraction makes of them.
            Self::Number(number) => RawValue::from_string(number.to_string())
                .map_err(serde::ser::Error::custom)?
                .serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl Lenient for AttributeValue {
    fn from_text(text: &str) -> Option<Self> {
        Some(Self::Text(text.to_owned()))
    }

    fn from_integer(number: i64) -> Option<Self> {
        Decimal::from_integer(number).map(Self::Number)
    }

    fn from_float(number: f64) -> Option<Self> {
        Decimal::from_float(number).map(Self::Number)
    }

    fn from_bool(value: bool) -> Option<Self> {
        Some(Self::Boolean(value))
    }
}

/// What a rule is to be.
#[derive(Clone, Debug, Serialize)]
#[must_use = "pass it to `create`"]
pub struct NewFederationRule {
    project_id: ProjectId,
    service_account_id: ServiceAccountId,
    attribute_matchers: BTreeMap<String, AttributeValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions: Option<Permissions>,
}

impl NewFederationRule {
    /// Tokens of which this attribute is this are good for this service account.
    ///
    /// There is no rule without an attribute: all that anybody can have issued would be good.
    pub fn new(
        project: impl Into<ProjectId>,
        service_account: impl Into<ServiceAccountId>,
        attribute: impl Into<String>,
        value: impl Into<AttributeValue>,
    ) -> Self {
        Self {
            project_id: project.into(),
            service_account_id: service_account.into(),
            attribute_matchers: BTreeMap::from([(attribute.into(), value.into())]),
            name: None,
            description: None,
            enabled: None,
            permissions: None,
        }
    }

    /// If this attribute too is this.
    pub fn and(mut self, attribute: impl Into<String>, value: impl Into<AttributeValue>) -> Self {
        self.attribute_matchers.insert(attribute.into(), value.into());
        self
    }

    /// Gives it a name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Says what it is for.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// Whether it holds from the start.
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = Some(enabled);
        self
    }

    /// What may be done with such a token, of what the service account may do.
    pub fn permissions(mut self, scopes: &Scopes) -> Self {
        self.permissions = Some(scopes.into());
        self
    }

    /// Whether a rule lets the same tokens be the same service account, under the same name.
    fn is_like(&self, rule: &FederationRule) -> bool {
        rule.project_id.as_ref() == Some(&self.project_id)
            && rule.service_account_id.as_ref() == Some(&self.service_account_id)
            && rule.attribute_matchers.as_ref() == Some(&self.attribute_matchers)
            && rule.name == self.name
    }
}

/// What to change of a rule. What is not said stays as it is.
#[derive(Clone, Debug, Default, Serialize)]
#[must_use = "pass it to `update`"]
pub struct FederationRuleUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    attribute_matchers: Option<BTreeMap<String, AttributeValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions: Option<Permissions>,
}

impl FederationRuleUpdate {
    /// No change yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks that this attribute be this, and others named so, and of none but them.
    pub fn matching(
        mut self,
        attribute: impl Into<String>,
        value: impl Into<AttributeValue>,
    ) -> Self {
        let matchers = self.attribute_matchers.get_or_insert_default();
        matchers.insert(attribute.into(), value.into());
        self
    }

    /// Gives it a name; nothing takes that away.
    pub fn name(mut self, name: Option<&str>) -> Self {
        self.name = Some(name.map(str::to_owned));
        self
    }

    /// Says what it is for; nothing takes that away.
    pub fn description(mut self, text: Option<&str>) -> Self {
        self.description = Some(text.map(str::to_owned));
        self
    }

    /// Whether it holds.
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = Some(enabled);
        self
    }

    /// What may be done with such a token, of what the service account may do.
    pub fn permissions(mut self, scopes: &Scopes) -> Self {
        self.permissions = Some(scopes.into());
        self
    }
}

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Permissions {
    Restricted { scopes: Vec<String> },
    ServiceAccountDefault,
}

impl From<&Scopes> for Permissions {
    fn from(scopes: &Scopes) -> Self {
        match scopes {
            Scopes::All => Self::ServiceAccountDefault,
            Scopes::Only(list) => {
                Self::Restricted { scopes: list.iter().map(ToString::to_string).collect() }
            }
        }
    }
}

/// The federation rules of a provider. It comes from
/// [`WorkloadIdentityProviderHandle::federation_rules`](crate::WorkloadIdentityProviderHandle::federation_rules).
///
/// ```
/// # async fn example(client: &keyward_admin::Client) -> Result<(), keyward_admin::Error> {
/// use keyward_admin::FederationRuleUpdate;
///
/// let provider = client.workload_identity_provider("idp_abc");
/// for rule in provider.federation_rules().list_of_service_account("svc_acct_abc").all().await? {
///     let off = FederationRuleUpdate::new().enabled(false);
///     provider.federation_rule(rule.id).update(off).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FederationRules {
    client: Client,
    provider: WorkloadIdentityProviderId,
}

impl FederationRules {
    pub(crate) fn new(client: Client, provider: WorkloadIdentityProviderId) -> Self {
        Self { client, provider }
    }

    /// Lists the provider's rules.
    ///
    /// In pages of 100; for the end and the errors see [`Pages`].
    ///
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/workload_identity_providers/subresources/federation_rules/methods/list)
    pub fn list(&self) -> Pages<FederationRule> {
        Pages::new(self.client.clone(), self.listing())
    }

    /// Lists those for this service account.
    ///
    /// In pages of 100; for the end and the errors see [`Pages`].
    ///
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/workload_identity_providers/subresources/federation_rules/methods/list)
    pub fn list_of_service_account(
        &self,
        account: impl Into<ServiceAccountId>,
    ) -> Pages<FederationRule> {
        let call = self.listing().query("service_account_id", account.into());
        Pages::new(self.client.clone(), call)
    }

    /// Makes one. It is sent once.
    ///
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/workload_identity_providers/subresources/federation_rules/methods/create)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown) when nobody knows whether
    /// it was made: see [`reconcile`](Self::reconcile).
    pub async fn create(&self, new: &NewFederationRule) -> Result<FederationRule, Error> {
        let call =
            Call::new(operations::FEDERATION_RULES_CREATE, [self.provider.as_str()]).json(new);
        let body = self.client.transport().send(&call).await?;
        decode::answer(&call, &body).map_err(Error::into_outcome_unknown)
    }

    /// The rules of this name that let the same tokens be the same service account: what a create
    /// call of unknown outcome has made, if anything.
    ///
    /// # Errors
    ///
    /// As of listing.
    pub async fn reconcile(&self, new: &NewFederationRule) -> Result<Vec<FederationRule>, Error> {
        let rules = self.list_of_service_account(&new.service_account_id).all().await?;
        Ok(rules.into_iter().filter(|rule| new.is_like(rule)).collect())
    }

    fn listing(&self) -> Call {
        Call::new(operations::FEDERATION_RULES_LIST, [self.provider.as_str()]).query("limit", PAGE)
    }
}

/// One federation rule. It comes from
/// [`WorkloadIdentityProviderHandle::federation_rule`](crate::WorkloadIdentityProviderHandle::federation_rule).
#[derive(Clone, Debug)]
pub struct FederationRuleHandle {
    client: Client,
    provider: WorkloadIdentityProviderId,
    id: FederationRuleId,
}

impl FederationRuleHandle {
    pub(crate) fn new(
        client: Client,
        provider: WorkloadIdentityProviderId,
        id: FederationRuleId,
    ) -> Self {
        Self { client, provider, id }
    }

    /// Describes it.
    ///
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/workload_identity_providers/subresources/federation_rules/methods/retrieve)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id.
    pub async fn get(&self) -> Result<FederationRule, Error> {
        self.call(Call::new(operations::FEDERATION_RULE_GET, self.path())).await
    }

    /// Changes it.
    ///
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/workload_identity_providers/subresources/federation_rules/methods/update)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) for a change that the
    /// server does not take, [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is
    /// none of this id.
    pub async fn update(&self, update: FederationRuleUpdate) -> Result<FederationRule, Error> {
        self.call(Call::new(operations::FEDERATION_RULE_UPDATE, self.path()).json(&update)).await
    }

    /// Deletes it.
    ///
    /// [OpenAI's reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/workload_identity_providers/subresources/federation_rules/methods/delete)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id.
    pub async fn delete(&self) -> Result<(), Error> {
        let call = Call::new(operations::FEDERATION_RULE_DELETE, self.path());
        decode::done(&call, &self.client.transport().send(&call).await?)
    }

    fn path(&self) -> [&str; 2] {
        [self.provider.as_str(), self.id.as_str()]
    }

    async fn call(&self, call: Call) -> Result<FederationRule, Error> {
        decode::answer(&call, &self.client.transport().send(&call).await?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resources::shapes;

    #[test]
    fn a_rule_is_read_whatever_it_has() {
        let full = json!({
            "object": "organization.workload_identity_federation_rule", "id": "rule-1",
            "workload_identity_provider_id": "idp-1", "name": "main", "description": "releases",
            "enabled": true, "project_id": "proj-1", "service_account_id": "svc-1",
            "attribute_matchers": {"repository": "a/b", "protected": true, "run": 71, "part": 0.1},
            "permissions": {"type": "whatever", "scopes": ["api.files.read"]},
            "created_at": 1_790_000_000, "updated_at": 1_790_000_007,
        });
        shapes::check::<FederationRule>(&["id"], &full);
        let rule: FederationRule = serde_json::from_value(full).unwrap();
        let expected = [
            ("part", AttributeValue::Number("0.1".parse().unwrap())),
            ("protected", true.into()),
            ("repository", "a/b".into()),
            ("run", Decimal::from(71).into()),
        ];
        let expected = expected.map(|(attribute, value)| (attribute.to_owned(), value));
        assert_eq!(rule.attribute_matchers, Some(BTreeMap::from(expected)));
    }

    #[test]
    fn a_rule_is_asked_for_as_documented() {
        let new = || NewFederationRule::new("p", "s", "repository", "a/b");
        let update = FederationRuleUpdate::new;
        let scopes = Scopes::only(Scope::FILES_READ);
        let restricted = json!({"type": "restricted", "scopes": ["api.files.read"]});
        let plain = json!({
            "project_id": "p", "service_account_id": "s",
            "attribute_matchers": {"repository": "a/b"},
        });
        let with = |field: &str, value| {
            let mut json = plain.clone();
            json[field] = value;
            json
        };
        let part: Decimal = "0.1".parse().unwrap();
        for (sent, expected) in [
            (serde_json::to_string(&new()), plain.clone()),
            (
                serde_json::to_string(&new().and("part", part).and("protected", true)),
                with(
                    "attribute_matchers",
                    json!({"repository": "a/b", "part": 0.1, "protected": true}),
                ),
            ),
            (serde_json::to_string(&new().name("n")), with("name", json!("n"))),
            (serde_json::to_string(&new().description("d")), with("description", json!("d"))),
            (serde_json::to_string(&new().enabled(false)), with("enabled", json!(false))),
            (
                serde_json::to_string(&new().permissions(&scopes)),
                with("permissions", restricted.clone()),
            ),
            (
                serde_json::to_string(&new().permissions(&Scopes::All)),
                with("permissions", json!({"type": "service_account_default"})),
            ),
            (serde_json::to_string(&update()), json!({})),
            (
                serde_json::to_string(&update().name(None).description(None)),
                json!({"name": null, "description": null}),
            ),
            (
                serde_json::to_string(
                    &update()
                        .name(Some("n"))
                        .description(Some("d"))
                        .enabled(true)
                        .matching("a", "b")
                        .permissions(&scopes),
                ),
                json!({
                    "name": "n", "description": "d", "enabled": true,
                    "attribute_matchers": {"a": "b"}, "permissions": restricted,
                }),
            ),
        ] {
            let sent: serde_json::Value = serde_json::from_str(&sent.unwrap()).unwrap();
            assert_eq!(sent, expected);
        }
    }

    #[test]
    fn reconciling_finds_the_like_of_it_alone() {
        let new = NewFederationRule::new("p", "s", "repository", "a/b").name("n");
        for (field, value, is_like) in [
            ("description", json!("other"), true),
            ("project_id", json!("other"), false),
            ("service_account_id", json!("other"), false),
            ("attribute_matchers", json!({"repository": "a/b", "ref": "main"}), false),
            ("attribute_matchers", json!({}), false),
            ("name", json!(null), false),
        ] {
            let mut json = serde_json::to_value(&new).unwrap();
            json["id"] = json!("rule-1");
            json[field] = value;
            let rule: FederationRule = serde_json::from_value(json.clone()).unwrap();
            assert_eq!(new.is_like(&rule), is_like, "{json}");
        }
    }
}
