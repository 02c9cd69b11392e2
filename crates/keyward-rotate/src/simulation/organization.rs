//! [`Books`]: the organization's keys and accounts, as the simulation keeps them.

use std::time::Duration;

use keyward::ApiKey;

use super::world::{State, stamp};
use crate::outside::ListedKey;
use crate::tag::Tag;

pub(super) const SLOT: &str = "billing";
pub(super) const ACCOUNT: &str = "svc_acct_slot";

#[derive(Clone, Default)]
pub(super) struct Books {
    pub(super) keys: Vec<Key>,
    pub(super) accounts: Vec<Account>,
    /// How long a new key is not accepted yet.
    pub(super) cache: Duration,
    pub(super) refuses_deletion: bool,
    /// Whether these are admin keys: each call is made with one, and none can be let expire.
    pub(super) are_admin: bool,
    pub(super) is_archived: bool,
    pub(super) role_none: bool,
    pub(super) max_ttl: Option<Duration>,
    /// The ids of keys that keyward did not make and was told to delete.
    pub(super) adopted: Vec<String>,
    pub(super) made: u64,
}

#[derive(Clone)]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) account: String,
    pub(super) value: ApiKey,
    pub(super) made_at: Duration,
    pub(super) expires_at: Option<Duration>,
    /// Whether its expiry was set after it was made.
    pub(super) is_let_expire: bool,
    pub(super) is_deleted: bool,
    pub(super) last_used: Option<Duration>,
    /// When it was tampered with, if it was.
    touched: bool,
}

#[derive(Clone)]
pub(super) struct Account {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) is_deleted: bool,
}

/// What appears after its maker has given it up.
#[derive(Clone)]
pub(super) enum Late {
    Account(Tag),
    Key { tag: Tag, account: String, ttl: Duration },
}

impl Books {
    /// A key, whoever makes it.
    pub(super) fn mint(
        &mut self,
        name: &str,
        account: &str,
        ttl: Option<Duration>,
        now: Duration,
    ) -> Key {
        self.made += 1;
        let made = self.made;
        // As short as a piece that is a leak, so that looking for it costs little.
        let mixed = made.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 12;
        let value = ApiKey::issued(format!("{mixed:013x}")).expect("a value");
        let key = Key {
            id: format!("key_{made}"),
            name: name.to_owned(),
            account: account.to_owned(),
            value,
            made_at: now,
            expires_at: ttl.map(|ttl| now + ttl),
            is_let_expire: false,
            is_deleted: false,
            last_used: None,
            touched: false,
        };
        self.keys.push(key.clone());
        key
    }

    pub(super) fn make_account(&mut self, name: &str) -> String {
        self.made += 1;
        let id = format!("svc_acct_{}", self.made);
        self.accounts.push(Account { id: id.clone(), name: name.to_owned(), is_deleted: false });
        id
    }

    pub(super) fn is_live(&self, key: &Key, now: Duration) -> bool {
        !key.is_deleted && key.expires_at.is_none_or(|at| now < at)
    }

    pub(super) fn accepts(&self, value: &ApiKey, now: Duration) -> bool {
        let found = self.keys.iter().find(|key| key.value == *value);
        found.is_some_and(|key| self.is_live(key, now) && now >= key.made_at + self.cache)
    }

    pub(super) fn used(&mut self, value: &ApiKey, now: Duration) {
        if let Some(key) = self.keys.iter_mut().find(|key| key.value == *value) {
            key.last_used = Some(now);
        }
    }

    /// One that is there: a key that expired is listed still.
    pub(super) fn find(&mut self, id: &str) -> Option<&mut Key> {
        self.keys.iter_mut().find(|key| key.id == id && !key.is_deleted)
    }

    /// Deletes a key, or lets it expire: I4.
    pub(super) fn touch(&mut self, id: &str, change: impl FnOnce(&mut Key)) {
        if let Some(key) = self.find(id) {
            key.touched = true;
            change(key);
        }
    }

    pub(super) fn delete_account(&mut self, id: &str) {
        for account in self.accounts.iter_mut().filter(|account| account.id == id) {
            account.is_deleted = true;
        }
        for key in self.keys.iter_mut().filter(|key| key.account == id) {
            key.is_deleted = true;
            key.touched = true;
        }
    }

    /// I4: nobody touched what keyward did not make, and the slot's own account is there.
    pub(super) fn check(&self) -> Result<(), String> {
        let is_foreign =
            |key: &&Key| !Tag::is_of(Some(&key.name), SLOT) && !self.adopted.contains(&key.id);
        match self.keys.iter().filter(is_foreign).find(|key| key.touched) {
            Some(key) => Err(format!("I4: {} was touched, which keyward did not make", key.id)),
            None => Ok(()),
        }
    }

    /// The live keys that carry a tag of the slot.
    pub(super) fn ours(&self, now: Duration) -> Vec<&Key> {
        let is_ours = |key: &&Key| Tag::is_of(Some(&key.name), SLOT) && self.is_live(key, now);
        self.keys.iter().filter(is_ours).collect()
    }

    pub(super) fn listed(&self, key: &Key) -> ListedKey {
        let account = self.accounts.iter().find(|account| account.id == key.account);
        ListedKey {
            id: key.id.clone(),
            name: Some(key.name.clone()),
            account: Some(key.account.clone()),
            account_name: account.map(|account| account.name.clone()),
            redacted: None,
            created_at: Some(stamp(key.made_at, 0)),
            expires_at: key.expires_at.map(|at| stamp(at, 0)),
            last_used_at: key.last_used.map(|at| stamp(at, 0)),
        }
    }
}

impl State {
    /// What was asked for earlier takes effect.
    pub(super) fn appear(&mut self) {
        let (mut due, now) = (Vec::new(), self.now);
        self.late.retain_mut(|(left, late)| {
            *left = left.saturating_sub(1);
            let is_due = *left == 0;
            if is_due {
                due.push(late.clone());
            }
            !is_due
        });
        for late in due {
            match late {
                Late::Account(tag) => {
                    self.books.make_account(tag.as_str());
                }
                Late::Key { tag, account, ttl } => {
                    self.books.mint(tag.as_str(), &account, Some(ttl), now);
                }
            }
        }
    }
}
