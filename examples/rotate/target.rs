//! [`Target`]: whose key is replaced, a slot's or the organization's own.

use keyward::Timestamp;
use keyward_rotate::{
    AdminRotator, Events, Outcome, Plan, RotateError, Rotator, Status, Sweep, SweepReport,
};

/// One key that is replaced.
pub(crate) enum Target {
    Admin(AdminRotator),
    Slot(Rotator, String),
}

impl Target {
    /// The name under which it is told of.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Admin(_) => crate::slots::ADMIN,
            Self::Slot(_, name) => name,
        }
    }

    pub(crate) fn events(&self) -> Events {
        match self {
            Self::Admin(rotator) => rotator.events(),
            Self::Slot(rotator, _) => rotator.events(),
        }
    }

    /// None for the admin key, of which there is nothing to plan.
    pub(crate) async fn plan(&self) -> Result<Option<Plan>, RotateError> {
        match self {
            Self::Admin(_) => Ok(None),
            Self::Slot(rotator, name) => rotator.plan(name).await.map(Some),
        }
    }

    pub(crate) async fn status(&self) -> Result<Status, RotateError> {
        match self {
            Self::Admin(rotator) => rotator.status().await,
            Self::Slot(rotator, name) => rotator.status(name).await,
        }
    }

    pub(crate) async fn is_due(&self, now: Timestamp) -> Result<bool, RotateError> {
        Ok(self.status().await?.is_due(now))
    }

    pub(crate) async fn rotate(&self) -> Result<Outcome, RotateError> {
        match self {
            Self::Admin(rotator) => rotator.rotate().await,
            Self::Slot(rotator, name) => rotator.rotate(name).await,
        }
    }

    pub(crate) async fn rotate_now(&self) -> Result<Outcome, RotateError> {
        match self {
            Self::Admin(rotator) => rotator.rotate_now().await,
            Self::Slot(rotator, name) => rotator.rotate_now(name).await,
        }
    }

    pub(crate) async fn resume(&self) -> Result<Option<Outcome>, RotateError> {
        match self {
            Self::Admin(rotator) => rotator.resume().await,
            Self::Slot(rotator, name) => rotator.resume(name).await,
        }
    }

    pub(crate) async fn sweep(&self, sweep: Sweep) -> Result<SweepReport, RotateError> {
        match self {
            Self::Admin(rotator) => rotator.sweep(sweep).await,
            Self::Slot(rotator, name) => rotator.sweep(name, sweep).await,
        }
    }
}
