//! The main job, end to end and without an account: a service gets a key, and the key is replaced
//! while the service runs.
//!
//! ```sh
//! cargo run --example quickstart
//! ```
//!
//! A fake OpenAI organization is started on this machine. Everything else is what a real service
//! and its operators do. With `--live` and a real `OPENAI_ADMIN_KEY`, only calls that change
//! nothing are made, against the real API.
//!
//! The exit code is 1 when any step does not go as told.

mod live;
mod service;
mod steps;

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Parser;
use keyward::store::{FileStore, KeyStore as _, StoredKey};
use keyward::{
    ApiKey, EnvLoader, Environment, FileLoader, KeyLoader as _, KeyPolicy, LoaderChain, Timestamp,
};
use keyward_admin::{
    Client, NewProject, NewServiceAccount, ProjectId, Scope, Scopes, ServiceAccountId,
    ServiceAccountRole, ServiceAccountUpdate,
};
use keyward_rotate::danger::ShortSilence;
use keyward_rotate::{EventKind, Events, HttpProbe, Rotator, Slot};
use keyward_testkit::FakeOpenAi;

use self::service::Service;
use self::steps::Steps;

#[derive(Parser)]
#[command(about = "The life of an OpenAI API key, end to end, on a fake organization.")]
struct Args {
    /// Looks at the real organization of OPENAI_ADMIN_KEY. Changes nothing.
    #[arg(long)]
    live: bool,
    /// Makes the ids and keys of the fake organization the same each time.
    #[arg(long)]
    seed: Option<u64>,
}

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> ExitCode {
    // `RUST_LOG=trace` shows what every library says, and no key in it.
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let args = Args::parse();
    let done = if args.live { live::look().await } else { rehearse(args.seed).await };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            steps::failed(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

async fn rehearse(seed: Option<u64>) -> Outcome<()> {
    let mut organization = FakeOpenAi::builder();
    if let Some(seed) = seed {
        organization = organization.seed(seed);
    }
    let organization = organization.start().await?;
    let drawer = tempfile::tempdir()?;
    let mut steps = Steps::begin("A fake OpenAI organization runs on this machine.");

    // 1. The operator's admin key is loaded from where it is kept, and proved to be one.
    let kept = drawer.path().join("admin-key");
    service::write_private(&kept, organization.admin_key().as_bytes())?;
    let loaded = LoaderChain::first("environment", no_environment("OPENAI_ADMIN_KEY"))
        .then("file", FileLoader::new(&kept))
        .load()
        .await?;
    let admin_key = loaded.admit(&KeyPolicy::admin(), now())?.into_admin_key()?;
    steps.done("Admin key loaded", format!("{} from {}", admin_key.fingerprint(), loaded.source));
    for attempt in loaded.attempts() {
        steps.detail(attempt);
    }

    // 2. A key of the old kind is refused, whatever it could do.
    let legacy = ApiKey::parse(organization.seed_legacy_user_key())?;
    let context = keyward::AdmitContext::at(now());
    let Err(refusal) = KeyPolicy::production().admit(&legacy, &context) else {
        return Err("a legacy user key was admitted".into());
    };
    steps.done("Legacy user key refused", refusal.why());
    steps.detail(format_args!("fix: {}", refusal.fix()));

    // 3. The service gets an account of its own in a project of its own.
    let client =
        Client::builder(admin_key).base_url(organization.base_url()).allow_loopback().build()?;
    let project = client.projects().create(NewProject::new("checkout")).await?;
    let project_id = project.id;
    let project = client.project(&project_id);
    let made = project.service_accounts().create(NewServiceAccount::without_key("api")).await?;
    let account = made.id.ok_or("the account has no id")?;
    let member = ServiceAccountUpdate::role(ServiceAccountRole::Member);
    project.service_account(&account).update(member).await?;
    steps.done("Service account made", format!("{account} in project `checkout`"));

    // 4. A key that may do one thing, and dies by itself, is minted, proved and put into the store
    //    where the service will look for it.
    let store = FileStore::new(drawer.path().join("service-key"));
    let rotator = rotator(&client, &project_id, &account, &store, &organization.base_url())?;
    rotator.rotate(SLOT).await?;
    let first = current(&store).await?;
    steps.done("Key minted", describe(&first));

    // 5. The service starts.
    let mut running = Service::start(&organization.base_url(), store.clone()).await?;
    running.answered(20).await?;
    steps.done("Service running", format!("on {} from {}", running.fingerprint()?, store.source()));

    // 6. The key is replaced while the service runs: a second key on the same account is staged,
    //    proved before anybody depends on it, and made the current one. The service notices.
    let mut events = rotator.events();
    let rotation = tokio::spawn(async move { rotator.rotate(SLOT).await });
    until(&mut events, "promoted").await?;
    let second = current(&store).await?;
    steps.done("Second key staged", describe(&second));
    running.moves_over().await?;
    running.answered(20).await?;
    if running.fingerprint()? != second.key.fingerprint() {
        return Err("the service does not use the second key".into());
    }
    steps.done("Service moved over", format!("to {}", running.fingerprint()?));

    // 7. The first one is let expire, retired when nobody uses it any more, and forgotten.
    let progress = steps.progress("waiting until the first key is silent");
    let outcome = rotation.await??;
    progress.finish_and_clear();
    let proof = service::prove(&organization.base_url(), &first.key).await?;
    if proof != 401 || outcome.retired.len() != 1 || !outcome.stragglers.is_empty() {
        return Err(format!("the first key is answered with {proof}: {outcome}").into());
    }
    steps.done("First key retired", "silent, deleted, no longer accepted, and forgotten");

    // 8. Nobody noticed.
    let (requests, failures) = running.stop().await?;
    if failures > 0 || requests == 0 {
        return Err(format!("{failures} of {requests} requests failed").into());
    }
    steps.done("Service never stopped", format!("{requests} requests, 0 failed"));

    // 9. What the organization holds now: the legacy key is still there, and is a finding.
    posture(&client, &mut steps).await?;
    steps.end("Every step went as told. Next: `cargo run --example classify -- --help`");
    organization.shutdown().await;
    Ok(())
}

const SLOT: &str = "api";

/// What replaces the service's key: another program in real life. It and the service have only the
/// store in common.
fn rotator(
    client: &Client,
    project: &ProjectId,
    account: &ServiceAccountId,
    store: &FileStore,
    base_url: &str,
) -> Outcome<Rotator> {
    let scopes = Scopes::only(Scope::RESPONSES_WRITE);
    let slot = Slot::new(SLOT, project, account, scopes)?
        .with_grace(Duration::from_secs(600))
        .with_short_silence(ShortSilence::new(
            Duration::from_secs(3),
            "the one service is in this process",
        )?);
    let probe = HttpProbe::new(base_url, service::policy()?)?;
    let builder = Rotator::builder(client.clone(), "quickstart").slot(slot, store.clone());
    Ok(builder.probe(probe).build()?)
}

async fn current(store: &FileStore) -> Outcome<StoredKey> {
    Ok(store.current().await?.ok_or("the store is empty")?)
}

/// Waits until a rotation has come to a step.
async fn until(events: &mut Events, wanted: &str) -> Outcome<()> {
    while let Some(event) = events.next().await {
        match event.what {
            EventKind::Step { step, .. } if step == wanted => return Ok(()),
            EventKind::Failed(error) => return Err(error.into()),
            _ => {}
        }
    }
    Err("the rotation ended early".into())
}

/// Every key of every project, also those that their owners cannot use any more.
async fn posture(client: &Client, steps: &mut Steps) -> Outcome<()> {
    let mut rows = Vec::new();
    for project in client.projects().list().all().await? {
        for key in client.project(&project.id).api_keys().list().all().await? {
            let owner = key.owner.as_ref().and_then(|owner| owner.kind.as_ref());
            let verdict = match key.expires_at {
                None => "never expires",
                Some(_) if key.service_account_id().is_none() => "a person's",
                Some(_) => "fine",
            };
            rows.push([
                project.name.clone().unwrap_or_default(),
                key.name.clone().unwrap_or_default(),
                owner.map_or("-".to_owned(), ToString::to_string),
                key.expires_at.map_or("-".to_owned(), |at| at.to_string()),
                verdict.to_owned(),
            ]);
        }
    }
    let findings = rows.iter().filter(|row| row[4] != "fine").count();
    steps.done("Posture", format!("{} keys, {findings} to look at", rows.len()));
    steps.table(["project", "key", "owner", "expires", "verdict"], &rows);
    Ok(())
}

fn describe(key: &StoredKey) -> String {
    let expires = key.note.expires_at.map_or("never".to_owned(), |at| at.to_string());
    format!("{}, {}, expires {expires}", key.key.fingerprint(), Scope::RESPONSES_WRITE)
}

/// The environment of this program is not asked, so that a real key there stays out of a rehearsal.
fn no_environment(name: &str) -> EnvLoader {
    EnvLoader::new(name).with_environment(Environment::fixed::<&str, &str>([]))
}

fn now() -> Timestamp {
    #[allow(clippy::disallowed_methods, reason = "the program's own clock")]
    SystemTime::now().into()
}
