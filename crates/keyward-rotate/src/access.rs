//! [`Access`] and [`Management`]: with which admin key the organization is managed, and how a client
//! is made of one that is kept in a store.

use std::sync::{Arc, Mutex, PoisonError};

use keyward::store::{DynKeyStore, KeyStore as _};
use keyward::{AdminKey, AdmitContext, ApiKey, Clock, KeyFingerprint, KeyPolicy};
use keyward_admin::{Client, Error};

use crate::organization::told;
use crate::{RotateError, RotateErrorKind};

pub(crate) type Connect = dyn Fn(AdminKey) -> Result<Client, Error> + Send + Sync;

/// Makes clients of admin keys.
#[derive(Clone)]
pub(crate) struct Access {
    connect: Arc<Connect>,
    clock: Clock,
}

impl Access {
    pub(crate) fn new(connect: Arc<Connect>, clock: Clock) -> Self {
        Self { connect, clock }
    }

    /// A client that manages the organization with this key.
    pub(crate) fn client_of(&self, key: &ApiKey) -> Result<Client, RotateError> {
        let refused = |what: String| {
            let fix = "put a live admin key into the store";
            RotateError::new(RotateErrorKind::Configuration, what, fix)
        };
        let now = AdmitContext::at(self.clock.now().into());
        let admitted = KeyPolicy::admin().admit(key, &now);
        let admitted = admitted.map_err(|refusal| refused(refusal.why().to_string()))?;
        let key = admitted.into_admin_key();
        let key = key.map_err(|_| refused("it is no admin key".to_owned()))?;
        (self.connect)(key).map_err(|error| told(&error))
    }
}

/// With which admin key the organization is managed.
pub(crate) enum Management {
    /// With that of this client, as long as it lives.
    By(Client),
    /// With the one that is current in this store at each call, so that it can be replaced too.
    Kept { store: DynKeyStore, access: Access, client: Mutex<Option<(KeyFingerprint, Client)>> },
}

impl Management {
    pub(crate) fn kept(store: DynKeyStore, access: Access) -> Self {
        Self::Kept { store, access, client: Mutex::new(None) }
    }

    pub(crate) async fn client(&self) -> Result<Client, RotateError> {
        let (store, access, client) = match self {
            Self::By(client) => return Ok(client.clone()),
            Self::Kept { store, access, client } => (store, access, client),
        };
        let current = store.current().await.map_err(|error| RotateError::of_store(&error))?;
        let key = current.ok_or_else(no_admin_key)?.key;
        let fingerprint = key.fingerprint();
        let mut client = client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = client.as_ref().filter(|(known, _)| *known == fingerprint) {
            return Ok(client.clone());
        }
        let made = access.client_of(&key)?;
        *client = Some((fingerprint, made.clone()));
        Ok(made)
    }
}

/// The store has no admin key.
pub(crate) fn no_admin_key() -> RotateError {
    RotateError::new(
        RotateErrorKind::Configuration,
        "the store has no admin key to begin with",
        "put one there: stage and promote it",
    )
}
