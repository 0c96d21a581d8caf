"""A small federation: logistic regression at each site, with real keys, folders, policies and messages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from huizhen.core.study import Study
from huizhen.errors import FederationError
from huizhen.federate.engines.in_process import InProcess
from huizhen.federate.journal import Journal
from huizhen.federate.lead import Lead
from huizhen.federate.policy import SitePolicy
from huizhen.federate.site.folder import SiteFolder
from huizhen.federate.site.learner import Asked, Trained
from huizhen.federate.site.worker import Worker
from huizhen.federate.statistics.data import scored
from huizhen.federate.statistics.delong import DeLong
from huizhen.federate.statistics.fixed_point import encode
from huizhen.federate.statistics.release import check_at_site
from huizhen.federate.statistics.runner import respond
from huizhen.federate.summaries import Said
from huizhen.ledger.signing import SigningKey

SITES = ("east", "north", "west")
WEIGHTS = {"bias": np.zeros(1, np.float32), "slope": np.zeros((2, 2), np.float32)}


def study(federation: dict[str, object] | None = None, sites: tuple[str, ...] = SITES) -> Study:
    """Return a study of these sites; the toy learner reads nothing of its sources."""
    source = {
        "reader": "table",
        "modality": "T",
        "path": "t.csv",
        "columns": {"patient": "p", "outcome": "y"},
    }
    return Study.model_validate(
        {
            "name": "toy",
            "title": "Toy",
            "question": "?",
            "seed": 3,
            "task": {"outcome": "y", "positive": ["1"], "negative": ["0"]},
            "modality": [{"name": "T", "kind": "table", "numeric": ["x"]}],
            "site": [{"name": name, "source": [source]} for name in sites],
            "federation": {"rounds": 3, **(federation or {})},
        }
    )


@dataclass
class ToyLearner:
    """Four weights that one gradient step moves; `n` patients, whose score is their first column."""

    x: np.ndarray
    y: np.ndarray
    trained: int = 0
    broken: str = ""
    closed: int = 0

    def plan(self, definition: str) -> None:
        self.planned = definition

    def patients(self, model: str, round_number: int, weights) -> int:
        return len(self.x)

    def train(self, model: str, round_number: int, weights) -> Trained:
        self.trained += 1
        if weights["slope"].shape != (2, 2):
            raise FederationError("weights of another shape", remedy="same version", field="weights")
        flat = weights["slope"].reshape(-1).astype(np.float64)
        p = 1 / (1 + np.exp(-(self.x @ flat + float(weights["bias"][0]))))
        slope = -0.5 * self.x.T @ (p - self.y) / len(self.x)
        change = {
            "bias": np.float32([-0.5 * (p - self.y).mean()]),
            "slope": slope.reshape(2, 2).astype(np.float32),
        }
        if self.broken == "shape":
            change["slope"] = change["slope"].reshape(4)
        if self.broken == "huge":
            change["bias"] = np.float32([1e9])
        if self.broken == "nan":
            change["bias"] = np.float32([np.nan])
        return Trained(change=change, loss=0.5)

    def hold(self, model: str, weights) -> None:
        self.held = dict(weights)

    def lock(self, digest: str) -> None:
        self.locked = digest

    def head(self) -> tuple[str, int]:
        return "ab" * 32, 7

    def summary(self) -> Said:
        return Said(standing="no_policy")

    def close(self) -> None:
        self.closed += 1

    def answer(self, asked: Asked) -> np.ndarray:
        if asked.subject != "scores":
            raise FederationError("nothing of that name here", remedy="ask for scores", field="subject")
        score = 1 / (1 + np.exp(-self.x[:, 0]))
        found = respond(DeLong(models=1), asked.query, scored(self.y == 1, score))
        check_at_site(found, smallest=asked.smallest, masked=asked.smallest == 1)
        return encode(found, sites=asked.sites)


@dataclass
class Toy:
    """A federation in one process."""

    study: Study
    lead: Lead
    folders: dict[str, SiteFolder]
    learners: dict[str, ToyLearner]
    workers: dict[str, Worker]


def learner(name: str, n: int) -> ToyLearner:
    """Return a site's data, always the same for its name."""
    rng = np.random.default_rng(sum(map(ord, name)))
    x = rng.normal(size=(n, 4))
    y = (rng.random(n) < 1 / (1 + np.exp(-x[:, 0] - 0.5 * x[:, 3]))).astype(float)
    return ToyLearner(x, y)


def toy(
    tmp_path: Path,
    federation: dict[str, object] | None = None,
    *,
    sites: tuple[str, ...] = SITES,
    policy: dict[str, object] | None = None,
    engine=InProcess,
) -> Toy:
    """Return a federation whose sites accept the lead's key."""
    key = SigningKey.generate()
    whole = study(federation, sites)
    rules = SitePolicy(signers=(key.public.hex,), **{"minimum_sites": 2, **(policy or {})})
    folders = {
        name: SiteFolder.create(tmp_path / "sites" / name, name=name, data=Path("data"), policy=rules)
        for name in sites
    }
    learners = {name: learner(name, 30 + 10 * i) for i, name in enumerate(sites)}
    workers = {name: Worker(folders[name], lambda *_, name=name: learners[name]) for name in sites}
    lead = Lead(
        study=whole,
        engine=engine({name: worker.answer for name, worker in workers.items()}),
        key=key,
        peers={name: folder.key.public for name, folder in folders.items()},
        journal=Journal(tmp_path / "lead"),
        patience_s=20.0,
        quorum=whole.federation.quorum,
    )
    return Toy(study=whole, lead=lead, folders=folders, learners=learners, workers=workers)
