//! What a store does with its lease and its journal, one step after the other.

use std::time::Duration;

use crate::store::{KeyNote, KeyStore, StoreErrorKind};

use super::keys::{is, put};
use super::{NOW, Stop, Subject, at, ensure, new_key, refused_with};

const TTL: Duration = Duration::from_secs(60);

pub(super) async fn a_lease_keeps_others_out_until_it_runs_out<S: Subject>(
    subject: &S,
) -> Result<(), Stop> {
    let store = subject.fresh().await;
    let other = subject.again(&store).await;
    let lease = store.lease("replica-1", TTL, NOW).await?;
    ensure!(lease.holder == "replica-1", "it is {}'s", lease.holder);
    ensure!(lease.expires_at == at(60), "it runs out at {}", lease.expires_at);

    for store in [&store, &other] {
        let taken = store.lease("replica-2", TTL, at(59)).await;
        let error = refused_with(taken, StoreErrorKind::LeaseHeld, "give a held lease away")?;
        ensure!(error.lease() == Some(&lease), "the error tells {:?}", error.lease());
        let seen = store.snapshot().await?.lease;
        ensure!(seen.as_ref() == Some(&lease), "the snapshot tells {seen:?}");
    }
    let taken = other.lease("replica-2", TTL, at(60)).await?;
    ensure!(taken.fence > lease.fence, "fence {} after {}", taken.fence, lease.fence);
    let late = store.lease("replica-1", TTL, at(61)).await;
    refused_with(late, StoreErrorKind::LeaseHeld, "give a lease back that was taken over")?;
    Ok(())
}

pub(super) async fn a_lease_that_was_taken_over_is_lost<S: Subject>(
    subject: &S,
) -> Result<(), Stop> {
    let store = subject.fresh().await;
    let lost = store.lease("replica-1", TTL, NOW).await?;
    let held = store.lease("replica-2", TTL, at(60)).await?;
    let renewed = store.renew(&lost, TTL, at(61)).await;
    refused_with(renewed, StoreErrorKind::LeaseLost, "renew a lease that was taken over")?;
    store.release(&lost).await?;
    let taken = store.lease("replica-3", TTL, at(62)).await;
    let what = "give a lease away that somebody else released";
    refused_with(taken, StoreErrorKind::LeaseHeld, what)?;
    store.renew(&held, TTL, at(63)).await?;
    Ok(())
}

pub(super) async fn a_lease_is_renewed_and_released<S: Subject>(subject: &S) -> Result<(), Stop> {
    let store = subject.fresh().await;
    let other = subject.again(&store).await;
    let lease = store.lease("replica-1", TTL, NOW).await?;
    let renewed = other.renew(&lease, TTL, at(50)).await?;
    ensure!(renewed.fence == lease.fence, "renewing changed the fence");
    ensure!(renewed.expires_at == at(110), "renewed until {}", renewed.expires_at);
    let taken = other.lease("replica-2", TTL, at(60)).await;
    refused_with(taken, StoreErrorKind::LeaseHeld, "give a renewed lease away")?;
    // One that ran out and that nobody took is still its holder's to renew.
    let late = store.renew(&lease, TTL, at(200)).await?;
    ensure!(late.expires_at == at(260), "renewed until {}", late.expires_at);

    for _ in 0..2 {
        store.release(&late).await?;
    }
    ensure!(other.snapshot().await?.lease.is_none(), "a released lease is still held");
    let renewed = store.renew(&late, TTL, at(201)).await;
    refused_with(renewed, StoreErrorKind::LeaseLost, "renew a lease that was released")?;
    let next = other.lease("replica-2", TTL, at(201)).await?;
    ensure!(next.fence > lease.fence, "fence {} after {}", next.fence, lease.fence);
    Ok(())
}

pub(super) async fn a_holder_takes_its_own_lease_again<S: Subject>(
    subject: &S,
) -> Result<(), Stop> {
    let store = subject.fresh().await;
    let before = store.lease("replica-1", TTL, NOW).await?;
    let after = subject.again(&store).await.lease("replica-1", TTL, at(1)).await?;
    ensure!(after.fence > before.fence, "fence {} after {}", after.fence, before.fence);
    let renewed = store.renew(&before, TTL, at(2)).await;
    refused_with(renewed, StoreErrorKind::LeaseLost, "renew the earlier lease of one holder")?;
    Ok(())
}

pub(super) async fn a_journal_is_compared_before_it_is_set<S: Subject>(
    subject: &S,
) -> Result<(), Stop> {
    let store = subject.fresh().await;
    let other = subject.again(&store).await;
    let empty = store.journal().await?;
    ensure!(empty.text().is_empty(), "it has {} bytes at first", empty.text().len());

    let first = store.write_journal(&empty, "one").await?;
    ensure!(first.text() == "one", "it answers another text than was written");
    let read = other.journal().await?;
    ensure!(read == first, "written as {first:?}, and read as {read:?}");
    let stale = other.write_journal(&empty, "two").await;
    refused_with(stale, StoreErrorKind::Conflict, "write a journal that was written since")?;
    let same = other.write_journal(&empty, "one").await?;
    ensure!(same == first, "writing what stands there changes it to {same:?}");

    let second = other.write_journal(&first, "two").await?;
    // Back to an earlier text is a writing of its own.
    let third = other.write_journal(&second, "one").await?;
    let stale = store.write_journal(&first, "four").await;
    let what = "take a journal for unchanged that says what it said before";
    refused_with(stale, StoreErrorKind::Conflict, what)?;
    let cleared = store.write_journal(&third, "").await?;
    let read = other.journal().await?;
    ensure!(read == cleared && read.text().is_empty(), "cleared, and read as {read:?}");
    let stale = store.write_journal(&empty, "five").await;
    refused_with(stale, StoreErrorKind::Conflict, "take a cleared journal for a new one")?;
    Ok(())
}

pub(super) async fn a_journal_is_kept_letter_by_letter<S: Subject>(
    subject: &S,
) -> Result<(), Stop> {
    let store = subject.fresh().await;
    let mut journal = store.journal().await?;
    let lines = "{\"step\": \"minted\", \"key\": \"key_1\"}\n".repeat(24);
    for text in [" spaces around ", "a\n\tb\r\n\"c\" \\ 'd' {e} <f> &", "größer ≥ 😀", &lines]
    {
        journal = store.write_journal(&journal, text).await?;
        let read = subject.again(&store).await.journal().await?;
        ensure!(read.text() == text, "{text:?} became {:?}", read.text());
    }
    Ok(())
}

pub(super) async fn a_journal_that_repeats_a_key_is_refused<S: Subject>(
    subject: &S,
) -> Result<(), Stop> {
    let store = subject.fresh().await;
    let (key, _) = put(&store, 0).await?;
    let empty = store.journal().await?;
    // EXPOSE: a made-up key stands where it must not.
    #[allow(clippy::disallowed_methods, reason = "a synthetic key of a check")]
    let text = format!("minted {}", key.expose_secret());
    let written = store.write_journal(&empty, &text).await;
    let error = refused_with(written, StoreErrorKind::Invalid, "write a key into the journal")?;
    ensure!(!key.is_echoed_in(&error.to_string()), "the error repeats the key");
    ensure!(store.journal().await? == empty, "and writes it all the same");
    Ok(())
}

pub(super) async fn keys_leases_and_journal_are_kept_apart<S: Subject>(
    subject: &S,
) -> Result<(), Stop> {
    let store = subject.fresh().await;
    let (first, first_version) = put(&store, 0).await?;
    let lease = store.lease("replica-1", TTL, NOW).await?;
    let journal = store.journal().await?;
    let journal = store.write_journal(&journal, "intent 1").await?;
    let second = new_key();
    let second_version = store.stage(&second, &KeyNote::new(), at(1)).await?;
    let lease = store.renew(&lease, TTL, at(2)).await?;
    store.promote(&second_version, at(3)).await?;

    let snapshot = subject.again(&store).await.snapshot().await?;
    is("previous", snapshot.previous, Some((&first, &first_version)))?;
    is("current", snapshot.current, Some((&second, &second_version)))?;
    ensure!(snapshot.lease.as_ref() == Some(&lease), "the lease became {:?}", snapshot.lease);
    let read = store.journal().await?;
    ensure!(read == journal, "the journal became {read:?}");
    store.release(&lease).await?;
    store.discard(&first_version).await?;
    ensure!(store.journal().await? == journal, "giving the lease back changed the journal");
    is("current", store.current().await?, Some((&second, &second_version)))
}
