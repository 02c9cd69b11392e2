//! Spend alerts, of the organization and of a project: who is told when a month gets dear.

use serde::{Deserialize, Serialize};

use super::{Account, PAGE};
use crate::operations::Operation;
use crate::page::Listed;
use crate::transport::Call;
use crate::wire::{lenient, lenient_struct, open_enum, required_id};
use crate::{Cents, Client, Error, Pages, SpendAlertId, decode, operations};

/// An alert: at how much, and to whom.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct SpendAlert {
    /// The id.
    #[serde(deserialize_with = "required_id")]
    pub id: SpendAlertId,
    /// At how much it is told.
    #[serde(default, deserialize_with = "lenient")]
    pub threshold_amount: Option<Cents>,
    /// Of which currency, such as `USD`.
    #[serde(default, deserialize_with = "lenient")]
    pub currency: Option<String>,
    /// In how long a time it must be spent.
    #[serde(default, deserialize_with = "lenient")]
    pub interval: Option<SpendInterval>,
    /// To whom it is told.
    #[serde(default, deserialize_with = "lenient")]
    pub notification_channel: Option<SpendAlertChannel>,
}

impl Listed for SpendAlert {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

/// To whom an alert is told.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct SpendAlertChannel {
    /// By what.
    #[serde(default, rename = "type", deserialize_with = "lenient")]
    pub kind: Option<SpendAlertChannelKind>,
    /// The addresses.
    #[serde(default, deserialize_with = "lenient")]
    pub recipients: Option<Vec<String>>,
    /// What the subject of the message begins with.
    #[serde(default, deserialize_with = "lenient")]
    pub subject_prefix: Option<String>,
}

lenient_struct!(SpendAlertChannel);

open_enum! {
    /// By what an alert is told.
    pub enum SpendAlertChannelKind {
        /// By mail.
        Email = "email",
    }
}

open_enum! {
    /// The time in which spending is counted.
    pub enum SpendInterval {
        /// A month.
        Month = "month",
    }
}

/// What an alert is to be: an amount of US dollars spent in a month, told by mail.
#[derive(Clone, Debug, Serialize)]
#[must_use = "pass it to `create` or `update`"]
pub struct NewSpendAlert {
    threshold_amount: Cents,
    currency: &'static str,
    interval: SpendInterval,
    notification_channel: NewChannel,
}

#[derive(Clone, Debug, Serialize)]
struct NewChannel {
    #[serde(rename = "type")]
    kind: SpendAlertChannelKind,
    recipients: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject_prefix: Option<String>,
}

impl NewSpendAlert {
    /// An alert at this amount to this address.
    pub fn new(threshold: Cents, recipient: impl Into<String>) -> Self {
        Self {
            threshold_amount: threshold,
            currency: "USD",
            interval: SpendInterval::Month,
            notification_channel: NewChannel {
                kind: SpendAlertChannelKind::Email,
                recipients: vec![recipient.into()],
                subject_prefix: None,
            },
        }
    }

    /// To this address too.
    pub fn and_to(mut self, recipient: impl Into<String>) -> Self {
        self.notification_channel.recipients.push(recipient.into());
        self
    }

    /// Lets the subject of the message begin with this.
    pub fn subject_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.notification_channel.subject_prefix = Some(prefix.into());
        self
    }

    /// Whether an alert is what this would make, in whatever order its addresses are.
    fn is_like(&self, alert: &SpendAlert) -> bool {
        let sorted = |recipients: &[String]| {
            let mut recipients = recipients.to_vec();
            recipients.sort();
            recipients
        };
        let new = &self.notification_channel;
        alert.threshold_amount == Some(self.threshold_amount)
            && alert.notification_channel.as_ref().is_some_and(|channel| {
                let recipients = channel.recipients.as_deref().unwrap_or_default();
                sorted(recipients) == sorted(&new.recipients)
                    && channel.subject_prefix == new.subject_prefix
            })
    }
}

/// The spend alerts of the organization or of a project. It comes from [`Client::spend_alerts`]
/// and [`ProjectHandle::spend_alerts`](crate::ProjectHandle::spend_alerts).
///
/// ```
/// # async fn example(client: &keyward_admin::Client) -> Result<(), keyward_admin::Error> {
/// use keyward_admin::{Cents, NewSpendAlert};
///
/// let alert = NewSpendAlert::new(Cents::of_dollars(500), "billing@example.com");
/// let made = client.spend_alerts().create(&alert).await?;
/// client.spend_alert(made.id).delete().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SpendAlerts {
    client: Client,
    account: Account,
}

impl SpendAlerts {
    pub(crate) fn new(client: Client, account: Account) -> Self {
        Self { client, account }
    }

    /// Lists the spend alerts.
    ///
    /// In pages of 100; for the end and the errors see [`Pages`].
    ///
    /// OpenAI's reference:
    /// [of the organization](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/spend_alerts/methods/list),
    /// [of a project](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/spend_alerts/methods/list)
    pub fn list(&self) -> Pages<SpendAlert> {
        let call = self
            .account
            .call(operations::SPEND_ALERTS_LIST, operations::PROJECT_SPEND_ALERTS_LIST)
            .query("limit", PAGE);
        Pages::new(self.client.clone(), call)
    }

    /// Makes one. It is sent once.
    ///
    /// OpenAI's reference:
    /// [of the organization](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/spend_alerts/methods/create),
    /// [of a project](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/spend_alerts/methods/create)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown) when nobody knows whether
    /// it was made: see [`reconcile`](Self::reconcile).
    pub async fn create(&self, new: &NewSpendAlert) -> Result<SpendAlert, Error> {
        let call = self
            .account
            .call(operations::SPEND_ALERTS_CREATE, operations::PROJECT_SPEND_ALERTS_CREATE)
            .json(new);
        let body = self.client.transport().send(&call).await?;
        decode::answer(&call, &body).map_err(Error::into_outcome_unknown)
    }

    /// The alerts of exactly this amount, addresses and subject: what a create call of unknown
    /// outcome has made, if anything. They have no names.
    ///
    /// # Errors
    ///
    /// As of listing.
    pub async fn reconcile(&self, new: &NewSpendAlert) -> Result<Vec<SpendAlert>, Error> {
        let alerts = self.list().all().await?;
        Ok(alerts.into_iter().filter(|alert| new.is_like(alert)).collect())
    }
}

/// One spend alert. It comes from [`Client::spend_alert`] and
/// [`ProjectHandle::spend_alert`](crate::ProjectHandle::spend_alert).
#[derive(Clone, Debug)]
pub struct SpendAlertHandle {
    client: Client,
    account: Account,
    id: SpendAlertId,
}

impl SpendAlertHandle {
    pub(crate) fn new(client: Client, account: Account, id: SpendAlertId) -> Self {
        Self { client, account, id }
    }

    /// Describes it.
    ///
    /// OpenAI's reference:
    /// [of the organization](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/spend_alerts/methods/retrieve),
    /// [of a project](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/spend_alerts/methods/retrieve)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id.
    pub async fn get(&self) -> Result<SpendAlert, Error> {
        let call = self.call(operations::SPEND_ALERT_GET, operations::PROJECT_SPEND_ALERT_GET);
        decode::answer(&call, &self.client.transport().send(&call).await?)
    }

    /// Makes it what is said, all of it.
    ///
    /// OpenAI's reference:
    /// [of the organization](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/spend_alerts/methods/update),
    /// [of a project](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/spend_alerts/methods/update)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest) for a change that the
    /// server does not take, [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is
    /// none of this id.
    pub async fn update(&self, new: &NewSpendAlert) -> Result<SpendAlert, Error> {
        let call = self
            .call(operations::SPEND_ALERT_UPDATE, operations::PROJECT_SPEND_ALERT_UPDATE)
            .json(new);
        decode::answer(&call, &self.client.transport().send(&call).await?)
    }

    /// Deletes it.
    ///
    /// OpenAI's reference:
    /// [of the organization](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/spend_alerts/methods/delete),
    /// [of a project](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/spend_alerts/methods/delete)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of this id.
    pub async fn delete(&self) -> Result<(), Error> {
        let call =
            self.call(operations::SPEND_ALERT_DELETE, operations::PROJECT_SPEND_ALERT_DELETE);
        decode::done(&call, &self.client.transport().send(&call).await?)
    }

    fn call(&self, organization: Operation, project: Operation) -> Call {
        self.account.call(organization, project).arg(self.id.as_str())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{NewSpendAlert, SpendAlert};
    use crate::Cents;
    use crate::resources::shapes;

    fn alert(threshold: u64, recipients: &[&str], prefix: Option<&str>) -> Value {
        json!({
            "object": "organization.spend_alert", "id": "alert-1", "threshold_amount": threshold,
            "currency": "USD", "interval": "a fortnight",
            "notification_channel": {
                "type": "pigeon", "recipients": recipients, "subject_prefix": prefix,
            },
        })
    }

    #[test]
    fn an_alert_is_read_whatever_it_has() {
        shapes::check::<SpendAlert>(&["id"], &alert(2_500, &["a@x", "b@x"], Some("dear")));
    }

    #[test]
    fn an_alert_is_asked_for_in_cents() {
        let new = NewSpendAlert::new(Cents::new(2_550), "a@x").and_to("b@x").subject_prefix("dear");
        let expected = json!({
            "threshold_amount": 2_550, "currency": "USD", "interval": "month",
            "notification_channel": {
                "type": "email", "recipients": ["a@x", "b@x"], "subject_prefix": "dear",
            },
        });
        assert_eq!(serde_json::to_value(new).unwrap(), expected);
        let plain = serde_json::to_value(NewSpendAlert::new(Cents::new(0), "a@x")).unwrap();
        assert_eq!(plain["notification_channel"], json!({"type": "email", "recipients": ["a@x"]}));
    }

    #[test]
    fn reconciling_finds_the_like_of_it_alone() {
        let new = NewSpendAlert::new(Cents::new(100), "a@x").and_to("b@x");
        for (json, is_like) in [
            (alert(100, &["a@x", "b@x"], None), true),
            (alert(100, &["b@x", "a@x"], None), true),
            (alert(101, &["a@x", "b@x"], None), false),
            (alert(100, &["a@x"], None), false),
            (alert(100, &["a@x", "b@x"], Some("dear")), false),
            (json!({"id": "alert-1"}), false),
        ] {
            let alert: SpendAlert = serde_json::from_value(json.clone()).unwrap();
            assert_eq!(new.is_like(&alert), is_like, "{json}");
        }
    }
}
