//! PKCS#11, against the real SoftHSM. Its module reads where its tokens are from the environment,
//! which a test does not edit, so each test runs in a process of its own.

use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, ObjectClass};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use keyward::reference::References;
use keyward::{KeyLoader as _, LoadErrorKind};
use keyward_kms::Schemes;
use keyward_kms::pkcs11::{AesKey, Pin, Token};
use keyward_kms::{DirectLoader, EnvelopeLoader, ErrorKind, SealContext, SealedKey, seal_directly};
use keyward_testkit::keys::KeyRng;
use keyward_testkit::{CANARY, assert_no_leak, leak};

use crate::fixture::{assert_fails, assert_loads, key, logged, secret, server};

/// Runs a test of this binary with SoftHSM's tokens.
fn with_softhsm(test: &str) {
    with_softhsm_and(test, &[]);
}

/// The same, and puts something more into its environment. Whether SoftHSM is there.
pub(crate) fn with_softhsm_and(test: &str, more: &[(&str, &str)]) -> bool {
    let (Some(module), Some(pin), Some(conf)) =
        (server("KEYWARD_SOFTHSM_MODULE"), server("KEYWARD_SOFTHSM_PIN"), server("SOFTHSM2_CONF"))
    else {
        return false;
    };
    // SoftHSM's tokens are files, and a process that makes a key there is in the way of others.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env("SOFTHSM2_CONF", conf)
        .env(TOLD, format!("{module} {pin}"))
        .envs(more.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    println!("{said}");
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
    true
}

/// The module, and the PIN of its token `keyward`.
pub(crate) struct SoftHsm {
    module: String,
    pin: String,
}

impl SoftHsm {
    pub(crate) fn told() -> Self {
        #[allow(clippy::disallowed_methods, reason = "what the parent told this process")]
        let told = std::env::var_os(TOLD).expect("this is run by another test");
        let told = told.into_string().unwrap();
        let (module, pin) = told.split_once(' ').unwrap();
        Self { module: module.to_owned(), pin: pin.to_owned() }
    }

    pub(crate) fn token(&self) -> Token {
        Token::new(&self.module, "keyward", Pin::from(self.pin.clone()))
    }

    /// A session of the test's own.
    fn session(&self) -> Session {
        let module = Pkcs11::new(&self.module).unwrap();
        let _ = module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK));
        let slots = module.get_slots_with_initialized_token().unwrap();
        let slot = slots
            .into_iter()
            .find(|slot| module.get_token_info(*slot).unwrap().label().trim_end() == "keyward");
        let session = module.open_rw_session(slot.unwrap()).unwrap();
        let _ = session.login(UserType::User, Some(&AuthPin::new(self.pin.as_str().into())));
        session
    }

    /// Makes an AES key that never leaves the token, and answers its label.
    fn make_key(&self, may_decrypt: bool) -> String {
        let label = format!("openai-{}", KeyRng::from_entropy().alphanumeric(12));
        self.make_key_called(&label, may_decrypt);
        label
    }

    pub(crate) fn make_key_called(&self, label: &str, may_decrypt: bool) {
        let template = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Label(label.into()),
            Attribute::ValueLen(32.into()),
            Attribute::Encrypt(true),
            Attribute::Decrypt(may_decrypt),
        ];
        self.session().generate_key(&Mechanism::AesKeyGen, &template).unwrap();
    }
}

/// A token that is not there.
pub(crate) fn nowhere() -> Token {
    Token::new("/nowhere/libabsent.so", "keyward", Pin::from("0000".to_owned()))
}

fn context() -> SealContext {
    SealContext::new("billing/openai", "proj_abc")
}

const TOLD: &str = "KEYWARD_TEST_SOFTHSM";

#[test]
fn a_token_seals_directly_and_in_envelopes() {
    with_softhsm("pkcs11::seals");
}

#[test]
#[ignore = "run by another test, with SoftHSM's tokens"]
fn seals() {
    let hsm = SoftHsm::told();
    let secret = secret();
    let (label, other) = (hsm.make_key(true), hsm.make_key(true));
    let (results, logs) = logged(async {
        let token = hsm.token();
        let aes = AesKey::new(&token, &label);
        assert_no_leak!(hsm.pin, format!("{aes:?} {:?}", Pin::from(hsm.pin.clone())));
        let direct = seal_directly(&aes, &key(&secret), &context()).await.unwrap();
        let again = seal_directly(&aes, &key(&secret), &context()).await.unwrap();
        assert_ne!(direct[..12], again[..12], "a nonce was used twice");
        let envelope = SealedKey::seal(&aes, &key(&secret), &context()).await.unwrap();
        assert_eq!(envelope.key_id(), label);

        // What the standard's own calls make of it.
        let session = hsm.session();
        let found = session.find_objects(&[Attribute::Label(label.as_str().into())]).unwrap();
        let (mut nonce, bound) = (direct[..12].to_vec(), context().to_bytes());
        let gcm = Mechanism::AesGcm(GcmParams::new(&mut nonce, &bound, 128.into()).unwrap());
        assert!(session.decrypt(&gcm, found[0], &direct[12..]).unwrap() == secret.as_bytes());

        let load = async |label: &str, sealed: &[u8], context: SealContext| {
            let aes = AesKey::new(&token, label);
            DirectLoader::from_bytes(sealed, aes, context).load().await
        };
        let opened = [
            load(&label, &direct, context()).await,
            // Another connection, with a login of its own.
            DirectLoader::from_bytes(&*again, AesKey::new(&hsm.token(), &label), context())
                .load()
                .await,
        ];
        let in_envelope =
            EnvelopeLoader::from_bytes(envelope.as_bytes(), aes.clone(), context()).load().await;
        // By references, from files.
        let dir = tempfile::tempdir().unwrap();
        let place = |file: &str| dir.path().join(file).display().to_string();
        std::fs::write(place("direct"), &direct).unwrap();
        std::fs::write(place("envelope"), envelope.to_text()).unwrap();
        let references = Schemes::new().with_pkcs11(&token).register(References::new());
        let of = "name=billing/openai&project=proj_abc";
        for (reference, source) in [
            (format!("pkcs11:{}#key={label}&{of}", place("direct")), "pkcs11"),
            (format!("envelope:{}#pkcs11={label}&{of}", place("envelope")), "envelope"),
        ] {
            let loaded = references.loader(&reference).unwrap().load().await.unwrap();
            assert!(loaded.key == key(&secret));
            assert_eq!(loaded.source.scheme(), source);
        }
        let mut changed = direct.clone();
        changed[20] ^= 1;
        let refused = [
            load(&label, &direct, SealContext::new("billing/openai", "proj_other")).await,
            load(&other, &direct, context()).await,
            load(&label, &changed, context()).await,
            load(&label, &direct[..40], context()).await,
            load(&label, &direct[..20], context()).await,
            load("openai-absent", &direct, context()).await,
        ];
        // It goes on after each of them.
        let last = load(&label, &direct, context()).await;
        (opened, in_envelope, refused, last)
    });
    assert_no_leak!(secret, logs.bytes());
    let (opened, in_envelope, refused, last) = results;
    for loaded in opened.into_iter().chain([last]) {
        assert_loads(loaded, &secret, "pkcs11:(in memory)");
    }
    assert_loads(in_envelope, &secret, "envelope:(in memory)");
    for (n, refused) in refused.into_iter().enumerate() {
        let says = match n {
            0..=3 => "the context that it was sealed by",
            4 => "too short",
            _ => "no AES key with this label",
        };
        assert_fails(refused, &secret, LoadErrorKind::Undecryptable, says);
    }
}

/// Other code of the process logs out of the token, which logs out all of the process.
#[test]
fn a_session_that_others_logged_out_is_replaced() {
    with_softhsm("pkcs11::is_logged_out");
}

#[test]
#[ignore = "run by another test, with SoftHSM's tokens"]
fn is_logged_out() {
    let hsm = SoftHsm::told();
    let secret = secret();
    let label = hsm.make_key(true);
    let token = hsm.token();
    let (results, _) = logged(async {
        let aes = AesKey::new(&token, &label);
        let sealed = seal_directly(&aes, &key(&secret), &context()).await.unwrap();
        let load = async || DirectLoader::from_bytes(&*sealed, aes.clone(), context()).load().await;
        let before = load().await;
        hsm.session().logout().unwrap();
        let after = load().await;
        hsm.session().logout().unwrap();
        let again = seal_directly(&aes, &key(&secret), &context()).await.unwrap();
        assert_ne!(again[..12], sealed[..12]);
        [before, after, load().await]
    });
    for result in results {
        assert_loads(result, &secret, "pkcs11:(in memory)");
    }
}

#[test]
fn what_is_wrong_with_a_token_is_told() {
    with_softhsm("pkcs11::is_wrong");
}

#[test]
#[ignore = "run by another test, with SoftHSM's tokens"]
fn is_wrong() {
    use LoadErrorKind::{Denied, Invalid, Undecryptable, Unreachable};
    let hsm = SoftHsm::told();
    let canary = CANARY.text();
    let wrong_pin = format!("wrong{}", KeyRng::from_entropy().alphanumeric(8));
    let (label, twice, weak) = (hsm.make_key(true), hsm.make_key(true), hsm.make_key(false));
    hsm.make_key_called(&twice, true);
    let sealed = [0; 64];
    let load = |token: &Token, label: &str| {
        let aes = AesKey::new(token, label);
        let (result, logs) = logged(DirectLoader::from_bytes(sealed, aes, context()).load());
        assert_no_leak!(wrong_pin, logs.bytes());
        result
    };
    let pin = || Pin::from(hsm.pin.clone());
    let of_another = Token::new(&hsm.module, "another", pin());
    assert_fails(load(&of_another, &label), canary, Unreachable, "no token with this label");
    let no_module = Token::new("/nowhere/libabsent.so", "keyward", pin());
    assert_fails(load(&no_module, &label), canary, Invalid, "module cannot be loaded");
    let no_pkcs11 = Token::new("libc.so.6", "keyward", pin());
    assert_fails(load(&no_pkcs11, &label), canary, Invalid, "module cannot be loaded");

    // A PIN that is refused is refused by the token once, and then without it: this test does not
    // lock the token, however often it asks.
    let wrong = Token::new(&hsm.module, "keyward", Pin::from(wrong_pin.clone()));
    for _ in 0..20 {
        let refused = load(&wrong, &label);
        assert_no_leak!(wrong_pin, leak::error_surfaces(refused.as_ref().unwrap_err()));
        assert_fails(refused, canary, Denied, "refuses the PIN, which is not tried again");
    }
    let right = hsm.token();
    assert_fails(load(&right, &twice), canary, Undecryptable, "several AES keys");
    assert_fails(load(&right, &weak), canary, Undecryptable, "may not be used for this");
    assert_fails(load(&right, canary), canary, Invalid, "a key stands in the place of its name");
    let sealing = logged(seal_directly(&AesKey::new(&right, "absent"), &key(canary), &context())).0;
    assert_eq!(sealing.unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_load_ends_in_its_deadline() {
    with_softhsm("pkcs11::is_slow");
}

#[test]
#[ignore = "run by another test, with SoftHSM's tokens"]
fn is_slow() {
    let hsm = SoftHsm::told();
    let label = hsm.make_key(true);
    let aes = AesKey::new(&hsm.token(), label);
    let begun = Instant::now();
    let (result, _) = logged(
        DirectLoader::from_bytes([0; 64], aes, context()).with_deadline(Duration::ZERO).load(),
    );
    assert_fails(result, CANARY.text(), LoadErrorKind::TimedOut, "no answer within");
    assert!(begun.elapsed() < Duration::from_secs(5));
}
