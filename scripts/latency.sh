#!/bin/sh
# How soon, and how late, does a real player show a live stream? See `latency.sh --help`.
#
# A publisher draws the wall clock into every picture; the player shows it on a virtual screen (Xvfb);
# the clock is read back from that screen. Works against any RTMP server; without an address it starts
# this project's own target/release/rtmpd.
#
# Debian packages:  ffmpeg xvfb python3-numpy         (publisher, screen, ffplay, ffmpeg)
# as players want:  mpv | vlc-bin vlc-plugin-base vlc-plugin-video-output
#                   gstreamer1.0-tools gstreamer1.0-x gstreamer1.0-libav
#                   gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
set -eu

here=$(cd "$(dirname "$0")" && pwd)

missing=""
command -v ffmpeg >/dev/null || missing="$missing ffmpeg"
command -v Xvfb >/dev/null || missing="$missing xvfb"
command -v setpriv >/dev/null || missing="$missing util-linux"
/usr/bin/python3 -c 'import numpy' 2>/dev/null || missing="$missing python3-numpy"
if [ -n "$missing" ]; then
    echo "latency.sh: missing, apt-get install:$missing" >&2
    exit 2
fi

# Python's bytecode cache would only litter the tree. Everything that is started below dies with this
# process, whichever way it ends (see latency/programs.py), so `exec` needs no trap.
exec env PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$here/latency/main.py" "$@"
