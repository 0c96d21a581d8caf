"""Bad input through whole runs: what is counted, what is refused and how, and the correct run after it."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from huizhen.core.progress import Advance, Silent
from huizhen.core.words import Language
from huizhen.data.flow import STEPS
from huizhen.errors import (
    DataError,
    HuizhenError,
    LedgerError,
    StorageError,
    StudyError,
    UnreadableFileError,
)
from huizhen.ledger.log import Log
from huizhen.ledger.signing import SigningKey
from huizhen.pipeline.finish import RunResult
from huizhen.pipeline.run import run_study

Blobs = Callable[..., Any]
PATIENT = "patient-no-"


def run(study: Path, **given: Any) -> RunResult:
    """Run a study file, with the key beside it."""
    wanted = {"out": None, "data_root": None, "home": study.parent / "home", "progress": Silent()}
    return run_study(study, language=Language.EN, **{**wanted, **given})


def refused(study: Path, kind: type[HuizhenError], *words: str, **given: Any) -> HuizhenError:
    """Run; check that it is refused in a way that helps, and that nothing looks whole. Return the error."""
    with pytest.raises(kind) as caught:
        run(study, **given)
    error = caught.value
    assert type(error) is kind or kind in (StorageError, DataError)
    assert error.message
    assert error.remedy
    assert error.file or error.field, f"nobody can tell where: {error}"
    for word in words:
        assert word in str(error), f"{word!r} is not in: {error}"
    assert PATIENT not in str(error)
    nothing_looks_whole(given.get("out") or study.with_suffix(".run"))
    return error


def nothing_looks_whole(out: Path) -> None:
    """Check that no dossier stands there, and that every stage under a final name is whole."""
    if not out.is_dir():
        return
    assert list(out.glob("dossier-*")) == []
    for stage in (out / "stages").glob("*"):
        if not stage.name.endswith(".part"):
            assert json.loads((stage / "stage.json").read_text())["digest"][:16] == stage.name[-16:]
    for path in (out / "cache").glob("*/*"):
        if path.suffix == ".json":
            assert set(json.loads(path.read_text())) == {"digest", "value"}


def succeeds(study: Path, **given: Any) -> RunResult:
    """Run to the end, which verifies the dossier; check that no patient's own id went into it; return all."""
    result = run(study, **given)
    left_out = sum(row["count"] for row in flow(result, "exclusions") if row["unit"] == "patient")
    steps = {step: [r["patients"] for r in flow(result, "steps") if r["step"] == step] for step in STEPS}
    assert sum(steps["found"]) - left_out == sum(steps["included"])
    for path in (*result.dossier.rglob("*"), *(result.run_folder / "ledger").rglob("*")):
        if path.is_file():
            assert PATIENT.encode() not in path.read_bytes(), path.name
    return result


def evidence(result: RunResult, key: str) -> dict[str, Any]:
    """Return the last evidence of a key in a run's ledger."""
    found = [e for e in ledger(result) if e["kind"] == "evidence" and e["body"]["key"] == key]
    return dict(found[-1]["body"])


def ledger(result: RunResult) -> list[dict[str, Any]]:
    lines = (result.run_folder / "ledger" / "entries.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def flow(result: RunResult, field: str) -> list[dict[str, Any]]:
    """Return the rows of a field of a run's flow diagram."""
    return list(evidence(result, "data/flow")["detail"][field])


def exclusions(result: RunResult) -> dict[tuple[str, str, str], int]:
    """Return (site, unit, reason) -> count of a run's flow diagram."""
    return {(row["site"], row["unit"], row["reason"]): row["count"] for row in flow(result, "exclusions")}


def tallies(result: RunResult) -> dict[tuple[str, str], int]:
    return {(row["site"], row["what"]): row["count"] for row in flow(result, "tallies")}


def predictions(result: RunResult) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in result.dossier.rglob("predictions_*.csv")}


# --- tables --------------------------------------------------------------------------------------------

TABLE_STUDY = """\
name = "tables"
title = "Tables"
question = "Does the event follow?"
seed = 3
[task]
outcome = "event"
positive = ["yes"]
negative = ["no"]
[[modality]]
name = "clinic"
kind = "table"
numeric = ["age"]
categorical = ["grade"]
[network]
variants = ["cman"]
width = 16
heads = 2
[training]
epochs = 1
"""

TABLE_SITE = """
[[site]]
name = "{name}"
role = "{role}"
[[site.source]]
reader = "table"
modality = "clinic"
path = "{name}.csv"
columns = {{ patient = "patient", outcome = "outcome" }}
"""

HEAD = ["patient", "outcome", "age", "grade"]


def good_rows(name: str, count: int = 60) -> list[list[str]]:
    """Return a hospital's rows: every second patient has the event, and is older."""
    rng = np.random.default_rng(sum(map(ord, name)))
    return [
        [
            f"{PATIENT}{name}-{i}",
            "yes" if i % 2 else "no",
            f"{rng.normal(55 + 8 * (i % 2), 8):.1f}",
            "abc"[i % 3],
        ]
        for i in range(count)
    ]


def write_rows(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([HEAD, *rows])


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A study of two hospitals' tables, one of them external. Return its file."""
    for name, role, count in (("north", "development", 60), ("far", "external", 20)):
        write_rows(tmp_path / f"{name}.csv", good_rows(name, count))
        with (tmp_path / "study.toml").open("a", encoding="utf-8") as stream:
            stream.write(TABLE_STUDY if name == "north" else "")
            stream.write(TABLE_SITE.format(name=name, role=role))
    return tmp_path / "study.toml"


@pytest.mark.slow
def test_odd_rows_are_counted_and_gone_on_from(tables: Path) -> None:
    rows = good_rows("north", 70)
    rows[0][1] = rows[1][1] = ""
    rows[2][1] = "NA"
    rows[3][1] = rows[4][1] = "perhaps"
    rows[5][2] = "inf"
    rows[6][2] = "nan?"
    rows[7][0] = rows[8][0] = ""
    rows += [[rows[9][0], rows[9][1], "1.0", "a"], list(rows[10])]  # another row of one patient; a plain copy
    rows += [[rows[11][0], "no" if rows[11][1] == "yes" else "yes", *rows[11][2:]]]  # two outcomes
    write_rows(tables.parent / "north.csv", rows)
    result = succeeds(tables)
    found = exclusions(result)
    assert found["north", "patient", "missing_label"] == 3
    assert found["north", "patient", "other_class"] == 2
    assert found["north", "cell", "non_finite"] == 2
    assert found["north", "row", "missing_patient"] == 2
    assert found["north", "row", "duplicate_id"] == 1
    assert found["north", "patient", "no_usable_data"] == 1  # whose two rows differ
    assert found["north", "patient", "contradictory_outcomes"] == 1
    assert found["north", "row", "contradictory_outcomes"] == 2
    assert evidence(result, "data/flow")["n"] == 70 - 3 - 2 - 2 - 1 - 1 + 20


@pytest.mark.slow
def test_a_patient_at_two_development_hospitals_is_kept_at_the_first(tables: Path) -> None:
    write_rows(tables.parent / "west.csv", [*good_rows("west", 20), *good_rows("north", 4)])
    tables.write_text(tables.read_text() + TABLE_SITE.format(name="west", role="development"))
    result = succeeds(tables)
    assert exclusions(result) == {("west", "patient", "two_sites"): 4}


def test_a_patient_at_a_development_and_an_external_hospital_is_refused(tables: Path) -> None:
    whole = good_rows("far", 20)
    write_rows(tables.parent / "far.csv", [*whole, *good_rows("north", 3)])
    error = refused(tables, DataError, "3 patients", "north", "far", "own")
    assert (error.code, error.field) == ("HZ30", "site.patient_ids")
    write_rows(tables.parent / "far.csv", whole)
    succeeds(tables)


def test_hospitals_that_number_their_patients_alike_may_say_so(tables: Path) -> None:
    write_rows(tables.parent / "far.csv", good_rows("north", 20))
    tables.write_text(tables.read_text().replace('name = "far"\n', 'name = "far"\npatient_ids = "own"\n'))
    assert exclusions(succeeds(tables)) == {}


def test_one_class_only_is_refused(tables: Path) -> None:
    for outcome in ("yes", "no"):
        rows = [[row[0], outcome, *row[2:]] for row in good_rows("north")]
        write_rows(tables.parent / "north.csv", rows)
        error = refused(tables, DataError, "one outcome", "60", "task.positive")
        assert error.field == "task"
    write_rows(tables.parent / "north.csv", good_rows("north"))
    succeeds(tables)


@pytest.mark.slow
def test_one_class_only_outside_is_not_assessed_and_says_why(tables: Path) -> None:
    text = tables.read_text()
    tables.write_text(f'{text}\n[[endpoint]]\nmetric = "auc"\ncohort = "external"\nat_least = 0.6\n')
    write_rows(tables.parent / "far.csv", [[row[0], "no", *row[2:]] for row in good_rows("far", 20)])
    result = succeeds(tables)
    for key in ("auc/cman/external/all", "endpoint/1/auc/external"):
        found = evidence(result, key)
        assert found["verdict"] == "not assessed"
        assert found["reason"]
    assert evidence(result, "auc/cman/internal/all")["verdict"] == "reported"


def test_too_few_of_a_class_to_divide_are_refused(tables: Path) -> None:
    rows = [[row[0], "yes" if i < 2 else "no", *row[2:]] for i, row in enumerate(good_rows("north"))]
    write_rows(tables.parent / "north.csv", rows)
    error = refused(tables, DataError, "needs both")
    assert error.field == "split"
    assert error.file is None


def test_an_empty_site_is_refused(tables: Path) -> None:
    for rows, words in (
        ([], ["no row"]),
        ([[f"{PATIENT}1", "perhaps", "50", "a"]], ["site far", "1 patient other_class", "task.positive"]),
        ([[f"{PATIENT}1", "", "50", "a"]], ["site far", "1 patient missing_label"]),
        ([[f"{PATIENT}1", "yes", "", ""]], ["site far", "1 patient no_usable_data"]),
        ([["", "yes", "50", "a"]], ["site.source.columns", "no row names a patient"]),
    ):
        write_rows(tables.parent / "far.csv", rows)
        refused(tables, DataError, "far.csv", *words)
    write_rows(tables.parent / "far.csv", good_rows("far", 20))
    succeeds(tables)


def test_a_wrong_study_file_is_refused_by_key_and_line(tables: Path) -> None:
    text = tables.read_text()
    for old, new, words in (
        ("seed = 3", "sead = 3", ["sead", "did you mean seed?", "seed: is missing"]),
        ("[training]", "[trainning]", ["trainning", "did you mean training?"]),
        ("epochs = 1", "epoch = 1", ["training.epoch", "did you mean epochs?"]),
        ("numeric =", "numerics =", ["numerics", "did you mean numeric?"]),
        ('reader = "table"', 'raeder = "table"', ["raeder", "did you mean reader?"]),
        ("seed = 3", "seed = three", ["not valid TOML", "line 4"]),
        ("epochs = 1", "epochs = 0", ["training.epochs", "must be at least 1"]),
        ("epochs = 1", "epochs = nan", ["training.epochs", "finite"]),
    ):
        tables.write_text(text.replace(old, new))
        error = refused(tables, StudyError, "line ", *words)
        assert (error.code, error.file) == ("HZ20", str(tables))
        assert not tables.with_suffix(".run").exists()
    tables.write_text(text)
    succeeds(tables)


def test_a_study_file_of_bytes_and_one_that_is_not_there(tables: Path) -> None:
    tables.write_bytes(tables.read_bytes() + b"\xff\xfe")
    refused(tables, StudyError, "UTF-8")
    refused(tables.with_name("other.toml"), StudyError, "other.toml", "huizhen study new")


def test_a_source_that_does_not_fit_is_refused(tables: Path) -> None:
    text = tables.read_text()
    for old, new, field, words in (
        ('path = "north.csv"', 'path = "north.tsv"', "site.source.path", ["north.tsv"]),
        ('path = "north.csv"', 'path = "../north.csv"', "site.source.path", ["outside"]),
        ('outcome = "outcome"', 'outcome = "result"', "site.source.columns", ["result", "north.csv"]),
        ('numeric = ["age"]', 'numeric = ["aeg"]', "modality clinic numeric", ["aeg", "north.csv"]),
    ):
        tables.write_text(text.replace(old, new))
        error = refused(tables, DataError, *words)
        assert (error.field, bool(error.file)) == (field, True)
        shutil.rmtree(tables.with_suffix(".run"))  # that study was signed; the corrected one is another
    tables.write_text(text)
    succeeds(tables)


def test_a_table_that_is_no_table_is_refused(tables: Path) -> None:
    (tables.parent / "north.csv").write_bytes(bytes(range(256)) * 20)
    refused(tables, UnreadableFileError, "north.csv")
    write_rows(tables.parent / "north.csv", good_rows("north"))
    succeeds(tables)


def test_a_study_changed_after_signing_is_refused(tables: Path) -> None:
    first = succeeds(tables)
    text = tables.read_text()
    tables.write_text(text.replace("epochs = 1", "epochs = 2"))
    with pytest.raises(StudyError, match=r"changed after it was signed: training\.") as caught:
        run(tables)
    assert caught.value.exit_code == 20
    assert "--out" in caught.value.remedy
    tables.write_text(text)
    assert succeeds(tables).entries == first.entries


# --- the disk ------------------------------------------------------------------------------------------


@contextmanager
def full_disk(name: str, after: int) -> Iterator[None]:
    """Let `os.<name>` fail as on a full disk from its call number `after` on."""
    real, calls = getattr(os, name), [0]

    def failing(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if calls[0] >= after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, name, failing)
        yield


def test_a_disk_that_is_full_at_any_moment(tables: Path, tmp_path: Path) -> None:
    """Run after run in one folder, each with a little more room; then one with enough."""
    expected = succeeds(tables, out=tmp_path / "undisturbed")
    errors: list[StorageError] = []
    while len(errors) < 60:
        name = ("replace", "fsync", "write")[len(errors) % 3]
        try:
            with full_disk(name, 1 + len(errors) // 9):
                run(tables)
            break
        except StorageError as error:
            errors.append(error)
        nothing_looks_whole(tables.with_suffix(".run"))
    assert len(errors) >= 15
    assert {(error.code, error.exit_code) for error in errors} == {("HZ80", 80)}
    assert all("No space left" in error.message for error in errors)
    assert all("free space" in error.remedy for error in errors)
    assert all(error.file for error in errors)
    result = succeeds(tables)
    assert predictions(result) == predictions(expected)
    keys = [entry["body"]["key"] for entry in ledger(result) if entry["kind"] == "evidence"]
    assert len(keys) == len(set(keys))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of one MiB."""
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode:
        pytest.skip(f"no file system may be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture(scope="module")
def undisturbed(blobs: Blobs, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunResult]:
    """A study of images and a table, and its run: run it again elsewhere, and change nothing."""
    folder = tmp_path_factory.mktemp("undisturbed")
    study: Path = blobs(variants='"cman"', training="epochs = 1").write(folder)
    return study, succeeds(study)


@pytest.mark.slow
def test_a_disk_that_really_is_full(undisturbed: tuple[Path, RunResult], small_disk: Path) -> None:
    study, expected = undisturbed
    needed_mib = sum(p.stat().st_size for p in expected.run_folder.rglob("*") if p.is_file()) // 2**20
    failures = 0
    for share in (0.02, 0.3, 0.6, 0.9):
        size = max(1, int(needed_mib * share))
        subprocess.run(["mount", "-o", f"remount,size={size}m", str(small_disk)], check=True)
        error = refused(study, StorageError, "No space left", "free space", out=small_disk / "run")
        assert error.file
        failures += 1
    subprocess.run(["mount", "-o", f"remount,size={2 * needed_mib + 8}m", str(small_disk)], check=True)
    assert predictions(succeeds(study, out=small_disk / "run")) == predictions(expected)
    assert failures == 4


def test_a_folder_that_cannot_be_written(tables: Path, tmp_path: Path) -> None:
    """A file stands where the folder should be: who runs as root can write into any other."""
    out, home = tmp_path / "file" / "out", tmp_path / "keys"
    for place in (tmp_path / "file", home, out / "stages", out / "ledger"):
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(place, ignore_errors=True)
        place.write_text("")
        error = refused(tables, StorageError, out=out, home=home)
        assert error.exit_code == 80
        assert error.file is not None
        assert str(place) in error.file
        place.unlink()
    succeeds(tables, out=out, home=home)


def test_a_file_system_that_may_only_be_read(tables: Path, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    error = refused(tables, StorageError, "Read-only", "may be written", out=small_disk / "run")
    assert str(small_disk) in str(error.file)
    subprocess.run(["mount", "-o", "remount,rw,size=64m", str(small_disk)], check=True)
    succeeds(tables, out=small_disk / "run")


@pytest.mark.slow
def test_a_cache_that_cannot_be_written(blobs: Blobs, tmp_path: Path) -> None:
    study = blobs(variants='"cman"', training="epochs = 1").write(tmp_path)
    cache = study.with_suffix(".run") / "cache"
    cache.parent.mkdir()
    cache.write_text("")
    error = refused(study, StorageError)
    assert error.file is not None
    assert str(cache) in error.file
    cache.unlink()
    succeeds(study)


# --- images --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_broken_images_among_good_ones(blobs: Blobs, tmp_path: Path) -> None:
    study = blobs(variants='"cman"', training="epochs = 1").write(tmp_path)
    north = tmp_path / "north"
    (north / "north-0.png").write_bytes(b"")
    (north / "north-1.png").write_bytes((north / "north-1.png").read_bytes()[:200])
    (north / "north-2.png").write_bytes(b"not an image")
    Image.new("L", (32, 32), 90).save(north / "north-3.png")  # blank
    shutil.copy(north / "north-5.png", north / "north-4.png")  # of another patient, with another outcome
    (north / "north-6.png").unlink()
    (north / "notes.txt").write_text("not an image either")
    (north / "nobody.png").write_bytes((north / "north-9.png").read_bytes())
    found = exclusions(succeeds(study))
    assert found["north", "image", "unreadable"] == 4
    assert found["north", "image", "absent_file"] == 1
    assert found["north", "image", "blank"] == 1
    assert found["north", "patient", "conflicting_label"] == 2
    assert found["north", "image", "missing_label"] == 1


@pytest.mark.slow
def test_nothing_but_broken_images_is_refused(blobs: Blobs, tmp_path: Path) -> None:
    study = blobs(variants='"cman"', training="epochs = 1", more=TABLES_OFF).write(tmp_path)
    kept = shutil.copytree(tmp_path / "far", tmp_path / "kept")
    for path in (tmp_path / "far").iterdir():
        path.write_bytes(b"broken")
    refused(study, DataError, "site far", "image unreadable (far-0.png, ...)", "far.csv")
    shutil.rmtree(tmp_path / "far")
    (tmp_path / "far").mkdir()
    refused(study, DataError, "far", "no file")
    (tmp_path / "far").rmdir()
    kept.rename(tmp_path / "far")
    succeeds(study)


TABLES_OFF = {
    '\n[[modality]]\nname = "clinic"\nkind = "table"\nnumeric = ["age"]': "",
    '\n[[site.source]]\nreader = "table"\nmodality = "clinic"\npath = "north.csv"\n'
    'columns = { patient = "patient" }': "",
    '\n[[site.source]]\nreader = "table"\nmodality = "clinic"\npath = "far.csv"\n'
    'columns = { patient = "patient" }': "",
}
"""The study of blobs without its tables."""


@pytest.mark.slow
def test_pixels_that_are_no_numbers(blobs: Blobs, tmp_path: Path) -> None:
    """Arrays of floats, some NaN or infinite: images left out, or a run that can't start."""
    study = blobs(variants='"cman"', training="epochs = 1", more=TABLES_OFF).write(tmp_path)
    text = study.read_text()
    for name in ("north", "far"):
        with (tmp_path / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        images = np.stack(
            [np.asarray(Image.open(tmp_path / name / r["file"]), np.float32) / 255 for r in rows]
        )
        images[0, 3, 3], images[1, 0, 0], images[2, 9, 9] = np.nan, np.inf, -np.inf
        np.savez(tmp_path / f"{name}.npz", images=images)
        text = text.replace(
            f'reader = "images"\nmodality = "US"\npath = "{name}"',
            f'reader = "npz"\nmodality = "US"\npath = "{name}.npz"',
        )
    study.write_text(text.replace(', image = "file"', ""))
    found = exclusions(succeeds(study))
    assert {found[name, "image", "non_finite"] for name in ("north", "far")} == {3}
    assert found["north", "patient", "no_usable_data"] == 3


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["frozen", "finetune"])
def test_a_modality_that_no_tested_patient_has(blobs: Blobs, tmp_path: Path, mode: str) -> None:
    """Rare modalities happen to be missing from a whole part: the run goes on without them there."""
    sites = (("north", "development", 48),)
    study = blobs(sites=sites, variants='"cman"', training=f'epochs = 1\nmode = "{mode}"').write(tmp_path)
    with pytest.raises(KeyboardInterrupt):  # the cohort is divided by now
        run(study, progress=StopAt("pack"), out=tmp_path / "first")
    [cohort] = (tmp_path / "first" / "stages").glob("cohort-*")
    [fold] = json.loads((cohort / "folds.json").read_text())
    cases = {c["pseudonym"]: c for c in json.loads((cohort / "cases.json").read_text())}
    for pseudonym, part in fold["parts"].items():
        if part == "test":
            (tmp_path / "north" / cases[pseudonym]["images"]["US"][0]["key"]).unlink()
    result = succeeds(study)
    present = predictions(result)["predictions_test.csv"].decode().splitlines()
    place = present[0].split(",").index("present:US")
    assert {line.split(",")[place] for line in present[1:]} == {"0"}


@pytest.mark.slow
def test_a_modality_that_too_few_train_with_is_refused_by_name(blobs: Blobs, tmp_path: Path) -> None:
    study = blobs(variants='"cman", "single"', training="epochs = 1").write(tmp_path)
    away = tmp_path / "away"
    away.mkdir()
    for i in range(1, 48, 2):  # every image with a blob
        (tmp_path / "north" / f"north-{i}.png").rename(away / f"north-{i}.png")
    error = refused(study, DataError, "single:US", "0 positive", "needs both")
    assert error.field == "network.variants"
    for path in away.iterdir():
        path.rename(tmp_path / "north" / path.name)
    succeeds(study)


# --- the cache -----------------------------------------------------------------------------------------


class StopAt(Silent):
    """Progress that ends a run when a task begins, as a power cut would."""

    def __init__(self, task: str, about: str = "") -> None:
        self.stop = (task, about)

    @contextmanager
    def track(self, task: str, total: int, *, about: str = "") -> Iterator[Advance]:
        if task == self.stop[0] and self.stop[1] in about:
            raise KeyboardInterrupt
        yield lambda steps: None


@pytest.mark.slow
def test_a_tampered_cache_entry_is_set_aside_made_again_and_told(
    undisturbed: tuple[Path, RunResult], tmp_path: Path
) -> None:
    """One of each kind: what was seen of images, an encoder's features, packed pixels; killed runs too."""
    study, expected = undisturbed
    cache, tampered = tmp_path / "run" / "cache", list[Path]()
    for stop, entry in (
        (("ingest", "far"), "*.json"),
        (("fit", ""), "*.features/features.npy"),
        (("fit", ""), "*.pack/pixels.npy"),
    ):
        with pytest.raises(KeyboardInterrupt):
            run(study, progress=StopAt(*stop), out=tmp_path / "run")
        tampered += (found := list(cache.glob(f"*/{entry}")))
        assert found
        for path in found:
            content = bytearray(path.read_bytes())
            content[-9] ^= 1
            path.write_bytes(content)
    result = succeeds(study, out=tmp_path / "run")
    [told] = [e["body"]["entries"] for e in ledger(result) if e["kind"] == "damage"]
    assert len(told) == len(tampered)
    assert len(list(cache.glob("*/*.damaged"))) == len(tampered)
    assert predictions(result) == predictions(expected)
    assert "set aside" in (result.dossier / "index.html").read_text(encoding="utf-8")


# --- DICOM ---------------------------------------------------------------------------------------------

DICOM_STUDY = """\
name = "mammograms"
title = "Mammograms"
question = "Is there a blob?"
seed = 5
[task]
outcome = "blob"
positive = ["1"]
negative = ["0"]
[[modality]]
name = "MG"
kind = "image"
pretrained = false
size = 32
[[site]]
name = "north"
[[site.source]]
reader = "dicom"
modality = "MG"
path = "north"
labels = "north.csv"
columns = { patient = "patient", outcome = "outcome" }
dicom_modality = "MG"
[network]
variants = ["cman"]
width = 16
heads = 2
[training]
epochs = 1
"""


def write_dicom(path: Path, patient: str, seed: int, *, modality: str = "MG", study: str = "") -> None:
    """Write one small image of a patient."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.Modality, data.PatientID = modality, patient
    data.SOPClassUID = {"MG": "1.2.840.10008.5.1.4.1.1.1.2", "US": "1.2.840.10008.5.1.4.1.1.6.1"}[modality]
    data.SOPInstanceUID = generate_uid(entropy_srcs=[path.name, modality])
    data.StudyInstanceUID = generate_uid(entropy_srcs=["study", study or patient])
    data.SeriesInstanceUID = generate_uid(entropy_srcs=["series", study or patient, modality])
    pixels = np.random.default_rng(seed).integers(0, 4000, (40, 32)).astype(np.uint16)
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.PixelData = pixels.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, data, implicit_vr=False, little_endian=True, enforce_file_format=True)


@pytest.fixture
def mammograms(tmp_path: Path) -> Path:
    """A study of 48 patients' DICOM files. Return its file."""
    rows = ["patient,outcome"]
    for i in range(48):
        write_dicom(tmp_path / "north" / f"{i:02}.dcm", f"{PATIENT}{i}", i)
        rows.append(f"{PATIENT}{i},{i % 2}")
    (tmp_path / "north.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "study.toml").write_text(DICOM_STUDY)
    return tmp_path / "study.toml"


@pytest.mark.slow
def test_broken_truncated_foreign_and_mixed_dicom_among_good_files(mammograms: Path) -> None:
    north = mammograms.parent / "north"
    whole = (north / "00.dcm").read_bytes()
    (north / "00.dcm").write_bytes(whole[:500])  # cut within the header
    (north / "01.dcm").write_bytes((north / "01.dcm").read_bytes()[:-1000])  # cut within the pixels
    (north / "02.dcm").write_bytes(b"")
    (north / "03.dcm").write_bytes(os.urandom(4000))
    (north / "readme.txt").write_text("not DICOM")
    write_dicom(north / "04.dcm", f"{PATIENT}4", 4, modality="US")
    for i in (5, 6):  # one study, two patients: nobody can tell whose it is
        write_dicom(north / f"{i:02}.dcm", f"{PATIENT}{i}", i, study="shared")
    write_dicom(north / "07.dcm", "", 7)
    write_dicom(north / "stranger.dcm", f"{PATIENT}unlisted", 99)
    shutil.copy(north / "08.dcm", north / "copy.dcm")
    twin = pydicom.dcmread(north / "09.dcm")
    twin.PixelData = bytes(reversed(twin.PixelData))
    twin.save_as(north / "twin.dcm")  # another image under the same identifier
    result = succeeds(mammograms)
    found = exclusions(result)
    assert found["north", "image", "unreadable"] == 5
    assert found["north", "image", "wrong_modality"] == 1
    assert found["north", "image", "mixed_patients"] == 2
    assert found["north", "image", "missing_patient"] == 1
    assert found["north", "image", "exact_duplicate"] == 1
    assert found["north", "image", "duplicate_id"] == 1
    assert found["north", "patient", "missing_label"] == 1
    assert evidence(result, "data/flow")["n"] == 48 - 8


@pytest.mark.slow
def test_a_folder_of_another_modality_is_refused_and_says_what_it_found(mammograms: Path) -> None:
    text = mammograms.read_text()
    mammograms.write_text(text.replace('dicom_modality = "MG"', 'dicom_modality = "MR"'))
    refused(mammograms, DataError, "site north", "48 image wrong_modality (00.dcm, ...)", "north.csv")
    shutil.rmtree(mammograms.with_suffix(".run"))
    mammograms.write_text(text)
    succeeds(mammograms)


@pytest.mark.slow
def test_a_folder_of_broken_dicom_only_is_refused(mammograms: Path) -> None:
    north = mammograms.parent / "north"
    kept = shutil.copytree(north, north.with_name("kept"))
    for path in north.iterdir():
        path.write_bytes(path.read_bytes()[:300])
    refused(mammograms, DataError, "site north", "48 image unreadable (00.dcm, ...)")
    shutil.rmtree(north)
    kept.rename(north)
    succeeds(mammograms)


def test_labels_that_are_missing_are_refused(mammograms: Path) -> None:
    """The whole table, its column of outcomes, every cell of it."""
    table = mammograms.parent / "north.csv"
    text = table.read_text()
    table.unlink()
    error = refused(mammograms, DataError, "north.csv", "correct the path")
    assert (error.field, error.file) == ("site.source.labels", "north.csv")
    table.write_text(text.replace("patient,outcome", "patient,result"))
    error = refused(mammograms, DataError, "outcome", "north.csv")
    assert error.field == "site.source.columns"
    table.write_text("patient,outcome\n" + "".join(f"{PATIENT}{i},\n" for i in range(48)))
    refused(mammograms, DataError, "site north", "48 patient missing_label", "north.csv")


def test_another_runs_ledger_and_two_runs_at_once(tables: Path, tmp_path: Path) -> None:
    """Another person's key goes on no ledger but its own; and one folder has one writer."""
    succeeds(tables)
    with pytest.raises(LedgerError, match="signed by key") as caught:
        run(tables, home=tmp_path / "another home")
    assert "another folder" in caught.value.remedy
    key = SigningKey.create_or_load(tables.parent / "home" / "signing_key.pem")
    with Log.open(tables.with_suffix(".run") / "ledger", key), pytest.raises(LedgerError, match="open"):
        run(tables)
    succeeds(tables)
