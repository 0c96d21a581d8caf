"""The form: what is blank, broken or hostile is told at once; what is whole comes back from the ledger."""

from __future__ import annotations

import re
from typing import Any

import pytest

from huizhen.dossier.evidence_items import Item, evidence_items
from huizhen.dossier.form import Form, form_from_json, form_problems, read_form
from huizhen.dossier.form_template import form_text
from huizhen.errors import DossierError

BLANK = form_text("a study")
GOOD = BLANK.replace('owner = ""', 'owner = "Dr A"', 1).replace('due = ""', 'due = "2027-01-31"', 1)
ASKED = [item.id.value for item in evidence_items().values() if item.expects_person]


def answered(item: str, **values: str) -> str:
    """Return the good form with some values of one item."""
    head, _, tail = GOOD.partition(f"\n[{item}]\n")
    for key, value in values.items():
        tail = tail.replace(f'{key} = ""', f'{key} = "{value}"', 1)
    return f"{head}\n[{item}]\n{tail}"


def form(text: str) -> Form:
    """Return the form of a text without problems."""
    found, problems = read_form(text)
    assert problems == []
    assert found is not None
    return found


def test_a_new_form_is_blank_and_says_so_item_by_item() -> None:
    found, problems = read_form(BLANK)
    assert found is None
    assert [problem.field for problem in problems] == ASKED
    assert {problem.reason for problem in problems} == {"is blank"}
    assert all(problem.line for problem in problems)


def test_a_default_owner_and_date_are_enough() -> None:
    assert form(GOOD).default.owner == "Dr A"
    assert form(GOOD).answers == {}


def test_a_date_may_be_written_without_quotes() -> None:
    assert form(GOOD.replace('"2027-01-31"', "2027-01-31")).default.due == "2027-01-31"


def test_the_form_comes_back_from_its_entry() -> None:
    whole = form(answered("EV01", answer="To find lesions.", owner="Dr B"))
    assert whole.answers[Item.EV01].owner == "Dr B"
    assert form_from_json(whole.to_json()) == whole


def test_a_new_form_keeps_what_an_earlier_one_says() -> None:
    whole = form(answered("EV05", answer="", owner=""))
    text = GOOD + '\n[EV20]\nanswer = "Two \\"lines\\"\\nhere"\nanswer_zh = "两行"\nowner = "Dr C"\n'
    earlier = form(text)
    again = form(form_text("a study", earlier))
    assert again.answers == earlier.answers
    assert again.default == whole.default


def test_automatic_items_stand_behind_hashes() -> None:
    commented = set(re.findall(r"^#\[(EV\d\d)\]$", BLANK, re.M))
    assert commented | set(ASKED) == {item.value for item in Item}
    assert not commented & set(ASKED)


@pytest.mark.parametrize(
    ("extra", "field", "reason"),
    [
        ('[EV99]\nanswer = "x"', "EV99", "unknown key"),
        ('[EV20]\nanwser = "x"', "EV20.anwser", "unknown key"),
        ("[EV20]\nanswer = 3", "EV20.answer", "must be text"),
        ('[EV20]\ndue = "tomorrow"', "EV20.due", "not a date"),
        ('[EV20]\ndue = "2026-02-30"', "EV20.due", "not a date"),
        (f'[EV20]\nanswer = "{"a" * 4001}"', "EV20.answer", "longer than 4000"),
        ('[EV20]\nanswer = "a\\u202eb"', "EV20.answer", "turns the direction"),
        ('[EV20]\nanswer = "a\\u001b[2Kb"', "EV20.answer", "control character"),
        ('[EV20]\nanswer = "x"\nreason = "y"\nowner = "z"', "EV20", "has an answer, and a reason"),
    ],
    ids=lambda value: re.sub(r"\W+", "-", str(value))[:30],
)
def test_what_is_wrong_is_told(extra: str, field: str, reason: str) -> None:
    found, problems = read_form(f"{GOOD}\n{extra}\n")
    assert found is None
    assert field in [problem.field for problem in problems]
    assert any(reason in problem.reason for problem in problems)


def test_an_answer_without_owner_is_told() -> None:
    text = answered("EV01", answer="To find lesions.").replace('owner = "Dr A"', 'owner = ""')
    fields = {problem.field for problem in read_form(text)[1]}
    assert "EV01.owner" in fields


@pytest.mark.parametrize(
    "text",
    ["EV01 = ", "x = " + "[" * 3000, "a." * 100 + "b = 1", "#" * 600_000, "n = " + "9" * 5000],
    ids=len,
)
def test_hostile_texts_are_refused_at_once(text: str) -> None:
    found, problems = read_form(text)
    assert found is None
    assert [problem.field for problem in problems] == ["(syntax)"]


def test_items_that_are_no_tables_are_told() -> None:
    fields = {problem.field for problem in form_problems({"EV01": "x", "default": [], "sheet": 3})}
    assert {"EV01", "default", "sheet"} <= fields


def test_a_study_that_is_no_text_is_told() -> None:
    assert "study" in {problem.field for problem in form_problems({"study": 3})}


def test_the_sheet_is_checked() -> None:
    sheet: dict[str, Any] = {
        "role": "obey",
        "status": "cleared",
        "colour": "red",
        "en": {"purpose": "x" * 300, "do_not_use": ["a"] * 9},
        "zh": {"do_not_use": "不", "other": "x"},
    }
    fields = {problem.field for problem in form_problems({"sheet": sheet})}
    wanted = {"role", "status", "colour", "en.purpose", "en.do_not_use", "zh.do_not_use", "zh.other"}
    assert {f"sheet.{name}" for name in wanted} <= fields


def test_cleared_needs_an_approval() -> None:
    cleared = GOOD.replace('status = "research"', 'status = "cleared"')
    assert [problem.field for problem in read_form(cleared)[1]] == ["sheet.status"]
    approved = cleared.replace('[EV47]\nanswer = ""', '[EV47]\nanswer = "Approved as No. 3."')
    assert form(approved).sheet.status == "cleared"


def test_sheet_texts_come_back() -> None:
    text = GOOD.replace("do_not_use = []", 'do_not_use = ["after surgery"]', 1)
    whole = form(text)
    assert whole.sheet.en.do_not_use == ("after surgery",)
    assert form_from_json(whole.to_json()).sheet == whole.sheet
    assert form(form_text("x", whole)).sheet == whole.sheet


@pytest.mark.parametrize(
    "body",
    [{}, {"digest": 3, "answers": {}}, {"digest": "0" * 64, "answers": {"EV01": {"answer": 1}}}],
    ids=str,
)
def test_a_broken_entry_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(DossierError, match="holds no form"):
        form_from_json(body)
