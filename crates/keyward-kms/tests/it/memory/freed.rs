//! What a load from a cloud leaves in the blocks that are freed until all of it is dropped: the
//! loaded key, the connection, the runtime. What is keyward's own is wiped. The SDKs and the HTTP
//! stacks wipe nothing, and how much they leave is counted and held to.
//!
//! The parent is the clouds that there are fakes of, and puts the keys where they are loaded from.
//! The child holds none but those that it loads.

use std::path::{Path, PathBuf};

use keyward::reference::References;
use keyward::store::{KeyNote, KeyStore as _};
use keyward::{ApiKey, DynKeyLoader, KeyLoader as _};
use keyward_kms::pkcs11::{AesKey, Pin, Token};
use keyward_kms::vault::Transit;
use keyward_kms::{DirectLoader, Encrypt, EnvelopeLoader, Schemes, SealedKey};
use keyward_kms::{aws, google, seal_directly};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::search::Masked;
use super::watch::{self, left_by};
use super::{current_thread, needle_in_base64, random_seed};
use crate::aws::settings;
use crate::fixture::stores::NOW;
use crate::fixture::{server, unique};
use crate::seal::{Turning, context};
use crate::vault::openbao::Bao;
use crate::{azure, pkcs11};

/// What is loaded, and how many copies that leaves at the most, in the clear and in base64.
const MOST: &[(&str, usize, usize)] = &[
    ("a KMS that leaves nothing, directly", 0, 0),
    ("a KMS that leaves nothing, an envelope", 0, 0),
    ("AWS Secrets Manager, a field", 1, 0),
    ("AWS Secrets Manager, a store", 1, 0),
    ("AWS SSM", 1, 0),
    ("AWS KMS, directly", 0, 1),
    ("AWS KMS, an envelope", 0, 0),
    ("Azure Key Vault", 4, 0),
    ("Google Secret Manager, a field", 0, 1),
    ("Google Secret Manager, a store", 0, 1),
    ("Google KMS, directly", 0, 1),
    ("Google KMS, an envelope", 0, 0),
    ("PKCS#11, directly", 0, 0),
    ("PKCS#11, an envelope", 0, 0),
    ("Vault KV v2, a field", 1, 0),
    ("Vault KV v2, a store", 1, 0),
    ("Vault transit, directly", 0, 1),
    ("Vault transit, an envelope", 0, 0),
];

#[test]
fn what_a_load_from_a_cloud_leaves_in_freed_blocks_is_known() {
    let test =
        concat!(module_path!(), "::what_a_load_from_a_cloud_leaves_in_freed_blocks_is_known");
    let dir = tempfile::tempdir().unwrap();
    let mut serving = None;
    let is_alone = watch::is_alone(test, |child| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let told = runtime.block_on(prepare(dir.path()));
        child.env(TOLD, serde_json::to_string(&told).unwrap());
        child.envs(server("SOFTHSM2_CONF").map(|conf| ("SOFTHSM2_CONF", conf)));
        // The fakes answer until the child is done.
        serving = Some(runtime);
    });
    if is_alone {
        in_a_process_of_its_own();
    }
}

fn in_a_process_of_its_own() {
    let told: Told = serde_json::from_str(&told()).unwrap();
    watch::begin();
    let control = Masked::new();
    let [left] = left_by([&needle_in_base64(&control)], || {
        use base64ct::Encoding as _;
        drop(base64ct::Base64::encode_string(&control.to_bytes()));
    });
    println!("{left} a String, in base64");
    assert_eq!(left.copies, 1, "the allocator does not see base64");
    for load in &told.loads {
        let key = Masked::seeded(load.seed);
        let [clear, base64] = left_by([key.needle(), &needle_in_base64(&key)], || {
            let runtime = current_thread();
            let loaded = runtime.block_on(told.loader(&load.reference).load());
            let loaded = loaded.unwrap_or_else(|error| panic!("{}: {error}", load.name));
            assert!(loaded.key == ApiKey::parse(key.to_bytes()).unwrap(), "another key");
        });
        println!("{clear} {}", load.name);
        if base64.copies > 0 {
            println!("{base64} {}, in base64", load.name);
        }
        let (_, most, most_in_base64) = MOST.iter().find(|(name, ..)| *name == load.name).unwrap();
        assert!(clear.copies <= *most && base64.copies <= *most_in_base64, "{}", load.name);
    }
    watch::end();
}

/// What the parent tells the child.
#[derive(Deserialize, Serialize)]
struct Told {
    /// Address, certificate and token of the fake.
    azure: (String, String, String),
    /// URL and token of the fake.
    google: (String, String),
    loads: Vec<Load>,
}

/// One load: of the key of a seed.
#[derive(Deserialize, Serialize)]
struct Load {
    name: String,
    seed: u64,
    reference: String,
}

const TOLD: &str = "KEYWARD_TEST_TOLD";

impl Told {
    /// What a reference leads to, by a connection of its own.
    fn loader(&self, reference: &str) -> DynKeyLoader {
        if let Some(path) = reference.strip_prefix("turning:") {
            return DynKeyLoader::new(DirectLoader::from_file(path, Turning, context()));
        }
        if let Some(path) = reference.strip_prefix("turning-envelope:") {
            return DynKeyLoader::new(EnvelopeLoader::from_file(path, Turning, context()));
        }
        self.references(reference).loader(reference).unwrap()
    }

    /// With the connection that a reference needs, and no other.
    fn references(&self, reference: &str) -> References {
        let schemes = Schemes::new();
        let schemes = if reference.contains("aws-") {
            schemes.with_aws(&aws::Aws::new(settings(&server("KEYWARD_MOTO_URL").unwrap())))
        } else if reference.contains("azure-") {
            let (address, pem, token) = &self.azure;
            schemes.with_azure(&azure::fake::connect(address.parse().unwrap(), pem, token))
        } else if reference.contains("gcp-") {
            schemes.with_google(&self.google())
        } else if reference.contains("pkcs11") {
            let [module, pin] = ["KEYWARD_SOFTHSM_MODULE", "KEYWARD_SOFTHSM_PIN"].map(server);
            schemes.with_pkcs11(&Token::new(module.unwrap(), "keyward", Pin::from(pin.unwrap())))
        } else {
            schemes.with_vault(&Bao::find().unwrap().vault())
        };
        schemes.register(References::new())
    }

    fn google(&self) -> google::Google {
        crate::google::fake::connect(&self.google.0, &self.google.1)
    }

    /// Adds a load of a new key, which `put` puts where the reference leads to.
    async fn add(&mut self, name: &str, reference: String, put: impl AsyncFnOnce(&Self, String)) {
        let seed = random_seed();
        put(self, String::from_utf8(Masked::seeded(seed).to_bytes()).unwrap()).await;
        self.loads.push(Load { name: name.to_owned(), seed, reference });
    }

    /// The same for a store.
    async fn add_store(&mut self, name: &str, reference: String) {
        let of_store = reference.clone();
        self.add(name, reference, async |told: &Self, key| {
            let store = told.references(&of_store).store(&of_store).unwrap();
            let version = store.stage(&issued(key), &KeyNote::new(), NOW).await.unwrap();
            store.promote(&version, NOW).await.unwrap();
        })
        .await;
    }

    /// The same for a key that a KMS seals into a file, directly and in an envelope.
    async fn add_sealed(
        &mut self,
        name: &str,
        references: [String; 2],
        at: &Path,
        kms: impl Encrypt,
    ) {
        let [directly, envelope] = references;
        self.add(&format!("{name}, directly"), directly, async |_: &Self, key| {
            let sealed = seal_directly(&kms, &issued(key), &context()).await.unwrap();
            std::fs::write(at.with_extension("direct"), sealed).unwrap();
        })
        .await;
        self.add(&format!("{name}, an envelope"), envelope, async |_: &Self, key| {
            let sealed = SealedKey::seal(&kms, &issued(key), &context()).await.unwrap();
            std::fs::write(at.with_extension("envelope"), sealed.as_bytes()).unwrap();
        })
        .await;
    }
}

fn issued(key: String) -> ApiKey {
    ApiKey::issued(key).unwrap()
}

/// Puts a key into each place that there is.
async fn prepare(dir: &Path) -> Told {
    let (azure, google) =
        (azure::fake::Fake::start().await, crate::google::fake::Fake::start().await);
    let mut told = Told {
        azure: (azure.address().to_string(), azure.pem.clone(), azure.token.clone()),
        google: (google.url(), google.token.clone()),
        loads: Vec::new(),
    };
    // By the schemes of the KMS itself and of envelopes.
    let sealed = |file: &str, scheme: &str, key: &str| {
        let (path, of) = (dir.join(file), "name=billing/openai&project=proj_abc");
        let path = path.display();
        [
            format!("{scheme}:{path}.direct#key={key}&{of}"),
            format!("envelope:{path}.envelope#{scheme}={key}&{of}"),
        ]
    };
    // The field's name puts the key where a group of three bytes begins.
    let field = |key: &str| json!({ "api-key": key }).to_string();

    let at = dir.join("turning");
    let turning = [("turning", "direct"), ("turning-envelope", "envelope")]
        .map(|(scheme, end)| format!("{scheme}:{}", at.with_extension(end).display()));
    told.add_sealed("a KMS that leaves nothing", turning, &at, Turning).await;

    if let Some(moto) = server("KEYWARD_MOTO_URL") {
        let (settings, name) = (settings(&moto), unique("freed"));
        let put = async |_: &Told, key: String| {
            let client = aws_sdk_secretsmanager::Client::new(&settings);
            client.create_secret().name(&name).secret_string(field(&key)).send().await.unwrap();
        };
        told.add("AWS Secrets Manager, a field", format!("aws-sm:{name}#api-key"), put).await;
        told.add_store("AWS Secrets Manager, a store", format!("aws-sm:{}", unique("store"))).await;
        let put = async |_: &Told, key: String| {
            let put = aws_sdk_ssm::Client::new(&settings).put_parameter().name(format!("/{name}"));
            let put = put.r#type(aws_sdk_ssm::types::ParameterType::SecureString).value(key);
            put.send().await.unwrap();
        };
        told.add("AWS SSM", format!("aws-ssm:/{name}"), put).await;
        let made = aws_sdk_kms::Client::new(&settings).create_key().send().await.unwrap();
        let id = made.key_metadata.unwrap().key_id;
        let kms = aws::Kms::new(&aws::Aws::new(settings.clone()), &id);
        told.add_sealed("AWS KMS", sealed("aws", "aws-kms", &id), &dir.join("aws"), kms).await;
    }

    let put = async |_: &Told, key: String| drop(azure.set("openai", &key));
    told.add("Azure Key Vault", "azure-kv:billing-prod/openai".to_owned(), put).await;

    let put = async |_: &Told, key: String| {
        google.add("p/field", field(&key));
    };
    told.add("Google Secret Manager, a field", "gcp-sm:p/field#api-key".to_owned(), put).await;
    told.add_store("Google Secret Manager, a store", "gcp-sm:p/store".to_owned()).await;
    google.make_key(crate::google::KEY);
    let kms = google::Kms::new(&told.google(), crate::google::KEY);
    let references = sealed("google", "gcp-kms", crate::google::KEY);
    told.add_sealed("Google KMS", references, &dir.join("google"), kms).await;

    let label = unique("freed");
    let [direct, envelope] = sealed("pkcs11", "pkcs11", &label);
    let seeds = [random_seed(), random_seed()];
    if seal_elsewhere(&label, seeds, &dir.join("pkcs11")) {
        let names = ["PKCS#11, directly", "PKCS#11, an envelope"].map(str::to_owned);
        let references = [direct, envelope];
        for ((name, seed), reference) in names.into_iter().zip(seeds).zip(references) {
            told.loads.push(Load { name, seed, reference });
        }
    }

    if let Some(bao) = Bao::find() {
        let name = unique("freed");
        let put = async |_: &Told, key: String| bao.write(&name, json!({ "api_key": key })).await;
        told.add("Vault KV v2, a field", format!("vault:secret/{name}#api_key"), put).await;
        told.add_store("Vault KV v2, a store", format!("vault:secret/{name}/store")).await;
        bao.operate("POST", &format!("transit/keys/{name}"), json!({})).await;
        let kms = Transit::new(&bao.vault(), "transit", &name);
        let references = sealed("vault", "vault-transit", &format!("transit/{name}"));
        told.add_sealed("Vault transit", references, &dir.join("vault"), kms).await;
    }
    told
}

/// Seals the keys of two seeds by a key of SoftHSM that is made for it: one directly, one in an
/// envelope. Whether there is a SoftHSM.
fn seal_elsewhere(label: &str, seeds: [u64; 2], at: &Path) -> bool {
    let told = serde_json::to_string(&(label, seeds, at)).unwrap();
    pkcs11::with_softhsm_and("memory::freed::seals_elsewhere", &[(TOLD, &told)])
}

#[test]
#[ignore = "run by another test, with SoftHSM's tokens"]
fn seals_elsewhere() {
    let (label, seeds, at): (String, [u64; 2], PathBuf) = serde_json::from_str(&told()).unwrap();
    let hsm = pkcs11::SoftHsm::told();
    hsm.make_key_called(&label, true);
    let aes = AesKey::new(&hsm.token(), label);
    let [direct, envelope] =
        seeds.map(|seed| ApiKey::issued(Masked::seeded(seed).to_bytes()).unwrap());
    let (direct, envelope) = current_thread().block_on(async {
        let direct = seal_directly(&aes, &direct, &context()).await.unwrap();
        (direct, SealedKey::seal(&aes, &envelope, &context()).await.unwrap())
    });
    std::fs::write(at.with_extension("direct"), direct).unwrap();
    std::fs::write(at.with_extension("envelope"), envelope.as_bytes()).unwrap();
}

/// What the parent told this process.
fn told() -> String {
    #[allow(clippy::disallowed_methods, reason = "what the parent told this process")]
    let told = std::env::var_os(TOLD).expect("this is run by another test");
    told.into_string().unwrap()
}
