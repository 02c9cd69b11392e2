//! [`AuditCursor`]: how far an export has come, to go on from there.

use std::collections::{HashSet, VecDeque};

use keyward_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::AuditEventId;

/// How far an [`AuditExport`](crate::AuditExport) has come: the moment to go on from, and which
/// events after it were there already.
///
/// It is for keeping, by `serde`, in a file or beside what was exported. There is no secret in it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AuditCursor {
    /// Unix seconds.
    since: i64,
    seen: Vec<(i64, String)>,
}

impl AuditCursor {
    /// The moment from which an export goes on. It is somewhat before the last event.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.since)
    }
}

/// What an export has had, as far back as it looks.
#[derive(Debug)]
pub(super) struct Had {
    /// Before this nothing is looked at.
    start: i64,
    /// The time of the newest event.
    pub(super) newest: i64,
    look_back: i64,
    ids: HashSet<AuditEventId>,
    /// The oldest first.
    order: VecDeque<(i64, AuditEventId)>,
}

/// Times are rounded somehow, so an event may be told a second beside the window that it is in.
const LEAST_LOOK_BACK: i64 = 1;

impl Had {
    pub(super) fn nothing(since: i64) -> Self {
        Self {
            start: since,
            newest: since,
            look_back: LEAST_LOOK_BACK,
            ids: HashSet::new(),
            order: VecDeque::new(),
        }
    }

    pub(super) fn as_of(cursor: &AuditCursor, look_back: i64) -> Self {
        let mut had = Self { look_back, ..Self::nothing(cursor.since) };
        for (at, id) in &cursor.seen {
            let id = AuditEventId::from(id.as_str());
            had.ids.insert(id.clone());
            had.order.push_back((*at, id));
        }
        had
    }

    pub(super) fn look_back(&self) -> i64 {
        self.look_back
    }

    pub(super) fn set_look_back(&mut self, seconds: i64) {
        self.look_back = seconds.max(LEAST_LOOK_BACK);
    }

    /// Notes an event; false when it was there before.
    pub(super) fn is_new(&mut self, at: Option<i64>, id: &AuditEventId) -> bool {
        // What has no time is as old as what came before it.
        let at = at.unwrap_or(self.newest);
        self.newest = self.newest.max(at);
        if !self.ids.insert(id.clone()) {
            return false;
        }
        self.order.push_back((at, id.clone()));
        let since = self.since();
        while self.order.front().is_some_and(|(at, _)| *at < since) {
            if let Some((_, id)) = self.order.pop_front() {
                self.ids.remove(&id);
            }
        }
        true
    }

    pub(super) fn cursor(&self) -> AuditCursor {
        let since = self.since();
        let seen = self.order.iter().filter(|(at, _)| *at >= since);
        let seen = seen.map(|(at, id)| (*at, id.as_str().to_owned())).collect();
        AuditCursor { since, seen }
    }

    fn since(&self) -> i64 {
        self.newest.saturating_sub(self.look_back).max(self.start)
    }
}
