"""The study of FLamby's hospitals reads their own splits and measures as they do."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from lifelines.utils import concordance_index

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def study() -> ModuleType:
    spec = importlib.util.spec_from_file_location("flamby_study", ROOT / "studies/flamby_heart_tcga.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["flamby_study"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder() -> Path:
    given = os.environ.get("HUIZHEN_DATA")
    path = Path(given) if given else ROOT.parent / "shared/data"
    if not (path / "flamby_fed_tcga_brca").is_dir():
        pytest.skip("no data folder: set HUIZHEN_DATA")
    return path


def task_of(study: ModuleType, time: np.ndarray, event: np.ndarray) -> object:
    rows = (np.arange(time.size),)
    return study.Task(
        name="t", columns=("a",), x=np.zeros((time.size, 1)), train=rows, test=rows, event=event, time=time
    )


def test_concordance_is_lifelines(study: ModuleType) -> None:
    random = np.random.default_rng(1)
    for _ in range(20):
        time, event = np.ceil(random.exponential(8, 40)), random.random(40) < 0.5
        scores = np.round(random.normal(size=40), 1)
        ours = study.concordance(task_of(study, time, event))(np.arange(40), scores)
        assert ours == pytest.approx(concordance_index(time, -scores, event), abs=1e-12)


def test_draws_keep_events_and_size(study: ModuleType) -> None:
    event = np.arange(20) < 4
    rows = study.drawn(np.arange(20), task_of(study, np.ones(20), event), np.random.default_rng(2))
    assert (rows.size, event[rows].sum()) == (20, 4)
    assert study.interval(np.ones(9)) == "not estimable"


@pytest.mark.realdata
def test_splits_have_flambys_sizes(study: ModuleType, folder: Path) -> None:
    heart, tcga = study.heart(folder), study.tcga(folder)
    sizes = [[(a.size, b.size) for a, b in zip(t.train, t.test, strict=True)] for t in (heart, tcga)]
    assert sizes[0] == [(199, 104), (172, 89), (30, 16), (85, 45)]
    assert sizes[1] == [(248, 63), (156, 40), (164, 42), (129, 33), (129, 33), (40, 11)]
    assert (len(heart.columns), len(tcga.columns)) == (13, 39)
    for task in (heart, tcga):
        everybody = np.concatenate([*task.train, *task.test])
        assert np.unique(everybody).size == everybody.size
    table = study.published(folder, "heart_disease")
    assert table["FedAvg"] == pytest.approx(0.685, abs=5e-4)
    assert study.published(folder, "tcga_brca")["FedAdam"] == pytest.approx(0.815, abs=5e-4)
