//! One file per resource, with its types and its calls together.

use std::time::Duration;

pub(crate) mod admin_keys;
pub(crate) mod project_keys;
pub(crate) mod projects;
pub(crate) mod service_accounts;
pub(crate) mod users;

/// A life in whole seconds, at least one: the API refuses zero, and a key that never expires must
/// not come of a rounding.
fn seconds(life: Duration) -> u64 {
    life.as_secs().max(1)
}

/// The largest page that every listing of this crate accepts, which costs the fewest requests.
const PAGE: u32 = 100;
