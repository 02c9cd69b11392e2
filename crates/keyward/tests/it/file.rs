//! Keys in files: what is taken, what is refused, and how that is told.

use std::fs;
use std::path::Path;

use keyward::{Environment, FileLoader, KeyLoader as _, LoadErrorKind};
use keyward_testkit::assert_no_leak;

use crate::fixture::{assert_fails, assert_loads, load, load_everywhere, secret, write};

#[test]
fn takes_one_key_or_says_what_is_wrong_with_the_file() {
    use LoadErrorKind::{Invalid, NotAFile, NotFound, TooLarge};
    let key = secret();
    let k = key.as_bytes();
    let padded = |len: usize| [k, &vec![b'\n'; len - k.len()]].concat();
    let cases: [(_, Option<Vec<u8>>, Result<(), _>); 12] = [
        ("plain", Some(k.into()), Ok(())),
        ("with a line end", Some([k, b"\r\n"].concat()), Ok(())),
        ("with a byte order mark", Some([b"\xef\xbb\xbf", k].concat()), Ok(())),
        ("as large as can be", Some(padded(64 * 1024)), Ok(())),
        ("larger", Some(padded(64 * 1024 + 1)), Err((TooLarge, "larger than 64 KiB; store"))),
        ("far larger", Some(padded(1024 * 1024)), Err((TooLarge, "larger than 64 KiB; store"))),
        ("empty", Some(Vec::new()), Err((Invalid, "it is empty"))),
        ("not UTF-8", Some([k, b"\xff\xfe"].concat()), Err((Invalid, "outside of ASCII"))),
        ("NUL", Some([k, b"\0"].concat()), Err((Invalid, "control character"))),
        ("a .env file", Some([b"API_KEY=", k].concat()), Err((Invalid, "behind the `=`"))),
        ("two keys", Some([k, b"\n", k].concat()), Err((Invalid, "one key and nothing else"))),
        ("absent", None, Err((NotFound, "no such file; create it, or correct the path"))),
    ];
    for (case, content, expected) in cases {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        if let Some(content) = content {
            write(&path, content);
        }
        let source = format!("file:{}", path.display());
        for loader in [FileLoader::new(&path), FileLoader::mounted_secret(&path)] {
            assert_eq!(loader.source().to_string(), source);
            for (runtime, result) in load_everywhere(&loader) {
                println!("{case}, runtime: {runtime}");
                match expected {
                    Ok(()) => drop(assert_loads(result, &key, &source)),
                    Err((kind, says)) => {
                        let error = assert_fails(result, &key, kind, &[&source, says]);
                        assert_eq!(error.is_not_found(), kind == NotFound);
                    }
                }
            }
        }
    }
    let directory = tempfile::tempdir().unwrap();
    for path in [directory.path().to_owned(), directory.path().join(".."), "/".into()] {
        let result = load(&FileLoader::new(path));
        assert_fails(result, &key, NotAFile, &["it is a directory; "]);
    }
}

#[test]
fn reads_anew_each_time_and_nothing_before() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let loader = FileLoader::new(&path);
    assert!(load(&loader).unwrap_err().is_not_found());
    for _ in 0..2 {
        let key = secret();
        write(&path, &key);
        assert_loads(load(&loader), &key, &format!("file:{}", path.display()));
    }
}

#[test]
fn a_runtime_that_has_shut_down_is_told() {
    let key = secret();
    let directory = tempfile::tempdir().unwrap();
    let loader = FileLoader::new(write(directory.path().join("key"), &key));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let handle = runtime.handle().clone();
    drop(runtime);
    let _entered = handle.enter();
    let says = ["the runtime is shutting down; load keys before"];
    assert_fails(crate::fixture::ready(loader.load()), &key, LoadErrorKind::Unreadable, &says);
}

#[test]
fn a_relative_path_is_one_of_the_working_directory() {
    // Tests run in the crate's directory. The file holds no key, so it is refused after all else.
    let error = load(&FileLoader::mounted_secret("Cargo.toml")).unwrap_err();
    assert!(error.is_invalid() || error.to_string().contains("its mode"), "{error}");
    assert!(load(&FileLoader::new("no-such-file")).unwrap_err().is_not_found());
    assert!(load(&FileLoader::new("")).is_err());
}

#[test]
fn a_key_in_the_place_of_a_path_is_not_shown() {
    let key = secret();
    for loader in [
        FileLoader::new(&key),
        FileLoader::new(Path::new("/run/secrets").join(&key)),
        FileLoader::systemd_credential(&key).with_environment(Environment::fixed([("A", "b")])),
    ] {
        assert_no_leak!(key, format!("{loader:?}"));
        let error = load(&loader).unwrap_err();
        assert_no_leak!(key, keyward_testkit::leak::error_surfaces(&error));
    }
}

#[test]
fn systemd_credentials_are_found_by_name() {
    use LoadErrorKind::{Invalid, NotConfigured, NotFound};
    let key = secret();
    let directory = tempfile::tempdir().unwrap();
    write(directory.path().join("openai"), &key);
    let there = directory.path().to_str().unwrap();
    let below = format!("{there}/below");
    for (variable, name, expected) in [
        (Some(there), "openai", Ok(())),
        (Some(there), "absent", Err((NotFound, "no such file"))),
        (None, "openai", Err((NotConfigured, "CREDENTIALS_DIRECTORY is not set; run"))),
        (Some(""), "openai", Err((NotConfigured, "CREDENTIALS_DIRECTORY is not set; run"))),
        (Some("credentials"), "openai", Err((Invalid, "is not an absolute path"))),
        (Some(below.as_str()), "../openai", Err((Invalid, "one file name"))),
        (Some(there), "/etc/hostname", Err((Invalid, "one file name"))),
        (Some(there), "..", Err((Invalid, "one file name"))),
        (Some(there), "", Err((Invalid, "one file name"))),
    ] {
        let environment = Environment::fixed(variable.map(|v| ("CREDENTIALS_DIRECTORY", v)));
        let loader = FileLoader::systemd_credential(name).with_environment(environment);
        assert_eq!(loader.source().to_string(), format!("file:$CREDENTIALS_DIRECTORY/{name}"));
        match expected {
            Ok(()) => drop(assert_loads(load(&loader), &key, &format!("file:{there}/{name}"))),
            Err((kind, says)) => drop(assert_fails(load(&loader), &key, kind, &[says])),
        }
    }
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::fixture::chmod;

    #[test]
    fn others_may_not_read_a_file_of_ours_nor_write_a_mount() {
        let key = secret();
        let directory = tempfile::tempdir().unwrap();
        let path = write(directory.path().join("key"), &key);
        let source = format!("file:{}", path.display());
        for (mode, strict, mounted) in [
            (0o600, true, true),
            (0o400, true, true),
            (0o700, true, true),
            (0o640, false, true),
            (0o440, false, true),
            (0o444, false, true),
            (0o644, false, true),
            (0o604, false, true),
            (0o610, false, true),
            (0o601, false, true),
            (0o620, false, false),
            (0o602, false, false),
            (0o660, false, false),
            (0o666, false, false),
            (0o4777, false, false),
        ] {
            chmod(&path, mode);
            let octal = format!("its mode {mode:04o} lets others");
            for (loader, taken, fix) in [
                (FileLoader::new(&path), strict, "`chmod 600 /"),
                (FileLoader::mounted_secret(&path), mounted, "`chmod go-w /"),
            ] {
                let result = load(&loader);
                if taken {
                    assert_loads(result, &key, &source);
                } else {
                    let says = [source.as_str(), &octal, fix];
                    let error = assert_fails(result, &key, LoadErrorKind::Insecure, &says);
                    assert!(error.is_insecure() && !error.is_not_found());
                }
            }
        }
        chmod(&path, 0o644);
        let error = load(&FileLoader::new(&path)).unwrap_err();
        assert!(error.fix().contains("`FileLoader::mounted_secret`"), "{error}");
    }

    #[test]
    fn the_owner_is_this_user_or_root() {
        const NOBODY: u32 = 65534;
        if !rustix::process::geteuid().is_root() {
            // Only root can give a file away. The container that CI runs in is root.
            return;
        }
        let key = secret();
        let directory = tempfile::tempdir().unwrap();
        let path = write(directory.path().join("key"), &key);
        std::os::unix::fs::chown(&path, Some(NOBODY), None).unwrap();
        for loader in [FileLoader::new(&path), FileLoader::mounted_secret(&path)] {
            let says = ["owned by uid 65534, who is neither the effective user (0)", "`chown 0 /"];
            assert_fails(load(&loader), &key, LoadErrorKind::Insecure, &says);
        }
    }

    #[test]
    fn what_may_not_be_read_is_told() {
        if rustix::process::geteuid().is_root() {
            return; // Root reads everything.
        }
        let key = secret();
        let directory = tempfile::tempdir().unwrap();
        let path = write(directory.path().join("key"), &key);
        chmod(&path, 0o000);
        let says = ["permission denied; give the service's user read access"];
        assert_fails(load(&FileLoader::new(path)), &key, LoadErrorKind::Unreadable, &says);
    }

    #[test]
    fn what_is_no_file_is_refused_without_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).unwrap();
        let socket = directory.path().join("socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        let link = directory.path().join("link");
        symlink("pipe", &link).unwrap();
        let began = Instant::now();
        for (path, what) in [
            (pipe, "it is a pipe; "),
            (socket, "it is a socket; "),
            (link, "it is a pipe; "),
            ("/dev/null".into(), "it is a device; "),
            ("/dev/tty".into(), "it is a device; "),
        ] {
            for (_, result) in load_everywhere(&FileLoader::mounted_secret(path)) {
                assert_fails(result, &secret(), LoadErrorKind::NotAFile, &[what]);
            }
        }
        assert!(began.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn links_are_followed_within_the_directory_alone() {
        use LoadErrorKind::{Insecure, NotFound, Unreadable};
        let key = secret();
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        fs::create_dir(root.join("mount")).unwrap();
        fs::create_dir(root.join("mount/below")).unwrap();
        // A name that begins like the directory's is not inside it.
        fs::create_dir(root.join("mount-2")).unwrap();
        for path in ["outside", "mount/inside", "mount/below/deep", "mount-2/near"] {
            write(root.join(path), &key);
        }
        symlink("mount", root.join("mount-link")).unwrap();
        symlink("below", root.join("mount/below-link")).unwrap();
        symlink("..", root.join("mount/up")).unwrap();
        for (name, target, expected) in [
            ("same", "inside", None),
            ("deeper", "below/deep", None),
            ("around", "../mount/inside", None),
            ("twice", "same", None),
            ("absolute", root.join("mount/inside").to_str().unwrap(), None),
            ("out", "../outside", Some((Insecure, "leads out of its directory, to /"))),
            ("near", "../mount-2/near", Some((Insecure, "leads out of its directory, to /"))),
            ("out-twice", "out", Some((Insecure, "leads out of its directory, to /"))),
            ("etc", "/etc/passwd", Some((Insecure, "to /etc/passwd; give the path of the file"))),
            ("nothing", "absent", Some((Unreadable, "a link that leads to nothing; mend"))),
            ("loop", "loop", Some((Unreadable, "cannot be read: "))),
        ] {
            symlink(target, root.join("mount").join(name)).unwrap();
            for directory in ["mount", "mount-link"] {
                let path = root.join(directory).join(name);
                let result = load(&FileLoader::new(&path));
                match expected {
                    None => drop(assert_loads(result, &key, &format!("file:{}", path.display()))),
                    Some((kind, says)) => drop(assert_fails(result, &key, kind, &[says])),
                }
            }
        }
        // The directory that counts is the one that the path names, links in it resolved.
        for path in ["mount/below-link/deep", "mount/up/outside"] {
            let path = root.join(path);
            let source = format!("file:{}", path.display());
            assert_loads(load(&FileLoader::new(path)), &key, &source);
        }
        let result = load(&FileLoader::new(root.join("mount/no-such-directory/key")));
        assert_fails(result, &key, NotFound, &["no such file"]);
    }

    /// A mount as the kubelet makes it: `key` → `..data/key`, `..data` → a dated directory.
    struct KubernetesMount {
        root: tempfile::TempDir,
        version: u32,
    }

    impl KubernetesMount {
        fn new(key: &str) -> Self {
            let root = tempfile::tempdir().unwrap();
            symlink("..data/key", root.path().join("key")).unwrap();
            let mut mount = Self { root, version: 0 };
            mount.replace(key);
            mount
        }

        /// Replaces the secret in the kubelet's own order: write, link, rename, remove.
        fn replace(&mut self, key: &str) {
            let root = self.root.path();
            let old = fs::read_link(root.join("..data"));
            self.version += 1;
            let name = format!("..2026_11_20_00_00_{:02}.{}", self.version % 60, self.version);
            fs::create_dir(root.join(&name)).unwrap();
            chmod(write(root.join(&name).join("key"), key), 0o644);
            symlink(&name, root.join("..data_tmp")).unwrap();
            fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
            if let Ok(old) = old {
                fs::remove_dir_all(root.join(old)).unwrap();
            }
        }
    }

    #[test]
    fn a_kubernetes_mount_is_read_and_read_again_after_it_is_replaced() {
        let (first, second) = (secret(), secret());
        let mut mount = KubernetesMount::new(&first);
        let path = mount.root.path().join("key");
        let source = format!("file:{}", path.display());
        let loader = FileLoader::mounted_secret(&path);
        assert_loads(load(&loader), &first, &source);
        mount.replace(&second);
        assert_loads(load(&loader), &second, &source);
        let result = load(&FileLoader::new(path));
        assert_fails(result, &second, LoadErrorKind::Insecure, &["0644", "mounted_secret"]);
    }

    #[test]
    fn a_kubernetes_mount_can_be_replaced_at_any_moment() {
        let key = secret();
        let mut mount = KubernetesMount::new(&key);
        // By both names: the second has the link that moves in the middle.
        let [one, two] = ["key", "..data/key"]
            .map(|name| FileLoader::mounted_secret(mount.root.path().join(name)));
        let reader = thread::spawn(move || {
            let began = Instant::now();
            let mut loads = 0;
            while began.elapsed() < Duration::from_millis(300) {
                let loader = if loads % 2 == 0 { &one } else { &two };
                let loaded = crate::fixture::ready(loader.load());
                assert!(loaded.is_ok(), "after {loads} loads: {}", loaded.unwrap_err());
                loads += 1;
            }
            loads
        });
        while !reader.is_finished() {
            mount.replace(&key);
            thread::sleep(Duration::from_millis(1));
        }
        assert!(reader.join().unwrap() > 10);
        assert!(mount.version > 10);
    }

    #[test]
    fn a_path_is_shown_on_one_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a\nb\x1b[31m");
        let says = ["a\\nb\\u{1b}[31m: no such file"];
        let result = load(&FileLoader::new(path));
        assert_fails(result, &secret(), LoadErrorKind::NotFound, &says);
    }
}
