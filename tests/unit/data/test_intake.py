"""Intake: who is in, who is out and why, and which inputs are refused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from huizhen.core.cohort import Exclusion
from huizhen.data.cache import Cache
from huizhen.data.describe import describe
from huizhen.data.flow import Flow, flow_evidence
from huizhen.errors import DataError


def fill(shelf: Any, count: int = 6, prefix: str = "p") -> None:
    """Give `shelf` `count` patients of one image each, every other one malignant."""
    for i in range(count):
        shelf.put(f"{prefix}{i}", "malignant" if i % 2 else "benign")


def reasons(exclusions: Iterable[Exclusion]) -> dict[tuple[str, str], int]:
    counts: dict[tuple[str, str], int] = {}
    for one in exclusions:
        counts[one.unit, one.reason] = counts.get((one.unit, one.reason), 0) + 1
    return counts


def steps(flow: Flow, site: str) -> dict[str, tuple[int, int]]:
    return {step.step: (step.patients, step.images) for step in flow.steps if step.site == site}


def tallies(flow: Flow) -> dict[tuple[str, str], int]:
    return {(tally.site, tally.what): tally.count for tally in flow.tallies}


def test_everyone_usable_is_taken_in_order_under_a_pseudonym(hospitals):
    fill(hospitals.site("north"), prefix="z")
    fill(hospitals.site("south"), prefix="a")
    taken = hospitals.take()
    cases = taken.cohort.cases
    assert [case.patient_id for case in cases] == [f"z{i}" for i in range(6)] + [f"a{i}" for i in range(6)]
    assert [case.outcome for case in cases] == [0, 1] * 6
    assert len({case.pseudonym for case in cases}) == 12
    # HMAC-SHA256 under "secret" of "z0", computed with another program
    assert cases[0].pseudonym == "P-d248da5518"
    assert taken.cohort.exclusions == ()
    assert set(taken.fingerprints) == {r.digest for case in cases for r in case.images["US"]}
    assert steps(taken.flow, "north") == dict.fromkeys(["found", "readable", "labelled", "included"], (6, 6))


def test_bad_images_are_left_out_with_their_reason(hospitals, picture):
    shelf = hospitals.site("north")
    fill(shelf)
    shelf.put("p0", "benign", np.zeros((1, 9, 9), np.float32))
    shelf.put("p0", "benign", np.full((1, 9, 9), np.nan, np.float32))
    shelf.put("p0", "benign", picture(1, channels=5))
    shelf.put("p9", "benign", key="cut.png")
    del shelf.pictures["cut.png"]
    taken = hospitals.take()
    assert reasons(taken.cohort.exclusions) == {
        ("image", "blank"): 1,
        ("image", "non_finite"): 1,
        ("image", "wrong_modality"): 1,
        ("image", "unreadable"): 1,
        ("patient", "no_usable_data"): 1,
    }
    assert steps(taken.flow, "north") == {
        "found": (7, 10),
        "readable": (6, 6),
        "labelled": (6, 6),
        "included": (6, 6),
    }
    unreadable = next(one for one in taken.cohort.exclusions if one.reason == "unreadable")
    assert unreadable.subject == "cut.png"


def test_labels_decide_who_is_in(hospitals):
    shelf = hospitals.site("north")
    fill(shelf)
    shelf.put("none", None)
    shelf.put("empty", " ")
    shelf.put("normal", "normal")
    shelf.put("both", "benign")
    shelf.put("both", "malignant")
    shelf.put("mostly", "normal")
    shelf.put("mostly", "benign")
    taken = hospitals.take()
    assert reasons(taken.cohort.exclusions) == {
        ("patient", "missing_label"): 2,
        ("patient", "other_class"): 1,
        ("patient", "contradictory_outcomes"): 1,
    }
    outcome = {case.patient_id: case.outcome for case in taken.cohort.cases}
    assert "both" not in outcome
    assert outcome["mostly"] == 0
    assert tallies(taken.flow) == {}
    assert not any("normal" in one.subject for one in taken.cohort.exclusions)


def test_a_patient_twice_in_one_bag_counts_once(hospitals, picture):
    shelf = hospitals.site("north")
    fill(shelf)
    shelf.put("p0", "benign", picture(77), key="a.png")
    shelf.put("p0", "benign", picture(77), key="b.png")
    taken = hospitals.take()
    assert reasons(taken.cohort.exclusions) == {("image", "exact_duplicate"): 1}
    assert [record.key for record in taken.cohort.cases[0].images["US"]] == ["a.png", "p0/0.png"]


def test_lookalikes_are_linked_and_those_of_opposite_labels_left_out(hospitals, picture):
    shelf = hospitals.site("north")
    fill(shelf, 8)
    fainter = picture(5) * np.float32(0.9)
    shelf.put("x", "benign", picture(5))
    shelf.put("y", "benign", fainter)
    shelf.put("mirrored", "benign", np.ascontiguousarray(fainter[:, :, ::-1]))
    shelf.put("copy", "benign", picture(5))
    shelf.put("wrong", "malignant", picture(6))
    shelf.put("right", "benign", picture(6))
    shelf.put("g1", "malignant", duplicate_group="4")
    shelf.put("g2", "malignant", duplicate_group="4")
    taken = hospitals.take()
    name = {case.patient_id: case.pseudonym for case in taken.cohort.cases}
    groups = {frozenset(group) for group in taken.links}
    assert groups == {
        frozenset(name[p] for p in ("x", "y", "mirrored", "copy")),
        frozenset(name[p] for p in ("g1", "g2")),
    }
    assert reasons(taken.cohort.exclusions) == {("patient", "conflicting_label"): 2}
    assert not {"wrong", "right"} & set(name)
    assert tallies(taken.flow) == {
        ("north", "linked_patients"): 6,
        ("", "linked_groups"): 2,
        ("", "largest_linked_group"): 4,
    }


def test_an_external_patient_seen_in_development_is_left_out(hospitals, picture):
    fill(hospitals.site("north"))
    hospitals.shelves["north"][0].put("n", "benign", picture(3))
    hospitals.shelves["north"][0].put("m", "benign", picture(4))
    far = hospitals.site("far", role="external")
    fill(far, prefix="e")
    far.put("same", "benign", picture(3))
    far.put("close", "malignant", picture(4) * np.float32(0.9))
    taken = hospitals.take()
    assert reasons(taken.cohort.exclusions) == {
        ("patient", "exact_duplicate"): 1,
        ("patient", "near_duplicate"): 1,
    }
    assert {one.site for one in taken.cohort.exclusions} == {"far"}
    assert len(taken.cohort.at(["north"])) == 8
    assert taken.links == ()


def test_a_patient_at_two_development_sites_stays_at_the_first(hospitals):
    fill(hospitals.site("north"))
    south = hospitals.site("south")
    fill(south, prefix="s")
    south.put("p1", "malignant")
    taken = hospitals.take()
    assert reasons(taken.cohort.exclusions) == {("patient", "two_sites"): 1}
    assert [c.site for c in taken.cohort.cases if c.patient_id == "p1"] == ["north"]


def test_a_patient_at_a_development_and_an_external_site_stops_the_study(hospitals):
    fill(hospitals.site("north"))
    fill(hospitals.site("far", role="external"))
    with pytest.raises(DataError, match=r"6 patients stand both .*north and far") as caught:
        hospitals.take()
    assert "where" in caught.value.remedy
    assert "patient_ids" in caught.value.remedy


def test_hospitals_that_number_by_themselves_share_no_patient(hospitals):
    fill(hospitals.site("north"))
    far = hospitals.site("far", role="external")
    for i in range(6):
        far.put(f"p{i}", "malignant" if i % 2 else "benign", key=f"far/{i}.png", picture=_other(i))
    hospitals.own_ids.add("far")
    taken = hospitals.take()
    assert len(taken.cohort.cases) == 12
    assert len({case.pseudonym for case in taken.cohort.cases}) == 12


def _other(seed: int) -> np.ndarray:
    return np.random.default_rng(seed + 1000).random((1, 20, 20), dtype=np.float32)


def test_an_empty_site_is_named_with_what_was_left_out(hospitals):
    fill(hospitals.site("north"))
    far = hospitals.site("far")
    for i in range(3):
        far.put(f"f{i}", "normal")
    with pytest.raises(
        DataError, match="site far: no case is left of 3 patients found; left out: 3 patient other_class"
    ):
        hospitals.take()


def test_one_class_only_is_refused(hospitals):
    north = hospitals.site("north")
    for i in range(4):
        north.put(f"p{i}", "benign")
    fill(hospitals.site("far", role="external"), prefix="e")
    with pytest.raises(DataError, match=r"all development patients have one outcome \(0 positive, 4 neg"):
        hospitals.take()


@pytest.mark.parametrize(("declared", "found"), [(False, True), (True, False)])
def test_phantoms_and_patients_are_not_mixed(hospitals, declared, found):
    shelf = hospitals.site("north")
    shelf.put("a", "benign", phantom=found)
    shelf.put("b", "malignant", phantom=declared)
    hospitals.settings["phantom"] = declared
    with pytest.raises(DataError, match=r"1 images at .*phantom"):
        hospitals.take()


def test_a_bag_is_thinned_evenly_in_reading_order(hospitals):
    shelf = hospitals.site("north", "MG")
    for i in range(12):
        shelf.put("p0", "benign", key=f"slice {i}")
    shelf.put("p1", "malignant")
    taken = hospitals.take()
    assert [record.key for record in taken.cohort.cases[0].images["MG"]] == ["slice 3", "slice 9"]
    assert tallies(taken.flow) == {("north", "beyond_bag_limit"): 10}
    assert steps(taken.flow, "north")["included"] == (2, 3)


def test_tables_join_images_and_absence_stays_absence(hospitals):
    images, table = hospitals.site("north", "US", "clinic"), hospitals.shelves["north"][1]
    fill(images, 4)
    table.rows = {
        "p0": {"age": 50.0, "er": "pos", "unused": "x"},
        "p1": {"age": None, "er": None},
        "p2": {"age": float("inf"), "er": "neg"},
        "p3": {"age": float("nan"), "er": None},
        "only": {"age": 61.0, "er": None},
        "lost": {"age": None, "er": None},
    }
    table.outcomes = {"only": ("benign",), "lost": ("benign",)}
    taken = hospitals.take()
    cases = {case.patient_id: case for case in taken.cohort.cases}
    assert cases["p0"].covariates == {"clinic": {"age": 50.0, "er": "pos"}}
    assert cases["p1"].covariates == {}
    assert cases["p2"].covariates == {"clinic": {"age": None, "er": "neg"}}
    assert cases["p3"].covariates == {}
    assert cases["only"].modalities == {"clinic"}
    assert reasons(taken.cohort.exclusions) == {("patient", "no_usable_data"): 1}
    assert tallies(taken.flow) == {("north", "non_finite_values"): 1}


def test_two_tables_of_one_modality_are_merged_and_contradictions_counted(hospitals):
    hospitals.site("north", "US", "clinic", "clinic")
    images, first, second = hospitals.shelves["north"]
    fill(images, 2)
    first.rows = {"p0": {"age": 50.0, "er": None}}
    second.rows = {"p0": {"age": 51.0, "er": "pos"}}
    taken = hospitals.take()
    assert taken.cohort.cases[0].covariates["clinic"] == {"age": 50.0, "er": "pos"}
    assert tallies(taken.flow) == {("north", "conflicting_values"): 1}


def test_rows_that_a_reader_left_out_are_kept_apart_from_patients(hospitals):
    shelf = hospitals.site("north")
    fill(shelf)
    shelf.exclusions = [
        Exclusion(unit="patient", reason="duplicate_id", site="north", subject="labels.csv:3"),
        Exclusion(unit="cell", reason="non_finite", site="north", subject="labels.csv:4"),
        Exclusion(unit="patient", reason="missing_label", site="north", subject="p0/0.png"),
        Exclusion(unit="image", reason="mixed_patients", site="north", subject="q.dcm"),
    ]
    taken = hospitals.take()
    assert reasons(taken.cohort.exclusions) == {
        ("row", "duplicate_id"): 1,
        ("cell", "non_finite"): 1,
        ("image", "mixed_patients"): 1,
    }
    assert steps(taken.flow, "north")["found"] == (6, 7)


def test_files_that_another_source_takes_are_not_left_out(hospitals):
    """Three sources on one folder: a mammogram is the wrong modality for two of them, and is used."""
    hospitals.site("north", "US", "MG")
    ultrasound, mammography = hospitals.shelves["north"]
    ultrasound.path = mammography.path = "north/all"
    fill(ultrasound, 4)
    mammography.put("p0", None, key="mg.dcm|mg2.dcm#1")

    def out(reason, subject):
        return Exclusion(unit="image", reason=reason, site="north", subject=subject)

    ultrasound.exclusions = [
        out("wrong_modality", "mg.dcm"),
        out("wrong_modality", "mg2.dcm"),
        out("wrong_modality", "mg_magnified.dcm"),
        out("unreadable", "broken.dcm"),
    ]
    mammography.exclusions = [
        out("wrong_modality", "p0/0.png"),
        out("other_series", "mg_magnified.dcm"),
        out("unreadable", "broken.dcm"),
    ]
    taken = hospitals.take()
    assert reasons(taken.cohort.exclusions) == {("image", "other_series"): 1, ("image", "unreadable"): 1}
    assert steps(taken.flow, "north")["found"] == (4, 7)
    ultrasound.path = "north/us"
    assert len(hospitals.take().cohort.exclusions) == 7


def test_patients_found_less_those_left_out_are_those_included(hospitals, picture):
    for name in ("north", "south"):
        shelf = hospitals.site(name)
        fill(shelf, 5, prefix=name)
        shelf.put("q", "normal")
        shelf.put("r", "benign", np.zeros((1, 5, 5), np.float32))
        shelf.put(f"{name}-x", "benign", picture(3))
    hospitals.shelves["south"][0].put("s", "malignant", picture(3))
    flow = hospitals.take().flow
    for name in ("north", "south"):
        left_out = sum(e.count for e in flow.exclusions if e.site == name and e.unit == "patient")
        counts = steps(flow, name)
        assert counts["found"][0] - left_out == counts["included"][0]


def test_pixels_are_looked_at_once(hospitals):
    shelf = hospitals.site("north")
    fill(shelf)
    shelf.put("cut", "benign", key="cut.png")
    picture = shelf.pictures.pop("cut.png")
    first = hospitals.take(cache=Cache(hospitals.folder / "c"))
    assert shelf.decoded == 8  # the unreadable one is tried again
    again = hospitals.take(cache=Cache(hospitals.folder / "c"))
    assert shelf.decoded == 9
    assert (again.cohort, again.fingerprints) == (first.cohort, first.fingerprints)
    shelf.pictures["cut.png"] = picture
    assert len(hospitals.take(cache=Cache(hospitals.folder / "c")).cohort.cases) == 7


def test_nearly_identical_cohorts_are_refused(hospitals, picture):
    shelf = hospitals.site("north")
    for i in range(120):
        shelf.put(f"p{i}", "malignant" if i % 2 else "benign", picture(1) * np.float32(1 - i / 1000))
    with pytest.raises(DataError, match="nearly all look alike"):
        hospitals.take()


def test_evidence_counts_what_the_intake_did(hospitals):
    shelf = hospitals.site("north", "US", "clinic")
    fill(shelf)
    shelf.put("q", "normal")
    hospitals.shelves["north"][1].rows = {"p0": {"age": 50.0, "er": None}}
    taken = hospitals.take()
    flow, cohort = flow_evidence(taken.flow, taken.cohort)
    assert (flow.metric, flow.n, flow.n_events, flow.descriptive) == ("flow", 6, None, True)
    assert flow.detail["steps"][0] == {"site": "north", "step": "found", "patients": 7, "images": 7}
    assert flow.detail["exclusions"] == [
        {"site": "north", "unit": "patient", "reason": "other_class", "count": 1}
    ]
    assert cohort.detail["sites"] == [
        {
            "site": "north",
            "patients": 6,  # and not how many are positive: outcomes of tested patients are sealed
            "modalities": [
                {"modality": "US", "patients": 6, "share": 1.0, "images": 6},
                {"modality": "clinic", "patients": 1, "share": pytest.approx(1 / 6), "images": 0},
            ],
            "scanners": [],
        }
    ]
    summary = describe(taken)
    assert (summary["patients"], summary["positive"], summary["images"]) == (6, 3, 6)
    assert "p0" not in str(summary)
