//! Keys that a KMS has sealed, with a KMS of the test's own: no feature is on.

use std::time::Duration;

use keyward::{KeyLoader as _, LoadErrorKind};
use keyward_kms::{
    Decrypt, DirectLoader, Encrypt, EnvelopeLoader, Error, ErrorKind, Plaintext, SealContext,
    SealedKey, seal_directly,
};
use keyward_testkit::{CANARY, assert_no_leak, leak};

use crate::fixture::{assert_fails, assert_loads, key, load_logged, ready, secret};

/// A KMS that turns every bit and binds the context by standing it before.
#[derive(Clone)]
pub(crate) struct Turning;

impl Encrypt for Turning {
    async fn encrypt(&self, plaintext: &[u8], context: &SealContext) -> Result<Vec<u8>, Error> {
        let sealed = plaintext.iter().map(|b| !b);
        Ok(context.to_bytes().into_iter().chain(sealed).collect())
    }

    fn key_id(&self) -> &str {
        "turning/1"
    }
}

impl Decrypt for Turning {
    async fn decrypt(&self, sealed: &[u8], context: &SealContext) -> Result<Plaintext, Error> {
        let sealed = sealed.strip_prefix(&*context.to_bytes()).ok_or_else(|| {
            Error::new(ErrorKind::Undecryptable, "sealed in another context", "name it right")
        })?;
        let mut opened = Vec::with_capacity(sealed.len());
        opened.extend(sealed.iter().map(|b| !b));
        Ok(opened.into())
    }
}

/// A KMS that fails, or never answers.
struct Failing(Option<ErrorKind>);

impl Decrypt for Failing {
    async fn decrypt(&self, _: &[u8], _: &SealContext) -> Result<Plaintext, Error> {
        match self.0 {
            Some(kind) => Err(Error::new(kind, "it says no", "ask it why")),
            None => std::future::pending().await,
        }
    }
}

pub(crate) fn context() -> SealContext {
    SealContext::new("billing/openai", "proj_abc")
}

fn sealed(text: &str) -> SealedKey {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(SealedKey::seal(&Turning, &key(text), &context())).unwrap()
}

#[test]
fn an_envelope_opens_where_it_was_sealed_for_and_nowhere_else() {
    let secret = secret();
    let sealed = sealed(&secret);
    assert_eq!(sealed.key_id(), "turning/1");
    assert_no_leak!(
        secret,
        [
            ("bytes", sealed.as_bytes()),
            ("text", sealed.to_text().as_bytes()),
            ("{:?}", format!("{sealed:?}").as_bytes())
        ]
    );
    for (blob, context, opens) in [
        (sealed.as_bytes().to_vec(), context(), true),
        (sealed.to_text().into_bytes(), context(), true),
        (format!("{}\n", sealed.to_text()).into_bytes(), context(), true),
        (sealed.as_bytes().to_vec(), SealContext::new("billing/openai", "proj_other"), false),
        (sealed.as_bytes().to_vec(), SealContext::new("search/openai", "proj_abc"), false),
        (sealed.as_bytes().to_vec(), SealContext::empty(), false),
    ] {
        println!("{context:?}");
        let loader = EnvelopeLoader::from_bytes(blob, Turning, context);
        let result = load_logged(&loader, &[&secret]);
        assert_no_leak!(secret, format!("{loader:?}"));
        if opens {
            assert_loads(result, &secret, "envelope:(in memory)");
        } else {
            // In the empty context this KMS opens something, and it is no data key.
            assert_fails(result, &secret, LoadErrorKind::Undecryptable, "");
        }
    }
}

/// The data key of one envelope does not open another, and each seal makes its own.
#[test]
fn every_seal_is_another() {
    let text = secret();
    assert_ne!(sealed(&text), sealed(&text));
}

#[test]
fn no_bit_of_an_envelope_can_be_changed() {
    let secret = secret();
    let sealed = sealed(&secret);
    let whole = sealed.as_bytes();
    let mut kinds = std::collections::BTreeSet::new();
    for at in 0..whole.len() {
        let mut changed = whole.to_vec();
        changed[at] ^= 1;
        let loader = EnvelopeLoader::from_bytes(changed, Turning, context());
        let error = load_logged(&loader, &[&secret]).expect_err("it was changed");
        assert!(!error.is_not_found(), "a chain must not go on: {error}");
        assert_no_leak!(secret, leak::error_surfaces(&error));
        kinds.insert(format!("{:?}", error.kind()));
    }
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["Invalid", "Undecryptable"]);
}

#[test]
fn no_envelope_can_be_cut_off() {
    let secret = secret();
    let sealed = sealed(&secret);
    let whole = sealed.as_bytes();
    for end in 0..whole.len() {
        let loader = EnvelopeLoader::from_bytes(&whole[..end], Turning, context());
        assert!(load_logged(&loader, &[&secret]).is_err(), "cut off at {end}");
    }
}

/// The format is a promise: an envelope of this version, made by hand, opens.
#[test]
fn the_format_is_the_one_that_is_documented() {
    let secret = secret();
    let sealed = sealed(&secret);
    let bytes = sealed.as_bytes();
    let wrapped = [&context().to_bytes()[..], &[0; 32]].concat().len();
    assert_eq!(bytes[..5], *b"kwrd\x01");
    assert_eq!(bytes[5..7], [0, 9]);
    assert_eq!(bytes[7..16], *b"turning/1");
    assert_eq!(usize::from(u16::from_be_bytes([bytes[16], bytes[17]])), wrapped);
    assert_eq!(bytes.len(), 18 + wrapped + 12 + secret.len() + 16);

    let bound = [
        &[0, 0, 0, 2, 0, 0, 0, 12][..],
        b"keyward:name",
        &[0, 0, 0, 14],
        b"billing/openai",
        &[0, 0, 0, 15],
        b"keyward:project",
        &[0, 0, 0, 8],
        b"proj_abc",
    ];
    assert_eq!(context().to_bytes(), bound.concat());
    assert!(SealContext::empty().to_bytes().is_empty());

    // Opened by the library alone, as another program would.
    let data_key: Vec<u8> = bytes[18 + wrapped - 32..18 + wrapped].iter().map(|b| !b).collect();
    let cipher = aws_lc_rs::aead::LessSafeKey::new(
        aws_lc_rs::aead::UnboundKey::new(&aws_lc_rs::aead::AES_256_GCM, &data_key).unwrap(),
    );
    let (head, rest) = bytes.split_at(18 + wrapped);
    let nonce = aws_lc_rs::aead::Nonce::try_assume_unique_for_key(&rest[..12]).unwrap();
    let aad = aws_lc_rs::aead::Aad::from([head, &context().to_bytes()].concat());
    let mut opened = rest[12..].to_vec();
    assert_eq!(cipher.open_in_place(nonce, aad, &mut opened).unwrap(), secret.as_bytes());
}

#[test]
fn what_is_no_envelope_is_told() {
    let secret = secret();
    for (blob, kind, says) in [
        (secret.clone().into_bytes(), LoadErrorKind::Invalid, "it does not begin as one"),
        (Vec::new(), LoadErrorKind::Invalid, "it does not begin as one"),
        (b"kwrd".to_vec(), LoadErrorKind::Invalid, "it is cut off"),
        (b"kwrd\x02rest".to_vec(), LoadErrorKind::Invalid, "of version 2, which is not known"),
        (b"kwrd\x01\xff\xff".to_vec(), LoadErrorKind::Invalid, "it is cut off"),
        (vec![b'k'; 65 * 1024], LoadErrorKind::TooLarge, "larger than 64 KiB"),
    ] {
        let loader = EnvelopeLoader::from_bytes(blob, Turning, context());
        assert_fails(load_logged(&loader, &[&secret]), &secret, kind, says);
    }
}

#[test]
fn a_file_is_read_at_each_load() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("openai.sealed");
    let loader = EnvelopeLoader::from_file(&path, Turning, context());
    let source = format!("envelope:{}", path.display());
    assert_eq!(loader.source().to_string(), source);
    let never = secret();
    assert_fails(load_logged(&loader, &[]), &never, LoadErrorKind::NotFound, "no such file");
    for secret in [secret(), secret()] {
        std::fs::write(&path, sealed(&secret).to_text()).unwrap();
        assert_loads(load_logged(&loader, &[&secret]), &secret, &source);
    }
    std::fs::write(&path, vec![0; 65 * 1024]).unwrap();
    assert_fails(load_logged(&loader, &[]), &never, LoadErrorKind::TooLarge, "larger than 64 KiB");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert_fails(load_logged(&loader, &[]), &never, LoadErrorKind::Unreadable, "cannot be read");
}

/// A live key looks at the file several times a second, and loads when it was replaced.
#[test]
fn a_file_that_was_replaced_looks_otherwise() {
    let directory = tempfile::tempdir().unwrap();
    let [path, next] = ["openai.sealed", "next"].map(|name| directory.path().join(name));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let signatures = || {
        let envelope = EnvelopeLoader::from_file(&path, Turning, context());
        let direct = DirectLoader::from_file(&path, Turning, context());
        runtime.block_on(async { [envelope.signature().await, direct.signature().await] })
    };
    let mut seen = vec![signatures()];
    for text in [secret(), secret()] {
        std::fs::write(&next, sealed(&text).to_text()).unwrap();
        std::fs::rename(&next, &path).unwrap();
        assert!(signatures() == signatures());
        seen.push(signatures());
    }
    for (n, now) in seen.iter().enumerate() {
        assert!(now.iter().all(Option::is_some));
        assert!(seen[..n].iter().all(|before| before[0] != now[0] && before[1] != now[1]));
    }
    let in_memory = EnvelopeLoader::from_bytes(*b"sealed", Turning, context());
    assert!(runtime.block_on(in_memory.signature()).is_none());
}

/// A mount that has lost what it leads to must not send a chain on to an older key.
#[cfg(unix)]
#[test]
fn a_link_that_leads_to_nothing_is_not_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("openai.sealed");
    std::os::unix::fs::symlink(directory.path().join("gone"), &path).unwrap();
    let never = secret();
    let envelope = EnvelopeLoader::from_file(&path, Turning, context());
    let direct = DirectLoader::from_file(&path, Turning, context());
    for result in [load_logged(&envelope, &[]), load_logged(&direct, &[])] {
        assert_fails(result, &never, LoadErrorKind::Unreadable, "a link that leads to nothing");
    }
}

#[test]
fn a_key_is_sealed_directly_too() {
    let secret = secret();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let sealed = runtime.block_on(seal_directly(&Turning, &key(&secret), &context())).unwrap();
    for (blob, context, opens) in [
        (sealed.clone(), context(), true),
        (to_base64(&sealed).into_bytes(), context(), true),
        (sealed.clone(), SealContext::new("billing/openai", "proj_other"), false),
    ] {
        let loader = DirectLoader::from_bytes(blob, Turning, context);
        let result = load_logged(&loader, &[&secret]);
        assert_no_leak!(secret, format!("{loader:?}"));
        if opens {
            assert_loads(result, &secret, "kms:(in memory)");
        } else {
            assert_fails(result, &secret, LoadErrorKind::Undecryptable, "another context");
        }
    }
}

#[test]
fn what_a_kms_says_is_told_and_never_taken_for_no_key() {
    use LoadErrorKind::{Denied, Throttled, TimedOut, Undecryptable, Unreachable};
    let secret = secret();
    let sealed = sealed(&secret);
    for (failure, kind, says) in [
        (Some(ErrorKind::Denied), Denied, "it says no; ask it why"),
        (Some(ErrorKind::Unauthenticated), Denied, "it says no"),
        (Some(ErrorKind::KeyUnusable), Undecryptable, "it says no"),
        (Some(ErrorKind::NotFound), Undecryptable, "it says no"),
        (Some(ErrorKind::Throttled), Throttled, "it says no"),
        (Some(ErrorKind::Unreachable), Unreachable, "it says no"),
        (None, TimedOut, "no answer within 20ms"),
    ] {
        let deadline = Duration::from_millis(20);
        let envelope = EnvelopeLoader::from_bytes(sealed.as_bytes(), Failing(failure), context())
            .with_deadline(deadline);
        assert_fails(load_logged(&envelope, &[&secret]), &secret, kind, says);
        let direct = DirectLoader::from_bytes(sealed.as_bytes(), Failing(failure), context())
            .with_deadline(deadline);
        assert_fails(load_logged(&direct, &[&secret]), &secret, kind, says);
    }
}

/// tokio's timers panic there.
#[test]
fn without_a_runtime_a_load_fails_and_says_so() {
    let secret = secret();
    let sealed = sealed(&secret);
    let says = "there is no tokio runtime to wait in; await it within one";
    for blob in [Some(sealed.as_bytes()), None] {
        let of = |blob: Option<&[u8]>| match blob {
            Some(blob) => EnvelopeLoader::from_bytes(blob, Turning, context()),
            None => EnvelopeLoader::from_file("/nowhere", Turning, context()),
        };
        assert_fails(ready(of(blob).load()), &secret, LoadErrorKind::Invalid, says);
    }
    let direct = DirectLoader::from_bytes(sealed.as_bytes(), Turning, context());
    assert_fails(ready(direct.load()), &secret, LoadErrorKind::Invalid, says);
}

/// What leads to a KMS of one's own is told by that.
#[test]
fn a_kms_tells_what_leads_to_it() {
    struct Named;

    impl Decrypt for Named {
        async fn decrypt(&self, _: &[u8], _: &SealContext) -> Result<Plaintext, Error> {
            Ok(secret().into_bytes().into())
        }

        fn variables(&self) -> Vec<std::ffi::OsString> {
            vec!["HSM_PIN".into()]
        }
    }

    let loader = DirectLoader::from_bytes(*b"sealed", Named, context());
    assert_eq!(loader.variables(), ["HSM_PIN"]);
    let mut child = std::process::Command::new("true");
    load_logged(&loader, &[]).unwrap().scrub_child_env(&mut child);
    assert_eq!(child.get_envs().count(), 1);
    let none = EnvelopeLoader::from_bytes(*b"sealed", Turning, context());
    assert!(none.variables().is_empty());
}

#[test]
fn a_key_in_the_context_is_refused_before_anything_is_sent() {
    let canary = CANARY.text();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let context = SealContext::new("billing", canary);
    let key = key(canary);
    let errors = [
        runtime.block_on(SealedKey::seal(&Turning, &key, &context)).unwrap_err(),
        runtime.block_on(seal_directly(&Turning, &key, &context)).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_no_leak!(canary, leak::error_surfaces(&error));
    }
}

fn to_base64(bytes: &[u8]) -> String {
    <base64ct::Base64 as base64ct::Encoding>::encode_string(bytes)
}
