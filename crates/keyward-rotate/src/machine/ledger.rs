//! [`Ledger`]: what a journal says, as one state.

use std::collections::BTreeSet;

use keyward::Timestamp;

use crate::journal::{Entry, OldKey, Record, Retirement};
use crate::tag::Tag;

/// The state of a slot's rotations: what its journal says, added up.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Ledger {
    /// The attempt that is not over.
    pub(crate) open: Option<Attempt>,
    /// The attempts that are given up, under whose tags a key may still appear.
    pub(crate) abandoned: Vec<Tag>,
    /// The last rotation that came to its end, and when.
    pub(crate) done: Option<(Tag, Timestamp)>,
    /// The old keys that the last rotation handed on, because they were still used when the next was
    /// due.
    pub(crate) carried: Vec<OldKey>,
    /// When somebody put another key in the place of a rotation's, if nothing was begun since.
    pub(crate) superseded_at: Option<Timestamp>,
    /// Whether a key leaked, and no rotation that was begun for that has come to its end since.
    pub(crate) is_urgent: bool,
    /// Whether each key gets an account of its own, because single keys cannot be deleted.
    pub(crate) own_accounts: bool,
}

/// An attempt that is not over.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Attempt {
    pub(crate) tag: Tag,
    pub(crate) begun_at: Timestamp,
    pub(crate) project: Option<String>,
    pub(crate) old: Vec<OldKey>,
    pub(crate) own_account: bool,
    pub(crate) now: bool,
    pub(crate) account: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) step: Step,
    pub(crate) draining: BTreeSet<String>,
    pub(crate) retired: Vec<(String, Retirement)>,
}

/// How far an attempt came.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Step {
    Intent,
    AccountMade,
    Minted,
    Staged,
    Verified,
    Promoted,
}

impl Step {
    pub(crate) fn is_promoted(self) -> bool {
        self == Self::Promoted
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::AccountMade => "account_made",
            Self::Minted => "minted",
            Self::Staged => "staged",
            Self::Verified => "verified",
            Self::Promoted => "promoted",
        }
    }
}

impl Attempt {
    pub(crate) fn is_retired(&self, key: &str) -> bool {
        self.retired.iter().any(|(retired, _)| retired == key)
    }
}

impl Ledger {
    pub(crate) fn of(records: &[Record]) -> Self {
        let mut ledger = Self::default();
        records.iter().for_each(|record| ledger.add(record));
        ledger
    }

    pub(crate) fn add(&mut self, record: &Record) {
        let Record { at, tag, entry } = record;
        match entry {
            Entry::Urgent => self.is_urgent = true,
            Entry::DeletionAllowed => self.own_accounts = false,
            Entry::DeletionRefused => self.own_accounts = true,
            Entry::Abandoned { .. } => self.abandon(tag),
            Entry::Intent { project, old, own_account, now } => {
                // Who begins has seen that nothing is open; if it is, it is not gone on with.
                if let Some(tag) = self.open.as_ref().map(|open| open.tag.clone()) {
                    self.abandon(&tag);
                }
                self.superseded_at = None;
                self.open = Some(Attempt {
                    tag: tag.clone(),
                    begun_at: *at,
                    project: project.clone(),
                    old: old.clone(),
                    own_account: *own_account,
                    now: *now,
                    account: None,
                    key: None,
                    step: Step::Intent,
                    draining: BTreeSet::new(),
                    retired: Vec::new(),
                });
            }
            Entry::Done | Entry::Superseded => {
                let open = self.open.take_if(|open| open.tag == *tag);
                if *entry == Entry::Done {
                    self.done = Some((tag.clone(), *at));
                    self.is_urgent &= !open.is_some_and(|open| open.now);
                } else {
                    self.superseded_at = Some(*at);
                }
            }
            Entry::HandedOn { old } => {
                self.open.take_if(|open| open.tag == *tag);
                self.done = Some((tag.clone(), *at));
                self.carried.clone_from(old);
            }
            Entry::AccountMade { .. }
            | Entry::Draining { .. }
            | Entry::Minted { .. }
            | Entry::Promoted
            | Entry::Retired { .. }
            | Entry::Staged { .. }
            | Entry::Verified => {
                if let Some(open) = self.open.as_mut().filter(|open| open.tag == *tag) {
                    open.add(entry);
                    if *entry == Entry::Promoted {
                        // They are the open rotation's from here on.
                        self.carried.clear();
                    }
                }
            }
        }
    }

    pub(crate) fn has_abandoned(&self, tag: &Tag) -> bool {
        self.abandoned.contains(tag)
    }

    fn abandon(&mut self, tag: &Tag) {
        let open = self.open.take_if(|open| open.tag == *tag);
        self.is_urgent |= open.is_some_and(|open| open.now);
        if !self.has_abandoned(tag) {
            self.abandoned.push(tag.clone());
        }
    }
}

impl Attempt {
    fn add(&mut self, entry: &Entry) {
        match entry {
            Entry::AccountMade { account } => {
                self.account = Some(account.clone());
                self.step = Step::AccountMade;
            }
            Entry::Draining { key } => {
                self.draining.insert(key.clone());
            }
            Entry::Minted { key, .. } => {
                self.key.clone_from(key);
                self.step = Step::Minted;
            }
            Entry::Promoted => self.step = Step::Promoted,
            Entry::Retired { key, how } => self.retired.push((key.clone(), *how)),
            Entry::Staged { .. } => self.step = Step::Staged,
            Entry::Verified => self.step = Step::Verified,
            _ => {}
        }
    }
}
