"""Two persons under one patient id are told apart, and nothing of them is kept."""

from __future__ import annotations

import pytest

from huizhen.data.readers.persons import Person, are_several, person_of

LI = {"name": "Li^Na", "birth_date": "19700101", "sex": "F", "issuer": "HIS"}


@pytest.mark.parametrize(
    ("other", "another"),
    [
        ({}, False),
        ({"name": "LI NA"}, False),
        ({"name": "Na^Li"}, False),
        ({"name": "Li^Na=李^娜"}, False),
        ({"name": "李^娜"}, True),
        ({"name": ""}, False),
        ({"name": "Wang^Fang"}, True),
        ({"birth_date": "19700102"}, True),
        ({"birth_date": ""}, False),
        ({"birth_date": "ANON"}, False),
        ({"sex": "M"}, True),
        ({"sex": "O"}, False),
        ({"issuer": "PACS"}, False),
        ({"issuer": "PACS", "birth_date": ""}, True),
        ({"issuer": ""}, False),
    ],
)
def test_what_makes_another_person(other: dict[str, str], another: bool) -> None:
    one = person_of(**LI)
    assert one.is_another(person_of(**{**LI, **other})) is another
    assert are_several([one, person_of(**{**LI, **other}), one]) is another


def test_nothing_that_was_read_is_in_it() -> None:
    text = repr(person_of(**LI)).lower()
    assert not any(value.lower() in text for value in ("Li^Na", "ailn", "19700101", "HIS'"))
    assert person_of(name="", birth_date="", sex="", issuer="") == Person()
