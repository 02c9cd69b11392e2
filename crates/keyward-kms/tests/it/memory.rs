//! What is left of a key in the process's memory: the writable memory is read and searched.
//!
//! The test itself never holds the key in one piece but where it says so, and a server gets it from
//! a process of its own.

use keyward::{ApiKey, KeyLoader as _};
use keyward_kms::{DirectLoader, EnvelopeLoader, SealContext, SealedKey, seal_directly};
use keyward_testkit::keys::KeyRng;

use self::search::Masked;
use crate::seal::Turning;

#[cfg(all(
    feature = "aws-ssm",
    feature = "azure",
    feature = "google",
    feature = "pkcs11",
    feature = "vault"
))]
mod freed;
#[path = "../../../../tests/memory/search.rs"]
mod search;
#[cfg(all(
    feature = "aws-ssm",
    feature = "azure",
    feature = "google",
    feature = "pkcs11",
    feature = "vault"
))]
#[path = "../../../../tests/memory/freed.rs"]
mod watch;

/// A piece of it in base64, which is how some clouds send it, masked.
#[cfg(any(feature = "azure", feature = "google"))]
fn needle_in_base64(masked: &Masked) -> Vec<u8> {
    use base64ct::{Base64, Encoding as _};
    use zeroize::Zeroizing;

    // From where a group of three bytes begins.
    let piece = Zeroizing::new(masked.bytes().skip(42).take(30).collect::<Vec<_>>());
    let mut encoded = Zeroizing::new(vec![0; 40]);
    assert_eq!(Base64::encode(&piece, &mut encoded).unwrap().len(), 40);
    encoded.iter().map(|byte| byte ^ search::MASK).collect()
}

fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn random_seed() -> u64 {
    let text = KeyRng::from_entropy().alphanumeric(10);
    text.bytes().fold(7, |seed, b| seed.wrapping_mul(131).wrapping_add(u64::from(b)))
}

#[test]
fn what_a_kms_sealed_leaves_nothing() {
    let masked = Masked::seeded(random_seed());
    let context = || SealContext::new("billing/openai", "proj_abc");
    let runtime = current_thread();
    let (envelope, direct) = {
        let key = ApiKey::parse(masked.to_bytes()).unwrap();
        assert!(masked.is_in_memory(), "the search is blind");
        let envelope = runtime.block_on(SealedKey::seal(&Turning, &key, &context())).unwrap();
        (envelope, runtime.block_on(seal_directly(&Turning, &key, &context())).unwrap())
    };
    assert!(!masked.is_in_memory(), "sealing left it behind");
    for _ in 0..2 {
        let loader = EnvelopeLoader::from_bytes(envelope.as_bytes(), Turning, context());
        let loaded = runtime.block_on(loader.load()).unwrap();
        assert!(masked.is_in_memory(), "the search is blind");
        drop(loaded);
        assert!(!masked.is_in_memory(), "an envelope left it behind");
        let loader = DirectLoader::from_bytes(direct.clone(), Turning, context());
        let loaded = runtime.block_on(loader.load()).unwrap();
        assert!(masked.is_in_memory(), "the search is blind");
        drop(loaded);
        assert!(!masked.is_in_memory(), "a directly sealed key left it behind");
    }
}

/// What the HTTP stacks and the SDKs leave is not ours to wipe: it is counted and told. What is
/// held to is that the search sees, and that it is no more than the crate's documentation tells.
#[cfg(all(feature = "aws-ssm", feature = "vault"))]
#[test]
fn what_clouds_leave_is_known() {
    use keyward::LoadedKey;
    use keyward_kms::aws::{ParameterLoader, SecretsManagerLoader};
    use keyward_kms::vault::KvLoader;

    let Some((moto, bao)) = clouds::find() else { return };
    let name = crate::fixture::unique("memory");
    for (cloud, most) in [("secrets-manager", 3), ("ssm", 3), ("vault", 2)] {
        let seed = random_seed();
        let masked = Masked::seeded(seed);
        clouds::write_elsewhere(cloud, &name, seed);
        assert!(!masked.is_in_memory(), "the search finds itself");
        let load = async || -> LoadedKey {
            match cloud {
                "secrets-manager" => {
                    SecretsManagerLoader::new(&clouds::aws(&moto), &name).load().await.unwrap()
                }
                "ssm" => {
                    let name = format!("/{name}");
                    ParameterLoader::new(&clouds::aws(&moto), name).load().await.unwrap()
                }
                _ => {
                    let loader = KvLoader::new(&bao.vault(), "secret", &name, "api_key");
                    loader.load().await.unwrap()
                }
            }
        };
        let runtime = current_thread();
        let loaded = runtime.block_on(load());
        let held = masked.copies();
        drop(loaded);
        let kept = masked.copies();
        drop(runtime);
        let left = masked.copies();
        println!("{cloud}: {held} while it is held, {kept} after, {left} without the runtime");
        assert!(held > 0, "the search is blind");
        assert!(kept < held, "keyward's own copy was not wiped");
        assert!(left <= most, "{cloud} leaves {left}, more than is told in the documentation");
    }
}

/// The same of clouds whose fakes run in a process of their own, with the key in its memory.
#[cfg(feature = "azure")]
#[test]
fn what_azure_leaves_is_known() {
    let left = fakes::measure("memory::fakes::serves_azure", async |line| {
        let [address, token, pem] = line.split(' ').collect::<Vec<_>>()[..] else { panic!() };
        let pem = pem.replace('_', "\n").replace('~', " ");
        let azure = crate::azure::fake::connect(address.parse().unwrap(), &pem, token);
        let loader = keyward_kms::azure::KeyVaultLoader::new(&azure, "billing-prod", "openai");
        loader.load().await.unwrap()
    });
    assert!(left.clear <= 4, "Azure leaves {left:?}, more than is told in the documentation");
}

#[cfg(feature = "google")]
#[test]
fn what_google_leaves_is_known() {
    let left = fakes::measure("memory::fakes::serves_google", async |line| {
        let (url, token) = line.split_once(' ').unwrap();
        let google = crate::google::fake::connect(url, token);
        let loader = keyward_kms::google::SecretManagerLoader::new(&google, "p/openai");
        loader.load().await.unwrap()
    });
    assert!(left.clear <= 2, "Google leaves {left:?}, more than is told in the documentation");
    assert!(left.in_base64 <= 3, "Google leaves {left:?}, more than is told");
}

#[cfg(any(feature = "azure", feature = "google"))]
mod fakes {
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::process::{Command, Stdio};

    use keyward::LoadedKey;

    use super::{Masked, current_thread, needle_in_base64, random_seed, search};
    use crate::fixture::stores::on_threads;

    /// How many copies there are.
    #[derive(Debug)]
    pub(super) struct Left {
        pub(super) clear: usize,
        #[cfg_attr(not(feature = "google"), allow(dead_code, reason = "Google's form alone"))]
        pub(super) in_base64: usize,
    }

    /// Loads a key from a fake that a test of this binary runs in another process, and drops it.
    pub(super) fn measure(serves: &str, load: impl AsyncFnOnce(&str) -> LoadedKey) -> Left {
        let seed = random_seed();
        let masked = Masked::seeded(seed);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", serves, "--ignored", "--nocapture"])
            .env("KEYWARD_TEST_WRITE", seed.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let at =
            |line: std::io::Result<String>| Some(line.unwrap().strip_prefix("at ")?.to_owned());
        let line = lines.find_map(at).unwrap();
        assert!(!masked.is_in_memory(), "the search finds itself");
        let runtime = current_thread();
        let loaded = runtime.block_on(load(&line));
        let held = masked.copies();
        drop(loaded);
        let kept = masked.copies();
        drop(runtime);
        let left = Left {
            clear: masked.copies(),
            in_base64: search::copies_of(&needle_in_base64(&masked)),
        };
        println!("{serves}: {held} while it is held, {kept} after, without the runtime {left:?}");
        // It ends when its input does.
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(held > 0, "the search is blind");
        assert!(kept < held, "keyward's own copy was not wiped");
        left
    }

    /// What the parent told this process to serve.
    fn told() -> Vec<u8> {
        #[allow(clippy::disallowed_methods, reason = "what the parent told this process")]
        let told = std::env::var_os("KEYWARD_TEST_WRITE").expect("this is run by another test");
        Masked::seeded(told.into_string().unwrap().parse().unwrap()).to_bytes()
    }

    /// Tells where the fake is, and waits until the parent is done with it.
    fn serve(at: &str) {
        println!("\nat {at}");
        let wait = || std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        tokio::task::block_in_place(wait);
    }

    #[cfg(feature = "azure")]
    #[test]
    #[ignore = "run by the test of what Azure leaves, in a process of its own"]
    fn serves_azure() {
        on_threads(async {
            let fake = crate::azure::fake::Fake::start().await;
            fake.set("openai", str::from_utf8(&told()).unwrap());
            let pem = fake.pem.replace(' ', "~").replace('\n', "_");
            serve(&format!("{} {} {pem}", fake.address(), fake.token));
        });
    }

    #[cfg(feature = "google")]
    #[test]
    #[ignore = "run by the test of what Google leaves, in a process of its own"]
    fn serves_google() {
        on_threads(async {
            let fake = crate::google::fake::Fake::start().await;
            fake.add("p/openai", told());
            serve(&format!("{} {}", fake.url(), fake.token));
        });
    }
}

#[cfg(all(feature = "aws-ssm", feature = "vault"))]
mod clouds {
    use std::process::Command;

    use keyward_kms::aws::Aws;
    use serde_json::json;

    use super::{Masked, current_thread};
    use crate::aws::settings;
    use crate::fixture::server;
    use crate::vault::openbao::Bao;

    pub(super) fn find() -> Option<(String, Bao)> {
        Some((server("KEYWARD_MOTO_URL")?, Bao::find()?))
    }

    pub(super) fn aws(url: &str) -> Aws {
        Aws::new(settings(url))
    }

    /// Stores the key of a seed, in a process of its own.
    pub(super) fn write_elsewhere(cloud: &str, name: &str, seed: u64) {
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "memory::clouds::writes", "--ignored"])
            .env("KEYWARD_TEST_WRITE", format!("{cloud} {name} {seed}"))
            .output()
            .unwrap()
            .status;
        assert!(status.success());
    }

    #[test]
    #[ignore = "run by the test of what clouds leave, in a process of its own"]
    fn writes() {
        #[allow(clippy::disallowed_methods, reason = "what the parent told this process")]
        let told = std::env::var_os("KEYWARD_TEST_WRITE").expect("this is run by another test");
        let told = told.into_string().unwrap();
        let [cloud, name, seed] = told.split(' ').collect::<Vec<_>>()[..] else { panic!() };
        let text = String::from_utf8(Masked::seeded(seed.parse().unwrap()).to_bytes()).unwrap();
        let (moto, bao) = find().unwrap();
        current_thread().block_on(async {
            match cloud {
                "secrets-manager" => {
                    let client = aws_sdk_secretsmanager::Client::new(&settings(&moto));
                    client.create_secret().name(name).secret_string(text).send().await.unwrap();
                }
                "ssm" => {
                    let put = aws_sdk_ssm::Client::new(&settings(&moto)).put_parameter();
                    let put = put.name(format!("/{name}")).value(text);
                    put.r#type(aws_sdk_ssm::types::ParameterType::SecureString)
                        .send()
                        .await
                        .unwrap();
                }
                _ => bao.write(name, json!({ "api_key": text })).await,
            }
        });
    }
}
