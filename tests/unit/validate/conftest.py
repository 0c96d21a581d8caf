"""Published vectors, read where they lie: $HUIZHEN_SPEC or ../shared/spec beside the repository."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Asah:
    """The aneurysm data of pROC: outcome at six months, three scores, sex."""

    outcome: NDArray[np.bool_]
    scores: dict[str, NDArray[np.float64]]
    female: NDArray[np.bool_]


@pytest.fixture(scope="session")
def vectors_folder() -> Path:
    beside = Path(__file__).parents[4] / "shared" / "spec"
    folder = Path(os.environ.get("HUIZHEN_SPEC", beside)) / "vectors"
    if not (folder / "vectors.json").is_file():
        pytest.skip("published vectors are not here: set HUIZHEN_SPEC to the folder that holds vectors/")
    return folder


@pytest.fixture(scope="session")
def vectors(vectors_folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((vectors_folder / "vectors.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="session")
def asah(vectors_folder: Path) -> Asah:
    rows = _rows(vectors_folder / "aSAH.csv")
    return Asah(
        outcome=np.array([row["outcome"] == "Poor" for row in rows]),
        scores={name: np.array([float(row[name]) for row in rows]) for name in ("wfns", "ndka", "s100b")},
        female=np.array([row["gender"] == "Female" for row in rows]),
    )


@pytest.fixture(scope="session")
def df_binary(vectors_folder: Path) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    rows = _rows(vectors_folder / "dcurves" / "df_binary.csv")
    outcome = np.array([row["cancer"] == "TRUE" for row in rows])
    return outcome, np.array([float(row["cancerpredmarker"]) for row in rows])


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
