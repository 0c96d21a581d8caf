"""Splits and the leakage check on cohorts small enough to follow by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from huizhen.core.cohort import Cohort, Part
from huizhen.core.evidence import Verdict
from huizhen.data.splits import Fold, check_leakage, split_cohort
from huizhen.errors import DataError, LeakageError


@pytest.fixture
def taken(hospitals):
    """Two development sites of 20 patients and an external one of 8; p0 and p2 look alike."""
    for name in ("north", "south"):
        shelf = hospitals.site(name)
        for i in range(20):
            shelf.put(f"{name}{i}", "malignant" if i % 4 == 0 else "benign")
    far = hospitals.site("far", role="external")
    for i in range(8):
        far.put(f"far{i}", "malignant" if i % 2 else "benign")
    return hospitals.take()


def sizes(cohort, fold):
    return Counter((case.site, case.outcome, fold.parts[case.pseudonym].value) for case in cohort.cases)


def test_a_holdout_is_stratified_by_site_and_outcome(hospitals, taken):
    (fold,) = split_cohort(taken.cohort, hospitals.study)
    assert fold.index == 0
    found = sizes(taken.cohort, fold)
    # .25 and .15 of 15 benign and 5 malignant patients a site
    assert {found[site, 0, "test"] for site in ("north", "south")} <= {3, 4}
    assert {found[site, 1, "test"] for site in ("north", "south")} <= {1, 2}
    assert Counter(fold.parts.values()) == {
        Part.TEST: 11,  # round(30 / 4) + round(10 / 4), halves up
        Part.TUNE: 5,  # round(22 / 5) + round(7 / 5), of those that are left
        Part.TRAIN: 24,
        Part.EXTERNAL: 8,
    }
    assert set(fold.members(Part.EXTERNAL)) == {case.pseudonym for case in taken.cohort.at(["far"])}


def test_folds_test_everyone_once(hospitals, taken):
    hospitals.settings["split"] = {"method": "folds", "folds": 5, "tune": 0.2}
    folds = split_cohort(taken.cohort, hospitals.study)
    assert [fold.index for fold in folds] == [0, 1, 2, 3, 4]
    tested = Counter(name for fold in folds for name in fold.members(Part.TEST))
    assert tested == {case.pseudonym: 1 for case in taken.cohort.at(["north", "south"])}
    for fold in folds:
        found = sizes(taken.cohort, fold)
        assert {found[site, 0, "test"] for site in ("north", "south")} == {3}
        assert {found[site, 1, "test"] for site in ("north", "south")} == {1}


def test_the_split_follows_seed_and_patients_alone(hospitals, taken):
    study = hospitals.study
    (fold,) = split_cohort(taken.cohort, study)
    reversed_cohort = Cohort(cases=taken.cohort.cases[::-1])
    (again,) = split_cohort(reversed_cohort, study)
    assert again.parts == fold.parts
    renamed = Cohort(cases=tuple(replace(c, pseudonym=f"X-{c.pseudonym[::-1]}") for c in taken.cohort.cases))
    (other,) = split_cohort(renamed, study)
    assert {f"X-{name[::-1]}": part for name, part in fold.parts.items()} == other.parts
    (reseeded,) = split_cohort(taken.cohort, study.model_copy(update={"seed": 8}))
    assert reseeded.parts != fold.parts


def test_a_part_of_one_class_is_refused_with_a_remedy(hospitals):
    shelf = hospitals.site("north")
    for i in range(12):
        shelf.put(f"p{i}", "malignant" if i < 2 else "benign")
    taken = hospitals.take()
    with pytest.raises(DataError, match="part train of fold 0 has 0 positive") as caught:
        split_cohort(taken.cohort, hospitals.study)
    assert "fewer folds" in caught.value.remedy


def test_the_smallest_cohort_that_can_be_split_is(hospitals):
    shelf = hospitals.site("north")
    for i in range(6):
        shelf.put(f"p{i}", "malignant" if i % 2 else "benign")
    taken = hospitals.take()
    (fold,) = split_cohort(taken.cohort, hospitals.study)
    assert set(sizes(taken.cohort, fold).values()) == {1}


def test_clean_folds_pass_and_say_what_was_compared(hospitals, taken):
    folds = split_cohort(taken.cohort, hospitals.study, taken.links)
    evidence = check_leakage(taken.cohort, folds, taken.fingerprints, 3)
    assert (evidence.metric, evidence.verdict, evidence.n) == ("leakage", Verdict.PASS, 48)
    assert evidence.detail["pairs_compared"] == 48 * 47 // 2
    assert evidence.detail["images"] == 48
    assert 48 < evidence.detail["nearest_across_parts"] < 128


def test_the_nearest_distance_is_the_smallest_between_two_parts(hospitals, taken):
    folds = split_cohort(taken.cohort, hospitals.study, taken.links)
    nearest = check_leakage(taken.cohort, folds, taken.fingerprints, 0).detail["nearest_across_parts"]
    check_leakage(taken.cohort, folds, taken.fingerprints, nearest - 1)
    with pytest.raises(LeakageError, match=f"nearly the same US image \\({nearest} bits apart\\)"):
        check_leakage(taken.cohort, folds, taken.fingerprints, nearest)


@pytest.mark.parametrize("kind", ["same", "near", "group"])
def test_every_kind_of_crossing_is_found(hospitals, picture, kind):
    shelf = hospitals.site("north")
    for i in range(20):
        shelf.put(f"p{i}", "malignant" if i % 2 else "benign")
    group = {"duplicate_group": "g"} if kind == "group" else {}
    shelf.put("x", "benign", picture(1), **group)
    pictures = {"same": picture(1), "near": picture(1) * 0.9, "group": picture(2)}
    shelf.put("y", "benign", pictures[kind], **group)
    taken = hospitals.take()
    assert len(taken.links) == 1
    folds = split_cohort(taken.cohort, hospitals.study, taken.links)
    check_leakage(taken.cohort, folds, taken.fingerprints, 3)
    names = {case.patient_id: case.pseudonym for case in taken.cohort.cases}
    parts = {**folds[0].parts, names["x"]: Part.TRAIN, names["y"]: Part.TEST}
    words = {"same": "the same image", "near": "nearly the same US image", "group": "a duplicate group"}[kind]
    with pytest.raises(LeakageError, match=f"{words}.* stands in two parts: P-.* at north"):
        check_leakage(taken.cohort, [*folds, Fold(index=1, parts=parts)], taken.fingerprints, 3)


def test_an_external_lookalike_is_found_too(hospitals, taken, picture):
    cases = list(taken.cohort.cases)
    inside, outside = cases[0], cases[-1]
    cases[-1] = replace(outside, images=inside.images)
    folds = split_cohort(taken.cohort, hospitals.study)
    with pytest.raises(LeakageError, match=r"the same image.*at north and .* at far"):
        check_leakage(Cohort(cases=tuple(cases)), folds, taken.fingerprints, 3)


def test_a_case_twice_or_without_a_part_is_found(hospitals, taken):
    folds = split_cohort(taken.cohort, hospitals.study)
    twice = Cohort(cases=(*taken.cohort.cases, taken.cohort.cases[0]))
    with pytest.raises(LeakageError, match="1 cases share a pseudonym"):
        check_leakage(twice, folds, taken.fingerprints, 3)
    fewer = Fold(index=0, parts=dict(list(folds[0].parts.items())[1:]))
    with pytest.raises(LeakageError, match="fold 0 has no part for P-"):
        check_leakage(taken.cohort, [fewer], taken.fingerprints, 3)


def test_cohorts_without_images_can_be_checked(hospitals):
    shelf = hospitals.site("north", "clinic")
    for i in range(20):
        shelf.rows[f"p{i}"] = {"age": float(i), "er": None}
        shelf.outcomes[f"p{i}"] = ("malignant" if i % 2 else "benign",)
    taken = hospitals.take()
    folds = split_cohort(taken.cohort, hospitals.study)
    evidence = check_leakage(taken.cohort, folds, taken.fingerprints, 3)
    assert evidence.detail["pairs_compared"] == 0
    assert evidence.detail["nearest_across_parts"] is None
    assert np.isfinite(evidence.n)
