"""An open run in a folder of its own, and a small study of tables that runs from end to end in seconds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from hospitals import draws, table, table_source, write_rows, write_study

from huizhen.core.progress import Silent
from huizhen.core.study import Study
from huizhen.core.words import Language
from huizhen.data.cache import Cache
from huizhen.ledger.log import Log
from huizhen.ledger.signing import SigningKey
from huizhen.pipeline.finish import RunResult
from huizhen.pipeline.run import run_study
from huizhen.pipeline.stage import Run

SITES = {"north": 60, "south": 40, "far": 30}
"""Site -> patients."""


def study_of(*modalities: dict[str, Any], **more: Any) -> Study:
    """Return a study of the given modalities at one site."""

    def source(m: dict[str, Any]) -> dict[str, Any]:
        table = m.get("kind") == "table"
        columns = {"patient": "p", "outcome": "o"}
        return {
            "modality": m["name"],
            "reader": "table" if table else "images",
            "path": "x",
            "columns": columns,
        }

    return Study.model_validate(
        {
            "name": "s",
            "title": "A study",
            "question": "Is it?",
            "seed": 7,
            "task": {"outcome": "o", "positive": ["1"], "negative": ["0"]},
            "modality": list(modalities),
            "site": [{"name": "a", "source": [source(m) for m in modalities]}],
            **more,
        }
    )


def hospital(path: Path, name: str, count: int, *, shift: float = 0.0) -> None:
    """Write a hospital's table: every second patient has the event, older and with a higher marker."""
    rng, rows = draws(name), []
    for i in range(count):
        event = i % 2
        age, marker = rng.normal(55 + 6 * event, 6) + shift, rng.normal(event, 1) - shift
        row = {"patient": f"{name}-{i}", "outcome": event, "age": f"{age:.2f}", "marker": f"{marker:.3f}"}
        rows.append({**row, "group": rng.choice(["x", "y"])})
    write_rows(path, rows)


def write_tables(folder: Path, **shifts: float) -> Path:
    """Write the study of tables and its hospitals, their values moved by `shifts`; return its file."""
    file = write_study(
        folder,
        "tables",
        modalities=table("clinic", ["age"]) + table("blood", ["marker"], ["group"]),
        sites=SITES,
        source=lambda name: (
            table_source("clinic", f"{name}.csv", outcome="outcome") + table_source("blood", f"{name}.csv")
        ),
        variants=("cman", "table_lr", "single"),
        training="epochs = 2\nbatch_size = 16\n",
    )
    for name, count in SITES.items():
        hospital(folder / f"{name}.csv", name, count, shift=shifts.get(name, 0.0))
    return file


def run_tables(study_file: Path, **given: Any) -> RunResult:
    """Run a study file with the key beside it."""
    wanted = {"out": None, "data_root": None, "home": study_file.parent / "home", "progress": Silent()}
    return run_study(study_file, language=Language.EN, **{**wanted, **given})


@dataclass(frozen=True)
class Bench:
    """Opens runs over one folder, one after the other, as later processes would."""

    folder: Path
    key: SigningKey

    def open(self, study: Study | None = None) -> Run:
        study = study or study_of({"name": "clinic", "kind": "table", "numeric": ["age"]})
        return Run(
            study=study,
            folder=self.folder,
            roots=(self.folder,),
            key=self.key,
            log=Log.open(self.folder / "ledger", self.key),
            cache=Cache(self.folder / "cache"),
            progress=Silent(),
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An empty folder and a key."""
    return Bench(folder=tmp_path / "run", key=SigningKey.generate())


@pytest.fixture
def run(bench: Bench) -> Iterator[Run]:
    """A run that is open."""
    opened = bench.open()
    yield opened
    opened.log.close()


@pytest.fixture
def make_study() -> Callable[..., Study]:
    """Return `study_of`."""
    return study_of


@pytest.fixture(scope="session")
def tables() -> Callable[..., Path]:
    """Return `write_tables`."""
    return write_tables


@pytest.fixture(scope="session")
def start() -> Callable[..., RunResult]:
    """Return `run_tables`."""
    return run_tables


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A finished run of the study of tables. Look at it, don't change it."""
    return run_tables(write_tables(tmp_path_factory.mktemp("tables")))
