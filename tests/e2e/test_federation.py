"""`huizhen run` of a federation in real processes: the lead opens nothing of the sites, and the sites do.

Every process of the run notes each file that it opens or lists (`sys.addaudithook`, from the first line that
Python runs). What native libraries open by themselves is not noted; the lead is given no path that they
could open.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "pipeline"))
from hospitals import (
    ANY_DISTANCE,
    IMAGES,
    bright,
    draws,
    image_source,
    table,
    table_source,
    write_images,
    write_study,
)

SRC = Path(__file__).parents[2] / "src"
HOOK = """
import os, sys
_file = os.path.join(os.environ["OPENED"], "%d.log" % os.getpid())
_log = os.open(_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
os.write(_log, (repr(sys.orig_argv) + "\\n").encode())
_events = {"open", "os.listdir", "os.scandir", "os.rename", "os.remove", "os.truncate", "sqlite3.connect"}
def _note(event, args):
    if event in _events and args and isinstance(args[0], (str, bytes, os.PathLike)):
        path = os.path.realpath(os.fsdecode(args[0]))
        os.write(_log, (path + "\\n").encode("utf-8", "surrogateescape"))
sys.addaudithook(_note)
"""
NAMES = ("east", "north")


@dataclass(frozen=True)
class Done:
    """A finished run of processes: what it printed, and what each process opened by its arguments."""

    root: Path
    answer: Mapping[str, str]
    opened: Mapping[str, tuple[str, ...]]

    def of(self, *words: str) -> list[tuple[str, ...]]:
        """Return what the processes whose arguments hold all `words` opened."""
        return [
            paths for arguments, paths in self.opened.items() if all(f"'{w}'" in arguments for w in words)
        ]

    def private(self, paths: tuple[str, ...]) -> list[str]:
        """Return those paths that lie in the data or in a site's folder."""
        closed = [self.root / "hospitals", self.root / "out" / "sites"]
        return [p for p in paths if any(Path(p).is_relative_to(folder) for folder in closed)]


def environment(root: Path) -> dict[str, str]:
    """Return an environment in which every Python process notes what it opens."""
    (root / "hook").mkdir(exist_ok=True)
    (root / "hook" / "sitecustomize.py").write_text(HOOK, encoding="utf-8")
    (root / "opened").mkdir(exist_ok=True)
    env = {name: value for name, value in os.environ.items() if not name.startswith("HUIZHEN_")}
    paths = os.pathsep.join([str(root / "hook"), str(SRC)])
    return {**env, "PYTHONPATH": paths, "OPENED": str(root / "opened"), "HUIZHEN_HOME": str(root / "home")}


def noted(root: Path) -> dict[str, tuple[str, ...]]:
    """Return what was opened, by process."""
    found = {}
    for log in sorted((root / "opened").glob("*.log")):
        arguments, *paths = log.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        found[f"{log.stem} {arguments}"] = tuple(paths)
    return found


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    root = tmp_path_factory.mktemp("processes").resolve()
    for name in NAMES:
        rng, event = draws(name), np.arange(36) % 2
        images = bright(rng, event)
        ages, grades = rng.normal(50 + 5 * event, 8), rng.choice(["low", "high"], 36)
        write_images(
            root / "hospitals",
            name,
            {"images": images},
            event=event,
            age=[f"{age:.2f}" for age in ages],
            grade=grades,
        )
    study = write_study(
        root / "lead",
        "processes",
        modalities=IMAGES + table("clinic", ["age"], ["grade"]),
        sites=NAMES,
        source=lambda name: image_source(name) + table_source("clinic", f"{name}.csv"),
        variants=("cman", "table_lr"),
        more=ANY_DISTANCE + "[federation]\nrounds = 2\nround_timeout_s = 300\n",
    )
    command = ["run", str(study), "--data", str(root / "hospitals"), "--out", str(root / "out"), "--json"]
    ran = subprocess.run(
        [sys.executable, "-m", "huizhen.cli", *command],
        env=environment(root),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    logs = "".join(p.read_text(encoding="utf-8")[-2000:] for p in (root / "out" / "logs").glob("*.log"))
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr[-4000:]}\n{logs}"
    return Done(root=root, answer=json.loads(ran.stdout), opened=noted(root))


@pytest.mark.slow
def test_the_leads_process_opens_no_file_of_a_site(done):
    (opened,) = done.of("federation", "lead")
    assert any("journal.jsonl" in path for path in opened), "its own files are noted"
    assert done.private(opened) == []


@pytest.mark.slow
def test_the_look_at_what_is_opened_finds_the_sites(done):
    """The control: the same look at the sites' processes finds their data and folders."""
    for name in NAMES:
        (opened,) = done.of("site", "serve", str(done.root / "out" / "sites" / name))
        found = done.private(opened)
        assert str(done.root / "hospitals" / f"{name}.npz") in found
        assert any(path.endswith("outbox.jsonl") for path in found)
        others = [
            p for p in found if any(f"{other}." in p or f"/{other}/" in p for other in NAMES if other != name)
        ]
        assert others == [], "a site opens nothing of another"


@pytest.mark.slow
def test_a_lead_that_opened_a_sites_file_would_be_found(done):
    """The control: a process that does it once, in each of the ways that Python has."""
    target = done.root / "hospitals" / "east.csv"
    ways = [f"open({str(target)!r}).close()", f"import os; os.listdir({str(target.parent)!r})"]
    ways.append(f"import numpy as np; np.load({str(target.with_suffix('.npz'))!r}).close()")
    for way in ways:
        subprocess.run(
            [sys.executable, "-c", way, "pretends"], env=environment(done.root), check=True, timeout=120
        )
    found = [paths for arguments, paths in noted(done.root).items() if "pretends" in arguments]
    assert len(found) == len(ways)
    assert all(done.private(paths) for paths in found)


@pytest.mark.slow
def test_nothing_that_the_lead_is_given_names_the_data(done):
    (arguments,) = [line for line in done.opened if "'federation', 'lead'" in line]
    assert str(done.root / "hospitals") not in arguments
    lead = [p for p in (done.root / "out").rglob("*") if p.is_file() and "sites" not in p.parts]
    assert lead
    named = [p for p in lead if str(done.root / "hospitals").encode() in p.read_bytes()]
    assert named == []


@pytest.mark.slow
def test_the_run_tells_where_dossier_and_model_are(done):
    assert Path(done.answer["dossier"]).is_dir()
    assert {p.name for p in Path(done.answer["model"]).iterdir()} == {
        "weights.safetensors",
        "card.json",
        "digest.txt",
    }


@pytest.mark.slow
def test_tables_are_encoded_as_the_pooled_training_rows_would_be(done):
    rows = []
    for name in NAMES:
        (cases,) = (done.root / "out" / "sites" / name).rglob("cases.json")
        (parts,) = json.loads((cases.parent / "folds.json").read_text(encoding="utf-8"))
        for case in json.loads(cases.read_text(encoding="utf-8")):
            if parts["parts"][case["pseudonym"]] == "train":
                rows.append(case["covariates"]["clinic"])
    (file,) = (done.root / "out" / "stages").rglob("encodings.json")
    ((age, grade),) = [
        e["clinic"]["columns"] for e in json.loads(file.read_text(encoding="utf-8"))["encodings"]
    ]
    ages = np.array([row["age"] for row in rows])
    assert (age["n"], age["mean"], age["sd"]) == (
        len(rows),
        pytest.approx(ages.mean(), abs=1e-9),
        pytest.approx(ages.std(), abs=1e-9),
    )
    assert grade["levels"] == ["high", "low"]


@pytest.mark.slow
def test_heatmaps_lie_at_the_sites_alone(done):
    maps = list((done.root / "out").rglob("*.dcm"))
    assert {p.relative_to(done.root / "out" / "sites").parts[0] for p in maps} == set(NAMES)
