//! A service at 200 requests a second through 20 rotations, one after the other.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use keyward::KeyPolicy;
use keyward::store::{FileStore, KeyStore as _};
use keyward_admin::{Scope, Scopes};
use keyward_rotate::danger::ShortSilence;
use keyward_rotate::{HttpProbe, Rotator, Slot};

use crate::fixture::Organization;
use crate::live_stores::Service;
use crate::under_load::Load;

/// Half as many where somebody waits for the tests.
const ROTATIONS: usize = if cfg!(feature = "clouds") { 20 } else { 10 };

/// The service and the rotator have a store each, as in two processes, and nothing else in common.
/// Every fifth rotation waits until the old key is silent; in the others it dies as soon as the new
/// one is current, so that the service learns of it by a 401.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_answers_all_requests_through_many_rotations() {
    let org = Organization::start().await;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("key");
    let rotator = |silence: u64| {
        let scopes = Scopes::only(Scope::RESPONSES_WRITE);
        let slot = Slot::new("billing", org.project.clone(), org.account.clone(), scopes);
        let silence = Duration::from_secs(silence);
        let silence = ShortSilence::new(silence, "the organization is a fake").expect("a reason");
        let slot = slot.expect("a slot").with_short_silence(silence);
        let policy = KeyPolicy::production().with_host("127.0.0.1").expect("a host");
        let probe = HttpProbe::new(org.fake.base_url(), policy).expect("a probe");
        let builder = Rotator::builder(org.client(), "load").slot(slot, FileStore::new(&path));
        builder.probe(probe).build().expect("a rotator")
    };
    let (at_once, patient) = (rotator(0), rotator(2));
    at_once.rotate("billing").await.expect("a first key");

    let services = FileStore::new(&path);
    let service = Arc::new(Service::start(services.clone(), &org.fake.base_url()).await);
    let load = Load::of({
        let service = Arc::clone(&service);
        move || {
            let service = Arc::clone(&service);
            async move { service.ask().await }
        }
    });
    load.answers(100).await;
    let _ = load.take_slowest();
    load.answers(600).await;
    let slowest_before = load.take_slowest();
    for n in 0..ROTATIONS {
        let rotator = if n % 5 == 4 { &patient } else { &at_once };
        let outcome = rotator.rotate("billing").await.expect("a rotation");
        assert_eq!(outcome.retired.len(), 1, "{outcome}");
        assert!(outcome.stragglers.is_empty(), "{outcome}");
        load.answers(40).await;
    }
    let slowest = load.take_slowest();
    let current = services.current().await.expect("a store").expect("a key");
    service.moves_to(current.key.fingerprint()).await;
    let (answered, failures) = load.end().await;
    let _ = writeln!(
        std::io::stderr(),
        "{answered} requests through {ROTATIONS} rotations, {} failed; the slowest took \
         {slowest_before:?} before and {slowest:?} meanwhile",
        failures.len()
    );
    assert!(failures.is_empty(), "of {answered}, {}: {failures:?}", failures.len());
    let live = org.minted();
    assert_eq!(live.len(), 1, "one key lives");
}
