#!/usr/bin/env bash
# Runs targets of the crate fuzz/, one after the other: scripts/fuzz.sh SECONDS [TARGET...]
# Needs cargo-fuzz and a C++ compiler. Works with a stable toolchain: RUSTC_BOOTSTRAP unlocks what cargo-fuzz needs.
# A finding is left in fuzz/artifacts/TARGET; what is worth keeping goes through scripts/fuzz-corpus.py into
# tests/fuzz/corpus.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ $# -lt 1 || ! $1 =~ ^[0-9]+$ ]]; then
    echo "usage: scripts/fuzz.sh SECONDS [TARGET...]" >&2
    exit 2
fi
seconds=$1
shift

export RUSTC_BOOTSTRAP=1
targets=("$@")
if [[ ${#targets[@]} -eq 0 ]]; then
    mapfile -t targets < <(cargo fuzz list)
fi
cargo test --locked --quiet --test fuzz -- --ignored --exact write_seeds >/dev/null
failed=()
for target in "${targets[@]}"; do
    mkdir -p "fuzz/corpus/$target" "tests/fuzz/corpus/$target"
    printf '== %s, %s s\n' "$target" "$seconds"
    # The first corpus folder takes what is found. Text of the log on standard error is the figure to report.
    cargo fuzz run "$target" "fuzz/corpus/$target" "tests/fuzz/corpus/$target" -- \
        -dict=tests/fuzz/amf.dict -max_len=4096 -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=256 \
        -max_total_time="$seconds" -print_final_stats=1 || failed+=("$target")
done
if [[ ${#failed[@]} -gt 0 ]]; then
    echo "findings: ${failed[*]}" >&2
    exit 1
fi
