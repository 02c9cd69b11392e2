//! What the organization has in clouds: encryption keys, storage, and issuers of tokens.

use keyward_admin::{
    AwsBucket, AwsKey, FederationRuleUpdate, NewExternalKey, NewExternalStorage, NewFederationRule,
    NewServiceAccount, NewWorkloadIdentityProvider, ProjectHandle, ProjectId,
    WorkloadIdentityProviderUpdate,
};

use crate::{NONE, Tour};

pub(crate) async fn tour(tour: &mut Tour, id: &ProjectId, project: &ProjectHandle) {
    external_keys(tour).await;
    external_storage(tour, id).await;
    workload_identity(tour, id, project).await;
}

async fn external_keys(tour: &mut Tour) {
    const ALL: &str = "/organization/external_keys";
    const ONE: &str = "/organization/external_keys/{external_key_id}";
    const VALIDATE: &str = "/organization/external_keys/{external_key_id}/validate";

    let keys = tour.client.external_keys();
    let key = AwsKey {
        kms_arn: "arn:aws:kms:us-east-1:111122223333:key/keyward-tour".to_owned(),
        role_arn: "arn:aws:iam::111122223333:role/keyward-tour".to_owned(),
        external_id: "keyward-tour".to_owned(),
    };
    let made = tour.write("POST", ALL, keys.create(NewExternalKey::aws("keyward-tour", key))).await;
    let listed = tour.read(ALL, keys.list().first_page()).await;
    let any = listed.and_then(|page| Some(page.items.into_iter().next()?.ok()?.id));
    let id = made.map(|key| key.id).or(any).unwrap_or_else(|| NONE.into());
    let key = tour.client.external_key(id);
    tour.read(ONE, key.get()).await;
    tour.write("POST", VALIDATE, key.validate()).await;
    tour.write("DELETE", ONE, key.delete()).await;
}

async fn external_storage(tour: &mut Tour, project: &ProjectId) {
    const ALL: &str = "/organization/external_storage";
    const ONE: &str = "/organization/external_storage/{external_storage_id}";
    const VALIDATE: &str = "/organization/external_storage/{external_storage_id}/validate";

    let storage = tour.client.external_storage();
    let bucket = AwsBucket {
        bucket: "keyward-tour".to_owned(),
        role_arn: "arn:aws:iam::111122223333:role/keyward-tour".to_owned(),
    };
    let new = NewExternalStorage::aws(project, bucket);
    let made = tour.write("POST", ALL, storage.create(&new)).await;
    let listed = tour.read(ALL, storage.list().first_page()).await;
    let any = listed.and_then(|page| Some(page.items.into_iter().next()?.ok()?.id));
    let id = made.map(|storage| storage.id).or(any).unwrap_or_else(|| NONE.into());
    let one = tour.client.external_storage_by_id(id);
    tour.read(ONE, one.get()).await;
    tour.write("POST", VALIDATE, one.validate()).await;
    tour.write("DELETE", ONE, one.delete()).await;
}

async fn workload_identity(tour: &mut Tour, id: &ProjectId, project: &ProjectHandle) {
    const ALL: &str = "/organization/workload_identity_providers";
    const ONE: &str = "/organization/workload_identity_providers/{workload_identity_provider_id}";
    const RULES: &str = "/organization/workload_identity_providers/{workload_identity_provider_id}/federation_rules";
    const RULE: &str = "/organization/workload_identity_providers/{workload_identity_provider_id}/federation_rules/{workload_identity_federation_rule_id}";

    let client = tour.client.clone();
    let providers = client.workload_identity_providers();
    let new = NewWorkloadIdentityProvider::oidc(
        "keyward-tour",
        "https://token.example.com",
        "https://api.openai.com/v1",
    );
    let made = tour.write("POST", ALL, providers.create(new)).await;
    let listed = tour.read(ALL, providers.list().first_page()).await;
    let any = listed.and_then(|page| Some(page.items.into_iter().next()?.ok()?.id));
    let provider_id = made.map(|p| p.id).or(any).unwrap_or_else(|| NONE.into());
    let provider = client.workload_identity_provider(provider_id);
    tour.read(ONE, provider.get()).await;
    let update = WorkloadIdentityProviderUpdate::new().rename("keyward-tour-2");
    tour.write("POST", ONE, provider.update(update)).await;

    let account = match tour.read_only {
        true => None,
        false => {
            let new = NewServiceAccount::without_key("keyward-tour-identity");
            project.service_accounts().create(new).await.ok().and_then(|made| made.id)
        }
    };
    let account = account.unwrap_or_else(|| NONE.into());
    let new = NewFederationRule::new(id, &account, "sub", "repo:example/tour");
    let made = tour.write("POST", RULES, provider.federation_rules().create(&new)).await;
    let listed = tour.read(RULES, provider.federation_rules().list().first_page()).await;
    let any = listed.and_then(|page| Some(page.items.into_iter().next()?.ok()?.id));
    let rule = provider.federation_rule(made.map(|r| r.id).or(any).unwrap_or_else(|| NONE.into()));
    tour.read(RULE, rule.get()).await;
    tour.write("POST", RULE, rule.update(FederationRuleUpdate::new().enabled(false))).await;
    tour.write("DELETE", RULE, rule.delete()).await;
    tour.write("DELETE", ONE, provider.delete()).await;
}
