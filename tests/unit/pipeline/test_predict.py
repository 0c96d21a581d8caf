"""Prediction with a locked model: new patients without outcomes get the risks that a test would give them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from huizhen.core.progress import Silent
from huizhen.errors import ModelError, StorageError
from huizhen.pipeline.finish import RunResult
from huizhen.pipeline.predict import predict


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def newcomers(finished: RunResult, tmp_path: Path) -> Path:
    """The patients of the far hospital as if their outcome were not known yet: no such column anywhere."""
    source = finished.run_folder.parent
    rows = table(source / "far.csv")
    with (tmp_path / "far.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(
            stream, [name for name in rows[0] if name != "outcome"], extrasaction="ignore"
        )
        writer.writeheader()
        writer.writerows(rows)
    head, *sites = (source / "study.toml").read_text(encoding="utf-8").split("[[site]]")
    rest = sites[-1].partition("[network]")[2]
    far = next(site for site in sites if 'name = "far"' in site).partition("[network]")[0]
    text = f"{head}[[site]]{far}[network]{rest}".replace(', outcome = "outcome"', "")
    (tmp_path / "new.toml").write_text(text.replace('role = "external"\n', ""), encoding="utf-8")
    assert "outcome =" not in text.partition("[[site]]")[2]
    return tmp_path / "new.toml"


def test_risks_and_decisions_are_those_of_the_test(
    finished: RunResult, newcomers: Path, tmp_path: Path
) -> None:
    done = predict(finished.model, newcomers, out=tmp_path / "risks.csv", progress=Silent())
    assert (done.table, done.patients, done.left_out) == (tmp_path / "risks.csv", 30, ())
    [cohort] = (finished.run_folder / "stages").glob("cohort-*")
    names = {c["pseudonym"]: c["patient_id"] for c in json.loads((cohort / "cases.json").read_text())}
    [tested] = finished.dossier.rglob("predictions_external.csv")
    expected = {names[row["patient"]]: row for row in table(tested)}
    found = table(tmp_path / "risks.csv")
    assert {row["patient"] for row in found} == set(expected)
    assert len(found) == 30
    for row in found:
        known = expected[row["patient"]]
        assert float(row["risk"]) == pytest.approx(float(known["risk:cman"]), abs=1e-6)
        assert row["decision"] == known["decision:cman"]


def test_a_hospital_without_one_of_the_modalities_is_answered(
    finished: RunResult, newcomers: Path, tmp_path: Path
) -> None:
    text = newcomers.read_text(encoding="utf-8")
    blood = text.index('[[modality]]\nname = "blood"'), text.index("[[site]]")
    source = text.index('[[site.source]]\nreader = "table"\nmodality = "blood"'), text.index("[network]")
    assert blood[0] < blood[1] < source[0] < source[1]
    without = text[: blood[0]] + text[blood[1] : source[0]] + text[source[1] :]
    newcomers.write_text(without.replace('"table_lr", ', ""), encoding="utf-8")
    predict(finished.model, newcomers, out=tmp_path / "risks.csv", progress=Silent())
    found = table(tmp_path / "risks.csv")
    assert {(row["present:clinic"], row["present:blood"]) for row in found} == {("1", "0")}
    assert len({row["risk"] for row in found}) > 20


def test_who_has_nothing_to_predict_from_is_left_out_and_told(
    finished: RunResult, newcomers: Path, tmp_path: Path
) -> None:
    with (tmp_path / "far.csv").open("a", encoding="utf-8") as stream:
        stream.write("nobody,,,\n,60,1,x\n")
    done = predict(finished.model, newcomers, out=tmp_path / "risks.csv", progress=Silent())
    assert done.patients == 30
    assert {(one.unit, one.reason) for one in done.left_out} == {
        ("patient", "no_usable_data"),
        ("row", "missing_patient"),
    }


def test_an_existing_table_stays(finished: RunResult, newcomers: Path, tmp_path: Path) -> None:
    (tmp_path / "risks.csv").write_text("mine")
    with pytest.raises(StorageError, match="exists already"):
        predict(finished.model, newcomers, out=tmp_path / "risks.csv", progress=Silent())
    assert (tmp_path / "risks.csv").read_text() == "mine"


def test_another_models_modalities_are_refused(finished: RunResult, newcomers: Path, tmp_path: Path) -> None:
    newcomers.write_text(newcomers.read_text().replace('"blood"', '"urine"'))
    with pytest.raises(ModelError, match="other modalities") as caught:
        predict(finished.model, newcomers, out=tmp_path / "risks.csv", progress=Silent())
    assert caught.value.remedy == "use clinic, blood"
