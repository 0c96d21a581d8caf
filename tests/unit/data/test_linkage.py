"""Linkage: pairs by every reason, the strongest first, groups that join up."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.core.cohort import Case, ImageRecord
from huizhen.core.digests import digest_value
from huizhen.data.fingerprints import BITS, Fingerprint, distance
from huizhen.data.linkage import find_pairs, link_patients

BASE = np.random.default_rng(3).random(BITS) < 0.5
BASE[0] = False


def bits(*flipped: int) -> Fingerprint:
    """Return a fingerprint that differs from the base in the named bits."""
    changed = BASE.copy()
    changed[list(flipped)] ^= True
    return Fingerprint(np.packbits(changed).tobytes())


def case(
    name: str, *digests: str, outcome: int = 0, site: str = "north", modality: str = "US", group: str = ""
):
    records = tuple(
        ImageRecord(
            patient_id=name,
            modality=modality,
            source=0,
            key=f"{name}/{d}",
            digest=digest_value(d),
            duplicate_group=group,
        )
        for d in digests
    )
    return Case(
        pseudonym=f"P-{name}", patient_id=name, site=site, outcome=outcome, images={modality: records}
    )


PRINTS = {
    digest_value("base"): bits(),
    digest_value("two off"): bits(7, 99),
    digest_value("four off"): bits(7, 99, 130, 200),
    digest_value("far"): bits(*range(1, 100)),
}


def test_pairs_are_found_up_to_the_distance_and_not_beyond():
    cases = [case("a", "base"), case("b", "two off"), case("c", "four off"), case("d", "far")]

    def named(limit):
        return [(p.first, p.second, p.reason) for p in find_pairs(cases, PRINTS, limit)]

    assert named(1) == []
    assert named(2) == [(0, 1, "near_duplicate"), (1, 2, "near_duplicate")]
    assert named(4) == [(0, 1, "near_duplicate"), (0, 2, "near_duplicate"), (1, 2, "near_duplicate")]
    assert distance(PRINTS[digest_value("base")], PRINTS[digest_value("four off")]) == 4


def test_one_patient_or_two_modalities_make_no_pair():
    assert find_pairs([case("a", "base", "two off")], PRINTS, 5) == []
    assert find_pairs([case("a", "base"), case("b", "two off", modality="MG")], PRINTS, 5) == []


def test_identical_content_is_the_strongest_reason():
    (pair,) = find_pairs([case("a", "base", group="g"), case("b", "base", group="g")], PRINTS, 5)
    assert pair.reason == "exact_duplicate"


def link(cases, distance=2):
    return link_patients(cases, external=frozenset({"far"}), fingerprints=PRINTS, distance=distance)


def test_links_join_up_over_sites_and_chains():
    linked = link(
        [case("a", "base"), case("b", "two off", site="south"), case("c", "four off"), case("d", "far")]
    )
    assert linked.links == (("P-a", "P-b", "P-c"),)
    assert {(t.site, t.what): t.count for t in linked.tallies} == {
        ("north", "linked_patients"): 2,
        ("south", "linked_patients"): 1,
        ("", "linked_groups"): 1,
        ("", "largest_linked_group"): 3,
    }


def test_a_contradiction_takes_out_its_two_patients_only():
    linked = link([case("a", "base"), case("b", "two off", outcome=1), case("c", "four off", outcome=1)])
    assert [c.patient_id for c in linked.cases] == ["c"]
    assert linked.links == ()
    assert [one.reason for one in linked.exclusions] == ["conflicting_label"] * 2


def test_development_keeps_its_patient_whatever_the_external_label_says():
    linked = link([case("a", "base"), case("e", "two off", site="far", outcome=1)])
    assert [c.patient_id for c in linked.cases] == ["a"]
    assert [(one.site, one.reason, one.subject) for one in linked.exclusions] == [
        ("far", "near_duplicate", "P-e")
    ]


@pytest.mark.parametrize("outcome", [0, 1])
def test_external_lookalikes_stay_unless_they_contradict_each_other(outcome):
    linked = link([case("e", "base", site="far"), case("f", "two off", site="far", outcome=outcome)])
    assert len(linked.cases) == (0 if outcome else 2)
    assert linked.links == ()
    assert [(t.what, t.count) for t in linked.tallies] == ([] if outcome else [("external_lookalikes", 2)])
