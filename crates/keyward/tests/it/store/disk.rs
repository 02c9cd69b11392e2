//! What the stores on disk share: whose files they take, and how they are made. Each case is run
//! for plain and for sealed files.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use keyward::store::conformance::Subject;
use keyward::store::{
    DynKeyStore, FileStore, KeyNote, KeyStore as _, SealedFile, StoreErrorKind, Unlock,
};
use keyward::{ApiKey, KeyLoader as _, KeyPolicy};
use keyward_testkit::{assert_no_leak, leak};

use super::{assert_held, run};
use crate::fixture::{NOW, ready, secret};

/// A kind of store on disk.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Plain,
    Sealed,
    SealedWithPassphrase,
}

impl Kind {
    /// The store in this directory. What opens it lies beside it.
    pub(crate) fn open(self, directory: &Path) -> DynKeyStore {
        let path = directory.join("key");
        match self {
            Self::Plain => DynKeyStore::new(FileStore::new(path)),
            Self::Sealed => DynKeyStore::new(SealedFile::new(path, identity(directory))),
            Self::SealedWithPassphrase => {
                let passphrase = Unlock::passphrase("correct horse battery staple ü".to_owned());
                DynKeyStore::new(SealedFile::new(path, passphrase).with_work_factor(15))
            }
        }
    }
}

/// What opens the sealed files of a directory's tests, made at the first use.
pub(crate) fn identity(directory: &Path) -> Unlock {
    let path = directory.join("identity.txt");
    if path.exists() {
        return Unlock::identity_file(path);
    }
    // On a thread of its own, because the caller may stand in a runtime.
    thread::spawn(|| ready(Unlock::create_identity_file(path)).unwrap()).join().unwrap()
}

/// Stores of one kind, each in a directory of its own.
struct OnDisk {
    kind: Kind,
    root: tempfile::TempDir,
}

impl OnDisk {
    fn new(kind: Kind) -> Self {
        Self { kind, root: tempfile::tempdir().unwrap() }
    }
}

impl Subject for OnDisk {
    type Store = DynKeyStore;

    async fn fresh(&self) -> DynKeyStore {
        let directory = tempfile::tempdir_in(self.root.path()).unwrap().keep();
        if matches!(self.kind, Kind::Sealed) {
            identity(&directory);
        }
        self.kind.open(&directory)
    }

    async fn again(&self, store: &DynKeyStore) -> DynKeyStore {
        let path = PathBuf::from(store.source().place());
        self.kind.open(path.parent().unwrap())
    }

    async fn unreachable(&self) -> Option<DynKeyStore> {
        let path = self.root.path().join("no-such-directory/key");
        let store = match self.kind {
            Kind::Plain => DynKeyStore::new(FileStore::new(path)),
            Kind::Sealed | Kind::SealedWithPassphrase => {
                DynKeyStore::new(SealedFile::new(path, identity(self.root.path())))
            }
        };
        Some(store)
    }
}

#[test]
fn a_store_in_files_keeps_the_contract() {
    assert_held(&OnDisk::new(Kind::Plain), &[]);
}

#[test]
fn a_sealed_store_keeps_the_contract() {
    assert_held(&OnDisk::new(Kind::Sealed), &[]);
}

#[test]
fn a_store_is_a_source_that_a_policy_can_refuse() {
    for (kind, scheme) in [(Kind::Plain, "file"), (Kind::Sealed, "sealed")] {
        let directory = tempfile::tempdir().unwrap();
        let store = kind.open(directory.path());
        ready(put(&store, &secret()));
        let loaded = ready(store.load()).unwrap();
        assert_eq!(loaded.source.scheme(), scheme);
        drop(loaded.admit(&KeyPolicy::production(), NOW).unwrap());
        let policy = KeyPolicy::production().with_sources(["vault"]).unwrap();
        loaded.admit(&policy, NOW).unwrap_err();
    }
}

#[test]
fn without_a_runtime_stores_on_disk_answer_at_once() {
    for kind in [Kind::Plain, Kind::Sealed, Kind::SealedWithPassphrase] {
        let directory = tempfile::tempdir().unwrap();
        let store = kind.open(directory.path());
        assert!(ready(store.load()).unwrap_err().is_not_found());
        let key = secret();
        ready(put(&store, &key));
        assert_eq!(ready(store.load()).unwrap().key, ApiKey::parse(key).unwrap());
    }
}

#[test]
fn what_a_process_that_died_left_is_swept_up() {
    for kind in [Kind::Plain, Kind::Sealed] {
        let directory = tempfile::tempdir().unwrap();
        let store = kind.open(directory.path());
        for name in ["key.new", "key.store.new"] {
            fs::write(directory.path().join(name), secret()).unwrap();
        }
        ready(put(&store, &secret()));
        let left = fs::read_dir(directory.path()).unwrap().flatten().map(|entry| entry.file_name());
        let left: Vec<_> = left.filter(|name| name.to_string_lossy().ends_with(".new")).collect();
        match kind {
            Kind::Plain => assert_eq!(left, [""; 0]),
            // A sealed file has no document beside it, so that one is not its own.
            _ => assert_eq!(left, ["key.store.new"]),
        }
    }
}

/// Makes a key current.
pub(crate) async fn put(store: &DynKeyStore, key: &str) {
    let key = ApiKey::parse(key.to_owned()).unwrap();
    let version = store.stage(&key, &KeyNote::new(), NOW).await.unwrap();
    store.promote(&version, NOW).await.unwrap();
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{MetadataExt as _, chown, symlink};

    use super::*;
    use crate::fixture::{chmod, write};

    /// Whatever is refused is refused for reading and for writing, and left as it was.
    #[track_caller]
    fn assert_refused(store: &DynKeyStore, expected: StoreErrorKind, says: &[&str]) {
        let key = secret();
        let (staged, note) = (ApiKey::parse(key.clone()).unwrap(), KeyNote::new());
        let stage = || ready(store.stage(&staged, &note, NOW));
        let loaded = ready(store.load()).unwrap_err();
        assert!(!loaded.is_not_found(), "{loaded}");
        for error in [ready(store.snapshot()).unwrap_err(), stage().unwrap_err()] {
            let text = error.to_string();
            assert_eq!(error.kind(), expected, "{text}");
            assert!(text.starts_with(&store.source().to_string()), "{text}");
            for part in says {
                assert!(text.contains(part), "{part:?} is missing in {text:?}");
            }
            assert_eq!(text.lines().count(), 1);
            assert_no_leak!(key, leak::error_surfaces(&error));
        }
    }

    const KINDS: [Kind; 2] = [Kind::Plain, Kind::Sealed];

    fn with_store(kind: Kind) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        ready(put(&kind.open(directory.path()), &secret()));
        directory
    }

    #[test]
    fn every_file_is_its_owners_alone() {
        for kind in KINDS {
            let directory = with_store(kind);
            let mut seen = 0;
            for entry in fs::read_dir(directory.path()).unwrap() {
                let entry = entry.unwrap();
                let mode = entry.metadata().unwrap().mode() & 0o7777;
                assert_eq!(mode, 0o600, "{:?}", entry.file_name());
                seen += 1;
            }
            assert_eq!(seen, 3);
        }
    }

    #[test]
    fn files_that_others_can_read_are_refused() {
        for (kind, names) in
            [(Kind::Plain, ["key", "key.store"].as_slice()), (Kind::Sealed, ["key"].as_slice())]
        {
            for name in names {
                for mode in [0o640, 0o604, 0o660, 0o622] {
                    let directory = with_store(kind);
                    chmod(directory.path().join(name), mode);
                    let says = [&*format!("its mode {mode:04o} lets others"), "`chmod 600 /"];
                    assert_refused(&kind.open(directory.path()), StoreErrorKind::Insecure, &says);
                }
            }
        }
    }

    #[test]
    fn a_directory_in_which_others_write_is_refused() {
        for kind in KINDS {
            for mode in [0o770, 0o707, 0o1777] {
                let directory = with_store(kind);
                let open = directory.path().join("open");
                fs::create_dir(&open).unwrap();
                chmod(&open, mode);
                // What opens it does not lie there too: it would be refused first.
                let store = match kind {
                    Kind::Plain => DynKeyStore::new(FileStore::new(open.join("key"))),
                    _ => {
                        let unlock = identity(directory.path());
                        DynKeyStore::new(SealedFile::new(open.join("key"), unlock))
                    }
                };
                let says = [&*format!("its mode {mode:04o} lets others"), "`chmod go-w /"];
                assert_refused(&store, StoreErrorKind::Insecure, &says);
            }
        }
    }

    #[test]
    fn a_link_is_refused_and_what_it_leads_to_left_alone() {
        for kind in KINDS {
            let directory = with_store(kind);
            let key = directory.path().join("key");
            let target = directory.path().join("elsewhere");
            fs::rename(&key, &target).unwrap();
            let before = fs::read(&target).unwrap();
            symlink("elsewhere", &key).unwrap();
            let says = ["it is a link; give the path of the file itself"];
            assert_refused(&kind.open(directory.path()), StoreErrorKind::Insecure, &says);
            assert_eq!(fs::read(&target).unwrap(), before);

            // The lock is not taken through a link either, nor is what it leads to made.
            let directory = with_store(kind);
            let lock = directory.path().join("key.lock");
            fs::remove_file(&lock).unwrap();
            symlink("made", &lock).unwrap();
            let store = kind.open(directory.path());
            let error = ready(store.lease("me", std::time::Duration::from_secs(1), NOW));
            assert_eq!(error.unwrap_err().kind(), StoreErrorKind::Insecure);
            assert!(!directory.path().join("made").exists());
        }
    }

    #[test]
    fn what_is_no_file_is_told() {
        for kind in KINDS {
            let directory = with_store(kind);
            let path = directory.path().join("key");
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
            let says = ["it is no regular file; correct the path"];
            assert_refused(&kind.open(directory.path()), StoreErrorKind::Invalid, &says);
            fs::remove_dir(&path).unwrap();
            rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap();
            assert_refused(&kind.open(directory.path()), StoreErrorKind::Invalid, &says);
        }
    }

    #[test]
    fn what_others_own_is_refused() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: only root can give a file away; run the tests as root");
            return;
        }
        for kind in KINDS {
            let directory = with_store(kind);
            chown(directory.path().join("key"), Some(12_345), None).unwrap();
            let says = ["owned by uid 12345, not by the effective user (0); `chown 0 /"];
            assert_refused(&kind.open(directory.path()), StoreErrorKind::Insecure, &says);

            let directory = with_store(kind);
            let identity = directory.path().join("identity.txt");
            chown(directory.path(), Some(12_345), None).unwrap();
            if !identity.exists() {
                let says = ["owned by uid 12345, who is neither"];
                assert_refused(&kind.open(directory.path()), StoreErrorKind::Insecure, &says);
            }
        }
    }

    /// The lock of another is waited for, and not for ever.
    #[test]
    fn a_lock_that_is_not_given_back_is_told() {
        for kind in KINDS {
            let directory = with_store(kind);
            let held = fs::File::options().write(true).open(directory.path().join("key.lock"));
            let held = held.unwrap();
            held.lock().unwrap();
            let path = directory.path().join("key");
            let patience = std::time::Duration::from_millis(50);
            let store = match kind {
                Kind::Plain => DynKeyStore::new(FileStore::new(path).with_patience(patience)),
                _ => DynKeyStore::new(
                    SealedFile::new(path, identity(directory.path())).with_patience(patience),
                ),
            };
            run(async {
                let other = ApiKey::parse(secret()).unwrap();
                let error = store.stage(&other, &KeyNote::new(), NOW).await.unwrap_err();
                assert_eq!(error.kind(), StoreErrorKind::TimedOut);
                assert!(error.to_string().contains("key.lock: another process"), "{error}");
                // Reading takes no lock.
                store.load().await.unwrap();
            });
            drop(held);
            ready(put(&store, &secret()));
        }
    }

    #[test]
    fn a_path_is_shown_on_one_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a\nb\x1b[31m");
        write(&path, "nothing");
        let error = ready(FileStore::new(path).snapshot()).unwrap_err();
        assert!(error.to_string().contains("a\\nb\\u{1b}[31m: it holds no key"), "{error}");
    }
}
