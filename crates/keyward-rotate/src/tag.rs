//! [`Tag`]: the name under which a key is made, by which it is found again whatever was lost.

use std::fmt;

use keyward::find;

/// The name of a key that keyward made: `keyward/SLOT/ROTATION`.
///
/// It is unique to one attempt to make a key, so what a lost answer has left behind is found by it,
/// and it tells which keys are keyward's to delete. The rotation is 13 characters of base32, from 65
/// random bits.
///
/// OpenAI documents neither the length nor the characters of a key's name
/// ([reference](https://developers.openai.com/api/reference/resources/admin/subresources/organization/subresources/projects/subresources/service_accounts/subresources/api_keys/methods/create)),
/// so a tag is kept short, at most 54 characters, of `a-z`, `0-9`, `-` and `/`.
///
/// ```
/// use keyward_rotate::Tag;
///
/// let tag: Tag = "keyward/billing/0123456789abc".parse()?;
/// assert_eq!((tag.slot(), tag.rotation()), ("billing", "0123456789abc"));
/// assert!("a key of mine".parse::<Tag>().is_err());
/// # Ok::<(), keyward_rotate::NotATag>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Tag {
    text: String,
    slot_ends: usize,
}

const PREFIX: &str = "keyward/";
const ROTATION_LEN: usize = 13;
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl Tag {
    /// A new one. The slot's name has been checked.
    pub(crate) fn new(slot: &str, random: u128) -> Self {
        let mut text = format!("{PREFIX}{slot}/");
        let slot_ends = text.len() - 1;
        for n in 0..ROTATION_LEN {
            let five = (random >> (5 * n)) & 31;
            text.push(char::from(ALPHABET[usize::try_from(five).unwrap_or_default()]));
        }
        Self { text, slot_ends }
    }

    /// The name as the organization lists it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The slot that the key was made for.
    #[must_use]
    pub fn slot(&self) -> &str {
        &self.text[PREFIX.len()..self.slot_ends]
    }

    /// The rotation in which it was made.
    #[must_use]
    pub fn rotation(&self) -> &str {
        &self.text[self.slot_ends + 1..]
    }

    /// Whether a name is a tag of this slot.
    pub(crate) fn is_of(name: Option<&str>, slot: &str) -> bool {
        name.and_then(|name| name.parse::<Self>().ok()).is_some_and(|tag| tag.slot() == slot)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl std::str::FromStr for Tag {
    type Err = NotATag;

    fn from_str(text: &str) -> Result<Self, NotATag> {
        let (slot, rotation) =
            text.strip_prefix(PREFIX).and_then(|rest| rest.rsplit_once('/')).ok_or(NotATag)?;
        let is_rotation =
            rotation.len() == ROTATION_LEN && rotation.bytes().all(|byte| ALPHABET.contains(&byte));
        if !is_slot_name(slot) || !is_rotation {
            return Err(NotATag);
        }
        Ok(Self { text: text.to_owned(), slot_ends: PREFIX.len() + slot.len() })
    }
}

/// Whether a slot may be called so: 1 to 32 of `a-z`, `0-9` and `-`, and nothing like a key.
pub(crate) fn is_slot_name(name: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=32).contains(&name.len()) && name.bytes().all(is_plain) && !find::contains_key(name)
}

/// A name that no rotation gave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct NotATag;

impl std::error::Error for NotATag {}

impl fmt::Display for NotATag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a name that keyward gives; a tag reads `keyward/SLOT/ROTATION`")
    }
}

#[cfg(test)]
mod tests {
    use keyward::find;
    use proptest::prelude::*;

    use super::{Tag, is_slot_name};

    proptest! {
        #[test]
        fn a_tag_is_read_as_it_was_written(slot in "[a-z0-9-]{1,32}", random: u128) {
            prop_assume!(is_slot_name(&slot));
            let tag = Tag::new(&slot, random);
            prop_assert_eq!(tag.as_str().parse::<Tag>().unwrap(), tag.clone());
            prop_assert_eq!(tag.slot(), slot);
            prop_assert!(tag.as_str().len() <= 54);
            // Neither a store nor a log takes it for a key.
            prop_assert!(!find::contains_key(tag.as_str()));
        }

        #[test]
        fn what_others_call_their_keys_is_no_tag(name in "\\PC{0,60}") {
            prop_assert!(name.parse::<Tag>().is_err() || name.starts_with("keyward/"));
        }
    }

    #[test]
    fn names_of_slots() {
        for (name, fits) in [
            ("billing", true),
            ("b-2", true),
            ("", false),
            ("Billing", false),
            ("a/b", false),
            ("a b", false),
            ("a-name-that-is-longer-than-32-ch", true),
            ("a-name-that-is-longer-than-32-cha", false),
            ("sk-proj-a1", false),
        ] {
            assert_eq!(is_slot_name(name), fits, "{name}");
        }
    }
}
