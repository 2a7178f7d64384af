"""Measures how late a live stream is in a browser, for each way to watch it there.

Each row of the table is one fresh headless Chromium that plays one address (tests/browser/watch.mjs).

  key      seconds between two key frames
  start    from the page's beginning to play to its first picture, in seconds
  p50 p90  delay while playing: the wall clock minus the clock that is drawn in the picture, over all looks (four a
           second) from 2 s after the first picture on, in seconds. It holds everything from drawing the picture on, so
           also the encoder's 0.1 s.
  dropped  pictures that the browser did not show in time
  stalls   how often the player says that it ran out of pictures

"first" is the one for whom the server begins to make HLS; for the others it does already.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from joins import SETTLE_S, Publisher
from programs import Program, start_own_server

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WATCH = os.path.join(PROJECT, "tests/browser/watch.mjs")
STREAM = "live/latency"
START_WAIT_S = 45  # for the browser and its first picture

# What the table says, the way of tests/browser/page.html, scheme, form.
WAYS = [
    ("MP4, WebSocket, MediaSource", "mse", "ws", "mp4"),
    ("FLV, WebSocket, mpegts.js", "flv", "ws", "flv"),
    ("FLV, HTTP, mpegts.js", "flv", "http", "flv"),
    ("MPEG-TS, HTTP, mpegts.js", "ts", "http", "ts"),
    ("MP4, HTTP, <video>", "native", "http", "mp4"),
    ("HLS low latency, hls.js, first", "hls", "http", "m3u8"),
    ("HLS low latency, hls.js", "hls", "http", "m3u8"),
    ("HLS, hls.js", "hls-classic", "http", "m3u8"),
]
HEADING = f"{'way':<31} key   start     p50     p90  dropped  stalls"


def watch(name, way, url, options, folder):
    """What one browser saw: the looks with their age in seconds, and the last line."""
    command = ["node", WATCH, way, url, str(options.seconds)]
    if options.shots:
        shots = os.path.join(options.shots, name)
        os.makedirs(shots, exist_ok=True)
        command.append(shots)
    program = Program("browser", command, folder, stdout=subprocess.PIPE)
    try:
        output, _ = program.process.communicate(timeout=options.seconds + START_WAIT_S)
    finally:
        program.stop()
    lines = [json.loads(line) for line in output.splitlines()]
    if not lines or lines[-1]["event"] != "end":
        raise RuntimeError(f"{way}: the browser has ended:\n{program.log()}")
    return lines[:-1], lines[-1]


def figures(looks, end):
    """The figures of one browser, in seconds."""
    delays = [look["delay"] / 1000 for look in looks if look["age"] >= SETTLE_S * 1000 and look["delay"] is not None]
    result = {"stalls": len(end["stalls"]), "troubles": end["troubles"], "looks": len(delays)}
    if end["startMs"] is not None:
        result["start_s"] = end["startMs"] / 1000
    if len(delays) > 1:
        parts = statistics.quantiles(delays, n=10, method="inclusive")
        result |= {"delay_p50_s": parts[4], "delay_p90_s": parts[8], "dropped": looks[-1]["dropped"]}
    return result


def table_line(row):
    def seconds(name):
        return f"{row[name]:8.2f}" if name in row else f"{'-':>8}"

    line = f"{row['way']:<31} {row['gop_s']:3g}" + seconds("start_s") + seconds("delay_p50_s") + seconds("delay_p90_s")
    line += f"{row['dropped']:9}" if "dropped" in row else f"{'-':>9}"
    line += f"{row['stalls']:8}"
    return line + "".join(f"\n    {trouble}" for trouble in row["troubles"])


def measure_all_ways(gop_s, options, folder):
    """A server and a publisher with this distance of key frames; one row for each way."""
    options.gop = gop_s
    server, addresses = start_own_server(options.rtmpd, folder, "0")
    publisher = None
    try:
        publisher = Publisher(f"rtmp://{addresses['rtmp']}/{STREAM}", options, folder)
        publisher.next_key_frame()
        publisher.next_key_frame()
        for number, (name, way, scheme, form) in enumerate(WAYS):
            if options.way and way not in options.way:
                continue
            url = f"{scheme}://{addresses['http']}/{STREAM}.{form}"
            looks, end = watch(f"{number}-{gop_s:g}s", way, url, options, folder)
            publisher.check()
            row = {"way": name, "gop_s": gop_s, **figures(looks, end)}
            print(table_line(row), flush=True)
            yield row
    finally:
        if publisher:
            publisher.stop()
        server.stop()


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="browser-latency.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--way", action="append", choices=sorted({way for _, way, _, _ in WAYS}), help="repeatable [all]")
    add("--gops", default="2,4", metavar="S,S,...", help="distances of key frames in seconds [%(default)s]")
    add("--seconds", type=float, default=20.0, help="to watch after the first picture [%(default)s]")
    add("--fps", type=int, default=30, help="pictures per second [%(default)s]")
    add("--bframes", action="store_true", help="publish with 2 B-frames")
    add("--grain", type=int, default=12, metavar="LEVELS", help="noise in the pictures; 12: 2.5 Mbit/s [%(default)s]")
    add("--json", metavar="FILE", help="write all figures there")
    add("--shots", metavar="FOLDER", help="save screenshots there")
    add("--rtmpd", default=os.path.join(PROJECT, "target/release/rtmpd"), metavar="FILE", help="the server's binary")
    options = parser.parse_args()
    options.track = "av"
    if not os.access(options.rtmpd, os.X_OK):
        parser.error(f"no server at {options.rtmpd} (cargo build --release)")
    if options.seconds <= SETTLE_S:
        parser.error(f"--seconds must be more than {SETTLE_S:g}")
    return options


def main():
    options = parse_arguments()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    kind = f"{options.fps} fps, grain {options.grain}" + (", 2 B-frames" if options.bframes else "")
    print(f"{kind}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {time.strftime('%Y-%m-%d')}")
    print(HEADING, flush=True)
    with tempfile.TemporaryDirectory(prefix="browser-latency-") as folder:
        rows = [row for gop in options.gops.split(",") for row in measure_all_ways(float(gop), options, folder)]
    if options.json:
        with open(options.json, "w") as file:
            json.dump(rows, file, indent=1)
    return 0 if all("delay_p50_s" in row and not row["troubles"] for row in rows) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (RuntimeError, TimeoutError, subprocess.TimeoutExpired) as error:
        sys.exit(f"browser-latency.sh: {error}")
