"""One join: a fresh player started at a chosen moment, its picture watched, the figures from that."""

import os
import statistics
import subprocess
import sys
import threading
import time

import picture
from programs import Program, wait_until
from screens import Pipe

HERE = os.path.dirname(os.path.abspath(__file__))
# A change of user takes back the death signal that programs.py has set.
AS_NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--pdeathsig", "KILL")
LOOK_EVERY_S = 0.005
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
        command = [*AS_NOBODY, *command]
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
