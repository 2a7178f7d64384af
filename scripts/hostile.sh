#!/usr/bin/env bash
# What do those who mean no good do to everybody else's delay? See `hostile.sh --help`.
#
# Runs target/release/rtmpd on processor 0 and `load hostile` (examples/load/hostile.rs) on processor 1: one publisher
# and its players, first alone, then beside each kind of attack. Ends with an error where the 99th percentile of the
# delay is above 20 ms beside one of them, or a message is lost. All of it is on the loopback.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
    cat <<'TEXT'
usage: hostile.sh [--seconds N] [--players N] [--kind NAME]... [--server FILE] [--load FILE] [--first] [--perf FILE]

  --seconds N    of each attack [10]
  --players N    who behave [50]
  --kind NAME    only this attack; can be given several times (`load attack --kind help` tells which there are)
  --server FILE  a built rtmpd [target/release/rtmpd, built now]
  --load FILE    a built load program [target/release/examples/load, built now]
  --first        server and meter go before all else that this machine does (root); attackers do not
  --perf FILE    a profile of the server (perf record)
TEXT
}

seconds=10 players=50 server="" load="" perf="" kinds=()
while [ $# -gt 0 ]; do
    case "$1" in
    --help | -h) usage && exit 0 ;;
    --first)
        # Where the kernel groups processes by session, a process's own priority counts only within its group.
        renice -n -15 $$ >/dev/null
        [ ! -w /proc/$$/autogroup ] || echo -15 >/proc/$$/autogroup
        shift
        ;;
    --kind)
        kinds+=(--kind "$2")
        shift 2
        ;;
    --seconds | --players | --server | --load | --perf)
        [ $# -ge 2 ] || { usage >&2 && exit 2; }
        printf -v "${1#--}" %s "$2"
        shift 2
        ;;
    *) usage >&2 && exit 2 ;;
    esac
done
[ -n "$server" ] || { cargo build --locked --quiet --release --bin rtmpd && server=target/release/rtmpd; }
[ -n "$load" ] || { cargo build --locked --quiet --release --example load && load=target/release/examples/load; }
ulimit -n "$(ulimit -Hn)"

work=$(mktemp -d "${TMPDIR:-/tmp}/rtmpd-hostile.XXXXXX")
pids=()
finish() {
    [ "${#pids[@]}" -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
    wait
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

mkdir "$work/inside"
# Recordings are on, so that names have something to escape from.
cat >"$work/rtmpd.toml" <<TOML
[default.record]
auto = true
directory = "$work/inside/recordings"
[limits.access]
connections_per_ip = 600
TOML
taskset -c 0 "$server" -p 0 -b 127.0.0.1 --http-port 0 --config "$work/rtmpd.toml" \
    >"$work/listening" 2>"$work/log" &
pid=$!
pids+=("$pid")
for _ in $(seq 100); do
    [ "$(wc -l <"$work/listening")" -ge 2 ] && break
    sleep 0.1
done
rtmp=$(sed -n 's/^listening rtmp //p' "$work/listening")
http=$(sed -n 's/^listening http //p' "$work/listening")
if [ -z "$rtmp" ] || [ -z "$http" ]; then
    echo "hostile.sh: the server does not listen" >&2
    cat "$work/log" >&2
    exit 1
fi
if [ -n "$perf" ]; then
    perf record --quiet --freq 997 --call-graph fp --pid "$pid" --output "$perf" &
    pids+=("$!")
fi

status=0
taskset -c 1 "$load" hostile -n "$players" --seconds "$seconds" --pid "$pid" --http "$http" \
    "${kinds[@]}" "rtmp://$rtmp/live/hostile" || status=$?
if [ "$(ls -A "$work")" != "$(printf 'inside\nlistening\nlog\nrtmpd.toml')" ] ||
    [ "$(ls -A "$work/inside")" != recordings ]; then
    echo "FAILED: something was written outside of the directory of recordings"
    ls -lA "$work" "$work/inside"
    status=1
fi
if grep -qE 'panicked' "$work/log"; then
    echo "FAILED: a panic in the server's log"
    status=1
fi
if [ -n "${HOSTILE_LOG:-}" ]; then
    cp "$work/log" "$HOSTILE_LOG"
fi
exit "$status"
