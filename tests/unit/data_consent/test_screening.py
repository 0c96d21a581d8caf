"""A hospital's register: read as it is or not at all, and held against a study before pixels are read."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from huizhen.core.progress import Silent
from huizhen.core.study import Study
from huizhen.data.cache import Cache
from huizhen.data.consent.register import read_register
from huizhen.data.consent.screening import consent_evidence, standing_digest
from huizhen.data.intake import Intake, intake
from huizhen.errors import DataError
from huizhen.pipeline.listing import listing_digest

DAY = date(2026, 11, 23)
HEAD = "patient,version,given,terms,decision,modalities,withdrawn,until\n"
ROWS = (
    *("a,1,2025-01-01,HMB; NCU,,,,", "b,1,2025-01-01,HMB,,,,", "c,1,2025-01-01,HMB,,,2026-01-01,"),
    *("d,1,2025-01-01,CC,,,,", "e,1,2025-01-01,HMB,,,,2026-11-23", "f,1,2025-01-01,HMB,,CT,,"),
)


def study_over(folder: Path, **use: Any) -> Study:
    """Write seven patients' images, labels and consents, and return a study over them."""
    images = np.random.default_rng(0).integers(0, 255, (7, 40, 40)).astype(np.uint8)
    np.savez(folder / "scans.npz", images=images)
    rows = "".join(f"{who},{what}\n" for who, what in zip("abcdefg", ["bad", "good"] * 4, strict=False))
    (folder / "labels.csv").write_text("who,what\n" + rows, encoding="utf-8")
    (folder / "consents.csv").write_text(HEAD + "\n".join(ROWS) + "\n", encoding="utf-8")
    columns = {"patient": "who", "outcome": "what"}
    source = {
        "reader": "npz",
        "modality": "US",
        "path": "scans.npz",
        "labels": "labels.csv",
        "columns": columns,
    }
    return Study.model_validate(
        {
            "name": "asked",
            "title": "Asked",
            "question": "?",
            "seed": 1,
            "task": {"outcome": "what", "positive": ["bad"], "negative": ["good"]},
            "modality": [{"name": "US", "size": 32}],
            "site": [
                {"name": "north", "consent": "consents.csv", "source": [{**source, "columns": columns}]}
            ],
            "use": {"commercial": False, **use},
        }
    )


def taken(study: Study, folder: Path, day: date = DAY) -> Intake:
    """Return the study's intake."""
    cache = Cache(folder / "cache")
    return intake(study, roots=[folder], pseudonym_secret=b"s", cache=cache, progress=Silent(), day=day)


def test_only_who_permits_the_use_is_in(tmp_path: Path) -> None:
    found = taken(study_over(tmp_path), tmp_path)
    assert [case.patient_id for case in found.cohort.cases] == ["a", "b", "e"]
    assert [(e.unit, e.reason) for e in found.cohort.exclusions] == [("patient", "no_consent")] * 4
    steps = {step.step: step.patients for step in found.flow.steps}
    assert (steps["found"], steps["included"]) == (7, 3)
    (screening,) = found.screenings
    assert screening.counts() == {
        "permitted": 3,
        "no_consent": 1,
        "withdrawn": 1,
        "purpose": 1,
        "modality": 1,
    }
    told = consent_evidence(screening, phantom=False)
    assert told.key == "consent/north"
    assert told.n == 7


def test_no_pixel_of_who_refused_is_looked_at(tmp_path: Path) -> None:
    found = taken(study_over(tmp_path), tmp_path)
    assert len(found.fingerprints) == 3


def test_a_commercial_use_and_another_day_are_other_answers(tmp_path: Path) -> None:
    study = study_over(tmp_path, commercial=True)
    with pytest.raises(DataError):  # b and e have one outcome each; a forbids it
        taken(study, tmp_path, date(2026, 11, 24))
    assert len(taken(study, tmp_path).cohort.cases) == 2


def test_a_withdrawal_is_another_cohort_and_the_calendar_alone_is_not(tmp_path: Path) -> None:
    study = study_over(tmp_path)
    site = study.site[0]
    before = standing_digest(site, study, roots=[tmp_path], day=DAY)
    assert standing_digest(site, study, roots=[tmp_path], day=date(2026, 11, 22)) == before
    assert standing_digest(site, study, roots=[tmp_path], day=date(2026, 11, 24)) != before, "e runs out"
    listed = listing_digest(study, [tmp_path])
    text = (tmp_path / "consents.csv").read_text(encoding="utf-8")
    (tmp_path / "consents.csv").write_text(
        text.replace("b,1,2025-01-01,HMB,,,,", "b,1,2025-01-01,HMB,,,2026-02-01,")
    )
    assert listing_digest(study, [tmp_path]) != listed


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("x,1,2025-01-01,HMX,,,,", "terms"),
        ("x,one,2025-01-01,HMB,,,,", "version"),
        ("x,1,01/02/2025,HMB,,,,", "given"),
        ("x,1,2025-01-01,HMB,maybe,,,", "decision"),
        ("x,1,2025-01-01,HMB,,,2024-01-01,", "withdrawn"),
        (",1,2025-01-01,HMB,,,,", "patient"),
        ("x,1_0,2025-01-01,HMB,,,,", "version"),
        ("x,\uff12,2025-01-01,HMB,,,,", "version"),
        ("x\u200b,2,2025-01-01,HMB,deny,,,", "patient"),
        ("x\u034f,2,2025-01-01,HMB,deny,,,", "patient"),
        ("x\ufe0f,2,2025-01-01,HMB,deny,,,", "patient"),
        ("\uff58,2,2025-01-01,HMB,deny,,,", "patient"),
    ],
)
def test_a_row_that_isn_t_understood_stops_the_reading(tmp_path: Path, row: str, column: str) -> None:
    path = tmp_path / "consents.csv"
    path.write_text(HEAD + ROWS[0] + "\n" + row + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 3") as caught:
        read_register(path)
    assert caught.value.field == column
    assert caught.value.remedy


def test_a_column_that_means_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "consents.csv"
    path.write_text("patient,version,given,terms,withdrawal_date\na,1,2025-01-01,HMB,2025-02-01\n")
    with pytest.raises(DataError, match="column 5 means"):
        read_register(path)


@pytest.mark.parametrize("swallowed", ["\nb,2,2026-01-01,HMB,deny,,,\n", "\rb", "\u2028b"])
def test_a_quotation_mark_left_open_swallows_no_row(tmp_path: Path, swallowed: str) -> None:
    path = tmp_path / "consents.csv"
    path.write_text(f'{HEAD}x,1,2025-01-01,HMB,,"US{swallowed}",,\n', encoding="utf-8", newline="")
    with pytest.raises(DataError, match="modalities isn't understood") as caught:
        read_register(path)
    assert "one line" in caught.value.remedy


def test_a_column_named_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "consents.csv"
    path.write_text("patient,version,given,terms,decision,decision\na,1,2025-01-01,HMB,permit,deny\n")
    with pytest.raises(DataError, match="decision stands 2 times"):
        read_register(path)


def test_a_table_without_a_header_tells_nobodys_name(tmp_path: Path) -> None:
    path = tmp_path / "consents.csv"
    path.write_text("ZHANG Wei 4711882,1,2025-01-01,HMB\nb,1,2025-01-01,HMB\n")
    with pytest.raises(DataError, match="column 1 means nothing") as caught:
        read_register(path)
    assert "ZHANG" not in str(caught.value)


def test_a_study_says_what_it_does_with_the_data(tmp_path: Path) -> None:
    said = study_over(tmp_path).model_dump(mode="json")
    del said["use"]
    with pytest.raises(ValidationError, match="keeps consents"):
        Study.model_validate(said)
    said = study_over(tmp_path).model_dump(mode="json")
    del said["site"][0]["consent"]
    with pytest.raises(ValidationError, match="against no consent"):
        Study.model_validate(said)
