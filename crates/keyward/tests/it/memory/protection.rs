//! Where the text of a key stands, as the kernel tells it, and what others can read of it.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use keyward::{ApiKey, Protection, hardening};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use zeroize::Zeroizing;

use super::Masked;
use crate::alone::{alone, skipped, this};

fn parse(key: &Masked) -> ApiKey {
    ApiKey::parse(key.to_bytes()).unwrap()
}

fn address(key: &ApiKey) -> usize {
    // EXPOSE: where it is, not what.
    #[allow(clippy::disallowed_methods, reason = "a synthetic key in a test")]
    key.expose_secret().as_ptr().addr()
}

/// Whether the process itself sees the key in it, byte by byte, so that no copy is made.
fn holds(key: &ApiKey, masked: &Masked) -> bool {
    // EXPOSE: the test compares it with what it made.
    #[allow(clippy::disallowed_methods, reason = "a synthetic key in a test")]
    key.expose_secret().bytes().eq(masked.bytes())
}

/// What the kernel notes of the memory at an address: `VmFlags` of `proc_pid_smaps(5)`.
fn flags(address: usize) -> Vec<String> {
    let maps = fs::read_to_string("/proc/self/smaps").unwrap();
    let mut within = false;
    for line in maps.lines() {
        let first = line.split(' ').next().unwrap();
        if let Some((start, end)) = first.split_once('-') {
            let [start, end] = [start, end].map(|it| usize::from_str_radix(it, 16).unwrap());
            within = (start..end).contains(&address);
        } else if within && let Some(flags) = line.strip_prefix("VmFlags:") {
            return flags.split_ascii_whitespace().map(str::to_owned).collect();
        }
    }
    panic!("no memory at {address:x}");
}

/// Whether others read there, as far as `/proc/PID/mem` goes; the kernel treats this process no
/// better.
fn is_readable(address: usize) -> bool {
    File::open("/proc/self/mem").unwrap().read_exact_at(&mut [0], address as u64).is_ok()
}

/// Whether this kernel has such memory at all.
fn prefer_secret(test: &str) -> bool {
    let preferred = ApiKey::prefer_secret_memory();
    if preferred < Protection::Secret {
        skipped(test, "no memfd_secret here; it takes CONFIG_SECRETMEM and Linux 5.14");
    }
    preferred == Protection::Secret
}

#[test]
fn a_key_is_locked_and_in_no_dump_and_no_forked_child() {
    let masked = Masked::new();
    let key = parse(&masked);
    assert_eq!(key.protection(), Protection::Locked);
    assert!(holds(&key, &masked));
    let flags_of_it = flags(address(&key));
    for flag in ["lo", "dd", "dc"] {
        assert!(flags_of_it.iter().any(|it| it == flag), "{flag} is missing in {flags_of_it:?}");
    }
    // The control: what is anywhere else has none of them.
    let other = Box::new([0_u8; 164]);
    let flags_of_other = flags(other.as_ptr().addr());
    assert!(!flags_of_other.iter().any(|it| ["lo", "dd", "dc"].contains(&it.as_str())));
    assert_eq!(masked.copies(), 1);
    let clone = key.clone();
    drop(key);
    assert!(holds(&clone, &masked));
    drop(clone);
    assert_eq!(masked.copies(), 0);
}

#[test]
fn a_key_in_secret_memory_is_read_by_nobody_else() {
    let test = "memory::protection::a_key_in_secret_memory_is_read_by_nobody_else";
    alone(
        test,
        |_| (),
        || {
            let (before, after) = (Masked::new(), Masked::new());
            let key_before = parse(&before);
            if !prefer_secret(test) {
                return;
            }
            let key = parse(&after);
            assert_eq!(key_before.protection(), Protection::Locked, "what is there stays");
            assert_eq!(key.protection(), Protection::Secret);
            assert!(holds(&key, &after));
            assert!(is_readable(address(&key_before)) && !is_readable(address(&key)));
            let readable = [before.copies(), after.copies()];
            println!(
                "readable copies of a key that is held: locked {}, secret {}",
                readable[0], readable[1]
            );
            assert_eq!(readable, [1, 0]);
            let flags = flags(address(&key));
            assert!(["lo", "dd"].iter().all(|flag| flags.iter().any(|it| it == flag)), "{flags:?}");
            // Whoever is started does not get the descriptor.
            let open = Command::new("ls").args(["-l", "/proc/self/fd"]).output().unwrap();
            assert!(
                open.status.success()
                    && !String::from_utf8_lossy(&open.stdout).contains("secretmem")
            );
            let ours = fs::read_dir("/proc/self/fd")
                .unwrap()
                .filter_map(|it| fs::read_link(it.unwrap().path()).ok());
            assert!(
                ours.into_iter().any(|it| it.to_string_lossy().contains("secretmem")),
                "the look is blind"
            );
            drop((key, key_before));
            assert_eq!([before.copies(), after.copies()], [0, 0]);
        },
    );
}

#[test]
fn keys_by_the_thousand_get_what_there_is() {
    let test = "memory::protection::keys_by_the_thousand_get_what_there_is";
    alone(
        test,
        |_| (),
        || {
            let has_secret = prefer_secret(test);
            let masked: Vec<_> = (0..10_000).map(Masked::seeded).collect();
            let keys: Vec<_> = masked.iter().map(parse).collect();
            let count = |of| keys.iter().filter(|key| key.protection() == of).count();
            let counts =
                [Protection::Secret, Protection::Locked, Protection::Undumped, Protection::Wiped]
                    .map(count);
            println!("10000 keys at once: {counts:?} secret, locked, undumped, wiped");
            assert!(keys.iter().zip(&masked).all(|(key, masked)| holds(key, masked)));
            assert_eq!(counts[0], if has_secret { 64 } else { 0 });
            assert_eq!(counts[1] + counts[2], 1024);
            drop(keys);
            assert!(parse(&masked[0]).protection() >= Protection::Undumped, "it is given back");
        },
    );
}

#[test]
fn without_the_right_to_lock_it_says_so() {
    const LOCK: u64 = 1 << 14;
    let test = "memory::protection::without_the_right_to_lock_it_says_so";
    // Root is not bound by the limit, but for the capability.
    let bound = ["--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock"];
    let capable = |status: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap() & LOCK != 0
    };
    let status = || fs::read_to_string("/proc/self/status").unwrap();
    let setpriv = Command::new("setpriv").args(bound).args(["cat", "/proc/self/status"]).output();
    let unbound = setpriv
        .is_ok_and(|it| it.status.success() && !capable(&String::from_utf8_lossy(&it.stdout)));
    if capable(&status()) && !unbound {
        return skipped(test, "it runs as root, and there is no setpriv (util-linux)");
    }
    alone(
        test,
        |child| {
            if !capable(&status()) {
                return;
            }
            let inner = std::mem::replace(child, Command::new("setpriv"));
            child.args(bound).arg(inner.get_program()).args(inner.get_args());
            child.stdin(Stdio::null());
            for (name, value) in inner.get_envs() {
                match value {
                    Some(value) => child.env(name, value),
                    None => child.env_remove(name),
                };
            }
        },
        || {
            let masked = Masked::new();
            assert_eq!(parse(&masked).protection(), Protection::Locked);
            let none = Rlimit { current: Some(0), maximum: getrlimit(Resource::Memlock).maximum };
            setrlimit(Resource::Memlock, none).unwrap();
            for preferred in [false, true] {
                if preferred {
                    ApiKey::prefer_secret_memory();
                }
                let key = parse(&masked);
                println!(
                    "RLIMIT_MEMLOCK 0, secret memory preferred {preferred}: {}",
                    key.protection()
                );
                assert_eq!(key.protection(), Protection::Undumped);
                assert!(holds(&key, &masked));
                let flags = flags(address(&key));
                assert!(flags.iter().any(|it| it == "dd") && !flags.iter().any(|it| it == "lo"));
            }
        },
    );
}

/// What the process that is dumped does: it holds three keys, says so, and waits.
fn hold_three(test: &str) -> [(Masked, Box<dyn std::any::Any>); 3] {
    let keys = [1, 2, 3].map(Masked::seeded);
    let ordinary = Zeroizing::new(keys[0].to_bytes());
    let locked = parse(&keys[1]);
    let _ = prefer_secret(test);
    let secret = parse(&keys[2]);
    assert!(locked.protection() >= Protection::Undumped);
    let [a, b, c] = keys;
    [(a, Box::new(ordinary)), (b, Box::new(locked)), (c, Box::new(secret))]
}

/// How often each of the three stands in a dump.
fn copies_in(dump: &Path) -> [usize; 3] {
    let keys = [1, 2, 3].map(Masked::seeded);
    let mut dump = BufReader::new(File::open(dump).unwrap());
    let (mut chunk, mut copies) = (Vec::new(), [0; 3]);
    let overlap = keys[0].needle().len() - 1;
    loop {
        let kept = chunk.len().min(overlap);
        chunk.drain(..chunk.len() - kept);
        if dump.by_ref().take(4 << 20).read_to_end(&mut chunk).unwrap() == 0 {
            return copies;
        }
        for (copies, key) in copies.iter_mut().zip(&keys) {
            *copies += key.count_in(&chunk);
        }
    }
}

#[test]
fn a_debugger_dumps_no_key() {
    let test = "memory::protection::a_debugger_dumps_no_key";
    #[allow(clippy::disallowed_methods, reason = "how the parent tells its child what to do")]
    if std::env::var_os("KEYWARD_TEST_HOLD").is_some() {
        let held = hold_three(test);
        println!("\nheld");
        std::thread::sleep(Duration::from_secs(600));
        return drop(held);
    }
    // It has no option that only tells that it is there.
    if Command::new("gcore").output().is_err() {
        return skipped(test, "no gcore here; `apt-get install gdb`");
    }
    let directory = tempfile::tempdir().unwrap();
    let mut child =
        this(test).env("KEYWARD_TEST_HOLD", "1").stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "held"), "the child failed");
    let output = Command::new("gcore")
        .arg("-o")
        .arg(directory.path().join("core"))
        .arg(child.id().to_string())
        .output()
        .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let dump = directory.path().join(format!("core.{}", child.id()));
    if !dump.exists() {
        let said = String::from_utf8_lossy(&output.stderr);
        return skipped(test, &format!("gcore may not attach: {said}"));
    }
    let [ordinary, locked, secret] = copies_in(&dump);
    println!("copies in a dump by gcore: ordinary {ordinary}, locked {locked}, secret {secret}");
    assert!(ordinary >= 1, "the search is blind");
    assert_eq!([locked, secret], [0, 0]);
}

#[test]
fn a_core_dump_has_no_key_and_can_be_forbidden() {
    let test = "memory::protection::a_core_dump_has_no_key_and_can_be_forbidden";
    #[allow(clippy::disallowed_methods, reason = "how the parent tells its child what to do")]
    if let Some(job) = std::env::var_os("KEYWARD_TEST_HOLD") {
        let most = getrlimit(Resource::Core).maximum;
        setrlimit(Resource::Core, Rlimit { current: most, maximum: most }).unwrap();
        let held = hold_three(test);
        if job == "forbid" {
            let forbidden = hardening::forbid_dumps();
            assert!(forbidden.core_files && forbidden.reading);
            let dumpable = rustix::process::dumpable_behavior().unwrap();
            assert_eq!(dumpable, rustix::process::DumpableBehavior::NotDumpable);
            let limit = getrlimit(Resource::Core);
            assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
        }
        rustix::process::kill_process(rustix::process::getpid(), Signal::ABORT).unwrap();
        std::thread::sleep(Duration::from_secs(60));
        return drop(held);
    }
    for job in ["allow", "forbid"] {
        let directory = tempfile::tempdir().unwrap();
        let mut child = this(test);
        child.env("KEYWARD_TEST_HOLD", job).current_dir(directory.path());
        let status = child.stdout(Stdio::null()).status().unwrap();
        assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()));
        if job == "forbid" {
            assert!(!status.core_dumped());
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
            return println!("forbidden: no core dump");
        }
        let dump = fs::read_dir(directory.path()).unwrap().next();
        let (true, Some(dump)) = (status.core_dumped(), dump) else {
            let said = "no core file here; it takes `ulimit -c unlimited` and a kernel.core_pattern of \"core\"";
            return skipped(test, said);
        };
        let [ordinary, locked, secret] = copies_in(&dump.unwrap().path());
        println!("copies in a core dump: ordinary {ordinary}, locked {locked}, secret {secret}");
        assert!(ordinary >= 1, "the search is blind");
        assert_eq!([locked, secret], [0, 0]);
    }
}

#[test]
fn what_a_key_costs_is_told() {
    const KEYS: u32 = 1000;
    let test = "memory::protection::what_a_key_costs_is_told";
    alone(
        test,
        |_| (),
        || {
            let masked = Masked::new();
            let tell = || {
                let (mut took, mut protection) = (Duration::ZERO, Protection::Wiped);
                for _ in 0..KEYS {
                    let text = masked.to_bytes();
                    let start = Instant::now();
                    let key = ApiKey::parse(text).unwrap();
                    protection = key.protection();
                    drop(key);
                    took += start.elapsed();
                }
                println!(
                    "a key, made and dropped: {:>6.2} µs {protection}",
                    took.as_secs_f64() * 1e6 / f64::from(KEYS)
                );
                protection
            };
            assert_eq!(tell(), Protection::Locked);
            if prefer_secret(test) {
                assert_eq!(tell(), Protection::Secret);
            }
            let held: Vec<_> =
                (0..2_000).map(Masked::seeded).map(|masked| parse(&masked)).collect();
            assert_eq!(tell(), Protection::Wiped, "{} are held", held.len());
        },
    );
}
