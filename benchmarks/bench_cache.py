"""Time a study's second run, from what the first one left, beside the first.

    python benchmarks/bench_cache.py --patients 24

Each is a process of its own, as a person would run it: start-up, imports, simulated patients, all stages, the
dossier and its verification. Turns are taken in fresh folders. Prints medians in seconds and the ratio. Aim:
under 0.1. `huizhen verify` alone is given too, since every run ends with it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def demo_s(folder: Path, patients: int) -> float:
    """Return the seconds that one `huizhen demo` in `folder` takes."""
    line = [sys.executable, "-m", "huizhen.cli", "--quiet", "demo", str(folder), "--patients", str(patients)]
    start = time.perf_counter()
    subprocess.run(
        line,
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "HUIZHEN_HOME": str(folder.parent / "home")},
    )
    return time.perf_counter() - start


def verify_s(folder: Path) -> float:
    """Return the seconds that one `huizhen verify` of the dossier in `folder` takes."""
    (dossier,) = (folder / "run").glob("dossier-*")
    start = time.perf_counter()
    line = [sys.executable, "-m", "huizhen.cli", "verify", str(dossier)]
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def turn(patients: int) -> dict[str, float]:
    """Return the seconds of a first run, a second one, and a verification alone."""
    scratch = Path(tempfile.mkdtemp())
    try:
        folder = scratch / "demo"
        return {
            "first run": demo_s(folder, patients),
            "second run": demo_s(folder, patients),
            "verify alone": verify_s(folder),
        }
    finally:
        shutil.rmtree(scratch)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patients", type=int, default=24, help="at each of the four hospitals")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    turns = [turn(arguments.patients) for _ in range(arguments.repeats)]
    print(f"demo with {arguments.patients} patients a hospital, median of {arguments.repeats} turns:")
    for name in turns[0]:
        share = statistics.median(one[name] / one["first run"] for one in turns)
        seconds = statistics.median(one[name] for one in turns)
        print(f"  {name:14s} {seconds:8.2f} s   {share:6.3f} of the first run")


if __name__ == "__main__":
    main()
