"""Time NVIDIA FLARE as an engine on one machine: how long it takes to start, and what each ask costs.

    python benchmarks/bench_flare.py --sites 3 --asks 20

A server and the sites are started as processes, and the same frames are asked over FLARE and in one process
in turns. The sites answer each with a refusal (no message is in the frames), so that what is timed is the way
there and back. Prints seconds to start the server, seconds until all sites can be asked, and for a small and
a large frame the medians an ask of both engines and their difference.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from huizhen.federate.engines.flare import (
    Deployment,
    FlareEngine,
    attach,
    provision,
    start_server,
    start_site,
    stop,
)
from huizhen.federate.engines.in_process import InProcess
from huizhen.federate.engines.interface import Engine
from huizhen.federate.site.folder import SiteFolder
from huizhen.federate.site.worker import Worker

PATIENCE_S = 600.0


def open_learner(*_: object) -> None:
    """Open nothing: no frame here is a question."""
    raise AssertionError


def seconds(work: Callable[[], object]) -> float:
    """Return how long `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def deployed(root: Path, sites: list[str]) -> Deployment:
    """Return a deployment on this machine with a folder attached at each site."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = int(one.getsockname()[1])
    deployment = provision(root / "lead", lead="lead@centre.org", sites=sites, host="localhost", port=port)
    for name in sites:
        SiteFolder.create(root / name, name=name, data=Path("data"))
        attach(deployment.site(name), site=root / name, learner="bench_flare:open_learner")
    return deployment


def in_turns(engines: dict[str, Engine], frame: bytes, asks: int) -> dict[str, float]:
    """Return the median seconds of an ask by engine."""
    taken: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(asks):
        for name, engine in engines.items():
            frames = dict.fromkeys(engine.sites, frame)
            start = time.perf_counter()
            answers = engine.ask(frames, timeout_s=PATIENCE_S)
            taken[name].append(time.perf_counter() - start)
            if set(answers) != set(frames):
                raise SystemExit(f"{name}: a site gave no answer")
    return {name: statistics.median(each) for name, each in taken.items()}


def measured(root: Path, sites: list[str], asks: int, megabytes: int) -> None:
    """Start everything, print the figures, stop everything."""
    deployment = deployed(root, sites)
    alone = {}
    for name in sites:
        folder = SiteFolder.create(root / "alone" / name, name=name, data=Path("data"))
        alone[name] = Worker(folder, open_learner).answer
    with ExitStack() as stack:
        stack.callback(stop, deployment.server)
        print(
            f"server up          {seconds(lambda: start_server(deployment.server, wait_s=PATIENCE_S)):8.2f} s"
        )
        start = time.perf_counter()
        for name in sites:
            stack.callback(stop, deployment.site(name))
            start_site(deployment.site(name))
        engine = stack.enter_context(FlareEngine(deployment))
        if engine.wait_for(sites, timeout_s=PATIENCE_S) != set(sites):
            raise SystemExit("a site didn't come")
        print(f"sites can be asked {time.perf_counter() - start:8.2f} s later ({len(sites)} sites)")
        engines: dict[str, Engine] = {"FLARE": engine, "in process": InProcess(alone)}
        for size, times in ((1000, asks), (megabytes * 1_000_000, max(asks // 5, 3))):
            found = in_turns(engines, os.urandom(size), times)
            each = "   ".join(f"{name} {median:8.4f} s" for name, median in found.items())
            over = found["FLARE"] - found["in process"]
            print(f"ask of {size:>11,} bytes to each site: {each}   over {over:8.4f} s (median of {times})")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sites", type=int, default=3)
    parser.add_argument("--asks", type=int, default=20)
    parser.add_argument("--megabytes", type=int, default=100)
    arguments = parser.parse_args()
    here = str(Path(__file__).parent)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH", "")]))
    sites = [f"site-{number}" for number in range(arguments.sites)]
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        measured(Path(folder), sites, arguments.asks, arguments.megabytes)


if __name__ == "__main__":
    main()
