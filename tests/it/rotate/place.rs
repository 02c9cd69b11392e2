//! [`Place`]: where the key is kept while its rotator is killed, one function for each kind of store.

use std::path::Path;
use std::sync::Arc;

use keyward::reference::References;
use keyward::store::DynKeyStore;

use super::gate::Gate;

/// A store, as the services see it and as the program is told of it.
pub(crate) struct Place {
    /// What the services read.
    pub(crate) store: DynKeyStore,
    /// What stands in the slot's file.
    pub(crate) reference: String,
    /// What the program needs to reach it.
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(&'static str, String)>,
}

impl Place {
    fn by_reference(references: &References, reference: String) -> Self {
        let store = references.store(&reference).expect("a store");
        Self { store, reference, arguments: Vec::new(), environment: Vec::new() }
    }
}

/// The kinds of places.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    File,
    /// The same, with the journal in a directory of its own.
    FileAndJournal,
    #[cfg(feature = "clouds")]
    SecretsManager,
    #[cfg(feature = "sealed")]
    Sealed,
    #[cfg(feature = "clouds")]
    Vault,
}

impl Kind {
    /// Whether the store is files on this machine.
    pub(crate) fn is_file(self) -> bool {
        match self {
            Self::File | Self::FileAndJournal => true,
            #[cfg(feature = "sealed")]
            Self::Sealed => true,
            #[cfg(feature = "clouds")]
            Self::SecretsManager | Self::Vault => false,
        }
    }

    /// Makes one that is empty. Nothing of it lies outside the directory, or on the server.
    #[cfg_attr(not(feature = "clouds"), expect(unused_variables, reason = "for servers alone"))]
    pub(crate) async fn make(self, directory: &Path, gate: &Arc<Gate>) -> Place {
        let key = directory.join("key");
        match self {
            Self::File => {
                Place::by_reference(&References::new(), format!("file:{}", key.display()))
            }
            Self::FileAndJournal => {
                let mut place =
                    Place::by_reference(&References::new(), format!("file:{}", key.display()));
                place.arguments = ["--journal", "journal"].map(str::to_owned).to_vec();
                place
            }
            #[cfg(feature = "sealed")]
            Self::Sealed => {
                let identity = directory.join("identity.txt");
                keyward::store::Unlock::create_identity_file(&identity).await.expect("an identity");
                let (key, identity) = (key.display(), identity.display());
                let reference = format!("sealed:{key}#identity-file={identity}");
                Place::by_reference(&References::new(), reference)
            }
            #[cfg(feature = "clouds")]
            Self::SecretsManager => clouds::secrets_manager(gate).await,
            #[cfg(feature = "clouds")]
            Self::Vault => clouds::vault(gate).await,
        }
    }
}

#[cfg(feature = "clouds")]
mod clouds {
    use std::sync::Arc;

    use aws_config::{BehaviorVersion, Region, SdkConfig};
    use aws_credential_types::Credentials;
    use aws_credential_types::provider::SharedCredentialsProvider;
    use keyward::reference::References;
    use keyward::{EnvLoader, Environment};
    use keyward_kms::Schemes;
    use keyward_kms::aws::Aws;
    use keyward_kms::vault::{Vault, VaultAuth};
    use keyward_testkit::keys::KeyRng;

    use super::{Gate, Place};
    use crate::rotate::gate;
    use crate::servers::Server;

    fn new_name() -> String {
        format!("kill-{}", KeyRng::from_entropy().alphanumeric(12).to_lowercase())
    }

    pub(super) async fn secrets_manager(gate: &Arc<Gate>) -> Place {
        let url =
            Server::find("moto").expect("it was found before").get("KEYWARD_MOTO_URL").to_owned();
        let credentials = Credentials::builder()
            .access_key_id("test")
            .secret_access_key("test")
            .provider_name("test")
            .build();
        let settings = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .endpoint_url(&url)
            .build();
        let references = Schemes::new().with_aws(&Aws::new(settings)).register(References::new());
        let mut place = Place::by_reference(&references, format!("aws-sm:{}", new_name()));
        place.environment = vec![
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("AWS_ENDPOINT_URL", gate::open(gate, &url).await),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
        ];
        place
    }

    pub(super) async fn vault(gate: &Arc<Gate>) -> Place {
        let server = Server::find("openbao").expect("it was found before");
        let (url, token) = (server.get("KEYWARD_OPENBAO_URL"), server.get("KEYWARD_OPENBAO_TOKEN"));
        let loader =
            EnvLoader::new("TOKEN").with_environment(Environment::fixed([("TOKEN", token)]));
        let vault = Vault::builder(url, VaultAuth::token(loader)).allow_loopback().build();
        let schemes = Schemes::new().with_vault(&vault.expect("a connection"));
        let references = schemes.register(References::new());
        let mut place = Place::by_reference(&references, format!("vault:secret/{}", new_name()));
        place.arguments = vec!["--vault".to_owned(), gate::open(gate, url).await];
        place.environment = vec![("VAULT_TOKEN", token.to_owned())];
        place
    }
}
