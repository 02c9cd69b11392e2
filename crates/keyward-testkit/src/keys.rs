//! Synthetic keys of every known shape; which shapes exist is data, in `data/key-shapes.tsv`.
//!
//! No key-like text stands in a source tree that uses this module: keys are made at run time,
//! and a secret scanner run over the tree stays quiet.
//!
//! ```
//! use keyward_testkit::keys::{self, KeyRng};
//!
//! let mut rng = KeyRng::seeded(7);
//! for shape in keys::shapes() {
//!     let text = shape.generate(&mut rng);
//!     println!("{}\t{}\t{}", shape.id(), shape.expected_kind(), text.len());
//! }
//! assert_eq!(keys::project_key(&mut rng).len(), 164);
//! ```

use std::fmt;
use std::sync::OnceLock;

pub use crate::pattern::MARKER;
pub use crate::rng::KeyRng;

use crate::pattern::Pattern;

/// Every known shape, OpenAI's own first, then other vendors', then look-alikes.
pub fn shapes() -> &'static [KeyShape] {
    static SHAPES: OnceLock<Vec<KeyShape>> = OnceLock::new();
    SHAPES.get_or_init(|| {
        include_str!("../data/key-shapes.tsv")
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(KeyShape::from_row)
            .collect()
    })
}

/// The shape called `id`, as in the first column of the table.
#[must_use]
pub fn shape(id: &str) -> Option<&'static KeyShape> {
    shapes().iter().find(|shape| shape.id == id)
}

/// A project key of today's shape: 164 characters.
pub fn project_key(rng: &mut KeyRng) -> String {
    generate("project_164", rng)
}

/// A service-account key of today's shape: 167 characters.
pub fn service_account_key(rng: &mut KeyRng) -> String {
    generate("service_account_167", rng)
}

/// An organization admin key of today's shape: 165 characters.
pub fn admin_key(rng: &mut KeyRng) -> String {
    generate("admin_165", rng)
}

/// A legacy user key, with the marker: 51 characters.
pub fn legacy_user_key(rng: &mut KeyRng) -> String {
    generate("legacy_user_51", rng)
}

/// A dashboard session token, `sess-…`.
pub fn session_token(rng: &mut KeyRng) -> String {
    generate("session", rng)
}

/// A realtime client secret, `ek_…`.
pub fn ephemeral_secret(rng: &mut KeyRng) -> String {
    generate("ephemeral_client", rng)
}

/// One shape of key, or of text mistaken for a key.
pub struct KeyShape {
    id: &'static str,
    family: Family,
    expected_kind: &'static str,
    pattern: Pattern,
}

impl KeyShape {
    /// The name of the shape, unique in the table: `project_164`.
    #[must_use]
    pub fn id(&self) -> &'static str {
        self.id
    }

    /// Whose shape it is.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }

    /// What a classifier should call it: `admin`, `project`, `service_account`, `legacy_user`,
    /// `ephemeral_client`, `session`, `other_vendor`, `unknown`, or `not_a_key` for text that a
    /// strict parser refuses.
    ///
    /// Shapes that several issuers share, such as `sk-` and 48 letters and digits, are `unknown`.
    #[must_use]
    pub fn expected_kind(&self) -> &'static str {
        self.expected_kind
    }

    /// A text of this shape, the next that `rng` yields.
    pub fn generate(&self, rng: &mut KeyRng) -> String {
        self.pattern.generate(rng)
    }

    fn from_row(row: &'static str) -> Self {
        let columns: Vec<&'static str> = row.split('\t').collect();
        let [id, family, expected_kind, pattern] = columns[..] else {
            panic!("key-shapes.tsv: a row needs four columns: {row}");
        };
        Self {
            id,
            family: match family {
                "own" => Family::Own,
                "vendor" => Family::Vendor,
                "lookalike" => Family::Lookalike,
                other => panic!("key-shapes.tsv: no such family: {other}"),
            },
            expected_kind,
            pattern: Pattern::parse(pattern)
                .unwrap_or_else(|e| panic!("key-shapes.tsv: row {id}: {e}")),
        }
    }
}

impl fmt::Debug for KeyShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyShape")
            .field("id", &self.id)
            .field("family", &self.family)
            .field("expected_kind", &self.expected_kind)
            .finish_non_exhaustive()
    }
}

/// Whose shape a [`KeyShape`] is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Family {
    /// No key at all, but text that is found where keys are.
    Lookalike,
    /// OpenAI's.
    Own,
    /// Another vendor's.
    Vendor,
}

impl Family {
    /// The word in the table: `lookalike`, `own` or `vendor`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lookalike => "lookalike",
            Self::Own => "own",
            Self::Vendor => "vendor",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn generate(id: &str, rng: &mut KeyRng) -> String {
    shape(id).expect("the table holds the shapes that this module names").generate(rng)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_table_is_whole() {
        let kinds = [
            "admin",
            "ephemeral_client",
            "legacy_user",
            "not_a_key",
            "other_vendor",
            "project",
            "service_account",
            "session",
            "unknown",
        ];
        let mut seen = HashSet::new();
        for shape in shapes() {
            assert!(seen.insert(shape.id), "{} twice", shape.id);
            assert!(kinds.contains(&shape.expected_kind), "{shape:?}");
        }
        let used: HashSet<_> = shapes().iter().map(KeyShape::expected_kind).collect();
        assert_eq!(used.len(), kinds.len());
        for family in [Family::Own, Family::Vendor, Family::Lookalike] {
            assert!(shapes().iter().filter(|s| s.family == family).count() >= 25, "{family}");
        }
    }

    #[test]
    fn an_id_that_ends_in_a_number_tells_the_length() {
        let numbered = ["legacy_user_51", "user_none_56", "user_none_164", "user_unprefixed_95"];
        let own = shapes().iter().filter(|shape| {
            numbered.contains(&shape.id)
                || ["project_1", "project_5", "service_account_1", "admin_1"]
                    .iter()
                    .any(|start| shape.id.starts_with(start))
        });
        for shape in own {
            let (_, length) = shape.id.rsplit_once('_').unwrap();
            for seed in 0..20 {
                let text = shape.generate(&mut KeyRng::seeded(seed));
                assert_eq!(text.len(), length.parse::<usize>().unwrap(), "{}", shape.id);
            }
        }
    }

    #[test]
    fn lengths_of_other_vendors_are_those_of_the_field() {
        let expected = [
            ("azure_openai_common_annotated", 84),
            ("anthropic_api", 108),
            ("anthropic_admin", 110),
            ("openrouter", 73),
            ("langfuse_secret", 42),
            ("deepseek", 35),
            ("one_api_gateway", 51),
            ("litellm_virtual", 25),
            ("gateway_token_urlsafe", 46),
            ("minimax", 126),
            ("checkout", 39),
            ("elevenlabs", 51),
            ("cartesia", 27),
            ("groq", 56),
            ("xai", 84),
            ("google", 39),
            ("nvidia", 70),
            ("replicate", 40),
            ("voyage", 46),
            ("langsmith", 51),
            ("named_service_account_longest", 94),
        ];
        let mut rng = KeyRng::seeded(1);
        for (id, length) in expected {
            assert_eq!(shape(id).unwrap().generate(&mut rng).len(), length, "{id}");
        }
    }

    #[test]
    fn encoded_lookalikes_show_the_marker() {
        for id in ["base64_of_openai", "base64_of_openai_long", "jwt_naming_openai"] {
            for seed in 0..50 {
                let text = shape(id).unwrap().generate(&mut KeyRng::seeded(seed));
                assert!(text.contains(MARKER), "{id}: {text}");
            }
        }
    }

    #[test]
    fn a_seed_repeats_and_entropy_does_not() {
        let twice = [(); 2].map(|()| project_key(&mut KeyRng::seeded(3)));
        assert_eq!(twice[0], twice[1]);
        let mut rng = KeyRng::seeded(3);
        assert_ne!(project_key(&mut rng), project_key(&mut rng));
        assert_ne!(
            project_key(&mut KeyRng::from_entropy()),
            project_key(&mut KeyRng::from_entropy())
        );
    }

    #[test]
    fn the_table_itself_holds_nothing_that_looks_like_a_key() {
        assert!(!include_str!("../data/key-shapes.tsv").contains(MARKER));
    }
}
