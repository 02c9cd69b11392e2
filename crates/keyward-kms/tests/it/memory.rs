//! What is left of a key in the process's memory: the writable memory is read and searched.
//!
//! A freed block keeps what it held until it is used again, so a copy that somebody forgot to wipe
//! is found here. The test itself never holds the key in one piece but where it says so, and a
//! server gets it from a process of its own.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::sync::Mutex;

use keyward::{ApiKey, KeyLoader as _};
use keyward_kms::{DirectLoader, EnvelopeLoader, SealContext, SealedKey, seal_directly};
use keyward_testkit::keys::KeyRng;
use zeroize::Zeroizing;

use crate::seal::Turning;

const MASK: u8 = 0xa5;

static SEARCHING: Mutex<()> = Mutex::new(());

/// A key that is kept masked, so that the search does not find what it searches for.
struct Masked(Vec<u8>);

impl Masked {
    fn new(seed: u64) -> Self {
        let mut rng = KeyRng::seeded(seed);
        let mut masked: Vec<u8> = b"sk-svcacct-".iter().map(|b| b ^ MASK).collect();
        masked.extend((0..120).map(|_| rng.alphanumeric(1).as_bytes()[0] ^ MASK));
        Self(masked)
    }

    /// The key in one allocation of exactly its size.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len());
        bytes.extend(self.0.iter().map(|b| b ^ MASK));
        bytes
    }

    fn is_in_memory(&self) -> bool {
        self.copies() > 0
    }

    /// How often the random part, or a good piece of it, stands in writable memory.
    fn copies(&self) -> usize {
        let needle = &self.0[40..72];
        let memory = File::open("/proc/self/mem").unwrap();
        // A search copies what it finds: one at a time, and each wipes its copy.
        let _alone = SEARCHING.lock();
        let mut chunk = Zeroizing::new(vec![0; 1 << 20]);
        let mut copies = 0;
        for line in fs::read_to_string("/proc/self/maps").unwrap().lines() {
            let mut fields = line.split(' ');
            let (range, rights) = (fields.next().unwrap(), fields.next().unwrap());
            if !rights.starts_with("rw") {
                continue;
            }
            let (start, end) = range.split_once('-').unwrap();
            let mut at = u64::from_str_radix(start, 16).unwrap();
            let end = u64::from_str_radix(end, 16).unwrap();
            while at < end {
                let want = chunk.len().min((end - at) as usize);
                let Ok(got) = memory.read_at(&mut chunk[..want], at) else {
                    break; // Another thread gave it back.
                };
                copies += count(&chunk[..got], needle);
                if got < needle.len() || at + got as u64 >= end {
                    break;
                }
                // One byte less than the needle is read twice, so that none is counted twice.
                at += (got - needle.len() + 1) as u64;
            }
        }
        copies
    }
}

fn count(haystack: &[u8], masked: &[u8]) -> usize {
    let first = masked[0] ^ MASK;
    let mut count = 0;
    let mut rest = haystack;
    while let Some(at) = rest.iter().position(|byte| *byte == first) {
        rest = &rest[at..];
        if rest.len() >= masked.len() && rest.iter().zip(masked).all(|(a, b)| *a == b ^ MASK) {
            count += 1;
        }
        rest = &rest[1..];
    }
    count
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
    let masked = Masked::new(random_seed());
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
        let masked = Masked::new(seed);
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
        let text = String::from_utf8(Masked::new(seed.parse().unwrap()).to_bytes()).unwrap();
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
