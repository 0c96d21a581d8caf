"""Specifications are valid once constructed, and their digest covers everything that is drawn."""

import json
from dataclasses import replace
from typing import Any

import pytest

from huizhen.core.study import Role
from huizhen.data.phantom import PhantomSpec, Photometric, Scanner, TransferSyntax, breast_trio_spec
from huizhen.errors import InvalidInputError

SPEC = breast_trio_spec(patients_per_hospital=5)
HOSPITAL = SPEC.hospitals[0]
SCANNER = HOSPITAL.scanners["MG"]


@pytest.mark.parametrize(
    "change",
    [
        {"rows": 10},
        {"spacing_mm": 0.0},
        {"gain": -1.0},
        {"contrast": float("nan")},
        {"blur_px": -0.1},
        {"noise": 9.0},
    ],
    ids=str,
)
def test_impossible_scanners_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        replace(SCANNER, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../x"},
        {"patients": 0},
        {"scanners": {"MG": SCANNER}},
        {"missing": {"CT": 0.1}},
        {"missing": {"MG": 1.2}},
        {"missing": {"MG": 1.0, "MRI": 1.0, "US": 1.0}},
        {"prevalence": 0.0},
        {"prevalence": 1.0},
        {"label_noise": 0.5},
        {"label_noise": -0.1},
        {"dense": 1.5},
    ],
    ids=str,
)
def test_impossible_hospitals_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        replace(HOSPITAL, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"hospitals": ()},
        {"hospitals": (HOSPITAL, replace(HOSPITAL, name="ash"))},
        {"deltas": {"MG": 1.0}},
        {"deltas": {"MG": 1.0, "MRI": -1.0, "US": 1.0}},
        {"unreliable": {"MG": 1.0, "MRI": 2.0, "US": 1.0}},
        {"healthy": 1.0},
        {"truth_draws": 10},
    ],
    ids=str,
)
def test_impossible_specifications_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        replace(SPEC, **change)


def test_patients_are_marked_and_named_by_initials() -> None:
    assert HOSPITAL.patient_id(0) == "PHANTOM-A0001"
    assert replace(HOSPITAL, name="north-clinic").patient_id(11) == "PHANTOM-NC0012"


def test_digest_changes_with_anything_drawn() -> None:
    brighter = replace(HOSPITAL, scanners={**HOSPITAL.scanners, "MG": replace(SCANNER, gain=1.01)})
    others = [
        replace(SPEC, hospitals=(brighter, *SPEC.hospitals[1:])),
        replace(SPEC, healthy=0.06),
        replace(SPEC, deltas={**SPEC.deltas, "US": 1.0}),
        breast_trio_spec(patients_per_hospital=6),
    ]
    assert len({spec.digest for spec in [SPEC, *others]}) == 5
    assert breast_trio_spec(patients_per_hospital=5).digest == SPEC.digest


def test_specification_is_plain_json() -> None:
    record = json.loads(json.dumps(SPEC.to_json()))
    assert [hospital["name"] for hospital in record["hospitals"]] == ["alder", "birch", "cedar", "dogwood"]


def test_trio_is_three_and_a_shifted_external_one() -> None:
    spec: PhantomSpec = breast_trio_spec(patients_per_hospital=7, external_patients=9)
    assert [hospital.patients for hospital in spec.hospitals] == [7, 7, 7, 9]
    assert [hospital.role for hospital in spec.hospitals] == [Role.DEVELOPMENT] * 3 + [Role.EXTERNAL]
    external = spec.hospitals[3]
    assert external.label_noise == 0
    assert external.missing["MRI"] > max(hospital.missing["MRI"] for hospital in spec.hospitals[:3])
    scanners: list[Scanner] = [hospital.scanners["MG"] for hospital in spec.hospitals]
    assert len({scanner.manufacturer for scanner in scanners}) == 4
    assert Photometric.MONOCHROME1 in {scanner.photometric for scanner in scanners}
    assert {scanner.transfer_syntax for scanner in scanners} == set(TransferSyntax)
