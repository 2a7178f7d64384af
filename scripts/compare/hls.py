"""Do HLS players beside a live RTMP fan-out delay it? Prints medians of interleaved rounds. See `hls.sh`."""

import argparse
import json
import statistics
import subprocess
import sys
import time

import servers

LOAD = "target/release/examples/load"
LOAD_PROCESSOR = "1"
HLS_JOIN_SECONDS = 6


# Before other programs of a machine that is not idle.
REAL_TIME = ["chrt", "--rr", "1"]
# What HLS players do with what they get is not to delay those who measure.
IDLE = ["chrt", "--idle", "0"]


class Rtmpd(servers.Server):
    """Our server, with HTTP."""

    def read_address(self):
        rtmp = super().read_address()
        words = self.process.stdout.readline().split()
        if words[:2] != ["listening", "http"]:
            raise RuntimeError(f"rtmpd does not serve HTTP: {words}")
        self.http = words[2]
        return rtmp


def parse():
    parser = argparse.ArgumentParser(prog="hls.sh", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="medians are of so many [5]")
    parser.add_argument("--seconds", type=int, default=10, help="of each measurement [10]")
    parser.add_argument("--rtmp", type=int, default=200, help="RTMP players [200]")
    parser.add_argument("--hls", type=int, default=500, help="HLS players [500]")
    parser.add_argument(
        "--realtime", action="store_true", help="server and RTMP load go before all else that this machine does (root)"
    )
    parser.add_argument("--kbps", type=int, default=2500, help="video bit rate [2500]")
    return parser.parse_args()


def start(arguments, prefix=()):
    command = [*prefix, "taskset", "-c", LOAD_PROCESSOR, LOAD, *arguments, "--json"]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=servers.die_with_parent
    )


def finish(process, what):
    out, err = process.communicate(timeout=120)
    if process.returncode != 0:
        sys.exit(f"hls.sh: {what}: {err.strip()}")
    result = json.loads(out)
    for warning in result["warnings"]:
        print(f"  {what}: {warning}", file=sys.stderr)
    return result


def measure(options, hls):
    """One fresh server; RTMP players, with or without HLS players of the same stream."""
    first = REAL_TIME if options.realtime else []
    with Rtmpd("rtmpd", [*first, "target/release/rtmpd", "-p", "0", "-b", "127.0.0.1", "--http-port", "0"]) as server:
        # Both ways as long: HLS players are there before anything is measured.
        warmup = HLS_JOIN_SECONDS + 4
        rtmp = start(
            ["paced", "-n", str(options.rtmp), "--kbps", str(options.kbps), "--pid", str(server.pid)]
            + ["--seconds", str(options.seconds), "--warmup", str(warmup), f"rtmp://{server.address}/live/stream"],
            first,
        )
        watching = None
        # They stay for longer than the RTMP load takes to join, to warm up and to measure.
        if hls:
            time.sleep(5)
            watching = start(
                ["hls", "-n", str(hls), "--pid", str(server.pid), "--seconds", str(options.seconds + 14)]
                + ["--warmup", "4", f"http://{server.http}/live/stream0"],
                [] if options.realtime else IDLE,
            )
        result = finish(rtmp, "RTMP")
        return result, finish(watching, "HLS") if watching else None


def main():
    options = parse()
    alone, beside, served = [], [], []
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
        alone.append(measure(options, 0)[0])
        rtmp, hls = measure(options, options.hls)
        beside.append(rtmp)
        served.append(hls)
    median = lambda results, key: statistics.median(result[key] for result in results)
    print(f"{f'{options.rtmp} RTMP players at {options.kbps} kbit/s':<42}{'alone':>12}{'with HLS':>12}")
    for key in ("delay_p50_us", "delay_p99_us", "delay_max_us", "gaps", "missing_at_end", "server_cpu_share"):
        print(f"{key:<42}{median(alone, key):>12.2f}{median(beside, key):>12.2f}")
    ratios = [b["delay_p99_us"] / a["delay_p99_us"] for a, b in zip(alone, beside)]
    print(f"{'p99 with HLS / alone, each round':<42}  {' '.join(f'{ratio:.2f}' for ratio in ratios)}")
    for key in ("hls_players", "requests_per_s", "parts_per_s", "mbytes_per_s", "part_p50_us", "part_p99_us"):
        print(f"{'HLS: ' + key:<42}{median(served, key):>24.2f}")
    print(f"{'HLS: refused, lost':<42}{sum(hls['refused'] + hls['connections_lost'] for hls in served):>24.0f}")


if __name__ == "__main__":
    main()
