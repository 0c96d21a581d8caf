"""Cases: absence is a missing key; cohorts give the cases of named sites."""

from __future__ import annotations

from huizhen.core.cohort import Case, Cohort, ImageRecord
from huizhen.core.digests import digest_bytes

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
