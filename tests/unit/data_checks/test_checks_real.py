"""Real tables: the zeros of UCI's cholesterol are codes for missing, and ordinary columns are left alone."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from huizhen.data.checks.columns import odd_values

DATA = Path(os.environ.get("HUIZHEN_DATA", Path(__file__).resolve().parents[4] / "shared/data"))
TABLE = DATA / "uci_heart_disease_4_hospitals/heart_4_hospitals.csv"


@pytest.mark.realdata
@pytest.mark.skipif(not TABLE.exists(), reason="the data folder isn't there: set HUIZHEN_DATA")
def test_zeros_of_cholesterol_are_codes() -> None:
    with TABLE.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))

    def column(name: str) -> list[float | None]:
        return [float(row[name]) if row[name] not in ("", "-9", "-9.0") else None for row in rows]

    chol = column("chol")
    assert {odd.row for odd in odd_values("chol", chol)} == {k for k, v in enumerate(chol) if v == 0}
    assert [odd.why.value for odd in odd_values("trestbps", column("trestbps"))] == ["impossible"]
    assert odd_values("age", column("age")) == []
