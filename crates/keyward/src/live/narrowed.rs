//! [`NarrowedKey`]: the two kinds of key that a handle can hold.

use std::fmt;

use keyward_core::{AdminKey, Admitted, ApiKey, ProjectKey, Refusal};

/// A key that a policy has admitted for one purpose: [`ProjectKey`] or [`AdminKey`], and nothing
/// else.
pub trait NarrowedKey: sealed::Narrow + Clone + fmt::Debug + Send + Sync + 'static {
    /// The key itself.
    fn as_api_key(&self) -> &ApiKey;
}

impl NarrowedKey for AdminKey {
    fn as_api_key(&self) -> &ApiKey {
        self.as_api_key()
    }
}

impl NarrowedKey for ProjectKey {
    fn as_api_key(&self) -> &ApiKey {
        self.as_api_key()
    }
}

pub(super) mod sealed {
    use super::{AdminKey, Admitted, ProjectKey, Refusal};

    pub trait Narrow: Sized {
        fn narrow(admitted: Admitted) -> Result<Self, Refusal>;
    }

    impl Narrow for AdminKey {
        fn narrow(admitted: Admitted) -> Result<Self, Refusal> {
            admitted.into_admin_key()
        }
    }

    impl Narrow for ProjectKey {
        fn narrow(admitted: Admitted) -> Result<Self, Refusal> {
            admitted.into_project_key()
        }
    }
}
