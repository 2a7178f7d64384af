#!/usr/bin/env bash
# Looks at the dependencies of both crates: licences, sources, unwanted and doubled crates (deny.toml), and that the lock
# files fit the manifests. Needs cargo-deny. With --advisories also the RustSec database, which comes from GitHub.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

checks=(licenses bans sources)
if [[ ${1:-} == --advisories ]]; then
    checks+=(advisories)
fi
for manifest in Cargo.toml fuzz/Cargo.toml; do
    printf '== %s\n' "$manifest"
    cargo deny --locked --manifest-path "$manifest" --config deny.toml check "${checks[@]}"
done
