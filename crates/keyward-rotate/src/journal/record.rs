//! [`Record`]: one line of a journal, and how it is written.

use keyward::{Timestamp, find};
use serde::{Deserialize, Serialize};

use crate::machine::Ledger;
use crate::tag::Tag;
use crate::{RotateError, RotateErrorKind};

/// One thing that was done, or is about to be.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Record {
    /// When, by the clock of who wrote it. No more is decided by it than when the next rotation is due.
    pub at: Timestamp,
    /// The tag of the attempt, which names slot and rotation.
    pub tag: Tag,
    /// What.
    pub entry: Entry,
}

/// What a [`Record`] says.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Entry {
    /// The attempt is over, and no key of its tag may be used: what may still appear under it is
    /// deleted.
    Abandoned {
        /// Why.
        why: String,
    },
    /// An account of its own was made for the key, because single keys cannot be deleted.
    AccountMade {
        /// Its id.
        account: String,
    },
    /// The organization deletes single keys of service accounts again.
    DeletionAllowed,
    /// The organization does not delete single keys of service accounts.
    DeletionRefused,
    /// The rotation is over.
    Done,
    /// The old key has its expiry, and is watched.
    Draining {
        /// Its id.
        key: String,
    },
    /// The rotation is over, and old keys are still used: the next one, which is due, goes on with
    /// them.
    HandedOn {
        /// These.
        old: Vec<OldKey>,
    },
    /// A key is about to be made.
    Intent {
        /// The project in which it is made.
        project: Option<String>,
        /// The keys that it is to replace, as far as keyward may delete them.
        old: Vec<OldKey>,
        /// Whether an account of its own is made for the key.
        own_account: bool,
        /// Whether the old ones are deleted at once, because they leaked.
        now: bool,
    },
    /// The key was made.
    Minted {
        /// Its id, if the organization told it.
        key: Option<String>,
        /// When, by the organization's clock.
        created_at: Option<Timestamp>,
        /// When it expires, by the organization's clock.
        expires_at: Option<Timestamp>,
    },
    /// It is the store's current key.
    Promoted,
    /// An old key is dead.
    Retired {
        /// Its id.
        key: String,
        /// How.
        how: Retirement,
    },
    /// The store has it, as the pending one.
    Staged {
        /// Under this version.
        version: String,
    },
    /// A key leaked meanwhile: the old ones are deleted at once, and another key is made.
    Urgent,
    /// Somebody put another key in its place. It may be in use, so nothing is done about it.
    Superseded,
    /// It works.
    Verified,
}

/// A key that is to be retired.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OldKey {
    /// Its id.
    pub key: String,
    /// The account that keyward made for it alone, if it did: it is deleted with the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
}

/// How a key was retired.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Retirement {
    /// Its account was deleted, which keyward had made for it alone.
    AccountDeleted,
    /// It was deleted.
    Deleted,
    /// It could not be deleted, so it was let expire.
    Expired,
    /// It was gone already.
    Gone,
}

/// How a record is written: one flat object, its step first to be read.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Form {
    at: String,
    tag: String,
    step: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    old: Vec<OldKey>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    own_account: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    now: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    how: Option<Retirement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

impl Record {
    /// Its line, with the end of the line.
    #[must_use]
    pub fn to_line(&self) -> String {
        let mut form = Form {
            at: self.at.to_string(),
            tag: self.tag.to_string(),
            step: self.step().to_owned(),
            ..Form::default()
        };
        match self.entry.clone() {
            Entry::Abandoned { why } => form.why = Some(find::scrub(&why).into_owned()),
            Entry::AccountMade { account } => form.account = Some(account),
            Entry::DeletionAllowed
            | Entry::DeletionRefused
            | Entry::Done
            | Entry::Promoted
            | Entry::Superseded
            | Entry::Urgent
            | Entry::Verified => {}
            Entry::Draining { key } => form.key = Some(key),
            Entry::HandedOn { old } => form.old = old,
            Entry::Intent { project, old, own_account, now } => {
                form.project = project;
                (form.old, form.own_account, form.now) = (old, own_account, now);
            }
            Entry::Minted { key, created_at, expires_at } => {
                form.key = key;
                form.created_at = created_at.and_then(written);
                form.expires_at = expires_at.and_then(written);
            }
            Entry::Retired { key, how } => (form.key, form.how) = (Some(key), Some(how)),
            Entry::Staged { version } => form.version = Some(version),
        }
        let mut line = serde_json::to_string(&form).unwrap_or_default();
        line.push('\n');
        line
    }

    /// The step that it tells of, as it is written.
    #[must_use]
    pub fn step(&self) -> &'static str {
        match self.entry {
            Entry::Abandoned { .. } => "abandoned",
            Entry::AccountMade { .. } => "account_made",
            Entry::DeletionAllowed => "deletion_allowed",
            Entry::DeletionRefused => "deletion_refused",
            Entry::Done => "done",
            Entry::Draining { .. } => "draining",
            Entry::HandedOn { .. } => "handed_on",
            Entry::Intent { .. } => "intent",
            Entry::Minted { .. } => "minted",
            Entry::Promoted => "promoted",
            Entry::Retired { .. } => "retired",
            Entry::Staged { .. } => "staged",
            Entry::Superseded => "superseded",
            Entry::Urgent => "urgent",
            Entry::Verified => "verified",
        }
    }

    /// Reads one line. None when it is no record.
    fn parse(line: &str) -> Option<Self> {
        let form: Form = serde_json::from_str(line).ok()?;
        // Nothing is decided by them, so one that cannot be read costs no more than itself.
        let time = |text: Option<String>| text.and_then(|text| text.parse().ok());
        let (at, tag) = (form.at.parse().ok()?, form.tag.parse().ok()?);
        let entry = match form.step.as_str() {
            "abandoned" => Entry::Abandoned { why: form.why.unwrap_or_default() },
            "account_made" => Entry::AccountMade { account: form.account? },
            "deletion_allowed" => Entry::DeletionAllowed,
            "deletion_refused" => Entry::DeletionRefused,
            "done" => Entry::Done,
            "handed_on" => Entry::HandedOn { old: form.old },
            "draining" => Entry::Draining { key: form.key? },
            "intent" => {
                let Form { project, old, own_account, now, .. } = form;
                Entry::Intent { project, old, own_account, now }
            }
            "minted" => Entry::Minted {
                key: form.key,
                created_at: time(form.created_at),
                expires_at: time(form.expires_at),
            },
            "promoted" => Entry::Promoted,
            "retired" => Entry::Retired { key: form.key?, how: form.how? },
            "staged" => Entry::Staged { version: form.version? },
            "superseded" => Entry::Superseded,
            "urgent" => Entry::Urgent,
            "verified" => Entry::Verified,
            _ => return None,
        };
        Some(Self { at, tag, entry })
    }
}

/// A time as it is written; none if it could not be read again, such as one that a server tells in
/// milliseconds.
fn written(at: Timestamp) -> Option<String> {
    Some(at.to_string()).filter(|text| text.parse() == Ok(at))
}

/// Whether a time that was told is one.
pub(crate) fn is_time(at: &Timestamp) -> bool {
    written(*at).is_some()
}

/// The records of a text. What is behind the last end of a line is a write that was cut off, and
/// was never answered for.
pub(crate) fn read(text: &str) -> Result<Vec<Record>, RotateError> {
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    let parse = |(n, line): (usize, &str)| {
        Record::parse(line).ok_or_else(|| {
            RotateError::new(
                RotateErrorKind::JournalRefused,
                format!("line {} of the journal is no record that this version knows", n + 1),
                "see who wrote it; a newer keyward may read it",
            )
        })
    };
    whole.lines().enumerate().filter(|(_, line)| !line.is_empty()).map(parse).collect()
}

/// How many abandoned attempts are remembered.
const REMEMBERED: usize = 16;

/// What of a journal must be kept when another attempt begins: whether single keys can be deleted,
/// which old keys are handed on, and the tags under which a key may still appear.
pub(crate) fn compacted(records: &[Record]) -> String {
    let ledger = Ledger::of(records);
    let last = |is_it: fn(&Entry) -> bool| records.iter().rfind(|record| is_it(&record.entry));
    let refused = last(|entry| *entry == Entry::DeletionRefused).filter(|_| ledger.own_accounts);
    let carried = last(|entry| matches!(entry, Entry::HandedOn { .. }))
        .filter(|_| !ledger.carried.is_empty());
    // The urgency is the next intent's: it is written with it.
    let is_abandoned = |record: &&Record| matches!(record.entry, Entry::Abandoned { .. });
    let abandoned: Vec<_> = records.iter().filter(is_abandoned).collect();
    let recent = &abandoned[abandoned.len().saturating_sub(REMEMBERED)..];
    let kept = refused.into_iter().chain(carried).chain(recent.iter().copied());
    kept.map(Record::to_line).collect()
}

#[cfg(test)]
mod tests {
    use super::{Entry, OldKey, Record, Retirement, compacted, read};
    use crate::tag::Tag;
    use crate::{DynJournal, FileJournal, Journal as _, StoreJournal};
    use keyward::Timestamp;
    use keyward::store::{DynKeyStore, MemoryStore};
    use proptest::prelude::*;

    fn entries() -> Vec<Entry> {
        let at = Timestamp::from_unix_seconds(1_790_000_000);
        let old = OldKey { key: "key_a".into(), account: Some("svc_acct_1".into()) };
        vec![
            Entry::Intent {
                project: Some("proj_1".into()),
                old: vec![old.clone()],
                own_account: true,
                now: true,
            },
            Entry::HandedOn { old: vec![old] },
            Entry::DeletionAllowed,
            Entry::Intent { project: None, old: vec![], own_account: false, now: false },
            Entry::AccountMade { account: "svc_acct_1".into() },
            Entry::Minted { key: Some("key_b".into()), created_at: Some(at), expires_at: None },
            Entry::Minted { key: None, created_at: None, expires_at: Some(at) },
            Entry::Staged { version: "7".into() },
            Entry::Verified,
            Entry::Promoted,
            Entry::Draining { key: "key_a".into() },
            Entry::Retired { key: "key_a".into(), how: Retirement::AccountDeleted },
            Entry::DeletionRefused,
            Entry::Done,
            Entry::Abandoned { why: "the answer was lost\nand more".into() },
            Entry::Superseded,
            Entry::Urgent,
        ]
    }

    fn record(entry: Entry) -> Record {
        let at = Timestamp::from_unix_seconds(1_790_000_000);
        Record { at, tag: Tag::new("billing", 12_345), entry }
    }

    #[test]
    fn what_was_written_is_read() {
        let records: Vec<_> = entries().into_iter().map(record).collect();
        let text: String = records.iter().map(Record::to_line).collect();
        assert_eq!(read(&text).unwrap(), records);
        assert_eq!(text.lines().count(), records.len(), "one line each");
        // A person reads it.
        assert!(text.starts_with(
            r#"{"at":"2026-09-21T14:13:20Z","tag":"keyward/billing/s1c0000000000","step":"intent""#
        ), "{text}");
        // A write that was cut off anywhere is not there.
        let whole = records[0].to_line();
        for (cut, _) in records[1].to_line().char_indices() {
            let torn = format!("{whole}{}", &records[1].to_line()[..cut]);
            assert_eq!(read(&torn).unwrap(), records[..1], "cut at {cut}");
        }
    }

    #[test]
    fn a_line_that_is_not_understood_is_an_error() {
        let good = record(Entry::Done).to_line();
        for bad in ["{}", "nonsense", &good.trim().replace("done", "undone")] {
            let error = read(&format!("{good}{bad}\n")).unwrap_err();
            assert!(error.to_string().contains("line 2"), "{error}");
        }
    }

    #[test]
    fn what_is_kept_when_another_attempt_begins() {
        let mut records: Vec<_> = entries().into_iter().map(record).collect();
        records.extend((0..40).map(|_| record(Entry::Abandoned { why: "x".into() })));
        let kept = read(&compacted(&records)).unwrap();
        assert_eq!(kept.len(), 17);
        assert_eq!(kept[0].entry, Entry::DeletionRefused);
        assert!(
            kept[1..].iter().all(|record| record.entry == Entry::Abandoned { why: "x".into() })
        );
    }

    /// A server that tells milliseconds must not make the journal unreadable.
    #[tokio::test]
    async fn a_time_that_is_none_is_left_out() {
        let far = Some(Timestamp::from_unix_seconds(1_790_000_000_000));
        let good = Some(Timestamp::from_unix_seconds(1_790_000_000));
        let minted = |created_at, expires_at| {
            record(Entry::Minted { key: Some("key_b".into()), created_at, expires_at })
        };
        let directory = tempfile::tempdir().unwrap();
        let store = DynKeyStore::new(MemoryStore::new("billing"));
        let journals = [
            DynJournal::new(FileJournal::new(directory.path())),
            DynJournal::new(StoreJournal::new(store)),
        ];
        for journal in journals {
            let mut written = journal.read("billing").await.unwrap();
            for (told, kept) in [
                ((far, far), (None, None)),
                ((far, good), (None, good)),
                ((good, far), (good, None)),
            ] {
                let line = minted(told.0, told.1).to_line();
                written = journal.append("billing", &written, &line).await.unwrap();
                let records = journal.read("billing").await.unwrap().records().unwrap();
                assert_eq!(*records.last().unwrap(), minted(kept.0, kept.1));
            }
        }
        // As an earlier version wrote it.
        let line =
            minted(good, None).to_line().replace("2026-09-21T14:13:20Z\"}", "1790000000000 s\"}");
        assert!(line.contains(" s\""), "{line}");
        assert_eq!(read(&line).unwrap(), [minted(None, None)]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = read(&text);
            let _ = read(&format!("{text}\n"));
        }
    }
}
