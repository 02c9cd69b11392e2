//! What a store does with keys, one step after the other.

use keyward_core::{ApiKey, KeyKind};

use super::{NOW, Stop, Subject, at, ensure, key_like, new_key, refused, refused_with};
use crate::store::{KeyNote, KeyStore, StoreErrorKind, StoredKey, Version};
use crate::{KeyLoader as _, LoadedKey};

pub(super) async fn an_empty_store_has_nothing<S: Subject>(subject: &S) -> Result<(), Stop> {
    let store = subject.fresh().await;
    let snapshot = store.snapshot().await?;
    ensure!(
        snapshot.current.is_none() && snapshot.pending.is_none() && snapshot.previous.is_none(),
        "it has keys: {snapshot:?}"
    );
    ensure!(snapshot.lease.is_none(), "somebody holds a lease: {snapshot:?}");
    match store.load().await {
        Ok(_) => Stop::failed("it loads a key"),
        Err(error) if !error.is_not_found() => {
            Stop::failed(format!("loading is not \"not found\": {error}"))
        }
        Err(_) => Ok(()),
    }
}

pub(super) async fn what_is_staged_is_pending_and_not_loaded<S: Subject>(
    subject: &S,
) -> Result<(), Stop> {
    let store = subject.fresh().await;
    let key = new_key();
    let version = store.stage(&key, &KeyNote::new(), NOW).await?;
    is("pending", store.pending().await?, Some((&key, &version)))?;
    is("current", store.current().await?, None)?;
    is("previous", store.previous().await?, None)?;
    ensure!(store.load().await.is_err(), "it loads a key that was not promoted");

    let snapshot = store.snapshot().await?;
    is("pending of the snapshot", snapshot.pending, Some((&key, &version)))
}

pub(super) async fn what_is_promoted_is_loaded<S: Subject>(subject: &S) -> Result<(), Stop> {
    let store = subject.fresh().await;
    let (key, version) = put(&store, 0).await?;
    is("current", store.current().await?, Some((&key, &version)))?;
    is("pending", store.pending().await?, None)?;

    let loaded = load(&store).await?;
    ensure!(loaded.key == key, "another key is loaded");
    ensure!(
        loaded.version.as_deref() == Some(version.as_str()),
        "it is loaded as version {:?}, not {version}",
        loaded.version
    );
    // One that is pending beside it changes nothing.
    store.stage(&new_key(), &KeyNote::new(), at(1)).await?;
    ensure!(load(&store).await?.key == key, "staging another changed what is loaded");
    Ok(())
}

pub(super) async fn the_key_before_is_previous<S: Subject>(subject: &S) -> Result<(), Stop> {
    let store = subject.fresh().await;
    let (first, first_version) = put(&store, 0).await?;
    let (second, second_version) = put(&store, 10).await?;
    is("previous", store.previous().await?, Some((&first, &first_version)))?;
    is("current", store.current().await?, Some((&second, &second_version)))?;
    let (third, third_version) = put(&store, 20).await?;
    is("previous", store.previous().await?, Some((&second, &second_version)))?;
    is("current", store.current().await?, Some((&third, &third_version)))?;
    ensure!(load(&store).await?.key == third, "another key than the last is loaded");
    Ok(())
}

pub(super) async fn what_is_noted_is_kept<S: Subject>(subject: &S) -> Result<(), Stop> {
    let store = subject.fresh().await;
    let note = KeyNote::new()
        .key_id("key_conformance")
        .tag("keyward/billing prod 2026-11 \"blue\" \\ größer")
        .expires_at(at(86_400))
        .created_at(at(-5));
    let version = store.stage(&new_key(), &note, NOW).await?;
    for _ in 0..2 {
        let snapshot = store.snapshot().await?;
        let stored = [snapshot.current, snapshot.pending].into_iter().flatten().next();
        let Some(stored) = stored else { return Stop::failed("the key is gone") };
        ensure!(stored.note == note, "{:?} became {:?}", note, stored.note);
        let staged = stored.staged_at;
        ensure!(staged.is_none_or(|staged| staged == NOW), "staged at {NOW} became {staged:?}");
        let promoted = stored.promoted_at;
        ensure!(
            promoted.is_none_or(|promoted| promoted == at(7)),
            "promoted at {} became {promoted:?}",
            at(7)
        );
        store.promote(&version, at(7)).await?;
    }
    let loaded = load(&store).await?;
    ensure!(
        loaded.expires_at == Some(at(86_400)),
        "the loaded key expires at {:?}",
        loaded.expires_at
    );
    // What is not noted is not made up.
    let version = store.stage(&new_key(), &KeyNote::new(), NOW).await?;
    store.promote(&version, NOW).await?;
    let Some(stored) = store.current().await? else { return Stop::failed("the key is gone") };
    ensure!(stored.note == KeyNote::new(), "of nothing became {:?}", stored.note);
    Ok(())
}

pub(super) async fn another_instance_sees_the_same<S: Subject>(subject: &S) -> Result<(), Stop> {
    let store = subject.fresh().await;
    let other = subject.again(&store).await;
    is("current", other.current().await?, None)?;
    let (first, first_version) = put(&store, 0).await?;
    ensure!(load(&other).await?.key == first, "the other instance loads another key");
    let (second, second_version) = put(&other, 10).await?;
    let third = new_key();
    let third_version = store.stage(&third, &KeyNote::new(), at(20)).await?;
    for store in [&store, &other, &subject.again(&store).await] {
        is("previous", store.previous().await?, Some((&first, &first_version)))?;
        is("current", store.current().await?, Some((&second, &second_version)))?;
        is("pending", store.pending().await?, Some((&third, &third_version)))?;
    }
    other.promote(&third_version, at(30)).await?;
    ensure!(load(&store).await?.key == third, "what the other promoted is not loaded");
    Ok(())
}

pub(super) async fn keys_of_every_format_are_kept_byte_for_byte<S: Subject>(
    subject: &S,
) -> Result<(), Stop> {
    let keys = [
        key_like("sk-proj-", 156, ""),
        key_like("sk-proj-", 100, "_-_-A"),
        key_like("sk-svcacct-", 152, ""),
        key_like("sk-admin-", 140, ""),
        key_like("sk-", 48, ""),
        key_like("sk-None-", 48, ""),
        key_like("ek_", 32, ""),
        key_like("sess-", 40, ""),
        // No format that is known: what an issuer answers is kept all the same.
        key_like("next/key+of~2027=", 200, "=="),
        key_like("", 24, "..."),
        key_like("\"", 60, "\\\""),
        key_like("{{$'`<&>%", 60, "|;!#"),
    ];
    let token = ApiKey::access_token(key_like("eyJ", 900, ".x_y-z~").into_text());
    let Ok(token) = token else { return Stop::failed("no token can be made") };
    let store = subject.fresh().await;
    for (n, key) in keys.iter().chain([&token]).enumerate() {
        let version = match store.stage(key, &KeyNote::new(), NOW).await {
            // A place may be too small for a long token, and says so.
            Err(error) if error.kind() == StoreErrorKind::TooLarge && n == keys.len() => continue,
            version => version?,
        };
        for pending in [true, false] {
            let stored = if pending { store.pending().await? } else { store.current().await? };
            let Some(stored) = stored else { return Stop::failed(format!("key {n} is gone")) };
            ensure!(stored.key == *key, "key {n} ({}) is another one now", key.kind());
            ensure!(
                stored.key.kind() == key.kind() || key.kind() == KeyKind::AccessToken,
                "key {n} ({}) is of another kind now",
                key.kind()
            );
            store.promote(&version, NOW).await?;
        }
        ensure!(load(&store).await?.key == *key, "key {n} is loaded as another one");
        // The next one then finds room.
        if let Some(previous) = store.previous().await? {
            store.discard(&previous.version).await?;
        }
    }
    Ok(())
}

pub(super) async fn nothing_prints_a_key<S: Subject>(subject: &S) -> Result<(), Stop> {
    let store = subject.fresh().await;
    let (first, _) = put(&store, 0).await?;
    let (second, version) = put(&store, 10).await?;
    let third = new_key();
    store.stage(&third, &KeyNote::new(), at(20)).await?;
    let fourth = new_key();

    let keys = [&first, &second, &third, &fourth];
    let mut texts = vec![
        ("Debug of the store", format!("{store:?} {store:#?}")),
        ("its source", store.source().to_string()),
        ("Debug of the snapshot", format!("{:?}", store.snapshot().await?)),
        ("Debug of the loaded key", format!("{:?}", load(&store).await?)),
    ];
    let errors = [
        store.stage(&fourth, &KeyNote::new(), NOW).await.err(),
        store.promote(&"no-such-version".into(), NOW).await.err(),
        store.discard(&version).await.err(),
    ];
    for error in errors.into_iter().flatten() {
        let text = error.to_string();
        ensure!(text.lines().count() == 1, "an error of several lines: {text}");
        texts.push(("an error", text));
        texts.push(("Debug of an error", format!("{error:?}")));
    }
    for (what, text) in texts {
        let leaks = keys.iter().any(|key| key.is_echoed_in(&text) || key.is_spelled_in(&text));
        ensure!(!leaks, "{what} has a piece of a key in it");
    }
    Ok(())
}

pub(super) async fn staging_another_key_conflicts<S: Subject>(subject: &S) -> Result<(), Stop> {
    let store = subject.fresh().await;
    let key = new_key();
    let version = store.stage(&key, &KeyNote::new(), NOW).await?;
    for store in [&store, &subject.again(&store).await] {
        let staged = store.stage(&new_key(), &KeyNote::new(), NOW).await;
        refused_with(staged, StoreErrorKind::Conflict, "stage a second key")?;
        is("pending", store.pending().await?, Some((&key, &version)))?;
    }
    Ok(())
}

pub(super) async fn staging_what_is_there_yields_its_version<S: Subject>(
    subject: &S,
) -> Result<(), Stop> {
    let store = subject.fresh().await;
    let key = new_key();
    let note = KeyNote::new().key_id("key_1");
    let version = store.stage(&key, &note, NOW).await?;
    let other = subject.again(&store).await;
    for store in [&store, &other] {
        let again = store.stage(&key, &KeyNote::new(), at(9)).await?;
        ensure!(again == version, "staged as {version}, and again as {again}");
    }
    let noted = store.pending().await?.map(|stored| stored.note);
    ensure!(noted == Some(note), "its note became {noted:?}");

    store.promote(&version, NOW).await?;
    for store in [&store, &other] {
        let again = store.stage(&key, &KeyNote::new(), at(9)).await?;
        ensure!(again == version, "current as {version}, and staged again as {again}");
        is("pending", store.pending().await?, None)?;
    }
    // A previous key can become pending again: the way back.
    put(&store, 10).await?;
    let back = store.stage(&key, &KeyNote::new(), at(20)).await?;
    store.promote(&back, at(20)).await?;
    ensure!(load(&store).await?.key == key, "there is no way back to the previous key");
    Ok(())
}

pub(super) async fn promoting_what_is_current_changes_nothing<S: Subject>(
    subject: &S,
) -> Result<(), Stop> {
    let store = subject.fresh().await;
    let (first, first_version) = put(&store, 0).await?;
    let (second, second_version) = put(&store, 10).await?;
    let promoted_at = store.current().await?.and_then(|stored| stored.promoted_at);
    for store in [&store, &subject.again(&store).await] {
        store.promote(&second_version, at(99)).await?;
        is("previous", store.previous().await?, Some((&first, &first_version)))?;
        let current = store.current().await?;
        let now = current.as_ref().and_then(|stored| stored.promoted_at);
        ensure!(now == promoted_at, "promoted at {promoted_at:?}, and then at {now:?}");
        is("current", current, Some((&second, &second_version)))?;
    }
    Ok(())
}

pub(super) async fn promoting_what_is_not_pending_conflicts<S: Subject>(
    subject: &S,
) -> Result<(), Stop> {
    let store = subject.fresh().await;
    let unknown = Version::from("no-such-version");
    let kind = StoreErrorKind::Conflict;
    refused_with(store.promote(&unknown, NOW).await, kind, "promote a version of no key")?;
    let (_, first) = put(&store, 0).await?;
    let (second, version) = put(&store, 10).await?;
    refused_with(store.promote(&first, NOW).await, kind, "promote the previous version")?;
    let third = new_key();
    let pending = store.stage(&third, &KeyNote::new(), NOW).await?;
    refused_with(store.promote(&unknown, NOW).await, kind, "promote another than the pending")?;
    is("current", store.current().await?, Some((&second, &version)))?;
    is("pending", store.pending().await?, Some((&third, &pending)))
}

pub(super) async fn discarding_forgets_all_but_the_current_key<S: Subject>(
    subject: &S,
) -> Result<(), Stop> {
    let store = subject.fresh().await;
    let (_, first) = put(&store, 0).await?;
    let (second, version) = put(&store, 10).await?;
    let pending = store.stage(&new_key(), &KeyNote::new(), NOW).await?;
    store.discard(&"no-such-version".into()).await?;
    ensure!(store.pending().await?.is_some(), "discarding nothing dropped the pending key");

    for _ in 0..2 {
        store.discard(&pending).await?;
        is("pending", store.pending().await?, None)?;
    }
    ensure!(store.previous().await?.is_some(), "discarding the pending key dropped the previous");
    for _ in 0..2 {
        store.discard(&first).await?;
        is("previous", store.previous().await?, None)?;
    }
    let discarded = store.discard(&version).await;
    refused_with(discarded, StoreErrorKind::Conflict, "discard the current key")?;
    is("current", store.current().await?, Some((&second, &version)))?;
    let third = new_key();
    let pending = store.stage(&third, &KeyNote::new(), NOW).await?;
    is("pending", store.pending().await?, Some((&third, &pending)))
}

pub(super) async fn a_version_is_never_used_twice<S: Subject>(subject: &S) -> Result<(), Stop> {
    let store = subject.fresh().await;
    let mut seen: Vec<Version> = Vec::new();
    for n in 0..6 {
        let version = store.stage(&new_key(), &KeyNote::new(), NOW).await?;
        ensure!(!seen.contains(&version), "version {version} was used before");
        if n % 2 == 0 {
            store.discard(&version).await?;
        } else {
            store.promote(&version, NOW).await?;
        }
        seen.push(version);
        for old in seen.iter().filter(|_| n % 2 == 0) {
            if store.current().await?.is_none_or(|current| current.version != *old) {
                let promoted = store.promote(old, NOW).await;
                refused_with(promoted, StoreErrorKind::Conflict, "promote what is gone")?;
            }
        }
    }
    Ok(())
}

pub(super) async fn a_note_that_repeats_the_key_is_refused<S: Subject>(
    subject: &S,
) -> Result<(), Stop> {
    let store = subject.fresh().await;
    let key = new_key();
    for note in [key.note_with(KeyNote::key_id), key.note_with(KeyNote::tag)] {
        let staged = store.stage(&key, &note, NOW).await;
        let error =
            refused_with(staged, StoreErrorKind::Invalid, "take a key's text as a note of it")?;
        ensure!(!key.is_echoed_in(&error.to_string()), "and repeats it");
    }
    is("pending", store.pending().await?, None)
}

pub(super) async fn an_unreachable_place_is_told<S: Subject>(subject: &S) -> Result<(), Stop> {
    let Some(store) = subject.unreachable().await else {
        return Err(Stop::Skipped("the subject has no store that cannot be reached".into()));
    };
    let key = new_key();
    let errors = [
        refused(store.snapshot().await, "read what it cannot reach")?,
        refused(store.stage(&key, &KeyNote::new(), NOW).await, "write what it cannot reach")?,
        refused(store.promote(&"1".into(), NOW).await, "promote what it cannot reach")?,
        refused(store.discard(&"1".into()).await, "discard what it cannot reach")?,
    ];
    for error in errors {
        let is_told = !matches!(error.kind(), StoreErrorKind::Conflict | StoreErrorKind::Damaged);
        ensure!(is_told, "it is told as {:?}: {error}", error.kind());
        ensure!(!key.is_echoed_in(&format!("{error} {error:?}")), "the error repeats the key");
    }
    match store.load().await {
        Ok(_) => Stop::failed("it loads what it cannot reach"),
        // Else a chain would go on to an older key.
        Err(error) if error.is_not_found() => {
            Stop::failed(format!("loading is \"not found\", as if it were empty: {error}"))
        }
        Err(_) => Ok(()),
    }
}

/// Stages a new key and promotes it.
pub(super) async fn put(store: &impl KeyStore, seconds: i64) -> Result<(ApiKey, Version), Stop> {
    let key = new_key();
    let version = store.stage(&key, &KeyNote::new(), at(seconds)).await?;
    store.promote(&version, at(seconds)).await?;
    Ok((key, version))
}

pub(super) async fn load(store: &impl KeyStore) -> Result<LoadedKey, Stop> {
    store.load().await.map_err(|error| Stop::Failed(format!("loading: {error}")))
}

/// Whether a place of the store holds this key and this version, or nothing.
pub(super) fn is(
    place: &str,
    stored: Option<StoredKey>,
    expected: Option<(&ApiKey, &Version)>,
) -> Result<(), Stop> {
    match (stored, expected) {
        (None, None) => Ok(()),
        (None, Some((_, version))) => {
            Stop::failed(format!("{place}: nothing, instead of version {version}"))
        }
        (Some(stored), None) => {
            Stop::failed(format!("{place}: version {}, instead of nothing", stored.version))
        }
        (Some(stored), Some((key, version))) => {
            ensure!(stored.version == *version, "{place}: {}, not {version}", stored.version);
            ensure!(stored.key == *key, "{place}: another key, as version {version}");
            Ok(())
        }
    }
}

/// What the checks need of a key's text.
trait Text {
    fn into_text(self) -> Vec<u8>;
    fn note_with(&self, set: fn(KeyNote, String) -> KeyNote) -> KeyNote;
    fn is_spelled_in(&self, text: &str) -> bool;
}

impl Text for ApiKey {
    fn into_text(self) -> Vec<u8> {
        // EXPOSE: a made-up key becomes a made-up token.
        #[allow(clippy::disallowed_methods, reason = "a synthetic key of a check")]
        self.expose_secret().as_bytes().to_vec()
    }

    fn note_with(&self, set: fn(KeyNote, String) -> KeyNote) -> KeyNote {
        // EXPOSE: a made-up key stands where it must not.
        #[allow(clippy::disallowed_methods, reason = "a synthetic key of a check")]
        set(KeyNote::new(), self.expose_secret().to_owned())
    }

    /// As a list of numbers, which is how bytes are printed.
    fn is_spelled_in(&self, text: &str) -> bool {
        // EXPOSE: a made-up key is looked for.
        #[allow(clippy::disallowed_methods, reason = "a synthetic key of a check")]
        let bytes = &self.expose_secret().as_bytes()[12..24];
        let list = format!("{bytes:?}");
        text.contains(list.trim_matches(['[', ']']))
    }
}
