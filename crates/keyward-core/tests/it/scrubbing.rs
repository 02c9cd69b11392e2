//! Keys in text that a server wrote.

use keyward_core::find::{contains_key, scrub};
use keyward_testkit::assert_no_leak;
use keyward_testkit::keys::{self, Family, KeyRng};

#[test]
fn no_key_of_any_kind_survives() {
    let mut rng = KeyRng::seeded(5);
    for shape in keys::shapes() {
        let is_secret = shape.family() != Family::Lookalike && shape.expected_kind() != "not_a_key";
        // `sk-1234` is nobody's secret, and too short for the detector.
        if !is_secret || shape.id() == "litellm_master" {
            continue;
        }
        for template in
            ["wrong key: KEY.", "KEY", "(KEY)", "key=KEY,", "'KEY'", "{\"k\":\"KEY\"}", "tokenKEY"]
        {
            let key = shape.generate(&mut rng);
            let said = scrub(&template.replace("KEY", &key)).into_owned();
            assert_no_leak!(&key, [(shape.id(), said)]);
        }
    }
}

#[test]
fn what_people_read_survives() {
    for text in [
        "Missing scopes: api.responses.write, api.model.request.",
        "No project proj_AbCdEfGhIjKlMnOpQrStUv0x found",
        "The task-oriented risk-free disk-usage of desk-top",
        "You can find your API key at https://platform.openai.com/account/api-keys.",
        "Rate limit reached for organization org-AbCdEfGhIjKlMnOpQrStUv0x",
        "expires_in_seconds must be between 1 and 31536000",
        "",
        "ß … • é",
    ] {
        assert_eq!(scrub(text), text);
        assert!(!contains_key(text), "{text}");
    }
}

#[test]
fn what_is_masked_says_its_kind() {
    let mut rng = KeyRng::seeded(5);
    let key = keys::admin_key(&mut rng);
    assert_eq!(scrub(&format!("no such key: {key}!")), "no such key: [admin key]!");
    assert_eq!(
        scrub("Incorrect API key provided: sk-svcac****************ab12."),
        "Incorrect API key provided: [masked].",
    );
    assert!(contains_key(&format!("req-{key}")));
}
