//! Certificates, external keys and storage, and workload identity.

use keyward_admin::{
    AwsBucket, AwsKey, AzureContainer, AzureKey, CertificateId, Decimal, Error, ExternalKeyPurpose,
    FederationRuleUpdate, GcpBucket, GcpKey, JwkSet, NewCertificate, NewExternalKey,
    NewExternalStorage, NewFederationRule, NewWorkloadIdentityProvider, OciBucket, OciKey, Scope,
    Scopes, WorkloadIdentityProviderUpdate,
};

use super::{Call, calls};

pub(super) fn calls() -> Vec<Call> {
    let mut calls = certificates();
    calls.extend(external());
    calls.extend(workload_identity());
    calls
}

fn ids() -> [CertificateId; 2] {
    ["cert_1".into(), "cert_2".into()]
}

fn certificate() -> Result<NewCertificate, Error> {
    NewCertificate::new("edge", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")
}

fn certificates() -> Vec<Call> {
    calls! { c;
        pages "GET" "/organization/certificates" {
            "all" => c.certificates().list();
        }
        one "POST" "/organization/certificates" {
            "it" => c.certificates().upload(certificate()?);
        }
        one "POST" "/organization/certificates/activate" {
            "it" => c.certificates().activate(&ids());
        }
        one "POST" "/organization/certificates/deactivate" {
            "it" => c.certificates().deactivate(&ids());
        }
        one "GET" "/organization/certificates/{certificate_id}" {
            "with its content" => c.certificate("cert_1").get_with_content();
            "it" => c.certificate("cert_1").get();
        }
        one "POST" "/organization/certificates/{certificate_id}" {
            "it" => c.certificate("cert_1").rename("border");
        }
        one "DELETE" "/organization/certificates/{certificate_id}" {
            "it" => c.certificate("cert_1").delete();
        }
        pages "GET" "/organization/projects/{project_id}/certificates" {
            "all" => c.project("proj_1").certificates().list();
        }
        one "POST" "/organization/projects/{project_id}/certificates/activate" {
            "it" => c.project("proj_1").certificates().activate(&ids());
        }
        one "POST" "/organization/projects/{project_id}/certificates/deactivate" {
            "it" => c.project("proj_1").certificates().deactivate(&ids());
        }
    }
}

fn text(text: &str) -> String {
    text.to_owned()
}

/// A key in each cloud, with or without a version.
fn external_keys(version: Option<&str>) -> [NewExternalKey; 4] {
    let version = version.map(text);
    let aws = AwsKey {
        kms_arn: text("arn:aws:kms:us-east-1:111122223333:key/one"),
        role_arn: text("arn:aws:iam::111122223333:role/one"),
        external_id: text("one"),
    };
    let azure = AzureKey {
        tenant_id: text("tenant"),
        vault_uri: text("https://vault.example.com"),
        key_name: text("one"),
        key_version: version.clone(),
    };
    let gcp = GcpKey {
        kms_project_id: text("project"),
        kms_key_location: text("global"),
        kms_key_ring_name: text("ring"),
        kms_key_name: text("one"),
        kms_key_version: version.clone(),
        audience: text("audience"),
        workload_identity_project_number: text("1"),
        workload_identity_pool_id: text("pool"),
        workload_identity_provider_id: text("provider"),
    };
    let oci = OciKey {
        region: text("eu-frankfurt-1"),
        vault_ocid: text("ocid1.vault"),
        key_ocid: text("ocid1.key"),
        key_version_ocid: version,
    };
    [
        NewExternalKey::aws("one", aws),
        NewExternalKey::azure("two", azure),
        NewExternalKey::gcp("three", gcp),
        NewExternalKey::oci("four", oci),
    ]
}

/// A bucket in each cloud.
fn buckets() -> [NewExternalStorage; 4] {
    let aws =
        AwsBucket { bucket: text("bucket"), role_arn: text("arn:aws:iam::111122223333:role/one") };
    let azure = AzureContainer {
        tenant_id: text("tenant"),
        subscription_id: text("subscription"),
        resource_group: text("resources"),
        account_name: text("account"),
        container: text("container"),
    };
    let gcp = GcpBucket {
        bucket: text("bucket"),
        workload_identity_project_number: text("1"),
        workload_identity_pool_id: text("pool"),
        workload_identity_provider_id: text("provider"),
    };
    let oci = OciBucket {
        bucket: text("bucket"),
        region: text("eu-frankfurt-1"),
        tenancy_ocid: text("ocid1.tenancy"),
    };
    [
        NewExternalStorage::aws("proj_1", aws),
        NewExternalStorage::azure("proj_1", azure),
        NewExternalStorage::gcp("proj_1", gcp),
        NewExternalStorage::oci("proj_1", oci),
    ]
}

fn external() -> Vec<Call> {
    calls! { c;
        pages "GET" "/organization/external_keys" {
            "all" => c.external_keys().list();
            "ekm" => c.external_keys().list_by_purpose(&ExternalKeyPurpose::Ekm);
            "psp" => c.external_keys().list_by_purpose(&ExternalKeyPurpose::PspDecryption);
        }
        one "POST" "/organization/external_keys" {
            "least" => c.external_keys().create(external_keys(None)[0].clone());
            "every cloud" => async {
                for version in [None, Some("7")] {
                    for key in external_keys(version) {
                        c.external_keys().create(key.clone()).await?;
                        let purpose = ExternalKeyPurpose::PspDecryption;
                        c.external_keys().create(key.clone().purpose(purpose)).await?;
                        c.external_keys().create(key.purpose(ExternalKeyPurpose::Ekm)).await?;
                    }
                }
                Ok::<_, Error>(())
            };
        }
        one "GET" "/organization/external_keys/{external_key_id}" {
            "it" => c.external_key("extkey_1").get();
        }
        one "DELETE" "/organization/external_keys/{external_key_id}" {
            "it" => c.external_key("extkey_1").delete();
        }
        one "POST" "/organization/external_keys/{external_key_id}/validate" {
            "it" => c.external_key("extkey_1").validate();
        }
        pages "GET" "/organization/external_storage" {
            "all" => c.external_storage().list();
            "of a project" => c.external_storage().list_of_project("proj_1");
        }
        one "POST" "/organization/external_storage" {
            "least" => c.external_storage().create(&buckets()[0]);
            "every cloud" => async {
                for bucket in buckets() {
                    c.external_storage().create(&bucket).await?;
                }
                Ok::<_, Error>(())
            };
        }
        one "GET" "/organization/external_storage/{external_storage_id}" {
            "it" => c.external_storage_by_id("es_1").get();
        }
        one "DELETE" "/organization/external_storage/{external_storage_id}" {
            "it" => c.external_storage_by_id("es_1").delete();
        }
        one "POST" "/organization/external_storage/{external_storage_id}/validate" {
            "it" => c.external_storage_by_id("es_1").validate();
        }
    }
}

const JWKS: &str = r#"{"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "1"}]}"#;

fn oidc() -> NewWorkloadIdentityProvider {
    let audience = "https://api.openai.com/v1";
    NewWorkloadIdentityProvider::oidc("ci", "https://token.example.com", audience)
}

fn rule() -> NewFederationRule {
    NewFederationRule::new("proj_1", "sa_1", "sub", "repo:example/one")
}

fn workload_identity() -> Vec<Call> {
    calls! { c;
        pages "GET" "/organization/workload_identity_providers" {
            "all" => c.workload_identity_providers().list();
        }
        one "POST" "/organization/workload_identity_providers" {
            "least" => c.workload_identity_providers().create(oidc());
            "discovery" => c.workload_identity_providers().create(oidc().discovery(None));
            "discovery there" => c.workload_identity_providers().create(
                oidc().discovery(Some("https://token.example.com/openid")),
            );
            "most" => c.workload_identity_providers().create(
                oidc()
                    .description("Builds.")
                    .enabled(false)
                    .uploaded_jwks(JwkSet::parse(JWKS)?)
                    .transform("repo", "claims.repository")
                    .transform("ref", "claims.ref"),
            );
        }
        one "GET" "/organization/workload_identity_providers/{workload_identity_provider_id}" {
            "it" => c.workload_identity_provider("idp_1").get();
        }
        one "POST" "/organization/workload_identity_providers/{workload_identity_provider_id}" {
            "least" => c.workload_identity_provider("idp_1").update(
                WorkloadIdentityProviderUpdate::new(),
            );
            "taken away" => c.workload_identity_provider("idp_1").update(
                WorkloadIdentityProviderUpdate::new().description(None).discovery(None),
            );
            "keys" => c.workload_identity_provider("idp_1").update(
                WorkloadIdentityProviderUpdate::new().uploaded_jwks(JwkSet::parse(JWKS)?),
            );
            "most" => c.workload_identity_provider("idp_1").update(
                WorkloadIdentityProviderUpdate::new()
                    .rename("builds")
                    .description(Some("Builds."))
                    .issuer("https://token.example.com")
                    .audience("https://api.openai.com/v1")
                    .enabled(true)
                    .discovery(Some("https://token.example.com/openid"))
                    .transform("repo", "claims.repository"),
            );
        }
        one "DELETE" "/organization/workload_identity_providers/{workload_identity_provider_id}" {
            "it" => c.workload_identity_provider("idp_1").delete();
        }
        pages "GET" "/organization/workload_identity_providers/{workload_identity_provider_id}/federation_rules" {
            "all" => c.workload_identity_provider("idp_1").federation_rules().list();
            "of an account" => c
                .workload_identity_provider("idp_1")
                .federation_rules()
                .list_of_service_account("sa_1");
        }
        one "POST" "/organization/workload_identity_providers/{workload_identity_provider_id}/federation_rules" {
            "least" => c.workload_identity_provider("idp_1").federation_rules().create(&rule());
            "all permissions" => c.workload_identity_provider("idp_1").federation_rules().create(
                &rule().permissions(&Scopes::All),
            );
            "most" => c.workload_identity_provider("idp_1").federation_rules().create(
                &rule()
                    .and("admin", false)
                    .and("run", "1.5".parse::<Decimal>().expect("a number"))
                    .name("one")
                    .description("One.")
                    .enabled(true)
                    .permissions(&Scopes::only(Scope::RESPONSES_WRITE)),
            );
        }
        one "GET" "/organization/workload_identity_providers/{workload_identity_provider_id}/federation_rules/{workload_identity_federation_rule_id}" {
            "it" => c.workload_identity_provider("idp_1").federation_rule("rule_1").get();
        }
        one "POST" "/organization/workload_identity_providers/{workload_identity_provider_id}/federation_rules/{workload_identity_federation_rule_id}" {
            "least" => c.workload_identity_provider("idp_1").federation_rule("rule_1").update(
                FederationRuleUpdate::new(),
            );
            "taken away" => c.workload_identity_provider("idp_1").federation_rule("rule_1").update(
                FederationRuleUpdate::new()
                    .name(None)
                    .description(None)
                    .permissions(&Scopes::All),
            );
            "most" => c.workload_identity_provider("idp_1").federation_rule("rule_1").update(
                FederationRuleUpdate::new()
                    .matching("sub", "repo:example/two")
                    .matching("admin", true)
                    .name(Some("two"))
                    .description(Some("Two."))
                    .enabled(false)
                    .permissions(&Scopes::read_only()),
            );
        }
        one "DELETE" "/organization/workload_identity_providers/{workload_identity_provider_id}/federation_rules/{workload_identity_federation_rule_id}" {
            "it" => c.workload_identity_provider("idp_1").federation_rule("rule_1").delete();
        }
    }
}
