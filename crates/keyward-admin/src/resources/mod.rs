//! One file per resource, with its types and its calls together.

use std::time::Duration;

use crate::operations::Operation;
use crate::transport::Call;
use crate::{Error, ErrorKind, ProjectId};

pub(crate) mod admin_keys;
pub(crate) mod audit_event_types;
pub(crate) mod audit_logs;
pub(crate) mod certificates;
pub(crate) mod costs;
pub(crate) mod data_retention;
pub(crate) mod external_keys;
pub(crate) mod external_storage;
pub(crate) mod federation_rules;
pub(crate) mod groups;
pub(crate) mod hosted_tools;
pub(crate) mod invites;
pub(crate) mod model_permissions;
pub(crate) mod project_groups;
pub(crate) mod project_keys;
pub(crate) mod project_users;
pub(crate) mod projects;
pub(crate) mod rate_limits;
pub(crate) mod role_assignments;
pub(crate) mod roles;
pub(crate) mod service_accounts;
pub(crate) mod service_tiers;
#[cfg(test)]
mod shapes;
pub(crate) mod spend_alerts;
pub(crate) mod spend_limits;
#[cfg(test)]
mod tests_people;
pub(crate) mod usage;
pub(crate) mod usage_results;
pub(crate) mod users;
pub(crate) mod workload_identity;

/// A life in whole seconds, at least one: the API refuses zero, and a key that never expires must
/// not come of a rounding.
fn seconds(life: Duration) -> u64 {
    life.as_secs().max(1)
}

/// The largest page that every listing of this crate accepts, which costs the fewest requests.
const PAGE: u32 = 100;

/// The largest page of the listings with a `next` cursor.
const MANY: u32 = 1000;

/// What a listed thing is called, for those that look for what they may have made.
enum Named<'a> {
    Name(&'a str),
    /// It is what is looked for, by another rule than its name.
    Ours,
    /// It is another's, whatever it is called.
    NotOurs,
    /// It cannot be told.
    Unclear,
}

impl<'a> Named<'a> {
    fn of(name: Option<&'a str>) -> Self {
        name.map_or(Self::Unclear, Self::Name)
    }
}

/// The things of this name. What cannot be told apart is an error: "none" would be a guess, on
/// which somebody would make a second one.
fn named<T>(
    things: Vec<T>,
    listing: &Operation,
    name: &str,
    look: impl Fn(&T) -> Named<'_>,
) -> Result<Vec<T>, Error> {
    let mut found = Vec::new();
    for thing in things {
        match look(&thing) {
            Named::Name(other) if other == name => found.push(thing),
            Named::Ours => found.push(thing),
            Named::Name(_) | Named::NotOurs => {}
            Named::Unclear => {
                let what = "it cannot be told of each what it is called and whose it is";
                return Err(Error::new(ErrorKind::Drift, what).in_operation(listing));
            }
        }
    }
    Ok(found)
}

/// Whose it is, of what the organization and each of its projects has.
#[derive(Clone, Debug)]
pub(crate) enum Account {
    Organization,
    Project(ProjectId),
}

impl Account {
    /// The call of the one operation or the other.
    fn call(&self, organization: Operation, project: Operation) -> Call {
        match self {
            Self::Organization => Call::new(organization, []),
            Self::Project(id) => Call::new(project, [id.as_str()]),
        }
    }
}
