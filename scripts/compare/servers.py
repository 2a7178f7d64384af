"""The servers that are compared: how each is started, and stopped whatever happens."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

SERVER_PROCESSOR = "0"
START_SECONDS = 5
PR_SET_PDEATHSIG = 1
NGINX_MODULE = "/usr/lib/nginx/modules/ngx_rtmp_module.so"
NGINX_CONFIG = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log error;
load_module {module};
events {{ worker_connections 16384; }}
rtmp {{ server {{ listen 127.0.0.1:{port}; application live {{ live on; }} }} }}
"""

LIBC = ctypes.CDLL(None)


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A running server; a context manager that stops it."""

    def __init__(self, name, arguments, address=None):
        self.name = name
        self.process = subprocess.Popen(
            ["taskset", "-c", SERVER_PROCESSOR, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            preexec_fn=die_with_parent,
        )
        self.address = address or self.read_address()
        self.wait_until_it_listens()

    def read_address(self):
        words = self.process.stdout.readline().split()
        if words[:2] != ["listening", "rtmp"]:
            raise RuntimeError(f"{self.name} does not listen: {words}")
        return words[2]

    def wait_until_it_listens(self):
        host, port = self.address.rsplit(":", 1)
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection((host, int(port)), 1).close()
                return
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise RuntimeError(f"{self.name} does not listen on {self.address}") from None
                time.sleep(0.05)

    @property
    def pid(self):
        return self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def start_floor(folder):
    return Server("floor", ["target/release/examples/load", "floor", "--port", "0"])


def start_rtmpd(folder):
    return Server("rtmpd", ["target/release/rtmpd", "-p", "0", "--http-port", "off"])


def start_nginx(folder):
    port = free_port()
    path = os.path.join(folder, "nginx.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(NGINX_CONFIG.format(folder=folder, port=port, module=NGINX_MODULE))
    return Server("nginx", [nginx(), "-c", path, "-p", folder], f"127.0.0.1:{port}")


def nginx():
    return shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")


def available():
    """Names of what can be started here, the floor first, each with the function that starts it."""
    servers = {"floor": start_floor, "rtmpd": start_rtmpd}
    if nginx() and os.path.exists(NGINX_MODULE):
        servers["nginx"] = start_nginx
    return servers


def folder():
    return tempfile.TemporaryDirectory(prefix="rtmpd-compare-")
