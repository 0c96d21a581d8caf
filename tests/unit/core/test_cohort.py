"""Cases: absence is a missing key; cohorts give the cases of named sites."""

from __future__ import annotations

import pytest

from huizhen.core.cohort import Case, Cohort, Exclusion, ImageRecord
from huizhen.core.digests import digest_bytes
from huizhen.errors import InvalidInputError

RECORD = ImageRecord(patient_id="1", modality="MG", source=0, key="a.png", digest=digest_bytes(b"a"))


def case(name: str, site: str) -> Case:
    return Case(pseudonym=name, patient_id=name, site=site, outcome=None)


def test_modalities_are_those_present() -> None:
    both = Case(
        pseudonym="P",
        patient_id="1",
        site="n",
        outcome=1,
        images={"MG": (RECORD,)},
        covariates={"lab": {"age": None}},
    )
    assert both.modalities == {"MG", "lab"}
    assert case("Q", "n").modalities == frozenset()


def test_at_keeps_the_order_and_passes_unknown_sites_over() -> None:
    cohort = Cohort(cases=(case("1", "n"), case("2", "s"), case("3", "n")))
    assert [one.pseudonym for one in cohort.at(["n", "nowhere"])] == ["1", "3"]
    assert cohort.at([]) == ()


@pytest.mark.parametrize(("unit", "reason"), [("image", "blurred"), ("folder", "blank"), ("", "")])
def test_nothing_is_left_out_for_a_reason_that_reports_have_no_word_for(unit: str, reason: str) -> None:
    assert Exclusion(unit="image", reason="blank", site="n", subject="a.png").reason == "blank"
    with pytest.raises(InvalidInputError, match="left out as") as caught:
        Exclusion(unit=unit, reason=reason, site="n", subject="a.png")
    assert "a.png" not in str(caught.value)
