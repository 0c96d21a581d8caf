"""Whatever is left out or counted has words in both languages, and stands at the step where it left."""

from __future__ import annotations

import pytest

from huizhen.core.cohort import REASONS, UNITS
from huizhen.core.evidence import Evidence
from huizhen.core.words import Language, load_words
from huizhen.data.flow import STEPS, TALLIES
from huizhen.dossier.record import Measured
from huizhen.dossier.sections.flow import LABEL_REASONS, LATE_REASONS, flow_diagram
from huizhen.ledger.records import Entry

both = pytest.mark.parametrize("language", list(Language))


@both
@pytest.mark.parametrize("word", [*REASONS, *TALLIES, *STEPS])
def test_the_dossier_has_a_word(word: str, language: Language) -> None:
    assert load_words("huizhen.dossier", language)[f"value.{word}"]


@both
@pytest.mark.parametrize("unit", UNITS)
def test_units_have_words_for_one_and_many(unit: str, language: Language) -> None:
    words = load_words("huizhen.dossier", language)
    assert words[f"unit.{unit}"]
    assert words[f"unit.{unit}s"]


@both
def test_the_command_line_has_them_too(language: Language) -> None:
    words = load_words("huizhen.cli", language)
    assert all(words[f"reason.{reason}"] for reason in REASONS)
    assert all(words[f"unit.{unit}"] for unit in UNITS)
    assert all(words[f"table.{step}"] for step in STEPS)


def test_steps_of_reasons_are_reasons() -> None:
    assert set(REASONS) >= LABEL_REASONS | LATE_REASONS
    assert not LABEL_REASONS & LATE_REASONS


def left_at(unit: str, reason: str) -> list[str]:
    """Return the steps beside which the diagram shows this exclusion."""
    steps = [{"site": "a", "step": step, "patients": 9, "images": 9} for step in STEPS]
    out = [{"site": "a", "unit": unit, "reason": reason, "count": 2}]
    evidence = Evidence(
        key="data/flow",
        metric="flow",
        stage="data",
        descriptive=True,
        detail={"steps": steps, "exclusions": out},
    )
    entry = Entry(index=0, time="2025-01-01T00:00:00Z", version="1", kind="evidence", body=evidence.to_json())
    diagram = flow_diagram(Measured(entry=entry, evidence=evidence))
    assert diagram is not None
    return [step.name.en for step in diagram.steps if step.left_out]


@pytest.mark.parametrize("reason", ["conflicting_label", "near_duplicate", "exact_duplicate", "two_sites"])
def test_patients_found_wanting_across_sites_had_an_outcome(reason: str) -> None:
    assert left_at("patient", reason) == ["With an outcome"]


@pytest.mark.parametrize("reason", ["missing_label", "other_class"])
def test_patients_without_an_outcome_were_readable(reason: str) -> None:
    assert left_at("patient", reason) == ["Readable"]


@pytest.mark.parametrize(
    ("unit", "reason"),
    [
        ("image", "exact_duplicate"),
        ("image", "missing_label"),
        ("row", "duplicate_id"),
        ("patient", "no_usable_data"),
    ],
)
def test_images_and_rows_left_at_the_beginning(unit: str, reason: str) -> None:
    assert left_at(unit, reason) == ["Found"]
