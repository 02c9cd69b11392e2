//! The part that looks at a real organization and changes nothing.

use keyward::{EnvLoader, KeyLoader as _, KeyPolicy};
use keyward_admin::Client;

use crate::steps::Steps;
use crate::{Outcome, now, posture};

pub(crate) async fn look() -> Outcome<()> {
    let mut steps = Steps::begin("The real organization. Nothing is changed.");
    let loaded = EnvLoader::new("OPENAI_ADMIN_KEY").load().await?;
    let admin_key = loaded.admit(&KeyPolicy::admin(), now())?.into_admin_key()?;
    steps.done("Admin key loaded", format!("{} from {}", admin_key.fingerprint(), loaded.source));

    let client = Client::new(admin_key)?;
    let users = client.users().list().all().await?;
    steps.done("Users listed", users.len());
    let admin_keys = client.admin_keys().list().all().await?;
    let endless = admin_keys.iter().filter(|key| key.expires_at.is_none()).count();
    steps.done("Admin keys listed", format!("{}, {endless} never expire", admin_keys.len()));
    let mut accounts = 0;
    for project in client.projects().list().all().await? {
        accounts += client.project(project.id).service_accounts().list().all().await?.len();
    }
    steps.done("Service accounts listed", accounts);
    posture(&client, &mut steps).await?;
    steps.end("Nothing was changed.");
    Ok(())
}
