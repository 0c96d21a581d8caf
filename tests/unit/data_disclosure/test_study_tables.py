"""A study's tables held against the hospital's own policy, on the study's patients alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from huizhen.core.cohort import Case
from huizhen.core.evidence import Verdict
from huizhen.core.study import Study
from huizhen.data.disclosure.study_tables import study_table_evidence
from huizhen.errors import DataError
from huizhen.pipeline.listing import listing_digest

POLICY = "[quasi.sex]\n[quasi.town]\n[bounds]\nk = 2\n"


def study(folder: Path, **site: Any) -> Study:
    rows = [f"p{n},{'fm'[n % 2]},{'ab'[n // 4]},{'bad' if n % 2 else 'good'}" for n in range(8)]
    (folder / "t.csv").write_text("who,sex,town,what\n" + "\n".join(rows) + "\n", encoding="utf-8")
    (folder / "policy.toml").write_text(POLICY, encoding="utf-8")
    source = {"reader": "table", "modality": "clinical", "path": "t.csv"}
    columns = {"patient": "who", "outcome": "what"}
    return Study.model_validate(
        {
            "name": "held",
            "title": "Held",
            "question": "?",
            "seed": 1,
            "task": {"outcome": "what", "positive": ["bad"], "negative": ["good"]},
            "modality": [{"name": "clinical", "kind": "table", "categorical": ["sex"]}],
            "site": [{"name": "north", "source": [{**source, "columns": columns}], **site}],
        }
    )


def cases(*numbers: int) -> list[Case]:
    return [Case(pseudonym=f"x{n}", patient_id=f"p{n}", site="north", outcome=0) for n in numbers]


def test_only_the_studys_patients_are_counted(tmp_path: Path) -> None:
    asked = study(tmp_path, disclosure="policy.toml")
    (whole,) = study_table_evidence(asked, cases(*range(8)), [tmp_path])
    assert (whole.estimate, whole.n, whole.verdict) == (2.0, 8, Verdict.PASS)
    (part,) = study_table_evidence(asked, cases(0, 2, 4, 1), [tmp_path])
    assert (part.estimate, part.n, part.verdict) == (1.0, 4, Verdict.FAIL)
    assert part.key == "disclosure/north/0"
    assert part.detail["unique"] == "<10"


def test_a_policy_of_other_columns_is_not_assessed(tmp_path: Path) -> None:
    asked = study(tmp_path, disclosure="policy.toml")
    (tmp_path / "policy.toml").write_text("[quasi.weight]\n", encoding="utf-8")
    (found,) = study_table_evidence(asked, cases(*range(8)), [tmp_path])
    assert found.verdict is Verdict.NOT_ASSESSED


def test_a_site_without_a_policy_is_as_before(tmp_path: Path) -> None:
    asked = study(tmp_path)
    assert study_table_evidence(asked, cases(0), [tmp_path]) == []
    assert "disclosure" not in asked.model_dump(mode="json")["site"][0]


def test_a_changed_policy_makes_the_cohort_anew_and_an_absent_one_is_said(tmp_path: Path) -> None:
    asked = study(tmp_path, disclosure="policy.toml")
    before = listing_digest(asked, [tmp_path])
    (tmp_path / "policy.toml").write_text(POLICY.replace("k = 2", "k = 3"), encoding="utf-8")
    assert listing_digest(asked, [tmp_path]) != before
    (tmp_path / "policy.toml").unlink()
    with pytest.raises(DataError):
        study_table_evidence(asked, cases(0), [tmp_path])
