#!/bin/sh
# How late is a live stream in a browser? See `browser-latency.sh --help`.
#
# A publisher draws the wall clock into every picture; a headless Chromium plays the stream in each way that there is,
# and the clock is read back from its picture. Starts this project's own target/release/rtmpd.
#
# Debian packages:  ffmpeg python3-numpy chromium; node, and `npm ci` in tests/browser (scripts/install-test-tools.sh)
set -eu

here=$(cd "$(dirname "$0")" && pwd)

missing=""
command -v ffmpeg >/dev/null || missing="$missing ffmpeg"
command -v chromium >/dev/null || missing="$missing chromium"
command -v node >/dev/null || missing="$missing nodejs"
command -v setpriv >/dev/null || missing="$missing util-linux"
/usr/bin/python3 -c 'import numpy' 2>/dev/null || missing="$missing python3-numpy"
if [ -n "$missing" ]; then
    echo "browser-latency.sh: missing, apt-get install:$missing" >&2
    exit 2
fi
if [ ! -d "$here/../tests/browser/node_modules/playwright-core" ]; then
    echo "browser-latency.sh: the players are missing: npm --prefix tests/browser ci" >&2
    exit 2
fi

exec env PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$here/latency/browsers.py" "$@"
