//! Any bytes through `ApiKey::parse`, the classifier, the presets and the scrubber.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run admit -- -runs=10000000`

#![no_main]

use keyward_core::{AdmitContext, ApiKey, KeyKind, KeyPolicy, Timestamp, find};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let kind = KeyKind::classify(bytes);
    if let Ok(text) = core::str::from_utf8(bytes) {
        let _ = find::scrub(text);
        let _ = find::contains_key(text);
    }
    let _ = ApiKey::issued(bytes.to_vec());
    let _ = ApiKey::access_token(bytes.to_vec());

    let Ok(key) = ApiKey::parse(bytes.to_vec()) else { return };
    let trimmed = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii();
    assert_eq!(key.kind(), KeyKind::classify(trimmed));
    if trimmed == bytes {
        assert_eq!(key.kind(), kind);
    }
    // What a header must carry.
    #[allow(clippy::disallowed_methods, reason = "the fuzzer made the text")]
    let text = key.expose_secret();
    assert!(text.bytes().all(|b| b.is_ascii_graphic()));

    let context = AdmitContext::at(Timestamp::from_unix_seconds(1_790_000_000));
    for policy in [KeyPolicy::standard(), KeyPolicy::production(), KeyPolicy::admin()] {
        match policy.admit(&key, &context) {
            Ok(admitted) => {
                assert!(policy.kinds().contains(&key.kind()));
                let as_admin = admitted.clone().into_admin_key().is_ok();
                assert!(as_admin != admitted.into_project_key().is_ok());
            }
            Err(refusal) => assert!(!refusal.to_string().contains('\n')),
        }
    }
});
