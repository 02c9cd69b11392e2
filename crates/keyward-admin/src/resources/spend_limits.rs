//! Hard spend limits, of the organization and of a project.

use serde::{Deserialize, Serialize};

use super::Account;
use crate::transport::Call;
use crate::wire::{lenient, lenient_struct, open_enum};
use crate::{Cents, Client, Error, SpendInterval, decode, operations};

/// How much can be spent.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct SpendLimit {
    /// The most that can be spent.
    #[serde(default, deserialize_with = "lenient")]
    pub threshold_amount: Option<Cents>,
    /// Of which currency, such as `USD`.
    #[serde(default, deserialize_with = "lenient")]
    pub currency: Option<String>,
    /// In how long a time.
    #[serde(default, deserialize_with = "lenient")]
    pub interval: Option<SpendInterval>,
    /// Whether it holds spending up now.
    #[serde(default, deserialize_with = "lenient")]
    pub enforcement: Option<SpendEnforcement>,
}

/// Whether a limit holds spending up.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct SpendEnforcement {
    /// Whether it does.
    #[serde(default, deserialize_with = "lenient")]
    pub status: Option<SpendEnforcementStatus>,
}

lenient_struct!(SpendEnforcement);

open_enum! {
    /// Whether a limit holds spending up.
    pub enum SpendEnforcementStatus {
        /// It does: calls are refused.
        Enforcing = "enforcing",
        /// It does not.
        Inactive = "inactive",
    }
}

#[derive(Serialize)]
struct Update {
    threshold_amount: Cents,
    currency: &'static str,
    interval: SpendInterval,
}

/// The spend limit of the organization or of a project. It comes from [`Client::spend_limit`] and
/// [`ProjectHandle::spend_limit`](crate::ProjectHandle::spend_limit).
///
/// It is not instantaneous: some more may be spent before it holds.
///
/// ```
/// # async fn example(client: &keyward_admin::Client) -> Result<(), keyward_admin::Error> {
/// use keyward_admin::{Cents, SpendEnforcementStatus};
///
/// let limit = client.project("proj_abc").spend_limit();
/// let set = limit.update(Cents::of_dollars(1_000)).await?;
/// let status = set.enforcement.and_then(|enforcement| enforcement.status);
/// if status == Some(SpendEnforcementStatus::Enforcing) {
///     println!("this month's money is gone");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SpendLimitHandle {
    client: Client,
    account: Account,
}

impl SpendLimitHandle {
    pub(crate) fn new(client: Client, account: Account) -> Self {
        Self { client, account }
    }

    /// Describes it.
    ///
    /// OpenAI's reference:
    /// [of the organization](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/spend_limit/methods/retrieve),
    /// [of a project](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/spend_limit/methods/retrieve)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none.
    pub async fn get(&self) -> Result<SpendLimit, Error> {
        let call =
            self.account.call(operations::SPEND_LIMIT_GET, operations::PROJECT_SPEND_LIMIT_GET);
        self.call(call).await
    }

    /// Sets it to so many US dollars a month, at least one cent, whether there was one or not.
    ///
    /// OpenAI's reference:
    /// [of the organization](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/spend_limit/methods/update),
    /// [of a project](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/spend_limit/methods/update)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) for an amount that the
    /// server does not take.
    pub async fn update(&self, threshold: Cents) -> Result<SpendLimit, Error> {
        let update =
            Update { threshold_amount: threshold, currency: "USD", interval: SpendInterval::Month };
        let call = self
            .account
            .call(operations::SPEND_LIMIT_UPDATE, operations::PROJECT_SPEND_LIMIT_UPDATE)
            .json(&update);
        self.call(call).await
    }

    /// Deletes it: nothing holds spending up then.
    ///
    /// OpenAI's reference:
    /// [of the organization](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/spend_limit/methods/delete),
    /// [of a project](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/spend_limit/methods/delete)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none.
    pub async fn delete(&self) -> Result<(), Error> {
        let call = self
            .account
            .call(operations::SPEND_LIMIT_DELETE, operations::PROJECT_SPEND_LIMIT_DELETE);
        decode::done(&call, &self.client.transport().send(&call).await?)
    }

    async fn call(&self, call: Call) -> Result<SpendLimit, Error> {
        decode::answer(&call, &self.client.transport().send(&call).await?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{SpendEnforcementStatus, SpendLimit, Update};
    use crate::resources::shapes;
    use crate::{Cents, SpendInterval};

    #[test]
    fn a_limit_is_read_whatever_it_has() {
        let full = json!({
            "object": "organization.spend_limit", "threshold_amount": 9_901, "currency": "USD",
            "interval": "a fortnight", "enforcement": {"status": "asleep"},
        });
        shapes::check::<SpendLimit>(&[], &full);
        for (word, status) in [
            ("enforcing", SpendEnforcementStatus::Enforcing),
            ("inactive", SpendEnforcementStatus::Inactive),
            ("asleep", SpendEnforcementStatus::Other("asleep".into())),
        ] {
            let json = json!({"interval": "month", "enforcement": {"status": word}});
            let limit: SpendLimit = serde_json::from_value(json).unwrap();
            assert_eq!(limit.interval, Some(SpendInterval::Month));
            assert_eq!(limit.enforcement.and_then(|e| e.status), Some(status));
        }
    }

    #[test]
    fn a_limit_is_asked_for_in_cents() {
        let update = Update {
            threshold_amount: Cents::of_dollars(3),
            currency: "USD",
            interval: SpendInterval::Month,
        };
        let expected = json!({"threshold_amount": 300, "currency": "USD", "interval": "month"});
        assert_eq!(serde_json::to_value(update).unwrap(), expected);
    }
}
