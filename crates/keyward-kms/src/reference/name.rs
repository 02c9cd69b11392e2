//! [`Name`]: what somebody named, as it may be shown and sent.

use std::fmt;

use keyward::find;

use crate::place::shown;
use crate::{Error, ErrorKind};

/// What somebody named: a secret, a parameter, a path, a KMS key. It may be a key by mistake.
#[derive(Clone)]
pub(crate) struct Name(String);

impl Name {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// As it was given, to be looked at.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// As it was given, to be sent: but not a key in the place of its name, because a cloud writes
    /// names to its audit log.
    pub(crate) fn checked(&self) -> Result<&str, Error> {
        if find::contains_key(&self.0) {
            return Err(Error::new(
                ErrorKind::Invalid,
                "a key stands in the place of its name",
                "give the name that the key is stored under",
            ));
        }
        Ok(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&shown(&self.0), f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.0))
    }
}
