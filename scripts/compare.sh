#!/bin/sh
# What does fan-out cost, next to the least that it can cost? See `compare.sh --help`.
#
# Runs the floor (`cargo run --example load -- floor`), this project's target/release/rtmpd and, where it is
# installed, nginx-rtmp one after the other under the same load, round after round, and prints the medians as one
# table. Servers run on processor 0, the load on processor 1. Everything is on the loopback and ends by itself.
#
# Debian packages:  util-linux python3   and, to have nginx beside:  nginx-light libnginx-mod-rtmp
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cd "$here/.."

for program in cargo taskset python3; do
    command -v "$program" >/dev/null || { echo "compare.sh: missing: $program" >&2; exit 2; }
done

case " $* " in
*" --help "* | *" -h "* | *" --list "*) ;;
*)
    cargo build --quiet --release --bin rtmpd --example load
    # A connection is a descriptor on each side; the idle test alone has a thousand.
    ulimit -n "$(ulimit -Hn)"
    ;;
esac

# Python's bytecode cache would only litter the tree. What main.py starts dies with it, so `exec` needs no trap.
exec env PYTHONDONTWRITEBYTECODE=1 python3 "$here/compare/main.py" "$@"
