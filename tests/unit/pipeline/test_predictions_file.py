"""The prediction table through CSV and back: exact, what can't be answered included."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huizhen.core.cohort import Part
from huizhen.core.predictions import Predictions
from huizhen.pipeline.predictions_file import read_predictions, write_predictions

RISKS = [0.1 + 0.2, 5e-324, 1.0, 0.0, float(np.nextafter(1, 0)), float("nan")]


def table(risks: list[float]) -> Predictions:
    n = len(risks)
    risk = np.array(risks)
    return Predictions(
        patient=np.array([f"P-{i}" for i in range(n)]),
        site=np.array(["north", "a.b-c_d"] * n)[:n],
        part=Part.EXTERNAL,
        outcome=np.arange(n) % 2 == 1,
        risk={"cman": risk, "cman|MG+US": risk[::-1].copy(), "single:US": risk},
        decision={"cman": risk >= 0.5, "single:US": risk >= 0.5},
        present={"US": np.arange(n) % 3 == 0, "MG": np.ones(n, bool)},
        groups={"age": np.array(["61.5", "", "40, about"] * n)[:n], "性别": np.array(["女", '"'] * n)[:n]},
    )


def same(one: Predictions, other: Predictions) -> None:
    assert (one.patient.tolist(), one.site.tolist()) == (other.patient.tolist(), other.site.tolist())
    assert (one.part, one.outcome.tolist()) == (other.part, other.outcome.tolist())
    for name in ("risk", "decision", "present", "groups"):
        ours, theirs = getattr(one, name), getattr(other, name)
        assert list(ours) == list(theirs)
        for key, values in ours.items():
            assert values.dtype.kind == theirs[key].dtype.kind
            assert values.dtype.kind == "U" or values.tobytes() == theirs[key].tobytes()
            assert values.dtype.kind != "U" or values.tolist() == theirs[key].tolist()


def test_every_number_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    write_predictions(tmp_path / "a.csv", table(RISKS))
    same(read_predictions(tmp_path / "a.csv", Part.EXTERNAL), table(RISKS))


@settings(max_examples=60, deadline=None)
@given(risks=st.lists(st.floats(0, 1) | st.just(float("nan")), min_size=1, max_size=20))
def test_any_risks_come_back(tmp_path_factory: pytest.TempPathFactory, risks: list[float]) -> None:
    path = tmp_path_factory.mktemp("table") / "a.csv"
    write_predictions(path, table(risks))
    same(read_predictions(path, Part.EXTERNAL), table(risks))


def test_what_is_not_answered_is_an_empty_cell_and_no_decision(tmp_path: Path) -> None:
    write_predictions(tmp_path / "a.csv", table(RISKS))
    head, *rows = (tmp_path / "a.csv").read_text().splitlines()
    assert head == (
        "patient,site,outcome,present:US,present:MG,group:age,group:性别,"
        "risk:cman,decision:cman,risk:cman|MG+US,risk:single:US,decision:single:US"
    )
    assert rows[-1] == 'P-5,a.b-c_d,1,0,1,"40, about","""",,,0.30000000000000004,,'
    assert len(rows) == 6
