"""A check from files to report: planted oddities are found, and no case is named in what leaves."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from huizhen.core.progress import Silent
from huizhen.core.streams import stream
from huizhen.core.words import Language
from huizhen.errors import StudyError
from huizhen.federate.site.folder import SiteFolder
from huizhen.pipeline.checks.check import Checked, check_data
from huizhen.pipeline.checks.evidence import check_evidence
from huizhen.pipeline.checks.private import COPIES, IMAGES, PICTURES, VALUES, write_private
from huizhen.pipeline.checks.report import write_report
from huizhen.pipeline.labels.report import page_name

STUDY = """
schema_version = 1
name = "checked"
title = "Checked"
question = "Is it malignant?"
seed = 3

[task]
outcome = "found"
positive = ["malignant"]
negative = ["benign"]

[[modality]]
name = "US"
size = 64

[[modality]]
name = "clinic"
kind = "table"
numeric = ["height", "chol", "marker"]

[[site]]
name = "north"
[[site.source]]
reader = "npz"
modality = "US"
path = "north.npz"
labels = "north.csv"
columns = { patient = "id", outcome = "found" }
[[site.source]]
reader = "table"
modality = "clinic"
path = "north.csv"
columns = { patient = "id" }

[[site]]
name = "south"
[[site.source]]
reader = "npz"
modality = "US"
path = "south.npz"
labels = "south.csv"
columns = { patient = "id", outcome = "found" }
[[site.source]]
reader = "table"
modality = "clinic"
path = "south.csv"
columns = { patient = "id" }
"""


def write_site(folder: Path, site: str, *, n: int = 60, missing: float) -> None:
    """Write a site's images and table, with one inverted image, a height in metres, and codes for missing."""
    draw = stream(1, "checks", site)
    images = np.kron(draw.integers(60, 200, (n, 8, 8)), np.ones((1, 8, 8))).astype(np.float64)
    images += draw.normal(0, 6, images.shape)
    images[5] = np.tile(np.linspace(0, 255, 64), (64, 1))
    np.savez(folder / f"{site}.npz", images=np.clip(images, 0, 255).astype(np.uint8))
    with (folder / f"{site}.csv").open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["id", "found", "height", "chol", "marker", "birth_date", "scan_date"])
        for k in range(n):
            positive = k % 3 == 0
            height = 1.71 if k == 7 else draw.normal(170, 8)
            chol = 0 if k < 6 else draw.normal(240, 35)
            marker = "" if draw.random() < missing + 0.5 * positive else f"{draw.normal():.3f}"
            scan = "1939-01-01" if k == 9 else "2020-01-01"
            row = ["malignant" if positive else "benign", f"{height:.2f}", f"{chol:.1f}", marker]
            out.writerow([f"{site}-{k:03d}", *row, "1950-01-01", scan])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("checks")
    write_site(made, "north", missing=0.05)
    write_site(made, "south", missing=0.4)
    (made / "study.toml").write_text(STUDY, encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def found(folder: Path) -> Checked:
    return check_data(
        folder / "study.toml", site=None, data_root=None, cache=folder / "cache", progress=Silent()
    )


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_planted_oddities_are_listed_at_the_site(found: Checked, tmp_path: Path) -> None:
    write_private(found, tmp_path / "stays", language=Language.ZH, pictures=True)
    images = rows(tmp_path / "stays" / IMAGES)
    assert {row["case"] for row in images} >= {"north-005", "south-005"}
    values = {
        (row["case"], row["column"], row["why"], row["factor"]) for row in rows(tmp_path / "stays" / VALUES)
    }
    for site in ("north", "south"):
        assert (f"{site}-007", "height", "unit", "100") in values
        assert {case for case, column, why, _ in values if column == "chol" and why == "code"} >= {
            f"{site}-{k:03d}" for k in range(6)
        }
    dates = [row for row in rows(tmp_path / "stays" / VALUES) if row["why"] == "before_birth"]
    assert [(row["line"], row["column"]) for row in dates] == [("11", "scan_date")] * 2
    assert (tmp_path / "stays" / COPIES).exists()
    page = (tmp_path / "stays" / PICTURES).read_text(encoding="utf-8")
    assert "north-005" in page
    assert "data:image/png" in page
    for path in (tmp_path / "stays").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600


def test_missingness_by_outcome_and_site_is_tested(found: Checked) -> None:
    by_metric = {one.metric: one.detail["rows"] for one in check_evidence(found) if "rows" in one.detail}
    (row,) = by_metric["missing_by_outcome"]
    assert row["variable"] == "clinic: marker"
    assert row["low"] > 0.1
    assert row["holm"] < 0.01
    assert row["n"] == found.training < 100
    (sites,) = by_metric["missing_by_site"]
    assert (sites["most"], sites["least"]) == ("south", "north")
    assert sites["low"] > 0


def test_no_tested_patients_outcome_is_counted(found: Checked) -> None:
    cases = found.taken.cohort.cases
    assert found.training < len(cases)
    assert found.by_outcome[0]["n"] == found.training


def test_evidence_and_pages_name_nobody(found: Checked, tmp_path: Path) -> None:
    evidence = check_evidence(found)
    write_report(evidence, tmp_path, title="Checked")
    assert {one.key.partition("/")[0] for one in evidence} == {"missing", "acquisition", "quality"}
    for path in tmp_path.iterdir():
        text = path.read_text(encoding="utf-8")
        assert "north-0" not in text
        assert "south-0" not in text
    assert "Is it missing by outcome?" in (tmp_path / page_name(Language.EN)).read_text(encoding="utf-8")
    assert "缺失是否与结局有关" in (tmp_path / page_name(Language.ZH)).read_text(encoding="utf-8")


def test_small_counts_are_not_told(found: Checked) -> None:
    (values,) = [one for one in check_evidence(found) if one.metric == "odd_values"]
    told = {(row["site"], row["column"], row["why"]): row["values"] for row in values.detail["rows"]}
    assert told["north", "clinic: height", "unit 100"] is None
    assert told["north", "clinic: chol", "code"] == 6
    (plain,) = [one for one in check_evidence(found, smallest=1) if one.metric == "odd_values"]
    assert 1 in [row["values"] for row in plain.detail["rows"]]
    assert json.dumps([one.to_json() for one in check_evidence(found)])


def test_a_site_checks_its_own_part_alone(folder: Path, tmp_path: Path) -> None:
    home = SiteFolder.create(tmp_path / "site", name="north", data=folder)
    given: dict[str, Any] = {"data_root": None, "cache": tmp_path / "cache", "progress": Silent()}
    part = check_data(folder / "study.toml", site=home, **given)
    assert part.missing.sites == ("north",)
    other = SiteFolder.create(tmp_path / "other", name="west", data=folder)
    with pytest.raises(StudyError, match="no site west"):
        check_data(folder / "study.toml", site=other, **given)
    file = tmp_path / "federated.toml"
    file.write_text(STUDY + "\n[federation]\n", encoding="utf-8")
    with pytest.raises(StudyError, match="keep their data"):
        check_data(file, site=None, **given)


def test_a_test_from_which_a_small_count_follows_is_not_told(found: Checked) -> None:
    plain = [one for one in check_evidence(found, smallest=1) if one.metric.startswith("missing_by")]
    strict = [one for one in check_evidence(found, smallest=1000) if one.metric.startswith("missing_by")]
    assert all(one.detail["rows"] for one in plain)
    assert not any(one.detail["rows"] for one in strict)
    assert "counts" not in json.dumps([one.to_json() for one in plain])
