"""Cases of two sites whose features differ, as harmonisation is fitted on them."""

from __future__ import annotations

from typing import Any

import numpy as np

from huizhen.core.study import Study
from huizhen.pipeline.harmonise_fit import fitted_harmonies
from huizhen.train.arrays import CaseData, ImageColumn
from huizhen.train.harmony import Harmony

N, D = 120, 6
SITES = ["east" if k % 3 else "north" for k in range(N)]
TRAIN = np.arange(N) < 90
SOURCE = {"reader": "npz", "modality": "US", "path": "x.npz", "labels": "x.csv"}


def study(**plan: Any) -> Study:
    source = {**SOURCE, "columns": {"patient": "p", "outcome": "o"}}
    return Study.model_validate(
        {
            "name": "s",
            "title": "A study",
            "question": "Is it?",
            "seed": 7,
            "task": {"outcome": "o", "positive": ["1"], "negative": ["0"]},
            "modality": [{"name": "US"}],
            "site": [{"name": name, "source": [source]} for name in ("east", "north")],
            "harmonisation": {"components": 2, **plan},
        }
    )


def data(outcome: np.ndarray | None = None, shift: float = 0.0) -> CaseData:
    """Return cases of one image each, whose last 30 aren't trained on and are `shift` away."""
    rng = np.random.default_rng(8)
    event = (np.arange(N) // 2 % 2).astype(np.float32)
    tokens = rng.normal(size=(N, 1, 4, D)) + event[:, None, None, None] * np.linspace(0, 2, D)
    tokens += np.array([3.0 if site == "east" else 0.0 for site in SITES])[:, None, None, None]
    tokens[~TRAIN] += shift
    column = ImageColumn(
        payload=tokens.astype(np.float32), where=np.arange(N), offsets=np.arange(N + 1), features=True
    )
    return CaseData(
        names=("US",),
        images={"US": column},
        tables={},
        present=np.ones((N, 1), bool),
        outcome=event if outcome is None else outcome.astype(np.float32),
    )


def fit(cases: CaseData, **plan: Any) -> Harmony:
    return fitted_harmonies(study(**plan), cases, SITES, TRAIN, {})["US"]
