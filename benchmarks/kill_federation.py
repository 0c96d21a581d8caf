"""SIGKILL of the lead and of sites at random moments of a federation on the local engine.

    python benchmarks/kill_federation.py --kills 200

Small federations (three sites, a few weights, secure aggregation, real keys, folders, sockets and processes)
are killed at random moments, each process started again at once, until they end. Each must end with the same
weights and the same AUC with its interval, bit for bit, as one that nobody disturbed. The processes are
forked from one that has imported everything, so that a kill hits work and not a start-up.

`--forgetful` is the control: sites whose training depends on what they did before they were killed, which
must be found out.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "unit" / "federate"))
from toy_federation import SITES, WEIGHTS, ToyLearner, learner, study

from huizhen.core.digests import digest_bytes
from huizhen.core.files import write_bytes, write_json
from huizhen.federate import messages as wire
from huizhen.federate.engines.local import LocalEngine, serve
from huizhen.federate.journal import Journal
from huizhen.federate.lead import Lead
from huizhen.federate.policy import SitePolicy
from huizhen.federate.rounds import Training
from huizhen.federate.site.folder import SiteFolder
from huizhen.federate.site.learner import Trained
from huizhen.federate.site.lock import alone
from huizhen.federate.site.worker import Worker
from huizhen.federate.statistics.delong import DeLong
from huizhen.federate.statistics.runner import conduct
from huizhen.ledger.signing import SigningKey

MODEL, ROUNDS = "cman/member0", 8
STUDY = study({"rounds": ROUNDS, "strategy": "fedyogi", "server_rate": 0.1})
LEAD = "lead"
PAUSE_S = 0.03
"""How long a toy step takes, so that kills hit it too."""
RESTART_S = 0.05
MOST_KILLS = 25
"""Of one federation: then it is left to end."""
HANG_S = 300.0


class KilledLearner(ToyLearner):
    """A toy whose own momentum lasts from round to round in a file, and whose scores are of held weights."""

    folder: Path
    forgetful: bool = False

    def train(self, model: str, round_number: int, weights: Any) -> Trained:
        """Train, adding a part of what this site moved in the round before."""
        time.sleep(PAUSE_S)
        trained = super().train(model, round_number, weights)
        before = self._load(f"round-{round_number - 1}")
        if self.forgetful:
            before = {name: np.float32(0.1 * self.trained) for name in trained.change}
        change = {n: (c + np.float32(0.3) * before.get(n, np.float32(0))) for n, c in trained.change.items()}
        self._save(f"round-{round_number}", change)
        return Trained(change={n: c.astype(np.float32) for n, c in change.items()}, loss=trained.loss)

    def hold(self, model: str, weights: Any) -> None:
        """Keep the weights for a process after this one too."""
        self._save("held", weights)

    def answer(self, asked: Any) -> Any:
        """Answer about the scores by the weights that are held."""
        time.sleep(PAUSE_S)
        held, own = self._load("held"), self.x
        self.x = own.copy()
        self.x[:, 0] = own @ held["slope"].reshape(-1) + held["bias"][0]
        try:
            return super().answer(asked)
        finally:
            self.x = own

    def _save(self, name: str, arrays: Any) -> None:
        from safetensors.numpy import save

        plain = {n: np.ascontiguousarray(a, np.float32) for n, a in arrays.items()}
        write_bytes(self.folder / name, save(plain))

    def _load(self, name: str) -> dict[str, Any]:
        from safetensors.numpy import load

        path = self.folder / name
        return load(path.read_bytes()) if path.exists() else {}


@dataclass(slots=True)
class Found:
    """What became of one federation."""

    weights: str = ""
    statistic: list[str] = field(default_factory=list)
    seconds: float = 0.0
    kills: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)


def prepare(folder: Path) -> None:
    """Make keys, policies and folders."""
    key = SigningKey.create_or_load(folder / "lead.pem")
    rules = SitePolicy(signers=(key.public.hex,), minimum_sites=2)
    for name in SITES:
        SiteFolder.create(folder / "sites" / name, name=name, data=Path("data"), policy=rules)


def run_site(folder: Path, socket: Path, name: str, forgetful: bool) -> None:
    """Be a site until killed."""
    site = SiteFolder.open(folder / "sites" / name)
    one = learner(name, 30 + 10 * SITES.index(name))
    toy = KilledLearner(one.x, one.y)
    toy.folder, toy.forgetful = site.path / "toy", forgetful
    with alone(site.path):
        serve(socket, name=name, key=site.key, answer=Worker(site, lambda *_: toy).answer)


def run_lead(folder: Path, socket: Path) -> None:
    """Be the lead until the result is written."""
    peers = {name: SiteFolder.open(folder / "sites" / name).key.public for name in SITES}
    engine = LocalEngine(socket, peers)
    engine.wait_for(SITES, timeout_s=60.0)
    lead = Lead(
        study=STUDY,
        engine=engine,
        key=SigningKey.load(folder / "lead.pem"),
        peers=peers,
        journal=Journal(folder / "journal"),
        patience_s=60.0,
    )
    sites = lead.invite()
    rounds = Training(
        lead=lead,
        federation=STUDY.federation,  # type: ignore[arg-type]  # the toy has one
        model=MODEL,
        folder=folder / "rounds",
        sites=sites,
        patients=120,
    )
    done = rounds.run(WEIGHTS)
    hold = wire.Hold(study=STUDY.digest, sender=wire.LEAD, model=MODEL)
    lead.enough(lead.ask(dict.fromkeys(sites, hold), lead.patience_s, done.weights), sites)
    found = conduct(DeLong(models=1), lead.exchange("scores", secure=True)).result
    interval = found.interval(0)
    write_json(
        folder / "result.json",
        {
            "weights": digest_bytes(b"".join(done.weights[n].tobytes() for n in sorted(WEIGHTS))),
            "statistic": [repr(float(v)) for v in (found.aucs[0], interval.low, interval.high)],
            "sites": [list(each) for each in done.sites],
        },
    )


def spawn(what: Callable[..., None], *args: Any) -> int:
    """Fork a process that does `what`; return its id."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            what(*args)
            code = 0
        except BaseException as error:
            print(f"{what.__name__}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    return pid


def federate(folder: Path, dice: random.Random, most: int, *, forgetful: bool = False) -> Found:
    """Run one federation to its end, killing up to `most` times. Raises `RuntimeError` when it hangs."""
    prepare(folder)
    found, started = Found(), time.monotonic()
    with tempfile.TemporaryDirectory() as short:
        socket = Path(short) / "s"
        start: dict[str, Callable[[], int]] = {
            name: lambda name=name: spawn(run_site, folder, socket, name, forgetful)  # type: ignore[misc]
            for name in SITES
        }
        start[LEAD] = lambda: spawn(run_lead, folder, socket)
        running = {name: begin() for name, begin in start.items()}
        due = time.monotonic() + dice.uniform(0, 0.5)
        try:
            while True:
                if time.monotonic() - started > HANG_S:
                    raise RuntimeError(f"hangs after {dict(found.kills)}")
                ended = {name for name, pid in running.items() if os.waitpid(pid, os.WNOHANG)[0]}
                for name in ended:
                    del running[name]
                if LEAD in ended and (folder / "result.json").exists():
                    break
                for name in ended:
                    running[name] = start[name]()
                if time.monotonic() > due and found.kills.total() < most:
                    victim = dice.choice([LEAD, LEAD, *SITES])
                    os.kill(running[victim], signal.SIGKILL)
                    found.kills[victim] += 1
                    due = time.monotonic() + dice.uniform(0.0, 0.6)
                time.sleep(RESTART_S if ended else 0.002)
        finally:
            for pid in running.values():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
    result = json.loads((folder / "result.json").read_text())
    found.weights, found.statistic = result["weights"], result["statistic"]
    found.events = Journal(folder / "journal").events()
    found.seconds = time.monotonic() - started
    return found


def main() -> int:
    """Kill as often as asked and say whether all ended alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--forgetful", action="store_true", help="the control, which must differ")
    options = parser.parse_args()
    dice, runs = random.Random(options.seed), []
    with tempfile.TemporaryDirectory() as scratch:
        whole = federate(Path(scratch) / "whole", dice, 0)
        while (killed := sum(run.kills.total() for run in runs)) < options.kills:
            most = min(MOST_KILLS, options.kills - killed)
            folder = Path(scratch) / f"run-{len(runs)}"
            runs.append(federate(folder, dice, most, forgetful=options.forgetful))
            print(f"{killed + runs[-1].kills.total()} kills", file=sys.stderr, flush=True)
    differ = [i for i, r in enumerate(runs) if (r.weights, r.statistic) != (whole.weights, whole.statistic)]
    report = {
        "kills": sum((run.kills for run in runs), Counter()),
        "federations": len(runs),
        "differ": differ,
        "undisturbed_s": round(whole.seconds, 2),
        "seconds": [round(run.seconds, 2) for run in runs],
        "events": sum((run.events for run in runs), Counter()),
        "auc": whole.statistic,
    }
    print(json.dumps(report, indent=1))
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
