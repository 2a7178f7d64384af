"""Starting other programs so that none outlives this one, and the server of this project."""

import os
import signal
import subprocess
import time


class Program:
    """A running program in a process group of its own, its output in files under `folder`."""

    def __init__(self, name, command, folder, env=None, **pipes):
        self.name = name
        self.log_path = os.path.join(folder, f"{name}.log")
        # The kernel kills the program should this one die without a chance to clean up.
        command = ["setpriv", "--pdeathsig", "KILL", "--", *command]
        with open(self.log_path, "wb") as log:
            streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, **pipes}
            self.process = subprocess.Popen(
                command, env={**os.environ, **(env or {})}, start_new_session=True, **streams
            )

    def has_ended(self):
        return self.process.poll() is not None

    def log(self):
        with open(self.log_path, "rb") as log:
            return log.read().decode("utf-8", "replace")

    def stop(self, grace_s=0.0):
        """Ends the program and what it started; it may end by itself within `grace_s`, then it is killed."""
        try:
            if grace_s > 0:
                self.process.terminate()
                self.process.wait(grace_s)
        except subprocess.TimeoutExpired:
            pass  # killed below
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # all of the group ended by itself
        self.process.wait(10)


def wait_until(condition, seconds, what):
    """What `condition` returns once that is true; fails with `what` after `seconds`."""
    end = time.time() + seconds
    while time.time() < end:
        if result := condition():
            return result
        time.sleep(0.02)
    raise TimeoutError(f"{what}: not within {seconds:g} s")


def start_own_server(binary, folder, http_port="off"):
    """rtmpd on free ports of this machine, and its addresses by protocol: rtmp, and http unless that is off."""
    command = [binary, "--bind", "127.0.0.1", "--port", "0", "--http-port", http_port]
    server = Program("rtmpd", command, folder)
    protocols = {"rtmp"} if http_port == "off" else {"rtmp", "http"}

    def addresses():
        if server.has_ended():
            raise RuntimeError(f"rtmpd has ended:\n{server.log()}")
        lines = [line.split() for line in server.log().splitlines(keepends=True) if line.endswith("\n")]
        found = {words[1]: words[2] for words in lines if len(words) == 3 and words[0] == "listening"}
        return found if found.keys() == protocols else None

    try:
        return server, wait_until(addresses, 5, "rtmpd says where it listens")
    except BaseException:
        server.stop()
        raise
