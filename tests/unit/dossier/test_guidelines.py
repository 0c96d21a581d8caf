"""Checklists: every item names evidence that exists, in both languages; one's own are checked."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import huizhen.dossier
from huizhen.dossier.evidence_items import Item
from huizhen.dossier.guidelines import (
    By,
    Checklist,
    checklist_from_json,
    checklist_problems,
    read_checklist,
    shipped_checklists,
)
from huizhen.errors import DossierError

SHIPPED = shipped_checklists()

SIZES = {
    "chai-model-card-0-1": 40,
    "claim-2024": 44,
    "consort-ai-2020": 14,
    "decide-ai-2022": 27,
    "eu-ai-act-annex-iv": 23,
    "eu-ai-act-art-9-15": 48,
    "fda-pccp-2025": 17,
    "future-ai-2025": 30,
    "gdpr": 15,
    "gmlp-2025": 10,
    "hipaa-safe-harbor": 19,
    "mitchell-model-card-2019": 9,
    "model-facts-2020": 24,
    "nmpa-2022-8": 27,
    "onc-hti-1": 31,
    "pipl": 15,
    "spirit-ai-2020": 15,
    "stard-2015": 34,
    "stard-ai-2025": 48,
    "tripod-ai-2024": 52,
}

FEEDS = "37 27 22 28 12 15 11 11 10 25 8 14 12 8 6 34 11 14 8 40 7 5 14 34 25 19 10 7 3 23 7 12 21 12 5 15"
FEEDS += " 11 23 6 17 24 13 21 9 28 5 8 49"
"""Items of guidelines that each of EV01 to EV48 feeds, as the evidence scheme counts them."""

OWN = """
id = "house-rules"
title = "House rules"
edition = "first"
date = "2026-11"
citation = "Our own."

[[item]]
number = "1"
topic = "Accuracy"
evidence = ["EV20"]
by = "automatic"
"""


def test_all_are_there_whole() -> None:
    assert {name: len(found.items) for name, found in SHIPPED.items()} == SIZES


def test_every_evidence_item_feeds_what_the_scheme_says() -> None:
    counted = Counter(item.value for c in SHIPPED.values() for row in c.items for item in row.evidence)
    assert [counted[item.value] for item in Item] == [int(n) for n in FEEDS.split()]


@pytest.mark.parametrize("name", sorted(SIZES))
def test_each_is_told_in_both_languages(name: str) -> None:
    found = SHIPPED[name]
    topics = [row.topic for row in found.items]
    assert all(re.search("[\u4e00-\u9fff]|^Model Facts", topic.zh) for topic in topics)
    assert not any(re.search("[\u4e00-\u9fff]", topic.en) for topic in topics)
    assert found.title.zh != found.title.en
    assert found.citation
    assert re.match(r"(19|20)\d\d-\d\d", found.date)
    assert "own words" in found.rights.en


@pytest.mark.parametrize("name", sorted(SIZES))
def test_topics_are_short(name: str) -> None:
    assert max(len(row.topic.en) for row in SHIPPED[name].items) <= 90
    assert max(len(row.topic.zh) for row in SHIPPED[name].items) <= 60


def test_files_are_named_after_their_ids() -> None:
    folder = Path(huizhen.dossier.__file__).parent / "checklists"
    assert {path.stem for path in folder.glob("*.toml")} == set(SHIPPED)


def test_who_answers_is_as_the_guideline_allows() -> None:
    claim = {row.number: row.by for row in SHIPPED["claim-2024"].items}
    assert (claim["7"], claim["12"], claim["44"]) == (By.AUTOMATIC, By.PARTLY, By.PERSON)


def test_one_of_ones_own_is_read() -> None:
    table, problems = read_checklist(OWN)
    assert problems == []
    assert table is not None
    own: Checklist = checklist_from_json({"checklist": table})
    assert own.items[0].topic.zh == "Accuracy"
    assert own.items[0].evidence == (Item.EV20,)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ('"EV20"', '"EV49"', "item[0].evidence"),
        ('["EV20"]', "[]", "item[0].evidence"),
        ('"EV20"', '"EV20", "EV20"', "item[0].evidence"),
        ('"automatic"', '"yes"', "item[0].by"),
        ('number = "1"', 'number = ""', "item[0].number"),
        ('topic = "Accuracy"', "topic = 3", "item[0].topic"),
        ('topic = "Accuracy"', 'topic = "a\\u202eb"', "item[0].topic"),
        ('topic = "Accuracy"', f'topic = "{"a" * 500}"', "item[0].topic"),
        ('id = "house-rules"', 'id = "../x"', "id"),
        ('id = "house-rules"', 'id = "claim-2024"', "id"),
        ('edition = "first"', "", "edition"),
        ('date = "2026-11"', 'date = "2026-11"\nscore = 3', "score"),
        ("[[item]]", "[item]", "item"),
        ('id = "house-rules"', "id = ", "(syntax)"),
        ('id = "house-rules"', "id = " + "[" * 3000, "(syntax)"),
        ('id = "house-rules"', 'id = "' + "x" * 300_000 + '"', "(syntax)"),
    ],
    ids=lambda value: re.sub(r"\W+", "-", str(value))[:24],
)
def test_what_is_wrong_is_told(old: str, new: str, field: str) -> None:
    assert old in OWN
    table, problems = read_checklist(OWN.replace(old, new))
    assert table is None
    assert field in [problem.field for problem in problems]


def test_a_number_used_twice_is_told() -> None:
    rows = OWN + OWN[OWN.index("[[item]]") :]
    assert [problem.field for problem in read_checklist(rows)[1]] == ["item[1].number"]


def test_everything_wrong_is_told_at_once() -> None:
    raw: dict[str, Any] = {"id": 3, "item": [{"number": 1, "by": [], "evidence": {}}]}
    found = {problem.field for problem in checklist_problems(raw)}
    assert {"id", "title", "edition", "date", "citation", "item[0].number", "item[0].by"} <= found


@pytest.mark.parametrize("body", [{}, {"checklist": 3}, {"checklist": {"id": "x"}}], ids=str)
def test_a_broken_entry_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(DossierError, match="holds none"):
        checklist_from_json(body)
