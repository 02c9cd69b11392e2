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
use keyward::store::{FileStore, KeyNote, KeyStore, Version};
use keyward::{
    ApiKey, EnvLoader, Environment, FileLoader, KeyLoader as _, KeyPolicy, LoaderChain, Timestamp,
};
use keyward_admin::{
    Client, KeyUpdate, MintedKey, NewProject, NewServiceAccount, NewServiceAccountKey,
    ProjectHandle, Scope, Scopes, ServiceAccountHandle, ServiceAccountRole, ServiceAccountUpdate,
};
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
    let project = client.project(project.id);
    let made = project.service_accounts().create(NewServiceAccount::without_key("api")).await?;
    let account = made.id.ok_or("the account has no id")?;
    let made = account.clone();
    let account = project.service_account(account);
    account.update(ServiceAccountUpdate::role(ServiceAccountRole::Member)).await?;
    steps.done("Service account made", format!("{made} in project `checkout`"));

    // 4. A key that may do one thing, and dies by itself.
    let first = mint(&project, &account, "api-1").await?;
    steps.done("Key minted", describe(&first));

    // 5. It is put into the store where the service looks for it, and the service starts.
    let store = FileStore::new(drawer.path().join("service-key"));
    let version = stage(&store, &first).await?;
    store.promote(&version, now()).await?;
    let mut running = Service::start(&organization.base_url(), store.clone()).await?;
    running.answered(20).await?;
    steps.done("Service running", format!("on {} from {}", running.fingerprint()?, store.source()));

    // 6. The key is replaced while the service runs: a second key on the same account is staged,
    let second = mint(&project, &account, "api-2").await?;
    let version = stage(&store, &second).await?;
    steps.done("Second key staged", describe(&second));
    //    proved before anybody depends on it,
    let proof = service::prove(&organization.base_url(), &second.key).await?;
    if proof != 200 {
        return Err(format!("the second key is answered with {proof}").into());
    }
    //    and made the current one. The service notices.
    store.promote(&version, now()).await?;
    running.moves_over().await?;
    running.answered(20).await?;
    if running.fingerprint()? != second.key.fingerprint() {
        return Err("the service does not use the second key".into());
    }
    steps.done("Service moved over", format!("to {}", running.fingerprint()?));

    // 7. The first one is retired when nobody uses it any more, and forgotten.
    drain(&project, &first, &mut steps).await?;
    let proof = service::prove(&organization.base_url(), &first.key).await?;
    if proof != 401 {
        return Err(format!("the first key is answered with {proof}, and should be dead").into());
    }
    if let Some(previous) = store.previous().await? {
        store.discard(&previous.version).await?;
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

type Minted = MintedKey<keyward_admin::ApiKeyId>;

async fn mint(
    project: &ProjectHandle,
    account: &ServiceAccountHandle,
    name: &str,
) -> Outcome<Minted> {
    let new = NewServiceAccountKey::new(name, Scopes::only(Scope::RESPONSES_WRITE))
        .expires_in(Duration::from_secs(30 * 86_400));
    match account.create_key(new).await {
        // Nobody knows whether there is such a key now. It was not asked for twice: what may have
        // been made is found by its name, and deleted.
        Err(error) if error.is_outcome_unknown() => {
            let orphans = account.reconcile(name).await?;
            for orphan in &orphans {
                project.api_key(&orphan.id).delete().await?;
            }
            Err(format!("{error}; {} found and deleted", orphans.len()).into())
        }
        minted => Ok(minted?),
    }
}

/// Keeps a minted key as the next one, with what the issuer says of it. It is not in use yet.
async fn stage(store: &impl KeyStore, minted: &Minted) -> Outcome<Version> {
    let mut note = KeyNote::new().expires_at(minted.metadata.expires_at);
    if let Some(id) = &minted.metadata.id {
        note = note.key_id(id.to_string());
    }
    Ok(store.stage(&minted.key, &note, now()).await?)
}

/// Lets the old key die soon even if this program does first, waits until it has been silent, and
/// deletes it.
async fn drain(project: &ProjectHandle, old: &Minted, steps: &mut Steps) -> Outcome<()> {
    const SILENT: u64 = 3;

    let id = old.metadata.id.as_ref().ok_or("the key has no id")?;
    let key = project.api_key(id);
    key.update(KeyUpdate::expires_in(Duration::from_secs(600))).await?;
    let progress = steps.progress("waiting until the first key is silent", SILENT);
    let mut last_used = key.get().await?.last_used_at;
    let mut silent = 0;
    while silent < SILENT {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let used = key.get().await?.last_used_at;
        silent = if used == last_used { silent + 1 } else { 0 };
        last_used = used;
        progress.set_position(silent);
    }
    progress.finish_and_clear();
    key.delete().await?;
    Ok(())
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

fn describe(minted: &Minted) -> String {
    let expires = minted.metadata.expires_at.map_or("never".to_owned(), |at| at.to_string());
    format!("{}, {}, expires {expires}", minted.key.fingerprint(), Scope::RESPONSES_WRITE)
}

/// The environment of this program is not asked, so that a real key there stays out of a rehearsal.
fn no_environment(name: &str) -> EnvLoader {
    EnvLoader::new(name).with_environment(Environment::fixed::<&str, &str>([]))
}

fn now() -> Timestamp {
    #[allow(clippy::disallowed_methods, reason = "the program's own clock")]
    SystemTime::now().into()
}
