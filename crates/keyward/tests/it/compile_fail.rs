//! What must not compile does not, for the reason that is meant.

use std::process::Command;

/// The compiler whose words the expectations are in. Other compilers say the same differently.
const RUSTC: &str = "rustc 1.95.";

#[test]
fn misuse_does_not_compile() {
    let version = Command::new("rustc").arg("--version").output().expect("rustc");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    if !version.starts_with(RUSTC) {
        println!(
            "skipped: the expected messages are those of {RUSTC}x and this is {}; run `cargo \
             +1.95 test -p keyward --all-features`",
            version.trim()
        );
        return;
    }
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/compile_fail/*.rs");
    cases.pass("tests/compile_pass/*.rs");
}
