#!/usr/bin/env python3
"""Keeps the few inputs of fuzz/corpus that reach most, as tests/fuzz/corpus: scripts/fuzz-corpus.py [TARGET...]

Run it after scripts/fuzz.sh, whose programs it uses. libFuzzer writes down which features each input reaches; of
inputs up to 4 KiB the one that adds most is taken, again and again, up to 29 for each target.
"""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
MOST_FILES = 29
MOST_BYTES = 4096


def programs() -> dict[str, Path]:
    names = [path.stem for path in sorted((PROJECT / "fuzz/fuzz_targets").glob("*.rs"))]
    found = {}
    for name in names:
        built = sorted(PROJECT.glob(f"fuzz/target/*/release/{name}"))
        if built:
            found[name] = built[0]
    return found


def features(program: Path, folders: list[Path]) -> dict[Path, set[int]]:
    """What each input reaches."""
    with tempfile.TemporaryDirectory() as scratch:
        control = Path(scratch) / "control"
        out = Path(scratch) / "out"
        out.mkdir()
        arguments = [program, "-set_cover_merge=1", f"-merge_control_file={control}", out, *folders]
        subprocess.run(arguments, check=True, capture_output=True)
        lines = control.read_text().splitlines()
    count = int(lines[0])
    files = [Path(line) for line in lines[2 : 2 + count]]
    reached = {}
    for line in lines[2 + count :]:
        word, number, *numbers = line.split()
        if word == "FT":
            reached[files[int(number)]] = {int(number) for number in numbers}
    return reached


def best(reached: dict[Path, set[int]]) -> tuple[list[Path], int]:
    """The inputs to keep, and how many features they reach together."""
    left = {path: found for path, found in reached.items() if path.stat().st_size <= MOST_BYTES}
    chosen: list[Path] = []
    seen: set[int] = set()
    while left and len(chosen) < MOST_FILES:
        # Of two that add as much the smaller one; names last, so that the choice is the same each time.
        path = min(left, key=lambda path: (-len(left[path] - seen), path.stat().st_size, path.name))
        if not left[path] - seen:
            break
        seen |= left.pop(path)
        chosen.append(path)
    return chosen, len(seen)


def main() -> None:
    built = programs()
    for target in sys.argv[1:] or built:
        kept = PROJECT / "tests/fuzz/corpus" / target
        kept.mkdir(parents=True, exist_ok=True)
        reached = features(built[target], [PROJECT / "fuzz/corpus" / target, kept])
        chosen, seen = best(reached)
        contents = [path.read_bytes() for path in chosen]
        for path in kept.iterdir():
            path.unlink()
        for content in contents:
            (kept / hashlib.sha1(content).hexdigest()[:12]).write_bytes(content)
        everything = len(set().union(*reached.values()))
        size = sum(map(len, contents))
        print(f"{target}: {len(chosen)} of {len(reached)} inputs, {size} bytes, {seen} of {everything} features")


if __name__ == "__main__":
    main()
