//! From the command line to a rotator: the slots of files, their stores, the admin key.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use keyward::reference::References;
use keyward::store::DynKeyStore;
use keyward::{
    AdminKey, DynKeyLoader, EnvLoader, FileLoader, KeyLoader as _, KeyPolicy, Timestamp, find,
};
use keyward_admin::Client;
use keyward_rotate::danger::ShortSilence;
use keyward_rotate::{AdminRotator, FileJournal, HttpProbe, Rotator, Slot, SlotFile};

use crate::Args;
use crate::target::Target;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The name of the admin key among the slots.
pub(crate) const ADMIN: &str = "admin";

/// A rotator, and which of its slots were asked for.
pub(crate) struct Selected {
    pub(crate) rotator: Rotator,
    names: Vec<String>,
}

impl Selected {
    pub(crate) fn into_targets(self) -> Vec<Target> {
        let target = |name| Target::Slot(self.rotator.clone(), name);
        self.names.into_iter().map(target).collect()
    }
}

/// How long the old admin key is watched, as nothing but its deletion ends it.
#[derive(clap::Args)]
pub(crate) struct AdminDrain {
    /// For how many seconds the old admin key is watched at the most.
    #[arg(long, requires = "admin", value_name = "SECONDS", default_value_t = 3600)]
    admin_grace: u64,
    /// For how many seconds the old admin key must not have been used before it is deleted.
    #[arg(long, requires = "admin", value_name = "SECONDS", default_value_t = 600)]
    admin_silence: u64,
    /// Why it may be less than a minute.
    #[arg(long, requires = "admin", value_name = "REASON")]
    short_silence_because: Option<String>,
    /// The id of an admin key that keyward did not make, and that is deleted too.
    #[arg(long, requires = "admin", value_name = "KEY_ID")]
    admin_retire: Vec<String>,
}

/// What replaces the admin key itself.
pub(crate) async fn open_admin(args: &Args) -> Outcome<AdminRotator> {
    let references = references(args).await?;
    let Some(store) = admin_store(args, &references)? else {
        return Err("--admin: say where the key is with --admin-store".into());
    };
    let drain = &args.drain;
    let grace = Duration::from_secs(drain.admin_grace);
    let silence = Duration::from_secs(drain.admin_silence);
    let mut builder = AdminRotator::builder(ADMIN, store, connect(args), holder(args)?)
        .patience(Duration::from_secs(args.patience));
    builder = match &drain.short_silence_because {
        None => builder.drain(grace, silence),
        Some(reason) => builder.short_drain(grace, ShortSilence::new(silence, reason)?),
    };
    for id in &drain.admin_retire {
        builder = builder.retiring(id);
    }
    if let Some(directory) = &args.journal {
        builder = builder.journal(FileJournal::new(directory));
    }
    Ok(builder.build()?)
}

fn admin_store(args: &Args, references: &References) -> Outcome<Option<DynKeyStore>> {
    let Some(reference) = &args.admin_store else { return Ok(None) };
    let store = references.store(reference);
    store.map(Some).map_err(|error| format!("--admin-store: {error}").into())
}

pub(crate) async fn open(args: &Args) -> Outcome<Selected> {
    let mut slots: Vec<Slot> = Vec::new();
    let mut policies = Vec::new();
    for text in &args.slot {
        let (file, name) = match text.rsplit_once('#') {
            Some((file, name)) => (file, Some(name)),
            None => (text.as_str(), None),
        };
        let (found, of_file) = read(file)?;
        policies.push(of_file);
        let chosen: Vec<_> = match name {
            None => found.into_slots(),
            Some(name) => vec![found.slot(name).cloned().ok_or_else(|| {
                let names: Vec<_> = found.slots().iter().map(Slot::name).collect();
                format!("--slot: no such slot in the file; it has {}", names.join(", "))
            })?],
        };
        slots.extend(chosen);
    }
    // One probe proves the keys of all slots.
    if policies.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err("--slot: the files differ in their `[policy]`; run rotate for each".into());
    }
    let policy = policies.into_iter().next().flatten();
    let references = references(args).await?;
    // This machine is one more host, for the fake organization.
    let policy = policy.unwrap_or_else(KeyPolicy::production).with_host("127.0.0.1")?;
    let builder = match admin_store(args, &references)? {
        None => Rotator::builder(client(args, &references).await?, holder(args)?),
        Some(store) => Rotator::managed_with(store, connect(args), holder(args)?),
    };
    let mut builder = builder
        .patience(Duration::from_secs(args.patience))
        .probe(HttpProbe::new(&args.base_url, policy)?);
    let mut names = Vec::new();
    for slot in slots {
        if args.journal.is_some() && slot.name() == ADMIN {
            let why = "so is the journal of the admin key called; rename it";
            return Err(format!("slot `{ADMIN}`, with --journal: {why}").into());
        }
        let store = store(&references, &slot)?;
        names.push(slot.name().to_owned());
        builder = match &args.journal {
            None => builder.slot(slot, store),
            Some(directory) => builder.slot_with_journal(slot, store, FileJournal::new(directory)),
        };
    }
    Ok(Selected { rotator: builder.build()?, names })
}

/// The slots of a file, and the policy that stands beside them. What is wrong is told without what
/// is written there: who mixes up two files may name the one with the key in it.
fn read(file: &str) -> Outcome<(SlotFile, Option<KeyPolicy>)> {
    let shown = find::scrub(file);
    let text = fs::read_to_string(file).map_err(|error| format!("{shown}: {}", error.kind()))?;
    let slots = text.parse().map_err(|error| format!("{shown}: {error}"))?;
    let mut table: toml::Table =
        text.parse().map_err(|_: toml::de::Error| format!("{shown}: no TOML"))?;
    let policy = table.remove("policy").map(toml::Value::try_into::<KeyPolicy>).transpose();
    let policy =
        policy.map_err(|error| format!("{shown}, `policy`: {}", find::scrub(error.message())))?;
    Ok((slots, policy))
}

fn store(references: &References, slot: &Slot) -> Outcome<DynKeyStore> {
    let name = slot.name();
    let reference = slot.store_reference().ok_or_else(|| {
        format!("slot `{name}`: `store` is not set; say where the key is, such as `file:PATH`")
    })?;
    references.store(reference).map_err(|error| format!("slot `{name}`, `store`: {error}").into())
}

async fn client(args: &Args, references: &References) -> Outcome<Client> {
    let loader = match (&args.key_file, &args.key) {
        (Some(path), _) => DynKeyLoader::new(FileLoader::new(path)),
        (None, Some(reference)) => {
            references.loader(reference).map_err(|error| format!("--key: {error}"))?
        }
        (None, None) => DynKeyLoader::new(EnvLoader::new("OPENAI_ADMIN_KEY")),
    };
    let loaded = loader.load().await?;
    let key = loaded.admit(&KeyPolicy::admin(), now())?.into_admin_key()?;
    Ok(connect(args)(key)?)
}

/// How a client is made of an admin key.
fn connect(
    args: &Args,
) -> impl Fn(AdminKey) -> Result<Client, keyward_admin::Error> + Send + Sync + 'static {
    let (url, patience) = (args.base_url.clone(), Duration::from_secs(args.patience.max(1)));
    // A client obeys a server that throttles until the deadline, which must end before the lease.
    let deadline = patience.clamp(Duration::from_secs(10), Duration::from_secs(120));
    move |key| {
        let client = Client::builder(key).base_url(url.clone()).allow_loopback();
        client.max_wait(patience).deadline(deadline).build()
    }
}

pub(crate) fn now() -> Timestamp {
    #[allow(clippy::disallowed_methods, reason = "the program's own clock")]
    SystemTime::now().into()
}

/// The name of this machine: two that run on it at once take the lease from each other, which is
/// safe and ends one of them.
fn holder(args: &Args) -> Outcome<String> {
    if let Some(holder) = &args.holder {
        return Ok(holder.clone());
    }
    let names = ["/proc/sys/kernel/hostname", "/etc/hostname"];
    let name = names.iter().find_map(|path| fs::read_to_string(Path::new(path)).ok());
    let name = name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    name.ok_or_else(|| "this machine has no name that can be read; say one with --holder".into())
}

#[cfg(not(feature = "clouds"))]
async fn references(_args: &Args) -> Outcome<References> {
    Ok(References::new())
}

/// How the clouds are reached. AWS is by its own environment: `AWS_REGION`, `AWS_PROFILE` and so on.
#[cfg(feature = "clouds")]
#[derive(clap::Args)]
pub(crate) struct Clouds {
    /// Where Vault or OpenBao is, for stores in it. Its token comes from `VAULT_TOKEN`, or from
    /// `--vault-token-file`.
    #[arg(long, value_name = "URL")]
    vault: Option<String>,
    /// A file with Vault's token, as an agent mounts it: others than its owner may not change it.
    #[arg(long, value_name = "FILE", requires = "vault")]
    vault_token_file: Option<std::path::PathBuf>,
}

#[cfg(feature = "clouds")]
async fn references(args: &Args) -> Outcome<References> {
    use keyward_kms::Schemes;
    use keyward_kms::aws::Aws;
    use keyward_kms::vault::{Vault, VaultAuth};

    let settings = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    let mut schemes = Schemes::new().with_aws(&Aws::new(settings));
    if let Some(address) = &args.clouds.vault {
        let auth = match &args.clouds.vault_token_file {
            Some(file) => VaultAuth::token(FileLoader::mounted_secret(file)),
            None => VaultAuth::token(EnvLoader::new("VAULT_TOKEN")),
        };
        schemes = schemes.with_vault(&Vault::builder(address, auth).allow_loopback().build()?);
    }
    Ok(schemes.register(References::new()))
}
