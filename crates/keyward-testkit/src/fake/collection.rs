//! Things with ids in order of creation, the deleted among them.

use super::answer::ApiError;
use super::page::Entry;

/// Things of one kind. What is deleted keeps its place: a cursor to it still works.
pub(super) struct Collection<T> {
    items: Vec<Item<T>>,
}

struct Item<T> {
    id: String,
    deleted: bool,
    thing: T,
}

impl<T> Collection<T> {
    pub(super) fn add(&mut self, id: String, thing: T) {
        self.items.push(Item { id, deleted: false, thing });
    }

    /// The thing with this id; `what` names its kind if there is none.
    pub(super) fn get(&self, what: &str, id: &str) -> Result<&T, ApiError> {
        self.items
            .iter()
            .find(|item| item.id == id && !item.deleted)
            .map(|item| &item.thing)
            .ok_or_else(|| ApiError::not_found(what, id))
    }

    pub(super) fn get_mut(&mut self, what: &str, id: &str) -> Result<&mut T, ApiError> {
        self.item_mut(what, id).map(|item| &mut item.thing)
    }

    pub(super) fn delete(&mut self, what: &str, id: &str) -> Result<&T, ApiError> {
        let item = self.item_mut(what, id)?;
        item.deleted = true;
        Ok(&item.thing)
    }

    /// Deletes what passes a test.
    pub(super) fn delete_all(&mut self, test: impl Fn(&T) -> bool) {
        for item in self.items.iter_mut().filter(|item| test(&item.thing)) {
            item.deleted = true;
        }
    }

    /// Those that are not deleted.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.items.iter().filter(|item| !item.deleted).map(|item| (item.id.as_str(), &item.thing))
    }

    /// Those that are not deleted.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.items.iter_mut().filter(|item| !item.deleted).map(|item| &mut item.thing)
    }

    /// All, for a list; what `shown` gives `None` for is hidden.
    pub(super) fn entries(
        &self,
        shown: impl Fn(&str, &T) -> Option<serde_json::Value>,
    ) -> Vec<Entry> {
        self.items
            .iter()
            .map(|item| Entry {
                id: item.id.clone(),
                shown: (!item.deleted).then(|| shown(&item.id, &item.thing)).flatten(),
            })
            .collect()
    }

    fn item_mut(&mut self, what: &str, id: &str) -> Result<&mut Item<T>, ApiError> {
        self.items
            .iter_mut()
            .find(|item| item.id == id && !item.deleted)
            .ok_or_else(|| ApiError::not_found(what, id))
    }
}

impl<T> Default for Collection<T> {
    fn default() -> Self {
        Self { items: Vec::new() }
    }
}
