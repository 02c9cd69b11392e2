# The one menu, for people and for CI. `just` lists it.

default:
    @just --list

# What a newcomer runs.
quickstart:
    cargo run --example quickstart

# The README's test command.
test:
    cargo test

# Formatting, clippy and docs, as CI demands them.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --all-features -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features

# Every benchmark; one file in benches/ per promise about speed.
bench:
    cargo bench -p keyward-benches --all-features

# Ten million inputs through parse, classify and policy. Needs cargo-fuzz.
fuzz runs="10000000":
    cd fuzz && RUSTC_BOOTSTRAP=1 cargo fuzz run admit -- -runs={{ runs }} -max_len=400

# The finder, the redactor and late injection, for so many seconds each.
fuzz-find seconds="600":
    cd fuzz && RUSTC_BOOTSTRAP=1 cargo fuzz run find -- -max_total_time={{ seconds }}
    cd fuzz && RUSTC_BOOTSTRAP=1 cargo fuzz run wire -- -max_total_time={{ seconds }}
    cd fuzz && RUSTC_BOOTSTRAP=1 cargo fuzz run redact -- -max_total_time={{ seconds }}

# Everything that CI runs.
ci:
    .ci/run
