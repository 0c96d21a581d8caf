"""What hides identifiers from rules is folded away, and places in the original are kept."""

from __future__ import annotations

import pytest

from huizhen.data.deidentify_text.folding import fold

HIDDEN = [
    ("Dr. Ｏｋｏｎｋｗｏ", "Ｏｋｏｎｋｗｏ"),
    ("Dr. Oko\u200bnk\u00adwo said", "Oko\u200bnk\u00adwo"),
    ("Dr. \u041ek\u043enkw\u043e", "\u041ek\u043enkw\u043e"),
    ("Dr. O\u0301konkwo", "O\u0301konkwo"),
    ("Dr.\u00a0Oko\x00nkwo", "Oko\x00nkwo"),
    ("手机１３８１２３４５６７８", "１３８１２３４５６７８"),
    ("手机138\u200d1234\u200d5678", "138\u200d1234\u200d5678"),
    ("MRN\uff1a\u20600012\u2011345", "0012\u2011345"),
    ("姓名：張偉", "張偉"),
    ("患者张\u3000伟，男", "张\u3000伟"),
]


@pytest.mark.parametrize(("text", "value"), HIDDEN, ids=range(len(HIDDEN)))
def test_hidden_identifiers_are_found_in_the_original(spans, text: str, value: str) -> None:
    found = [said for _, said in spans(text)]
    assert any(value in said for said in found), found


def test_each_folded_character_knows_where_it_came_from() -> None:
    text = "a\u200b㎜e\u0301\u202e①張"
    folded = fold(text)
    assert folded.text == "ammé1张"
    assert [text[a:b] for a, b in zip(folded.starts, folded.ends, strict=True)] == [
        "a",
        "㎜",
        "㎜",
        "e\u0301",
        "①",
        "張",
    ]
