//! Keys in the keychains of Linux: the real gnome-keyring and the real keyring of the kernel.
//!
//! A keychain belongs to a session, and a session to a process: each test runs itself once more, as
//! a child in a session of its own.

use std::future::Future;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use keyward::{KeyLoader, LoadError, LoadedKey};

use crate::fixture::load;
use crate::servers::Server;

mod keyutils;
mod secret_service;
#[cfg(all(feature = "conformance", feature = "store"))]
mod store;

/// Long enough for any machine: what takes so long hangs.
const PATIENCE: Duration = Duration::from_secs(120);

const CHILD: &str = "KEYWARD_TEST_CHILD";

/// Whether this process is the child in which the test shall take place.
fn is_child() -> bool {
    #[allow(clippy::disallowed_methods, reason = "a test's own variable, set for its child")]
    std::env::var_os(CHILD).is_some()
}

/// A command that runs this test once more, by its path, behind the words that make its session.
fn child(session: &[&str], test: &str) -> Command {
    let exe = std::env::current_exe().unwrap();
    let mut command = match session {
        [] => Command::new(&exe),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(&exe);
            command
        }
    };
    let test = test.strip_prefix("it::").unwrap_or(test);
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(CHILD, "1");
    command
}

/// Runs the child and shows all that it said where it failed.
///
/// Where the real service itself crashed, which is no failure of ours and is told, it gets another.
#[track_caller]
fn assert_passes(mut child: Command) {
    const SERVICE_DIED: i32 = 75;
    let mut output = child.stdin(Stdio::null()).output().unwrap();
    for _ in 0..3 {
        if output.status.code() != Some(SERVICE_DIED) {
            break;
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let _ = writeln!(std::io::stderr(), "once more, because the service crashed: {said}");
        output = child.output().unwrap();
    }
    let said = String::from_utf8_lossy(&output.stdout);
    // A name that is no test's runs nothing, and that well.
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{child:?}: {}\n--- stdout\n{said}\n--- stderr\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr),
    );
    print!("{said}");
}

/// A program with something on its standard input; what it said.
#[track_caller]
fn tool(program: &str, arguments: &[&str], input: impl IntoIterator<Item = u8>) -> String {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    // Byte by byte, so that no buffer has the whole.
    input.into_iter().for_each(|byte| stdin.write_all(&[byte]).unwrap());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Loads on each kind of runtime, with and without a timer, and on none.
fn load_everywhere(loader: &impl KeyLoader) -> [(&'static str, Result<LoadedKey, LoadError>); 3] {
    let multi_thread =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    [
        ("current thread", load(loader)),
        ("multi thread", multi_thread.block_on(loader.load())),
        ("none", block_on(loader.load())),
    ]
}

/// Waits for a future without any runtime.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
