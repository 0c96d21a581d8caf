"""Splits under Hypothesis: no patient and no linked group is ever parted, strata hold, order is nothing."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from huizhen.core.cohort import Case, Cohort, Part
from huizhen.core.study import Study
from huizhen.data.splits import split_cohort

SITES = ("north", "south", "east")


@dataclass
class Situation:
    cohort: Cohort
    study: Study
    links: tuple[tuple[str, ...], ...]


def study(seed: int, method: str, test: float, tune: float, folds: int) -> Study:
    source = {
        "reader": "table",
        "modality": "clinic",
        "path": "t.csv",
        "columns": {"patient": "id", "outcome": "y"},
    }
    roles = {**dict.fromkeys(SITES, "development"), "far": "external"}
    return Study.model_validate(
        {
            "name": "s",
            "title": "A study",
            "question": "Is it?",
            "seed": seed,
            "task": {"outcome": "y", "positive": ["1"], "negative": ["0"]},
            "modality": [{"name": "clinic", "kind": "table", "numeric": ["age"]}],
            "site": [{"name": name, "role": role, "source": [source]} for name, role in roles.items()],
            "split": {"method": method, "test": test, "tune": tune, "folds": folds},
        }
    )


@st.composite
def situations(draw: st.DrawFn, *, linked: bool = True) -> Situation:
    """Cohorts with at least twelve of each outcome, so that every part can have both."""
    cases: list[Case] = []
    for site in (*SITES, "far"):
        least = 12 if site == "north" else 0
        for outcome in (0, 1):
            for i in range(draw(st.integers(least, least + 14))):
                name = f"{site}-{outcome}-{i}"
                cases.append(Case(pseudonym=f"P-{name}", patient_id=name, site=site, outcome=outcome))
    links: list[tuple[str, ...]] = []
    for outcome in (0, 1) if linked else ():
        names = sorted(c.pseudonym for c in cases if c.outcome == outcome and c.site != "far")
        shuffled = draw(st.permutations(names))
        for size in draw(st.lists(st.integers(2, 3), max_size=3)):
            links.append(tuple(sorted(shuffled[:size])))
            shuffled = shuffled[size:]
    settings = study(
        draw(st.integers(0, 1000)),
        draw(st.sampled_from(["holdout", "folds"])),
        draw(st.floats(0.1, 0.4)),
        draw(st.floats(0.1, 0.4)),
        draw(st.integers(2, 4)),
    )
    return Situation(cohort=Cohort(cases=tuple(cases)), study=settings, links=tuple(links))


@given(situations())
def test_nobody_is_parted_and_everybody_has_a_part(at: Situation) -> None:
    folds = split_cohort(at.cohort, at.study, at.links)
    everyone = {case.pseudonym for case in at.cohort.cases}
    outside = {case.pseudonym for case in at.cohort.cases if case.site == "far"}
    for fold in folds:
        assert set(fold.parts) == everyone
        assert set(fold.members(Part.EXTERNAL)) == outside
        for group in at.links:
            assert len({fold.parts[name] for name in group}) == 1
    tested = Counter(name for fold in folds for name in fold.members(Part.TEST))
    if at.study.split.method == "folds":
        assert tested == dict.fromkeys(everyone - outside, 1)
    else:
        assert len(folds) == 1


@given(situations(linked=False))
def test_strata_are_divided_within_rounding(at: Situation) -> None:
    split = at.study.split
    for fold in split_cohort(at.cohort, at.study):
        for site in SITES:
            for outcome in (0, 1):
                stratum = [c for c in at.cohort.cases if c.site == site and c.outcome == outcome]
                found = Counter(fold.parts[case.pseudonym] for case in stratum)
                share = 1 / split.folds if split.method == "folds" else split.test
                assert abs(found[Part.TEST] - share * len(stratum)) < 1 + 1e-9
                rest = split.tune if split.method == "folds" else split.tune / (1 - split.test)
                assert abs(found[Part.TUNE] - rest * (len(stratum) - found[Part.TEST])) < 1 + 1e-9


@given(situations(linked=False))
def test_each_outcome_is_divided_by_rounding(at: Situation) -> None:
    if at.study.split.method == "folds":
        return
    (fold,) = split_cohort(at.cohort, at.study)
    for outcome in (0, 1):
        inside = [c for c in at.cohort.cases if c.outcome == outcome and c.site != "far"]
        tested = sum(fold.parts[case.pseudonym] is Part.TEST for case in inside)
        assert tested == max(1, math.floor(len(inside) * at.study.split.test + 0.5))


@given(situations(), st.randoms(use_true_random=False))
def test_the_order_of_cases_and_links_is_nothing(at: Situation, random: object) -> None:
    cases, links = list(at.cohort.cases), [tuple(reversed(group)) for group in at.links]
    random.shuffle(cases)  # type: ignore[attr-defined]  # Hypothesis's stand-in for random.Random
    random.shuffle(links)  # type: ignore[attr-defined]  # the same
    again = split_cohort(Cohort(cases=tuple(cases)), at.study, tuple(links))
    assert [fold.parts for fold in again] == [f.parts for f in split_cohort(at.cohort, at.study, at.links)]
