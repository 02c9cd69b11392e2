//! What a store does when several want the same at the same time.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::KeyLoader as _;
use crate::store::{KeyNote, KeyStore, StoreError, StoreErrorKind, StoredKey, Version};

use super::keys::put;
use super::{NOW, Stop, Subject, ensure, new_key};

const RACERS: usize = 8;
const ROUNDS: usize = 4;
const TTL: Duration = Duration::from_secs(60);

pub(super) async fn of_tasks_that_stage_one_wins<S: Subject>(subject: &S) -> Result<(), Stop> {
    let store = subject.fresh().await;
    for _ in 0..ROUNDS {
        let won = one_wins(subject, &store, |store, _| async move {
            let key = new_key();
            Ok((store.stage(&key, &KeyNote::new(), NOW).await?, key))
        });
        let (version, key) = won.await?;
        let pending = store.pending().await?;
        let is_the_winners = |stored: &StoredKey| stored.version == version && stored.key == key;
        ensure!(pending.is_some_and(|stored| is_the_winners(&stored)), "a loser's key is pending");
        store.promote(&version, NOW).await?;
    }
    Ok(())
}

pub(super) async fn of_promoting_and_discarding_one_wins<S: Subject>(
    subject: &S,
) -> Result<(), Stop> {
    let store = subject.fresh().await;
    for _ in 0..2 * ROUNDS {
        let key = new_key();
        let version = store.stage(&key, &KeyNote::new(), NOW).await?;
        let stores = [subject.again(&store).await, subject.again(&store).await];
        let [promoting, discarding] = stores;
        let (one, other) = (version.clone(), version.clone());
        let promoting = tokio::spawn(async move { promoting.promote(&one, NOW).await });
        let discarding = tokio::spawn(async move { discarding.discard(&other).await });
        let (promoted, discarded) = (joined(promoting).await?, joined(discarding).await?);
        let is_current = store.current().await?.is_some_and(|current| current.key == key);
        let has_pending = store.pending().await?.is_some();
        ensure!(!has_pending, "it is still pending");
        match (&promoted, &discarded) {
            (Ok(()), Ok(())) => return Stop::failed("it was promoted and discarded"),
            (Ok(()), Err(error)) | (Err(error), Ok(())) => {
                ensure!(error.is_conflict(), "losing is told as {:?}: {error}", error.kind());
            }
            (Err(error), Err(_)) => return Stop::failed(format!("neither won: {error}")),
        }
        ensure!(promoted.is_ok() == is_current, "what the winner was told is not so");
    }
    Ok(())
}

pub(super) async fn of_tasks_that_take_the_lease_one_wins<S: Subject>(
    subject: &S,
) -> Result<(), Stop> {
    let store = subject.fresh().await;
    for _ in 0..ROUNDS {
        let lease = one_wins(subject, &store, |store, n| async move {
            store.lease(&format!("replica-{n}"), TTL, NOW).await
        })
        .await?;
        let held = store.snapshot().await?.lease;
        ensure!(held.as_ref() == Some(&lease), "{lease:?} won, and {held:?} holds it");
        store.release(&lease).await?;
    }
    Ok(())
}

pub(super) async fn no_two_leases_have_one_fence<S: Subject>(subject: &S) -> Result<(), Stop> {
    let store = subject.fresh().await;
    let mut fences = HashSet::new();
    // All under one name: each takes it from the one before, so that none is refused.
    let tasks = racers(subject, &store, |store, _| async move {
        let mut fences = Vec::new();
        while fences.len() < ROUNDS {
            match store.lease("replica-1", TTL, NOW).await {
                Ok(lease) => fences.push(lease.fence),
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(fences)
    });
    for task in tasks.await {
        for fence in joined(task).await?? {
            ensure!(fences.insert(fence), "fence {fence} was given out twice");
        }
    }
    Ok(())
}

pub(super) async fn of_tasks_that_write_the_journal_one_wins<S: Subject>(
    subject: &S,
) -> Result<(), Stop> {
    let store = subject.fresh().await;
    for round in 0..ROUNDS {
        let read = store.journal().await?;
        let written = one_wins(subject, &store, |store, n| {
            let read = read.clone();
            async move { store.write_journal(&read, &format!("round {round}: {n}")).await }
        })
        .await?;
        let seen = store.journal().await?;
        ensure!(seen == written, "{:?} won, and {:?} stands there", written.text(), seen.text());
    }
    Ok(())
}

pub(super) async fn whoever_loads_meanwhile_never_finds_nothing<S: Subject>(
    subject: &S,
) -> Result<(), Stop> {
    let store = subject.fresh().await;
    put(&store, 0).await?;
    let is_over = Arc::new(AtomicBool::new(false));
    let (over, reading) = (Arc::clone(&is_over), subject.again(&store).await);
    let reader = tokio::spawn(async move {
        let mut loads = 0_u32;
        while !over.load(Ordering::Relaxed) || loads == 0 {
            reading.load().await.map_err(|error| error.to_string())?;
            loads += 1;
            tokio::task::yield_now().await;
        }
        Ok::<_, String>(loads)
    });
    let mut last: Option<Version> = None;
    for n in 1..=3 * i64::try_from(ROUNDS).unwrap_or(1) {
        let (_, version) = put(&store, n).await?;
        if let Some(last) = last.replace(version) {
            store.discard(&last).await?;
        }
        tokio::task::yield_now().await;
    }
    is_over.store(true, Ordering::Relaxed);
    match joined(reader).await? {
        Ok(_) => Ok(()),
        Err(error) => Stop::failed(format!("while keys were replaced: {error}")),
    }
}

/// Lets several try the same, each with an instance of its own. One must get it, and the others
/// must be told so.
async fn one_wins<S, T, F>(
    subject: &S,
    store: &S::Store,
    attempt: impl Fn(S::Store, usize) -> F,
) -> Result<T, Stop>
where
    S: Subject,
    T: Send + 'static,
    F: Future<Output = Result<T, StoreError>> + Send + 'static,
{
    let mut won = None;
    for task in racers(subject, store, attempt).await {
        match joined(task).await? {
            Ok(_) if won.is_some() => return Stop::failed("two won"),
            Ok(prize) => won = Some(prize),
            Err(error) => {
                let is_lost =
                    matches!(error.kind(), StoreErrorKind::Conflict | StoreErrorKind::LeaseHeld);
                if !is_lost {
                    return Err(error.into());
                }
            }
        }
    }
    won.map_or_else(|| Stop::failed("nobody won"), Ok)
}

async fn racers<S, T, F>(
    subject: &S,
    store: &S::Store,
    attempt: impl Fn(S::Store, usize) -> F,
) -> Vec<JoinHandle<Result<T, StoreError>>>
where
    S: Subject,
    T: Send + 'static,
    F: Future<Output = Result<T, StoreError>> + Send + 'static,
{
    let mut stores = Vec::with_capacity(RACERS);
    for _ in 0..RACERS {
        stores.push(subject.again(store).await);
    }
    stores.into_iter().enumerate().map(|(n, store)| tokio::spawn(attempt(store, n))).collect()
}

async fn joined<T>(task: JoinHandle<T>) -> Result<T, Stop> {
    task.await.map_err(|_| Stop::Failed("it panicked".into()))
}
