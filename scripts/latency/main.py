"""Measures how soon a player shows a clean picture of a live stream, and how late it is from then on.

Each row of the table is one join: a fresh player, started at a chosen moment after a key frame was
drawn.

  start   from starting the player's process to the first clean picture, in seconds; clean means that
          the whole picture is right, not only what moved since the player joined
  p50 p90 delay while playing: the wall clock minus the clock that is shown, over all looks at the
          screen (200 a second) from 2 s after the first clean picture on. It holds everything from
          drawing the picture to the screen, so also what the publisher takes: some 0.1 s, most of it
          the muxer's wait for the sound of the same time; with B-frames 2 pictures more.
  shown   different pictures shown per second in that time
  still   the longest time, since the first clean picture, that one picture stood, in seconds
  broken  share of the looks since the first clean picture that showed a damaged picture
  log     errors and warnings in the player's log
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile

import picture
from joins import SETTLE_S, Publisher, join, warm_up
from players import BY_NAME, PLAYERS
from programs import start_own_server
from screens import Screen

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HEADING = "player             join   start     p50     p90  shown   still  broken   log"


def table_line(row):
    def seconds(name):
        return f"{row[name]:8.2f}" if name in row else f"{'-':>8}"

    line = f"{row['player']:<16} {row['moment_s']:6.2f}" + seconds("start_s")
    line += seconds("delay_p50_s") + seconds("delay_p90_s")
    line += f"{row['shown_per_s']:7.1f}" if "shown_per_s" in row else f"{'-':>7}"
    line += seconds("still_s")
    line += f"{row['broken']:8.1%}" if "broken" in row else f"{'-':>8}"
    line += f"   {len(row['errors'])} errors, {len(row['warnings'])} warnings"
    return line + ("; player ended by itself" if row["ended"] else "")


def complaints_text(rows):
    """The first complaints of each join."""
    text = []
    for row in rows:
        for line in (row["errors"] + row["warnings"])[:3]:
            text.append(f"  {row['player']} +{row['moment_s']:.2f}: {line[:150]}")
    return "\n".join(text)


def measure(options, folder, cleanup):
    """All joins; prints the table as it grows and returns its rows."""
    url = options.url
    if url is None:
        server, addresses = start_own_server(options.rtmpd, folder)
        cleanup.append(server.stop)
        url = f"rtmp://{addresses['rtmp']}/live/latency"
    screen = Screen(folder)
    cleanup.append(screen.close)
    publisher = Publisher(options.publish or url, options, folder)
    cleanup.append(publisher.stop)
    kind = f"{options.track}, key frame every {options.gop:g} s, {options.fps} fps"
    kind += ", 2 B-frames" if options.bframes else ""
    kind += f", grain {options.grain}" if options.grain else ""
    load = os.getloadavg()[0]
    print(f"{url}: {kind}; {os.cpu_count()} cores, load {load:.1f}")
    print(HEADING, flush=True)
    # Two whole GOPs first: a server may keep the one before the current one.
    publisher.next_key_frame()
    publisher.next_key_frame()
    rows = []
    for player in options.player:
        warm_up(player, url, screen, options, folder)
        for moment_s in options.moments:
            rows.append(join(player, moment_s, publisher, screen, url, options, folder))
            print(table_line(rows[-1]), flush=True)
    return rows


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="latency.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [player.name for player in PLAYERS]
    add = parser.add_argument
    add(
        "url",
        nargs="?",
        help="rtmp://host:port/app/stream to publish to and to play; without it, the own server is started",
    )
    add("--publish", metavar="URL", help="publish to this address instead")
    add("--player", action="append", choices=[*names, "all"], help="repeatable [ffplay-nobuffer]")
    add("--moments", default="0.1,1,2.5,3.5", metavar="S,S,...", help="seconds after a key frame [%(default)s]")
    add("--random", type=int, metavar="N", help="N random moments instead")
    add("--seed", type=int, default=1, help="of the random moments [%(default)s]")
    add("--track", choices=["av", "video"], default="av", help="audio and video, or video only [%(default)s]")
    add("--gop", type=float, default=4.0, metavar="SECONDS", help="key frame distance [%(default)s]")
    add("--fps", type=int, default=30, help="pictures per second [%(default)s]")
    add("--bframes", action="store_true", help="publish with 2 B-frames")
    grain = f"noise in the pictures, 0 (0.4 Mbit/s) to {picture.GRAIN_MAX} (2.5 Mbit/s) [%(default)s]"
    add("--grain", type=int, default=0, metavar="LEVELS", help=grain)
    watch = f"to watch after the first clean picture, the first {SETTLE_S:g} s not counted [%(default)s]"
    add("--seconds", type=float, default=6.0, help=watch)
    add("--wait", type=float, default=20.0, metavar="SECONDS", help="for the first clean picture [%(default)s]")
    add("--json", metavar="FILE", help="write all figures and log lines there")
    add("--shots", metavar="FOLDER", help="save the last picture of each join there")
    add("--rtmpd", default=os.path.join(PROJECT, "target/release/rtmpd"), metavar="FILE", help="own server's binary")
    options = parser.parse_args()

    if options.url is None and not os.access(options.rtmpd, os.X_OK):
        parser.error(f"no address given and no server at {options.rtmpd} (cargo build --release)")
    if not 0 <= options.grain <= picture.GRAIN_MAX:
        parser.error(f"--grain must be 0 to {picture.GRAIN_MAX}")
    if options.seconds <= SETTLE_S:
        parser.error(f"--seconds must be more than {SETTLE_S:g}")
    if options.random:
        chance = random.Random(options.seed)
        options.moments = [round(chance.uniform(0, options.gop), 2) for _ in range(options.random)]
    else:
        options.moments = [float(moment) for moment in options.moments.split(",")]
    chosen = options.player or ["ffplay-nobuffer"]
    options.player = [BY_NAME[name] for name in (names if "all" in chosen else chosen)]
    for player in options.player:
        if not player.is_installed():
            parser.error(f"{player.name} is not installed: apt-get install {player.packages}")
    return options


def main():
    options = parse_arguments()
    if options.shots:
        os.makedirs(options.shots, exist_ok=True)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    cleanup = []
    with tempfile.TemporaryDirectory(prefix="latency-") as folder:
        os.chmod(folder, 0o755)
        try:
            rows = measure(options, folder, cleanup)
        finally:
            for stop in reversed(cleanup):
                stop()
    if complaints := complaints_text(rows):
        print(f"first log lines of each join that has any:\n{complaints}")
    if options.json:
        settings = {"url": options.url, "gop_s": options.gop, "fps": options.fps, "track": options.track}
        settings |= {"bframes": options.bframes, "grain": options.grain, "settle_s": SETTLE_S, "seconds": options.seconds}
        with open(options.json, "w") as file:
            json.dump({**settings, "joins": rows}, file, indent=1)
    return 0 if all("start_s" in row for row in rows) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (RuntimeError, TimeoutError) as error:
        sys.exit(f"latency.sh: {error}")
