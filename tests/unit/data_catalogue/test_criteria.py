"""Questions: what is read, what is refused, and one form for one meaning."""

from __future__ import annotations

import json
from typing import Any

import pytest

from huizhen.data.catalogue.criteria import MOST_BYTES, Query, Within, parse_query
from huizhen.errors import InvalidInputError

MR = {"key": "modality", "type": "IN", "value": ["MR"]}
FEMALE = {"key": "SNOMEDCT263495000", "type": "IN", "value": ["SNOMEDCT248152002"], "system": "x"}
FIFTIES = {"key": "age", "type": "BETWEEN", "value": {"min": 50, "max": 59}}


def asked(tree: dict[str, Any]) -> Query:
    """Return the question of a tree, read from bytes as it arrives."""
    return parse_query(json.dumps(tree).encode())


def both(operand: str, *children: dict[str, Any]) -> dict[str, Any]:
    """Return a node."""
    return {"operand": operand, "children": list(children)}


@pytest.mark.parametrize(
    "other",
    [
        both("AND", FEMALE, MR),
        both("AND", MR, both("AND", FEMALE, MR)),
        both("AND", both("NOT", both("NOT", MR)), FEMALE),
        both("OR", both("AND", MR, FEMALE)),
        both("AND", {"key": "RID10311", "type": "IN", "value": ["RID10312", "MR"]}, FEMALE),
        {"ast": both("AND", MR, FEMALE), "id": "1"},
    ],
    ids=["order", "nested", "not not", "one child", "aliases", "as Lens sends it"],
)
def test_one_meaning_has_one_form(other: dict[str, Any]) -> None:
    assert asked(other).digest == asked(both("AND", MR, FEMALE)).digest


def test_bounds_are_written_in_one_way() -> None:
    below = {"key": "age", "type": "LOWER_THAN", "value": 60}
    up_to = {"key": "age", "type": "BETWEEN", "value": {"min": 0, "max": 59}}
    above = {"key": "age", "type": "GREATER_THAN", "value": 59}
    assert asked(below).digest == asked(up_to).digest
    (leaf,) = asked(above).criteria()
    assert (leaf.low, leaf.high) == (60, 150)


def test_the_same_criteria_within_another_level_are_another_question() -> None:
    assert asked({**both("AND", MR, FEMALE), "within": "subject"}).within is Within.SUBJECT
    assert asked({**both("AND", MR), "within": "study"}).digest != asked(both("AND", MR)).digest


def test_nothing_asked_is_everything() -> None:
    assert list(asked(both("OR")).criteria()) == []


def test_a_question_reads_back_as_itself() -> None:
    query = asked({**both("OR", both("AND", MR, FIFTIES), both("NOT", FEMALE)), "within": "study"})
    assert parse_query(query.plain()).digest == query.digest


@pytest.mark.parametrize(
    ("tree", "place"),
    [
        ([], None),
        ({"operand": "AND"}, "root"),
        ({"operand": "XOR", "children": [MR]}, "root"),
        ({"operand": ["AND"], "children": [MR]}, "root"),
        (both("NOT", MR, FEMALE), "root"),
        (both("AND", both("OR")), "root.0"),
        (both("AND", {**MR, "extra": 1}), "root.0"),
        (both("AND", {**MR, "key": "name"}), "key"),
        (both("AND", {**MR, "key": 3}), "root.0"),
        (both("AND", {**MR, "type": "BETWEEN"}), "root.0"),
        (both("AND", {**MR, "value": []}), "root.0"),
        (both("AND", {**MR, "value": ["MR"] * 65}), "root.0"),
        (both("AND", {**MR, "value": [1]}), "root.0"),
        (both("AND", {**MR, "value": ["a';--"]}), "value"),
        (both("AND", {**FIFTIES, "value": {"min": 59, "max": 50}}), "root.0"),
        (both("AND", {**FIFTIES, "value": {"min": True, "max": 50}}), "root.0"),
        (both("AND", {**FIFTIES, "type": "LOWER_THAN", "value": 0}), "root.0"),
        (both("AND", {**FIFTIES, "type": "LOWER_THAN", "value": 1e400}), "root.0"),
        (both("AND", {**FIFTIES, "type": "LOWER_THAN", "value": True}), "root.0"),
        ({**both("AND", MR), "within": "patient"}, "within"),
        (both("AND", *[{**MR, "value": [f"A{n}"]} for n in range(65)]), "root"),
        (both("AND", *[both("OR", MR, {**MR, "value": [f"A{n}"]}) for n in range(40)]), "root"),
    ],
)
def test_anything_else_is_refused_by_its_place(tree: Any, place: str | None) -> None:
    with pytest.raises(InvalidInputError) as caught:
        asked(tree)
    assert caught.value.field == place
    assert "--" not in str(caught.value)


def test_deep_and_long_questions_are_refused() -> None:
    deep: dict[str, Any] = MR
    for _ in range(7):
        deep = both("AND", deep, FEMALE)
    with pytest.raises(InvalidInputError, match="deeper"):
        asked(deep)
    with pytest.raises(InvalidInputError, match="bytes"):
        parse_query(b"[" * (MOST_BYTES + 1))
    with pytest.raises(InvalidInputError, match="no JSON"):
        parse_query(b"[" * MOST_BYTES)
