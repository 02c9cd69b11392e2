//! [`Tries`]: how often a change is tried when others change the secret at the same time.

use std::time::Duration;

use keyward::KeySource;
use keyward::store::{StoreError, StoreErrorKind};

/// The tries of one change so far.
pub(super) struct Tries {
    left: u32,
    /// What the secret was known by, as long as it is that.
    etag: Option<String>,
    changed: bool,
}

impl Tries {
    pub(super) fn new() -> Self {
        Self { left: TRIES, etag: None, changed: false }
    }

    /// Waits after a try that found the secret changed since it was read with this tag. An error if
    /// it was the last.
    pub(super) async fn lost(&mut self, etag: &str, source: KeySource) -> Result<(), StoreError> {
        self.changed |= self.etag.as_deref().is_some_and(|known| known != etag);
        self.etag = Some(etag.to_owned());
        self.left -= 1;
        if self.left == 0 {
            return Err(self.spent(source));
        }
        let wait = FIRST.saturating_mul(1 << (TRIES - 1 - self.left).min(16)).min(LONGEST);
        tokio::time::sleep(wait.mul_f64(share())).await;
        Ok(())
    }

    fn spent(&self, source: KeySource) -> StoreError {
        if self.changed {
            let what = "others change it all the time".to_owned();
            let fix = "take the lease, and try again";
            return StoreError::new(StoreErrorKind::Conflict, source, what, fix);
        }
        // Nobody has changed it, as far as Google tells.
        let what = "Google refuses every write with FAILED_PRECONDITION".to_owned();
        let fix = "enable the KMS key of the secret, or try again in some minutes";
        StoreError::new(StoreErrorKind::Refused, source, what, fix)
    }
}

/// Between a half and the whole, at random: those who lost together do not come back together.
fn share() -> f64 {
    let mut byte = [0];
    // Without random numbers it is the half.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    0.5 + f64::from(byte[0]) / 512.0
}

const TRIES: u32 = 16;
const FIRST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_millis(500);
