#!/usr/bin/env bash
# All tests of rtmpd, on a Debian or Ubuntu with a Rust toolchain (with rustfmt and clippy).
# Installs what they use: programs of the distribution, a current ffmpeg and programs in Python into target/test-tools,
# and the players of web pages into tests/browser/node_modules.
# Stops at the first part that fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

step() {
    printf '\n== %s\n' "$*"
}

scripts/install-test-tools.sh

step "format, lints, documentation, package"
cargo fmt --check
cargo clippy --locked --quiet --all-targets -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --locked --quiet --no-deps
cargo package --locked --quiet --allow-dirty --no-verify

step "unit tests, property tests, simulations"
cargo test --locked --quiet

step "interop tests: the server and real programs"
cargo test --locked --quiet --test interop --no-run
cargo test --locked --test interop -- --include-ignored

step "container tests: what the muxers write, read by real programs"
cargo test --locked --quiet --test containers --test fmp4 --test record --no-run
cargo test --locked --test containers --test fmp4 --test record -- --include-ignored

step "browser tests: what the server sends, played in Chromium"
cargo test --locked --quiet --test browser --no-run
cargo test --locked --test browser -- --include-ignored

step "faults: kill -9, no descriptors, a clock that is set, a network that is gone"
cargo test --locked --quiet --test faults --no-run
cargo test --locked --test faults -- --include-ignored

step "operator tests: the API held against its description, metrics as Prometheus reads them, the README's steps"
cargo test --locked --quiet --test operator --no-run
cargo test --locked --test operator -- --include-ignored

step "live tests: recordings that are killed or have no disk, two minutes of HLS"
cargo test --locked --quiet --test live --no-run
cargo test --locked --test live -- --include-ignored
