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
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import picture
from players import BY_NAME, PLAYERS
from programs import Program, start_own_server, wait_until
from screens import Pipe, Screen

HERE = os.path.dirname(os.path.abspath(__file__))
PROJECT = os.path.dirname(os.path.dirname(HERE))

LOOK_EVERY_S = 0.005
HEADING = "player             join   start     p50     p90  shown   still  broken   log"
SETTLE_S = 2.0  # after the first clean picture, before the delay counts


class Publisher:
    """The running publisher, and when it draws its key frames."""

    def __init__(self, url, options, folder):
        key_every = str(round(options.gop * options.fps))
        bframes = "2" if options.bframes else "0"
        command = [sys.executable, os.path.join(HERE, "publisher.py"), url, str(options.fps), key_every]
        command += [options.track, bframes, str(options.grain)]
        self._program = Program("publisher", command, folder, stdout=subprocess.PIPE)
        self._key_frames = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._program.process.stdout:
            self._key_frames.append(float(line))

    def check(self):
        if self._program.has_ended():
            raise RuntimeError(f"the publisher has ended:\n{self._program.log()}")

    def next_key_frame(self):
        """Waits for the next key frame, and tells when it was drawn."""
        seen = len(self._key_frames)

        def drawn():
            self.check()
            return self._key_frames[seen:]

        return wait_until(drawn, 30, "the next key frame")[0]

    def stop(self):
        self._program.stop()


def look(source, began, wait_s, watch_s, player_ended):
    """Looks at the picture, at most `wait_s` for a clean one and `watch_s` from there on.

    Returns a row per look: the time, the clock that is shown or None, whether the whole picture is
    clean, whether its unchanging part is right.
    """
    looks = []
    first_clean = None
    last_units = None
    while True:
        now = time.time()
        units = picture.points(source.pixels())
        if last_units is not None and (units == last_units).all():
            looks.append((now, *looks[-1][1:]))
        else:
            clock_ms = picture.read_clock(units, int(now * 1000))
            clean = clock_ms is not None and picture.is_clean(units, clock_ms)
            looks.append((now, clock_ms, clean, clean or picture.has_texture(units)))
            last_units = units
            if clean and first_clean is None:
                first_clean = now
        end = began + wait_s if first_clean is None else first_clean + watch_s
        if now > end or player_ended():
            return looks
        time.sleep(max(0.0, now + LOOK_EVERY_S - time.time()))


def longest_still(looks):
    """The longest time in seconds that the screen did not change its clock."""
    longest, since, clock_ms = 0.0, looks[0][0], looks[0][1]
    for now, seen_ms, _, _ in looks:
        if seen_ms and seen_ms != clock_ms:
            since, clock_ms = now, seen_ms
        longest = max(longest, now - since)
    return longest


def figures(looks, began):
    """The figures of one join, in seconds; empty when no picture was clean."""
    first = next((i for i, (_, _, clean, _) in enumerate(looks) if clean), None)
    if first is None:
        return {}
    looks = looks[first:]
    delays, shown, clock_ms = [], set(), None
    for now, seen_ms, _, _ in looks:
        clock_ms = seen_ms or clock_ms  # where two pictures meet on the screen no clock can be read
        if now >= looks[0][0] + SETTLE_S:
            delays.append(now - clock_ms / 1000)
            shown.add(clock_ms)
    result = {
        "start_s": looks[0][0] - began,
        "first_delay_s": looks[0][0] - looks[0][1] / 1000,
        "still_s": longest_still(looks),
        "broken": sum(not texture for *_, texture in looks) / len(looks),
    }
    if len(delays) > 1:
        parts = statistics.quantiles(delays, n=10, method="inclusive")
        watched_s = looks[-1][0] - looks[0][0] - SETTLE_S
        result |= {"delay_p50_s": parts[4], "delay_p90_s": parts[8], "delay_max_s": max(delays)}
        result["shown_per_s"] = len(shown) / watched_s
    return result


def save_shot(pixels, path):
    """Writes what the screen shows as a PNG file."""
    command = ["ffmpeg", "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24"]
    command += ["-s", f"{picture.WIDTH}x{picture.HEIGHT}", "-i", "pipe:0", path]
    subprocess.run(command, input=pixels[:, :, :3].tobytes(), check=True, timeout=20)


def start_player(player, url, screen, folder):
    """The running player, and where its picture is seen."""
    command = player.command_line(url)
    if player.not_as_root and os.geteuid() == 0:
        command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", *command]
    home = os.path.join(folder, f"home-{player.name}")
    os.makedirs(home, exist_ok=True)
    os.chmod(home, 0o777)  # whoever the player runs as
    env = {"DISPLAY": screen.display, "HOME": home, **player.env}
    if not player.to_pipe:
        return Program(player.name, command, folder, env), screen
    program = Program(player.name, command, folder, env, stdout=subprocess.PIPE)
    return program, Pipe(program.process.stdout)


def warm_up(player, url, screen, options, folder):
    """One join that does not count: it fills the player's caches and the system's."""
    program, source = start_player(player, url, screen, folder)
    try:
        look(source, time.time(), options.gop + 2, 0, program.has_ended)
    finally:
        program.stop()


def join(player, moment_s, publisher, screen, url, options, folder):
    """One join: the row of the table."""
    screen.clear()
    time.sleep(max(0.0, publisher.next_key_frame() + moment_s - time.time()))
    if not screen.is_blank():
        raise RuntimeError("something else draws on the screen")
    began = time.time()
    program, source = start_player(player, url, screen, folder)
    try:
        looks = look(source, began, options.wait, options.seconds, program.has_ended)
        log = program.log()  # before it is killed: its last words are about that
        ended = program.has_ended()
        if options.shots:
            save_shot(source.pixels(), os.path.join(options.shots, f"{player.name}-{moment_s:.2f}.png"))
    finally:
        program.stop()
    publisher.check()
    errors, warnings = player.complaints(log)
    row = {"player": player.name, "moment_s": moment_s, **figures(looks, began)}
    return row | {"errors": errors, "warnings": warnings, "ended": ended}


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
        server, address = start_own_server(options.rtmpd, folder)
        cleanup.append(server.stop)
        url = f"rtmp://{address}/live/latency"
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
    add("url", nargs="?", help="rtmp://host:port/app/stream to publish to and to play; "
        "without it the project's own server is started")
    add("--publish", metavar="URL", help="publish to this address instead")
    add("--player", action="append", choices=[*names, "all"], help="repeatable [ffplay-nobuffer]")
    add("--moments", default="0.1,1,2.5,3.5", metavar="S,S,...", help="seconds after a key frame [%(default)s]")
    add("--random", type=int, metavar="N", help="N random moments instead")
    add("--seed", type=int, default=1, help="of the random moments [%(default)s]")
    add("--bframes", action="store_true", help="publish with 2 B-frames")
    add("--grain", type=int, default=0, metavar="LEVELS", help="noise in the pictures, 0 (0.4 Mbit/s) "
        f"to {picture.GRAIN_MAX} (2.5 Mbit/s) [%(default)s]")
    add("--gop", type=float, default=4.0, metavar="SECONDS", help="key frame distance [%(default)s]")
    add("--fps", type=int, default=30, help="pictures per second [%(default)s]")
    add("--track", choices=["av", "video"], default="av", help="audio and video, or video only [%(default)s]")
    add("--seconds", type=float, default=6.0, help="to watch after the first clean picture, "
        "the first 2 s not counted [%(default)s]")
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
