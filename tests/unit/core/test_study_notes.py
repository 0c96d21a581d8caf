"""Notes on labels tables: both outcomes of one patient, and external sites of one class."""

from __future__ import annotations

from pathlib import Path

import pytest

from huizhen.core.study import Study
from huizhen.core.study_notes import study_notes


def study_of(folder: Path, rows: dict[str, str], *, mixed: str = "exclude") -> Study:
    """Return a study whose sites have these labels tables; the last one is external."""
    sites = []
    for name, text in rows.items():
        (folder / f"{name}.csv").write_text("patient,outcome\n" + text, encoding="utf-8")
        source = {
            "reader": "images",
            "modality": "US",
            "path": name,
            "labels": f"{name}.csv",
            "columns": {"patient": "patient", "outcome": "outcome"},
        }
        sites.append({"name": name, "role": "development", "source": [source]})
    sites[-1]["role"] = "external"
    task = {"outcome": "outcome", "positive": ["1"], "negative": ["0"], "mixed_outcomes": mixed}
    return Study.model_validate(
        {
            "name": "notes",
            "title": "Notes",
            "question": "?",
            "seed": 1,
            "task": task,
            "modality": [{"name": "US"}],
            "site": sites,
        }
    )


@pytest.mark.parametrize(("mixed", "remedy"), [("exclude", "left out"), ("positive", "count as positive")])
def test_patients_with_both_outcomes_are_noted_with_their_lines(
    tmp_path: Path, mixed: str, remedy: str
) -> None:
    study = study_of(tmp_path, {"north": "a,1\nb,0\na,0\n", "south": "c,1\nd,0\n"}, mixed=mixed)
    (note,) = study_notes(study, [tmp_path])
    assert note.field == "site[0].source[0].labels"
    assert "1 patients have both outcomes in north.csv, first lines 2 + 4" in note.reason
    assert remedy in note.remedy


def test_an_external_site_of_one_class_is_noted_and_a_development_site_is_not(tmp_path: Path) -> None:
    study = study_of(tmp_path, {"north": "a,1\nb,1\n", "south": "c,0\nd,0\n"})
    (note,) = study_notes(study, [tmp_path])
    assert (note.field, "all 2 patients" in note.reason, "negative" in note.reason) == ("site[1]", True, True)


def test_what_is_in_order_or_not_there_has_no_note(tmp_path: Path) -> None:
    study = study_of(tmp_path, {"north": "a,1\nb,0\n", "south": "c,1\nd,0\n"})
    assert study_notes(study, [tmp_path]) == []
    assert study_notes(study, [tmp_path / "elsewhere"]) == []
