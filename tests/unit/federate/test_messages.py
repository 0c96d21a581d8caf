"""The closed union: no patient, image, covariate or path can be said in it, and nothing unknown either."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from huizhen.core.cohort import Case, Cohort, Exclusion, ImageRecord
from huizhen.core.predictions import Predictions
from huizhen.federate import messages as wire
from huizhen.federate.frames import DTYPES

KINDS = [*get_args(wire.Inbound), *get_args(wire.Outbound)]
PLAIN = (str, int, float, bool, type(None))
FORBIDDEN = (Case, Cohort, ImageRecord, Exclusion, Predictions, Path, bytes, datetime.datetime)
ABOUT_A_PATIENT = ("patient_id", "pseudonym", "case", "outcome", "covariate", "image", "path", "file", "key")
STUDY = "0" * 64


def leaves(annotation: Any) -> Iterator[Any]:
    """Yield the plain types that an annotation is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for field in annotation.model_fields.values():
            yield from leaves(field.annotation)
    elif get_origin(annotation) is not None:
        for inner in get_args(annotation):
            yield from leaves(inner) if not isinstance(inner, str) else iter((str,))
    else:
        yield annotation


def names(model: type[BaseModel]) -> Iterator[str]:
    """Yield the names of a model's fields, also of models within it."""
    for name, field in model.model_fields.items():
        yield name
        for inner in (field.annotation, *get_args(field.annotation)):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from names(inner)


def metadata(annotation: Any) -> bool:
    """Tell whether an argument of Annotated is a constraint and no type."""
    return not isinstance(annotation, type)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_messages_are_made_of_plain_values(kind):
    found = {leaf for leaf in leaves(kind) if not metadata(leaf)}
    assert found <= set(PLAIN), found - set(PLAIN)
    assert not any(issubclass(leaf, FORBIDDEN) for leaf in found)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_no_field_is_about_a_single_patient_or_a_path(kind):
    wrong = [n for n in names(kind) if any(n == word or n == f"{word}s" for word in ABOUT_A_PATIENT)]
    assert [n for n in wrong if n != "keys"] == []  # the keys of a secure sum


def test_the_look_for_patients_finds_one():
    class Leak(BaseModel):
        pseudonym: str
        where: Path

    assert "pseudonym" in set(names(Leak))
    assert set(leaves(Leak)) & set(FORBIDDEN)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_messages_are_frozen_strict_and_closed(kind):
    assert kind.model_config["extra"] == "forbid"
    assert kind.model_config["strict"]
    assert kind.model_config["frozen"]


def test_arrays_go_with_six_kinds_only_and_leave_a_site_with_three():
    out = {kind.model_fields["kind"].default for kind in get_args(wire.Outbound)}
    assert set(DTYPES) & out == {"update", "masked", "aggregate"}
    assert set(DTYPES) - out == {"train", "hold", "ask"}


def test_a_case_is_no_message():
    case = Case(pseudonym="p", patient_id="P-1", site="north", outcome=1)
    adapter: TypeAdapter[Any] = TypeAdapter(wire.Message)
    record = {"pseudonym": "p", "patient_id": "P-1", "site": "north", "outcome": 1}
    for value in (case, record, {**record, "kind": "update"}, {**record, "kind": "case"}):
        with pytest.raises(ValidationError):
            adapter.validate_python(value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"reason": "x" * 501},
        {"code": "HZ9"},
        {"sender": "../etc/passwd"},
        {"study": "0" * 63},
        {"reason": 5},
        {"path": "/data"},
    ],
    ids=str,
)
def test_values_out_of_form_are_refused(wrong):
    good = {"study": STUDY, "sender": "north", "code": "HZ92", "reason": "no"}
    assert wire.Refusal(**good).reason == "no"
    with pytest.raises(ValidationError):
        wire.Refusal(**{**good, **wrong})


@pytest.mark.parametrize("patients", [-1, 10**9 + 1, 2.5])
def test_counts_are_whole_and_bounded(patients):
    with pytest.raises(ValidationError):
        wire.Update(study=STUDY, sender="north", model="m", round=0, patients=patients, loss=0.1)


def test_a_loss_that_is_not_finite_is_no_update():
    with pytest.raises(ValidationError):
        wire.Update(study=STUDY, sender="north", model="m", round=0, patients=5, loss=float("nan"))
