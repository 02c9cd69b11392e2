//! Canaries: synthetic secrets that are the same in every process, planted and then looked for.

use std::fmt;
use std::sync::OnceLock;

use crate::keys::{self, KeyRng};

/// The canary to plant by default: a project key of today's shape.
///
/// ```
/// use keyward_testkit::{CANARY, assert_no_leak};
///
/// let printed = format!("key of {} characters", CANARY.text().len());
/// assert_no_leak!(CANARY.text(), printed);
/// ```
pub static CANARY: Canary = Canary::new("project");

/// A synthetic secret that is the same in every process.
///
/// A test and the program that it runs agree on it without passing it, and both sides of a
/// redaction test use one constant: what is planted is what is looked for.
///
/// Its `Debug` tells the kind alone, so that a canary inside an assertion's message is no leak.
pub struct Canary {
    kind: &'static str,
    text: OnceLock<String>,
}

impl Canary {
    /// The canary of `kind`: `admin`, `ephemeral_client`, `legacy_user`, `project`,
    /// `service_account` or `session`.
    ///
    /// # Panics
    ///
    /// If there is no canary of that kind.
    #[must_use]
    pub fn of_kind(kind: &str) -> &'static Self {
        KINDS
            .iter()
            .copied()
            .find(|canary| canary.kind == kind)
            .unwrap_or_else(|| panic!("there is no canary of kind `{kind}`"))
    }

    /// Every canary, one of each kind.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        KINDS.iter().copied()
    }

    /// What kind of key it is, as [`KeyShape::expected_kind`](keys::KeyShape::expected_kind).
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The secret itself.
    pub fn text(&self) -> &str {
        self.text.get_or_init(|| {
            // The seed spells the kind, so that no two canaries share their letters.
            let seed = self.kind.bytes().fold(0xCA_4A_17_u64, |seed, byte| {
                seed.wrapping_mul(0x0000_0100_0000_01B3) ^ u64::from(byte)
            });
            let rng = &mut KeyRng::seeded(seed);
            match self.kind {
                "admin" => keys::admin_key(rng),
                "ephemeral_client" => keys::ephemeral_secret(rng),
                "legacy_user" => keys::legacy_user_key(rng),
                "service_account" => keys::service_account_key(rng),
                "session" => keys::session_token(rng),
                _ => keys::project_key(rng),
            }
        })
    }

    const fn new(kind: &'static str) -> Self {
        Self { kind, text: OnceLock::new() }
    }
}

impl fmt::Debug for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canary").field("kind", &self.kind).finish_non_exhaustive()
    }
}

static ADMIN: Canary = Canary::new("admin");
static EPHEMERAL_CLIENT: Canary = Canary::new("ephemeral_client");
static LEGACY_USER: Canary = Canary::new("legacy_user");
static SERVICE_ACCOUNT: Canary = Canary::new("service_account");
static SESSION: Canary = Canary::new("session");
static KINDS: [&Canary; 6] =
    [&ADMIN, &EPHEMERAL_CLIENT, &LEGACY_USER, &CANARY, &SERVICE_ACCOUNT, &SESSION];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_kind_has_its_own_text_and_none_prints_it() {
        let texts: HashSet<_> = Canary::all().map(Canary::text).collect();
        assert_eq!(texts.len(), 6);
        for canary in Canary::all() {
            assert!(std::ptr::eq(canary, Canary::of_kind(canary.kind())));
            assert!(!format!("{canary:?}").contains(canary.text()));
        }
    }

    #[test]
    fn the_default_is_a_project_key_of_today() {
        assert!(CANARY.text().starts_with("sk-proj-"));
        assert_eq!(CANARY.text().len(), 164);
    }

    /// The text is a promise between processes and between releases: a digest pins it.
    #[test]
    fn the_text_never_changes() {
        let sum = CANARY
            .text()
            .bytes()
            .fold(0_u32, |sum, b| sum.wrapping_mul(31).wrapping_add(u32::from(b)));
        assert_eq!(sum, PINNED);
    }

    const PINNED: u32 = 3_806_731_360;

    #[test]
    #[should_panic(expected = "no canary of kind `nonsense`")]
    fn an_unknown_kind_is_a_mistake() {
        let _ = Canary::of_kind("nonsense");
    }
}
