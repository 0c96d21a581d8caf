"""Values that are likely to be slips are told, whoever has them."""

from __future__ import annotations

import pytest

from huizhen.data.catalogue.codes import values_of
from huizhen.data.catalogue.criteria import parse_query
from huizhen.data.catalogue.doubts import MODALITIES, doubts_of


def doubted(key: str, value: str) -> list[str]:
    """Return what may be meant by each doubtful value of a question with one."""
    tree = {"operand": "AND", "children": [{"key": key, "type": "IN", "value": [value]}]}
    return [one.meant for one in doubts_of(parse_query(tree))]


@pytest.mark.parametrize(
    ("key", "value", "meant"),
    [
        ("modality", "XX", ""),
        ("modality", "mri", "MR"),
        ("modality", "PET", "PT"),
        ("modality", "RTSTRUCTS", "RTSTRUCT"),
        ("sex", "female", "F"),
        ("manufacturer", "Phillips", "PHILIPS"),
        ("body_part", "BRAEST", "BREAST"),
    ],
)
def test_a_slip_is_told_with_what_may_be_meant(key: str, value: str, meant: str) -> None:
    assert doubted(key, value) == [meant]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("modality", "RID10312"),
        ("modality", "SM"),
        ("manufacturer", "A SMALL MAKER"),
        ("body_part", "KNEE"),
        ("diagnosis", "SNOMEDCT44054006"),
    ],
)
def test_what_a_list_has_or_lists_leave_open_is_not_doubted(key: str, value: str) -> None:
    assert doubted(key, value) == []


def test_the_catalogues_own_modalities_are_dicoms() -> None:
    assert set(values_of("modality")) <= MODALITIES


def test_each_doubt_once_wherever_it_stands() -> None:
    leaf = {"key": "modality", "type": "IN", "value": ["XX"]}
    tree = {"operand": "OR", "children": [leaf, {"operand": "NOT", "children": [leaf]}]}
    assert len(doubts_of(parse_query(tree))) == 1
