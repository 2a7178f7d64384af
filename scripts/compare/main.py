"""Runs the same loads against several servers in turn and prints medians and ratios. See `compare.sh`."""

import argparse
import json
import statistics
import subprocess
import sys

import servers

LOAD = "target/release/examples/load"
LOAD_PROCESSOR = "1"
LOAD_TIMEOUT_SECONDS = 120

# Groups of pictures of half a second: what has to pass before and after a measurement passes sooner.
SHORT = "--gop 15 --warmup 1"
# Parts: what is run. Each run has a name and the arguments of `load`.
PARTS = {
    "paced": {"paced": "paced -n 500"},
    "saturated": {"saturated": "saturated -n 50"},
    "join": {"join": "join -n 500", "prepared": "join -n 500 --prepared"},
    "storm": {"storm": "storm -n 3000"},
    "fairness": {"fairness": "fairness -n 1000"},
    "scale": {"few": f"paced -n 100 {SHORT}", "many": f"paced -n 1000 {SHORT}"},
    "streams": {
        "one": f"paced -n 1000 -m 1 --kbps 500 {SHORT}",
        "thousand": f"paced -n 1000 -m 1000 --kbps 500 {SHORT}",
    },
    "idle": {"idle": "idle -n 1000"},
    "stalled": {
        "healthy": f"paced -n 60 --kbps 8000 {SHORT}",
        "stalled": f"paced -n 60 --kbps 8000 --stalled 10 {SHORT}",
    },
}
CPU = "server_cpu_us_per_message"
# What is shown: part, text, and either a run and a value of it, or two of them whose quotient is shown.
ROWS = [
    ("paced", "500 players: CPU per message, us", ("paced", CPU)),
    ("paced", "500 players: delay p50, us", ("paced", "delay_p50_us")),
    ("paced", "500 players: delay p99, us", ("paced", "delay_p99_us")),
    ("paced", "500 players: bytes per player", ("paced", "server_bytes_per_player")),
    ("saturated", "50 saturated: messages/s", ("saturated", "messages_per_s")),
    ("saturated", "50 saturated: CPU per message, us", ("saturated", CPU)),
    ("join", "500 joins at once: first frame p50, us", ("join", "first_frame_p50_us")),
    ("join", "... from `play` to there, p50, us", ("join", "play_to_frame_p50_us")),
    ("join", "... the same, all connected before", ("prepared", "play_to_frame_p50_us")),
    ("join", "500 joins at once: CPU per join, us", ("join", "server_cpu_us_per_join")),
    ("storm", "join and leave: CPU per cycle, us", ("storm", "server_cpu_us_per_cycle_alone")),
    ("scale", "CPU per message, 1000 players / 100", ("many", CPU), ("few", CPU)),
    ("streams", "CPU per message, 1000 streams / 1", ("thousand", CPU), ("one", CPU)),
    ("fairness", "sound beside key frames: delay p99, us", ("fairness", "sound_with_key_frames_p99_us")),
    ("fairness", "... without key frames, us", ("fairness", "sound_without_p99_us")),
    ("idle", "idle connection: bytes", ("idle", "server_bytes_per_connection")),
    ("stalled", "50 healthy: delay p99, us", ("healthy", "delay_p99_us")),
    ("stalled", "... p99 with 10 stalled / without", ("stalled", "delay_p99_us"), ("healthy", "delay_p99_us")),
]


def parse():
    parser = argparse.ArgumentParser(prog="compare.sh", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="medians are of so many [3]")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas between; --list names them")
    parser.add_argument("--servers", help="of floor,rtmpd,nginx [all that are installed]")
    parser.add_argument("--seconds", type=int, default=3, help="of each measurement [3]")
    parser.add_argument("--query", default="", help="what players put behind the stream's name, like '?join=gop'")
    parser.add_argument("--list", action="store_true", help="name the parts and end")
    parser.add_argument("--json", help="write every single result into this file")
    return parser.parse_args()


def run_load(server, arguments, options):
    command = ["taskset", "-c", LOAD_PROCESSOR, LOAD, *arguments.split(), "--json"]
    command += ["--pid", str(server.pid), "--seconds", str(options.seconds)]
    command += [f"rtmp://{server.address}/live/stream{options.query}"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=LOAD_TIMEOUT_SECONDS, preexec_fn=servers.die_with_parent
        )
    except subprocess.TimeoutExpired:
        print(f"  {server.name}: {arguments}: no end after {LOAD_TIMEOUT_SECONDS} s", file=sys.stderr)
        return None
    if done.returncode != 0:
        print(f"  {server.name}: {arguments}: {done.stderr.strip()}", file=sys.stderr)
        return None
    result = json.loads(done.stdout)
    for warning in result["warnings"]:
        print(f"  {server.name}: {arguments}: {warning}", file=sys.stderr)
    # Many frames sent late: the machine had no time for the load, and the figures mean nothing.
    for kind in ("gaps", "missing_at_end", "sent_late"):
        if result.get(kind):
            print(f"  {server.name}: {arguments}: {kind}: {result[kind]:.0f}", file=sys.stderr)
    return result


def run_all(options, parts, starts, folder, results):
    """results[server][run] is a list with one entry for each round; `None` where it failed."""
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
        for part in parts:
            for run, arguments in PARTS[part].items():
                for name, start in starts.items():
                    # A fresh one each time: memory that an earlier load left behind would hide what this one takes.
                    with start(folder) as server:
                        result = run_load(server, arguments, options)
                    results[name].setdefault(run, []).append(result)
    return results


def values(results, source):
    """One number for each round, of one run's value or of the quotient of two."""
    columns = [[entry and entry.get(key) for entry in results.get(run, [])] for run, key in source]
    if len(columns) == 1:
        return columns[0]
    return [quotient(above, below) for above, below in zip(*columns)]


def quotient(above, below):
    return above / below if above is not None and below else None


def median(numbers):
    present = [number for number in numbers if number is not None]
    return statistics.median(present) if present else None


def text(number):
    if number is None:
        return "-"
    return f"{number:.0f}" if abs(number) >= 1000 else f"{number:.2f}"


def print_table(results, parts):
    names = list(results)
    others = [name for name in names if name != "floor"] if "floor" in names else []
    head = [f"{'median':<42}"] + [f"{name:>12}" for name in names] + [f"{name + '/floor':>14}" for name in others]
    print("".join(head))
    for part, label, *source in ROWS:
        if part not in parts:
            continue
        columns = {name: values(results[name], source) for name in names}
        line = [f"{label:<42}"] + [f"{text(median(columns[name])):>12}" for name in names]
        for name in others:
            # Of each round by itself: what disturbs the machine then disturbs both sides.
            ratios = [quotient(own, floor) for own, floor in zip(columns[name], columns["floor"])]
            line.append(f"{text(median(ratios)):>14}")
        print("".join(line))


def main():
    options = parse()
    if options.list:
        for part, runs in PARTS.items():
            print(f"{part:<10} {'; '.join(runs.values())}")
        return
    parts = options.only.split(",")
    starts = servers.available()
    if options.servers:
        starts = {name: start for name, start in starts.items() if name in options.servers.split(",")}
    unknown = [part for part in parts if part not in PARTS]
    if unknown or not starts:
        sys.exit(f"compare.sh: nothing like that: {', '.join(unknown) or options.servers}")
    results = {name: {} for name in starts}
    with servers.folder() as folder:
        try:
            run_all(options, parts, starts, folder, results)
        except KeyboardInterrupt:
            print("interrupted; this is what there is:", file=sys.stderr)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(results, file)
    print_table(results, parts)


if __name__ == "__main__":
    main()
