"""Who stands out: by few columns, by rare values and diseases, by genotypes; and the attack itself."""

from __future__ import annotations

import numpy as np
import pytest

from huizhen.data.disclosure.genotypes import chance_of_a_match, panel_uniqueness
from huizhen.data.disclosure.linkage import link
from huizhen.data.disclosure.microdata import column_of, microdata_of
from huizhen.data.disclosure.uniques import rare_diseases, rare_values, special_uniques
from huizhen.data.disclosure.utility import model_effect
from huizhen.errors import InvalidInputError, NotEstimableError


def test_the_fewest_columns_that_single_somebody_out_count() -> None:
    cells = {"sex": ["f", "f", "f", "m"], "age": ["30", "40", "40", "30"], "town": ["a", "a", "b", "a"]}
    found = special_uniques(microdata_of(cells), ["sex", "age", "town"])
    # the man by his sex, the woman of b by her town; she of 30 by sex and age; she of 40 in a by age and town
    assert [(one.columns, one.patients) for one in found] == [(1, 2), (2, 2)]


def test_larger_sets_are_left_out_where_they_would_take_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = {"sex": ["f", "f", "f", "m"], "age": ["30", "40", "40", "30"], "town": ["a", "a", "b", "a"]}
    monkeypatch.setattr("huizhen.data.disclosure.uniques.MOST_WORK", 20)
    found = special_uniques(microdata_of(cells), ["sex", "age", "town"])
    assert [(one.columns, one.patients) for one in found] == [(1, 2)]


def test_a_patient_with_several_rows_is_alone_only_among_others() -> None:
    data = microdata_of({"sex": ["f", "f", "m"]}, patients=["p", "p", "q"])
    assert special_uniques(data, ["sex"])[0].patients == 2


def test_rare_values_and_far_off_numbers() -> None:
    ages = ["40", "41", "42", "43", "44", "45", "46", "47", "48", "49"] * 3 + ["200"]
    (found,) = rare_values(microdata_of({"age": ages, "sex": ["f"] * 31}), ["age", "sex"], fewest=3)
    assert (found.column, found.values, found.patients, found.far_off) == ("age", 1, 1, 1)


def test_rare_diseases_are_held_against_the_area() -> None:
    data = microdata_of({"dx": ["E75", "E75", "C50", "Q99", ""]})
    found = rare_diseases(data, "dx", {"E75": 5.0, "C50": 5000.0}, catchment=1_000_000, fewest=100)
    assert (found.diseases, found.patients, found.unknown) == (2, 3, 1)
    assert found.most == 1.0
    known = rare_diseases(
        data, "dx", {"E75": 5.0, "C50": 5000.0, "Q99": 1.0}, catchment=1_000_000, fewest=100
    )
    assert known.most == 1.0  # one person in a million, and the patient is that one
    assert known.unknown == 0


def test_random_genotypes_agree_as_hardy_and_weinberg_say() -> None:
    rng = np.random.default_rng(4)
    doses = rng.binomial(2, 0.5, (3000, 3))
    agree = np.mean([(doses[i] == doses[j]).all() for i, j in rng.integers(0, 3000, (20_000, 2)) if i != j])
    assert agree == pytest.approx(chance_of_a_match([0.5] * 3), abs=0.01)


def test_some_thirty_snps_tell_a_thousand_people_apart() -> None:
    rng = np.random.default_rng(5)
    frequencies = rng.uniform(0.1, 0.5, 60)
    doses = rng.binomial(2, frequencies, (1000, 60))
    panel = panel_uniqueness([column_of(f"rs{k}", map(str, doses[:, k])) for k in range(60)], seed=1)
    assert panel.alone == 1.0
    assert panel.half is not None
    assert panel.nearly is not None
    assert 5 < panel.half < panel.nearly < 25
    assert panel.chance < 1e-15
    assert [point[1] for point in panel.curve] == sorted(point[1] for point in panel.curve)
    written = [column_of("rs", ["0/0", "1|0", "1/1", "./."])]
    assert panel_uniqueness(written).alone == 1.0


def test_an_attacker_finds_who_is_alone_and_nobody_else() -> None:
    released = {"age": ["30-39", "30-39", "50-59"], "sex": ["f", "*", "m"]}
    known = {"age": ["33", "55", "70"], "sex": ["f", "m", "m"]}
    found = link(known, released, [0, 2, -1])
    assert (found.claimed, found.right, found.expected) == (1, 1, 1.5)
    assert found.low < found.share < found.high


def test_a_noisy_attacker_finds_fewer() -> None:
    rng = np.random.default_rng(6)
    ages = rng.integers(20, 90, 400)
    released = {"age": [str(age) for age in ages], "town": [str(t) for t in rng.integers(0, 30, 400)]}
    noisy = {"age": [str(age + step) for age, step in zip(ages, rng.integers(-2, 3, 400), strict=True)]}
    exact = link(released, released, list(range(400)))
    near = link({**noisy, "town": released["town"]}, released, list(range(400)), near={"age": 2})
    blind = link({**noisy, "town": released["town"]}, released, list(range(400)))
    assert blind.right < near.right < exact.right
    sizes = dict.fromkeys(zip(released["age"], released["town"], strict=True), 0)
    for one in zip(released["age"], released["town"], strict=True):
        sizes[one] += 1
    assert exact.right == sum(n == 1 for n in sizes.values())
    assert exact.expected == pytest.approx(len(sizes))


def test_an_attack_without_anybody_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        link({"age": []}, {"age": ["3"]}, [])
    with pytest.raises(InvalidInputError):
        link({"weight": ["3"]}, {"age": ["3"]}, [0])


def test_a_model_that_loses_its_column_loses_its_auc() -> None:
    rng = np.random.default_rng(7)
    strong = rng.integers(0, 4, 600)
    outcome = rng.random(600) < 0.15 + 0.2 * strong
    people = np.arange(600)
    found = model_effect([strong], [np.zeros(600, np.int64)], outcome, people)
    assert found.before > 0.7
    assert found.after == pytest.approx(0.5, abs=0.06)
    assert found.high < 0
    same = model_effect([strong], [strong], outcome, people)
    assert (same.low, same.high) == (0.0, 0.0)
    with pytest.raises(NotEstimableError):
        model_effect([strong[:12]], [strong[:12]], outcome[:12], people[:12])
