//! Replace OpenAI API keys without downtime: no orphan, no lost secret, no dead key in use, whatever
//! dies in between.
//!
//! The primary type is [`Rotator`]. A [`Slot`] says whose key it is, what it may do and how long it
//! lives; the key is kept in a [`KeyStore`](keyward::store::KeyStore), where services find it.
//!
//! # A rotation
//!
//! | step | what is done | if the process dies then |
//! |---|---|---|
//! | plan | the project is active, the account is there, its role is not `none`, the policy admits such a key | nothing has happened |
//! | intent | the journal has the tag of the key to come, and which old ones it replaces | the tag is looked for and what it names deleted; another attempt begins |
//! | mint | a key on the same service account: named by the tag, scoped, expiring | the same: its value is lost |
//! | stage | the store has the key, as the pending one | it is gone on with |
//! | verify | it is used once, until it is accepted | it is proved again |
//! | promote | it is the store's current key; services notice | it is gone on with |
//! | drain | the old key is given an expiry, and watched until nobody has used it for a while; where it is not told when it was used, the whole grace is waited for | the expiry stays as it was set; the watch begins anew |
//! | retire | the old key is deleted | it is gone on with; gone is deleted |
//! | done | the journal says so | |
//!
//! A call that makes a key is sent once. When its outcome is not known, the attempt is given up in
//! the journal first, then what carries its tag is deleted, and another attempt begins under another
//! tag; what appears late is deleted by the next rotation, or by a [`Sweep`].
//!
//! # What it never does
//!
//! - It never touches a key that it did not make: whose name is not a [`Tag`] of the slot, unless its
//!   id is named by [`Slot::retiring`]. A [`Sweep`] asks besides that it belongs to the slot's account
//!   and is not used: two deployments in one project may have slots of the same name.
//! - It never deletes the store's current key.
//! - It never makes an account where keys of the slot's own account can be deleted. Where the
//!   organization refuses that, as all did before 2026-10, it says so
//!   ([`EventKind::DeletionRefused`]), lets the old key expire instead, and gives each further key
//!   an account of its own, which is deleted with it.
//! - It never writes a key anywhere but into the store.
//!
//! # Many rotators
//!
//! Each call takes the slot's lease in the store, and holds it on before each step; one that finds
//! it taken leaves. A lease ends by time, so it is not proof against a process that slept. What is,
//! is the comparison in each write of the journal and of the store: who slept while another went on
//! fails at its next one. What it can have done before that is one call to the organization: at worst
//! it made a key that nobody knows, which is found by its tag.
//!
//! Clocks matter little: silence is told by the organization's `last_used_at` and this process's
//! monotonic clock. By this machine's date go leases, due dates, the age that a [`Sweep`] asks for, and
//! how near the expiry of an old key is.
//!
//! After a leak ([`Rotator::rotate_now`]) nobody is waited for: the lease is taken from whoever holds it,
//! and its fence stops them.
//!
//! # How this is held
//!
//! What is done next is decided without input or output, from the journal, the store and what the
//! organization lists. The tests drive that machine, with the real code of stores and journals,
//! against an organization in memory: every fault at every operation, every pair of crashes, one of
//! two rotators asleep past its lease, and random schedules of all of these, with a service that
//! reads the store all the time. Machines that are broken on purpose are seen to be caught, each by
//! the invariant that it breaks.
//! `KEYWARD_SCHEDULES=100000 KEYWARD_SEED=7 cargo test -p keyward-rotate random_schedules` runs more
//! schedules than a plain `cargo test` does. The rest is tested against the fake organization of
//! `keyward-testkit`, not against OpenAI's own API.
//!
//! # The admin key itself
//!
//! It is long-lived too. [`AdminRotator`] replaces it by the same steps: the new one has an expiry, is
//! proved by listing with it, and deletes the old one.
//!
//! # Features
//!
//! - `toml`: [`SlotFile`](https://docs.rs/keyward-rotate/latest/keyward_rotate/struct.SlotFile.html),
//!   slots written down in a `keyward.toml`.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub use crate::admin::{AdminRotator, AdminRotatorBuilder};
pub use crate::error::{RotateError, RotateErrorKind};
pub use crate::event::{Event, EventKind, Events, Straggler, Wait};
pub use crate::journal::{
    DynJournal, Entry, FileJournal, Journal, OldKey, Record, Retirement, StoreJournal, Written,
};
pub use crate::outcome::Outcome;
pub use crate::plan::{Plan, PlannedStep};
pub use crate::probe::{DynProbe, HttpProbe, Probe, ProbeAnswer};
pub use crate::rotator::{Rotator, RotatorBuilder};
#[cfg(feature = "toml")]
pub use crate::slot::SlotFile;
pub use crate::slot::{Slot, Stragglers, Verification, danger};
pub use crate::status::{KeyStatus, OpenRotation, Status};
pub use crate::sweep::{Fate, Orphan, Sweep, SweepReport};
pub use crate::tag::{NotATag, Tag};

mod access;
mod admin;
mod daemon;
mod driver;
mod error;
mod event;
mod journal;
mod machine;
mod organization;
mod outcome;
mod outside;
mod plan;
mod probe;
mod rotator;
#[cfg(test)]
mod simulation;
mod slot;
mod status;
mod sweep;
mod tag;

#[doc = include_str!("../docs/guide.md")]
pub mod guide {}

/// The README's snippet is held to compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
