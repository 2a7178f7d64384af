#!/bin/sh
# What do hundreds of HLS players cost those who watch over RTMP? See `hls.sh --help`.
#
# Runs target/release/rtmpd on processor 0; on processor 1 a paced RTMP load, alone and beside players of Low-Latency
# HLS of the same stream, round after round. Everything is on the loopback and ends by itself.
#
# Debian packages:  util-linux python3
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cd "$here/.."

for program in cargo taskset chrt python3; do
    command -v "$program" >/dev/null || { echo "hls.sh: missing: $program" >&2; exit 2; }
done

case " $* " in
*" --help "* | *" -h "*) ;;
*)
    cargo build --quiet --release --bin rtmpd --example load
    ulimit -n "$(ulimit -Hn)"
    ;;
esac

# Python's bytecode cache would only litter the tree. What hls.py starts dies with it, so `exec` needs no trap.
exec env PYTHONDONTWRITEBYTECODE=1 python3 "$here/compare/hls.py" "$@"
