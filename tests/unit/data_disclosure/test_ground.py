"""Risks, diversity and closeness are of patients: of several rows, a patient counts once for each value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from huizhen.data.disclosure.assess import Assessment, assess_data
from huizhen.data.disclosure.ground import ground_of, standing
from huizhen.data.disclosure.measures import measured
from huizhen.data.disclosure.microdata import microdata_of
from huizhen.data.disclosure.policy import DisclosurePolicy
from huizhen.data.disclosure.report import disclosure_evidence, report_of


def assessed(rows: list[tuple[str, str, str]], **parts: Any) -> Assessment:
    """Return an assessment of rows of patient, town and diagnosis."""
    who, town, dx = zip(*rows, strict=True)
    policy = DisclosurePolicy.model_validate({"patient": "who", "quasi": {"town": {}}, **parts})
    return assess_data(microdata_of({"town": town, "dx": dx}, patients=who), policy)


def test_a_patient_alone_in_one_of_ten_classes_is_at_risk() -> None:
    rows = [(f"p{n}", f"alone{n}", "a") for n in range(20)]
    rows += [(f"p{n}", f"town{k}", "a") for n in range(20) for k in range(9)]
    found = assessed(rows).before
    assert (found.patients, found.unique) == (20, 20)  # by rows it would be a tenth of 200
    assert (found.prosecutor.average, found.prosecutor.share_above) == (1.0, 1.0)
    assert sum(found.sizes) == 20


def test_a_bound_on_the_share_at_risk_is_of_patients() -> None:
    rows = [(f"p{n}", f"pair{n // 2}", "a") for n in range(20)]
    rows += [(f"p{n}", f"town{k}", "a") for n in range(20) for k in range(9)]
    bounds = {"k": 1, "share_above": 0.2, "threshold": 0.2, "suppress": 0.0}
    found = assessed(rows, bounds=bounds)
    assert not found.holds
    (row,) = [one for one in report_of(found)["bounds"] if one["bound"] == "share_above"]
    assert (row["before"], row["before_holds"]) == (1.0, False)


def test_one_patients_many_rows_do_not_make_a_class_uneven() -> None:
    rows = [("p0", "x", "rare")] * 90 + [(f"p{n}", "x", "b") for n in range(1, 10)]
    rows += [(f"q{n}", "y", "rare" if n == 0 else "b") for n in range(10)]
    sensitive = {"dx": {"t": 0.1, "recursive": [10, 2]}}
    found = assessed(rows, sensitive=sensitive, bounds={"k": 5})
    assert found.holds  # one of ten patients has it in either town
    (mixed,) = found.before.mixed
    assert (mixed.t, mixed.recursive) == (pytest.approx(0.0), 9.0)


def test_a_value_held_in_two_joined_classes_is_one_patients() -> None:
    rows = [("p0", "x", "a"), ("p0", "y", "a"), ("p1", "x", "b"), ("p2", "y", "b")]
    policy = DisclosurePolicy.model_validate(
        {"quasi": {"town": {}}, "sensitive": {"dx": {"distinct": 1}}, "bounds": {"k": 1}}
    )
    who, town, dx = zip(*rows, strict=True)
    ground = ground_of(microdata_of({"town": town, "dx": dx}, patients=who), policy)
    top = standing(ground, (ground.shape[0] - 1,), policy.bounds)
    (mixed,) = measured(ground, top.ids, top.sizes, None, policy).mixed
    assert mixed.entropy == pytest.approx(np.exp(-(1 / 3) * np.log(1 / 3) - (2 / 3) * np.log(2 / 3)))


def test_the_ratio_must_be_below_the_bound_in_the_report_too() -> None:
    rows = [(f"p{n}", "x", "a" if n < 4 else "b") for n in range(6)]
    found = assessed(rows, sensitive={"dx": {"recursive": [2, 2]}}, bounds={"k": 1, "suppress": 0.0})
    assert not found.holds  # 4 over 2 is not below 2 (definition 4.2)
    assert disclosure_evidence(found, name="t").verdict.value == "fail"
