"""Classes, diversity and closeness against a slow oracle, and against pycanon on real tables."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pycanon import anonymity

from huizhen.data.disclosure.classes import classes_of, combined, counted_pairs
from huizhen.data.disclosure.closeness import equal_distance, hierarchical_distance, ordered_distance
from huizhen.data.disclosure.diversity import distinct_values, entropy_values, recursive_ratio
from huizhen.data.disclosure.ground import ground_of, standing
from huizhen.data.disclosure.measures import measured
from huizhen.data.disclosure.microdata import microdata_of
from huizhen.data.disclosure.policy import DisclosurePolicy, Sensitive


def real(name: str) -> Path:
    """Return a real table, or skip where there is none."""
    root = Path(os.environ.get("HUIZHEN_DATA", Path(__file__).resolve().parents[4] / "shared/data"))
    if not (root / name).exists():
        pytest.skip("neither $HUIZHEN_DATA nor ../shared/data holds the table")
    return root / name


def test_combinations_are_counted_as_pandas_groups_them() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({name: rng.integers(0, 5, 400) for name in "abc"})
    found = classes_of([frame[name].to_numpy() for name in "abc"], [5, 5, 5])
    assert sorted(found.sizes) == sorted(frame.groupby(list("abc")).size())
    assert (found.sizes[found.ids] == frame.groupby(list("abc"))["a"].transform("size")).all()


def test_combinations_beyond_64_bits_are_still_told_apart() -> None:
    rng = np.random.default_rng(2)
    columns = [rng.integers(0, 1 << 20, 300) for _ in range(5)]
    ids = combined(columns, [1 << 20] * 5)
    assert len(set(ids.tolist())) == len(set(zip(*(column.tolist() for column in columns), strict=True)))


def test_patients_with_several_rows_count_once_a_class() -> None:
    found = classes_of([np.array([0, 0, 0, 1])], [2], patients=np.array([0, 0, 1, 1]))
    assert found.sizes.tolist() == [2, 1]
    assert found.k == 1


def earth_mover(share: np.ndarray, whole: np.ndarray, cost: np.ndarray) -> float:
    """Return the earth mover's distance by linear programming, the definition itself."""
    from scipy.optimize import linprog

    m = len(share)
    leave = np.kron(np.eye(m), np.ones(m))
    arrive = np.kron(np.ones(m), np.eye(m))
    made = linprog(cost.ravel(), A_eq=np.vstack([leave, arrive]), b_eq=np.r_[share, whole], method="highs")
    return float(made.fun)


@pytest.mark.parametrize("kind", ["equal", "ordered", "hierarchical"])
def test_distances_are_the_earth_movers(kind: str) -> None:
    rng = np.random.default_rng(3)
    m, classes = 6, 12
    ids, values = rng.integers(0, classes, 60), rng.integers(0, m, 60)
    ids = np.unique(ids, return_inverse=True)[1]
    classes = int(ids.max()) + 1
    pairs = counted_pairs(ids, values, m)
    whole = np.bincount(values, minlength=m) / 60
    tree = [np.array([0, 0, 1, 1, 1, 2]), np.array([0, 0, 0, 0, 0, 1])]
    if kind == "equal":
        found, cost = equal_distance(pairs, classes, whole), 1.0 - np.eye(m)
    elif kind == "ordered":
        found = ordered_distance(pairs, classes, whole)
        cost = np.abs(np.subtract.outer(np.arange(m), np.arange(m))) / (m - 1)
    else:
        found = hierarchical_distance(pairs, classes, whole, tree)
        cost = np.ones((m, m))
        for level, groups in reversed(list(enumerate(tree, 1))):
            cost[np.equal.outer(groups, groups)] = level / 3
        np.fill_diagonal(cost, 0.0)
    for one in range(classes):
        share = np.bincount(values[ids == one], minlength=m) / (ids == one).sum()
        assert found[one] == pytest.approx(earth_mover(share, whole, cost), abs=1e-9)


def test_diversity_is_what_the_definitions_say() -> None:
    rng = np.random.default_rng(4)
    ids = np.unique(rng.integers(0, 9, 80), return_inverse=True)[1]
    values = rng.integers(0, 5, 80)
    classes = int(ids.max()) + 1
    pairs = counted_pairs(ids, values, 5)
    distinct, entropy = distinct_values(pairs, classes), entropy_values(pairs, classes)
    ratio = recursive_ratio(pairs, classes, l=3)
    for one in range(classes):
        counts = np.sort(np.bincount(values[ids == one]))[::-1]
        counts = counts[counts > 0]
        share = counts / counts.sum()
        assert distinct[one] == len(counts)
        assert entropy[one] == pytest.approx(np.exp(-(share * np.log(share)).sum()))
        assert ratio[one] == (counts[0] / counts[2:].sum() if len(counts) > 2 else np.inf)


HEART = "uci_heart_disease_4_hospitals/heart_4_hospitals.csv"
DUKE = "duke_breast_multimodal_tabular/duke_clinical_mammo_us_mri_features.csv"


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "quasi", "secret"),
    [
        (HEART, ["sex", "hospital"], "num"),
        (HEART, ["sex", "hospital", "cp", "fbs"], "num"),
        (HEART, ["age", "sex", "hospital"], "num"),
        (
            DUKE,
            ["Demographics / Menopause (at diagnosis)", "Demographics / Race and Ethnicity"],
            "Tumor Characteristics / Mol Subtype",
        ),
        (
            DUKE,
            ["Demographics / Race and Ethnicity", "Tumor Characteristics / Tumor Grade"],
            "Tumor Characteristics / Staging(Tumor Size)# [T]",
        ),
    ],
    ids=["heart-2", "heart-4", "heart-age", "duke-subtype", "duke-stage"],
)
def test_pycanon_agrees_on_real_tables(name: str, quasi: list[str], secret: str) -> None:
    frame = pd.read_csv(real(name), usecols=[*quasi, secret], dtype=str).fillna("")
    numeric = pd.to_numeric(frame[secret], errors="coerce").fillna(-1)
    data = microdata_of({column: list(frame[column]) for column in (*quasi, secret)})
    for distance, values in (("equal", frame[secret]), ("ordered", numeric)):
        policy = DisclosurePolicy(
            quasi={column: {} for column in quasi}, sensitive={secret: Sensitive(distance=distance)}
        )
        ground = ground_of(data, policy)
        found = standing(ground, tuple(0 for _ in quasi), policy.bounds)
        ours = measured(ground, found.ids, found.sizes, None, policy)
        theirs = frame.assign(**{secret: values})
        assert ours.k == anonymity.k_anonymity(theirs, quasi)
        assert ours.mixed[0].distinct == anonymity.l_diversity(theirs, quasi, [secret])
        assert int(ours.mixed[0].entropy + 1e-9) == anonymity.entropy_l_diversity(theirs, quasi, [secret])
        assert ours.mixed[0].t == pytest.approx(anonymity.t_closeness(theirs, quasi, [secret]), abs=1e-9)
