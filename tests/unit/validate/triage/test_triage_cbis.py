"""The study of CBIS-DDSM on the real tables: who is in it, and what is observed of the reader."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def folder() -> Path:
    found = Path(os.environ.get("HUIZHEN_DATA", ROOT.parent / "shared" / "data")) / "mammography_tabular"
    if not found.is_dir():
        pytest.skip("the mammography tables are not here: set HUIZHEN_DATA to the folder of real data")
    return found


@pytest.fixture(scope="module")
def study() -> ModuleType:
    spec = importlib.util.spec_from_file_location("triage_cbis", ROOT / "studies" / "triage_cbis.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["triage_cbis"] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


@pytest.mark.realdata
def test_the_published_table_rests_on_these_patients(folder: Path, study: ModuleType) -> None:
    ready = study.prepare(folder)
    exams = ready.exams
    assert (exams.outcome.size, int(exams.outcome.sum()), ready.trained) == (318, 139, 1248)
    first = exams.reads.first
    assert (first == first[0]).all()  # observed, the same in every draw
    assert first[0, exams.outcome].mean() == pytest.approx(0.935, abs=0.0005)
    assert 1 - first[0, ~exams.outcome].mean() == pytest.approx(0.257, abs=0.0005)
    assert exams.reads.simulated.mean(axis=1).tolist() == [0, 1, 1]
    assert ready.levels.of(ready.risk).tolist() == exams.level.tolist()
    assert np.mean(exams.level == 10) == pytest.approx(0.116, abs=0.002)
