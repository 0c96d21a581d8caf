"""What processes and numbers of sites cost: the local engine against one process, and 3 to 64 sites.

    OMP_NUM_THREADS=1 python benchmarks/bench_federation.py

All sites' training is the same matrix products; keys, folders, policies, messages and secure sums are real.

*Engines*: three sites with 3.4 million weights, once in one process and once as three processes behind a
local socket, in turns, on one core for all, so that processes can't win by running side by side. Seconds a
round by the clock, starting up left out. Aim: at most 1.15. And peak memory with 25 million weights.

*Sites*: one secure round over 3 to 64 sites in one process, 200,000 weights; processor seconds of one site
and of the lead, and the exponent with which they grow.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "unit" / "federate"))
from toy_federation import ToyLearner, learner, study

from huizhen.core.study import Study
from huizhen.federate.engines.in_process import InProcess
from huizhen.federate.engines.interface import Answer, Engine
from huizhen.federate.engines.local import LocalEngine, serve
from huizhen.federate.journal import Journal
from huizhen.federate.lead import Lead
from huizhen.federate.policy import SitePolicy
from huizhen.federate.rounds import Training
from huizhen.federate.site.folder import SiteFolder
from huizhen.federate.site.learner import Trained
from huizhen.federate.site.lock import alone
from huizhen.federate.site.worker import Worker
from huizhen.ledger.signing import SigningKey

SMALL, LARGE, MANY = 3_400_000, 25_000_000, 200_000
WORK = 60
"""Products of two 512 x 512 matrices in one short local training, about .3 s; ten times so many are about
what a small network's epoch over some hundred images takes."""


class Working(ToyLearner):
    """A learner whose training takes a while and moves every weight."""

    products: int = 0

    def train(self, model: str, round_number: int, weights: Mapping[str, Any]) -> Trained:
        """Do the work and return a change of all weights."""
        matrix = np.full((512, 512), 1e-3, np.float32)
        for _ in range(self.products):
            matrix = matrix @ matrix
        self.trained += 1
        step = np.float32(1e-4 * (1 + round_number))
        return Trained(change={n: np.full_like(w, step) for n, w in weights.items()}, loss=0.5)


class Timed:
    """A site's answer, and the processor seconds that it took."""

    def __init__(self, answer: Answer) -> None:
        self._answer, self.seconds = answer, 0.0

    def __call__(self, frame: bytes) -> bytes:
        """Answer."""
        start = time.process_time()
        try:
            return self._answer(frame)
        finally:
            self.seconds += time.process_time() - start


def prepared(folder: Path, names: tuple[str, ...]) -> tuple[SigningKey, dict[str, SiteFolder]]:
    """Make a lead's key and the sites' folders, whose policies accept it."""
    key = SigningKey.generate()
    rules = SitePolicy(signers=(key.public.hex,))
    made = {
        name: SiteFolder.create(folder / "sites" / name, name=name, data=Path("data"), policy=rules)
        for name in names
    }
    return key, made


def worker(site: SiteFolder, products: int) -> Worker:
    """Return the worker of a site with 40 patients."""
    toy = learner(site.name, 40)
    mine = Working(toy.x, toy.y)
    mine.products = products
    return Worker(site, lambda *_: mine)


def lead_of(
    folder: Path, key: SigningKey, whole: Study, engine: Engine, sites: Mapping[str, SiteFolder]
) -> Lead:
    """Return the study's lead over `engine`."""
    return Lead(
        study=whole,
        engine=engine,
        key=key,
        peers={name: site.key.public for name, site in sites.items()},
        journal=Journal(folder / "journal"),
        patience_s=300.0,
        quorum=1.0,
    )


def rounds_of(lead: Lead, folder: Path, whole: Study, parameters: int) -> float:
    """Train all rounds and return seconds a round by the clock."""
    assert whole.federation is not None
    training = Training(
        lead=lead,
        federation=whole.federation,
        model="cman/member0",
        folder=folder / "rounds",
        sites=lead.invite(),
        patients=40 * len(whole.site),
    )
    start = time.monotonic()
    training.run({"w": np.zeros(parameters, np.float32)})
    return (time.monotonic() - start) / whole.federation.rounds


def in_one(rounds: int, parameters: int, products: int) -> float:
    """Return seconds a round with three sites in this process."""
    names = ("east", "north", "west")
    whole = study({"rounds": rounds}, names)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        key, sites = prepared(folder, names)
        engine = InProcess({name: worker(site, products).answer for name, site in sites.items()})
        return rounds_of(lead_of(folder, key, whole, engine, sites), folder, whole, parameters)


def site_process(path: Path, socket: Path, products: int) -> None:
    """Be a site until killed."""
    site = SiteFolder.open(path)
    with alone(site.path):
        serve(socket, name=site.name, key=site.key, answer=worker(site, products).answer)


def over_processes(rounds: int, parameters: int, products: int) -> tuple[float, float]:
    """Return seconds a round with three sites in processes, and the largest peak memory of one, in MiB."""
    names = ("east", "north", "west")
    whole = study({"rounds": rounds}, names)
    with tempfile.TemporaryDirectory() as scratch:
        folder, socket = Path(scratch), Path(scratch) / "s"
        key, sites = prepared(folder, names)
        children = [forked(sites[name].path, socket, products) for name in names]
        try:
            engine = LocalEngine(socket, {name: site.key.public for name, site in sites.items()})
            engine.wait_for(names, timeout_s=120.0)
            seconds = rounds_of(lead_of(folder, key, whole, engine, sites), folder, whole, parameters)
            peak = max(peak_mib(child) for child in children)
            engine.close()
        finally:
            for child in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
    return seconds, peak


def forked(path: Path, socket: Path, products: int) -> int:
    """Start a site's process and return its id."""
    child = os.fork()
    if child == 0:
        try:
            site_process(path, socket, products)
        finally:
            os._exit(1)
    return child


def peak_mib(process: int) -> float:
    """Return a process's peak resident memory in MiB (Linux)."""
    for line in Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return float("nan")


def by_sites(count: int) -> tuple[float, float]:
    """Return processor seconds of one site and of the lead in a secure round over `count` sites."""
    names = tuple(f"site-{number:02d}" for number in range(count))
    whole = study({"rounds": 1}, names)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        key, sites = prepared(folder, names)
        answers = {name: Timed(worker(site, 0).answer) for name, site in sites.items()}
        lead = lead_of(folder, key, whole, InProcess(answers), sites)
        start = time.process_time()
        rounds_of(lead, folder, whole, MANY)
        spent = time.process_time() - start
        site = sum(answer.seconds for answer in answers.values())
    return site / count, spent - site


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--products", type=int, nargs="+", default=[WORK, 10 * WORK], help="of a training")
    parser.add_argument("--sites", type=int, nargs="+", default=[3, 4, 8, 16, 32, 64])
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for products in options.products:
        pairs = [
            (in_one(options.rounds, SMALL, products), over_processes(options.rounds, SMALL, products)[0])
            for _ in range(options.turns)
        ]
        ratio = statistics.median(processes / one for one, processes in pairs)
        one, processes = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(f"{products} products: one process {one:.3f} s a round, local engine {processes:.3f} s", end="")
        print(f"; ratio of a turn {ratio:.3f}")
    seconds, peak = over_processes(1, LARGE, 0)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{LARGE:,} weights: {seconds:.1f} s a round; peak: a site {peak:.0f} MiB, the lead {own:.0f} MiB")
    found = {count: by_sites(count) for count in options.sites}
    for count, (site, lead) in found.items():
        print(f"{count:3d} sites: a site {site:.3f} s, the lead {lead:.3f} s of processor time")
    growth = np.polyfit(np.log(list(found)), np.log(np.array(list(found.values()))), 1)[0]
    print(f"exponent over the number of sites: a site {growth[0]:.2f}, the lead {growth[1]:.2f}")


if __name__ == "__main__":
    main()
