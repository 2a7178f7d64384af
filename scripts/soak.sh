#!/usr/bin/env bash
# Does the server stay as it is under load for a long time? See `soak.sh --help`.
#
# Runs target/release/rtmpd beside `load soak` (examples/load/soak): publishers and players come and go, some are slow,
# some watch by HLS and HTTP-FLV, everything is recorded. Ends with an error where memory grows, a descriptor is not
# given back, or a player that reads is not sent everything in its order. All of it is on the loopback.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
    cat <<'TEXT'
usage: soak.sh [--minutes N] [--players N] [--slow N] [--server FILE] [--load FILE] [--slope-limit KIB] [--first]

  --minutes N        how long [5: before each release; 60: before a large one]
  --players N        players that read all they are sent [200]
  --slow N           players that read half of it [20]
  --server FILE      a built rtmpd [target/release/rtmpd, built now]
  --load FILE        a built load program [target/release/examples/load, built now]
  --slope-limit KIB  how much memory may grow in a minute, over the second half [1024; from 30 minutes on: 64]
  --first            server and load go before all else that this machine does (root)

Where recordings go (TMPDIR or /tmp) 300 MB have to be free; they are removed as they come, and at the end.
TEXT
}

minutes=5 players=200 slow=20 server="" load="" limit=""
while [ $# -gt 0 ]; do
    case "$1" in
    --help | -h) usage && exit 0 ;;
    --first)
        # Where the kernel groups processes by session, a process's own priority counts only within its group.
        renice -n -5 $$ >/dev/null
        [ ! -w /proc/$$/autogroup ] || echo -5 >/proc/$$/autogroup
        shift
        ;;
    --minutes | --players | --slow | --server | --load | --slope-limit)
        [ $# -ge 2 ] || { usage >&2 && exit 2; }
        name=${1#--}
        [ "$name" = slope-limit ] && name=limit
        printf -v "$name" %s "$2"
        shift 2
        ;;
    *) usage >&2 && exit 2 ;;
    esac
done
if [ -z "$limit" ]; then
    # Over a short time what the allocator keeps counts more than what is lost.
    limit=$([ "$minutes" -ge 30 ] && echo 64 || echo 1024)
fi
[ -n "$server" ] || { cargo build --locked --quiet --release --bin rtmpd && server=target/release/rtmpd; }
[ -n "$load" ] || { cargo build --locked --quiet --release --example load && load=target/release/examples/load; }
ulimit -n "$(ulimit -Hn)"

work=$(mktemp -d "${TMPDIR:-/tmp}/rtmpd-soak.XXXXXX")
pid=""
finish() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
    [ -z "$pid" ] || wait "$pid" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

cat >"$work/rtmpd.toml" <<TOML
[default.record]
auto = true
directory = "$work/recordings"
formats = ["flv", "mp4"]
split_ms = 10000
TOML
"$server" -p 0 -b 127.0.0.1 --http-port 0 --config "$work/rtmpd.toml" >"$work/listening" 2>"$work/log" &
pid=$!
for _ in $(seq 100); do
    [ "$(wc -l <"$work/listening")" -ge 2 ] && break
    sleep 0.1
done
rtmp=$(sed -n 's/^listening rtmp //p' "$work/listening")
http=$(sed -n 's/^listening http //p' "$work/listening")
if [ -z "$rtmp" ] || [ -z "$http" ]; then
    echo "soak.sh: the server does not listen" >&2
    cat "$work/log" >&2
    exit 1
fi

status=0
"$load" soak -n "$players" --slow "$slow" --seconds "$((minutes * 60))" --pid "$pid" --http "$http" \
    --recordings "$work/recordings" --slope-limit "$limit" "rtmp://$rtmp/live/soak" || status=$?
# What the server says of itself, apart from those who come and go.
grep -E ' (ERROR|WARN) |panicked' "$work/log" | cut -d' ' -f2- | sed 's/[0-9.]*:[0-9]*/PEER/' | sort | uniq -c | sort -rn | head -10 ||
    true
if grep -qE ' ERROR |panicked' "$work/log"; then
    echo "FAILED: errors in the server's log"
    status=1
fi
kill "$pid"
if ! wait "$pid"; then
    echo "FAILED: the server did not end well"
    status=1
fi
pid=""
exit "$status"
