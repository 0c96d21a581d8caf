"""A study's training patients: no other outcome is read, linked ones stay together, errors are found."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from huizhen.core.progress import Silent
from huizhen.core.streams import stream
from huizhen.core.study_file import load_study
from huizhen.data.cache import Cache
from huizhen.data.intake import intake
from huizhen.data.splits import split_cohort
from huizhen.errors import DataError, StudyError
from huizhen.federate.site.folder import SiteFolder
from huizhen.pipeline.labels.audit import audit_labels
from huizhen.pipeline.labels.study_risks import grouped_folds, linked_groups, study_risks

STUDY = """
schema_version = 1
name = "clinic"
title = "Clinic"
question = "Is it malignant?"
seed = 3

[task]
outcome = "found"
positive = ["malignant"]
negative = ["benign"]

[[modality]]
name = "clinic"
kind = "table"
numeric = ["size", "age"]
categorical = ["shape"]

[[site]]
name = "north"

[[site.source]]
reader = "table"
modality = "clinic"
path = "clinic.csv"
columns = { patient = "id", outcome = "found" }
"""


def write(folder: Path, *, n: int = 400, wrong: int = 16, study: str = STUDY) -> tuple[Path, set[str]]:
    """Write a study and its table; return the file, and the patients whose label is wrong."""
    draw = stream(1, "study risks")
    truth = draw.integers(0, 2, n)
    mistaken = {f"P{k:03d}" for k in draw.choice(n, wrong, replace=False)}
    with (folder / "clinic.csv").open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["id", "found", "size", "age", "shape"])
        for k in range(n):
            name = f"P{k:03d}"
            found = bool(truth[k]) != (name in mistaken)
            size = "" if k % 17 == 0 else f"{draw.normal() + 4 * truth[k]:.3f}"
            shape = "round" if draw.random() < 0.8 - 0.6 * truth[k] else "spiky"
            row = ["malignant" if found else "benign", size, f"{draw.normal(60, 9):.0f}", shape]
            out.writerow([name, *row])
    (folder / "study.toml").write_text(study, encoding="utf-8")
    return folder / "study.toml", mistaken


def risks_of(file: Path, **how: object):  # type: ignore[no-untyped-def]  # of study_risks
    cache = file.parent / "cache"
    given = {"site": None, "data_root": None, "cache": cache, "progress": Silent(), "seed": 1, **how}
    return study_risks(file, **given)  # type: ignore[arg-type]  # by name


def test_only_training_patients_take_part_and_wrong_labels_come_first(tmp_path: Path) -> None:
    file, mistaken = write(tmp_path)
    found = risks_of(file)
    study = load_study(file)
    taken = intake(
        study,
        roots=[tmp_path],
        pseudonym_secret=b"x" * 32,
        cache=Cache(tmp_path / "other"),
        progress=Silent(),
    )
    (fold,) = split_cohort(taken.cohort, study, taken.links)
    inside = {c.patient_id for c in taken.cohort.cases if fold.parts[c.pseudonym] == "train"}
    assert set(found.case) == inside
    assert len(inside) < 300
    assert found.classes == ("benign", "malignant")
    audit = audit_labels(found)
    hits = [found.case[k] in mistaken for k in audit.order]
    held = sum(hits)
    assert sum(hits[: held + 2]) >= 0.6 * held
    assert found.origin["tested_in_turn"] is False


def test_a_study_by_folds_is_marked(tmp_path: Path) -> None:
    file, _ = write(tmp_path, study=STUDY + '\n[split]\nmethod = "folds"\nfolds = 4\n')
    assert risks_of(file).origin["tested_in_turn"] is True


def test_too_few_patients_and_studies_that_cannot_be_audited_here(tmp_path: Path) -> None:
    file, _ = write(tmp_path, n=60)
    with pytest.raises(DataError, match="too few for folds"):
        risks_of(file)
    home = SiteFolder.create(tmp_path / "site", name="south", data=tmp_path)
    with pytest.raises(StudyError, match="no development site south"):
        risks_of(file, site=home)


def test_a_site_audits_its_own_part(tmp_path: Path) -> None:
    file, _ = write(tmp_path)
    more = STUDY + STUDY[STUDY.index("[[site]]") :].replace("north", "south").replace(
        "clinic.csv", "absent.csv"
    )
    file.write_text(more + "\n[federation]\n", encoding="utf-8")
    with pytest.raises(StudyError, match="keep their data"):
        risks_of(file)
    home = SiteFolder.create(tmp_path / "site", name="north", data=tmp_path)
    assert len(risks_of(file, site=home).case) > 100


def test_folds_keep_groups_whole_and_spread_events() -> None:
    outcome, group = np.arange(60) % 2, np.arange(60) // 3
    fold = grouped_folds(outcome.astype(np.int64), group.astype(np.int64), 5, stream(1, "folds"))
    assert all(len(set(fold[group == g])) == 1 for g in range(20))
    assert np.bincount(fold, minlength=5).min() >= 9


def test_linked_patients_share_a_group(tmp_path: Path) -> None:
    file, _ = write(tmp_path)
    taken = intake(
        load_study(file),
        roots=[tmp_path],
        pseudonym_secret=b"x" * 32,
        cache=Cache(tmp_path / "c"),
        progress=Silent(),
    )
    cases = taken.cohort.cases[:4]
    links = ((cases[0].pseudonym, cases[3].pseudonym),)
    assert linked_groups(cases, links).tolist() == [0, 1, 2, 0]
