"""What hides identifiers from rules is folded away, and places in the original are kept."""

from __future__ import annotations

import pytest

from huizhen.data.deidentify.key import Pseudonymiser
from huizhen.data.deidentify_text.cleaning import clean
from huizhen.data.deidentify_text.folding import fold
from huizhen.data.deidentify_text.known import Known
from huizhen.data.deidentify_text.policy import TextPolicy

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
    ("Dr. ᴏᴋᴏɴᴋᴡᴏ", "ᴏᴋᴏɴᴋᴡᴏ"),
    ("手机1\ufe0f\u20e33812345678", "1\ufe0f\u20e33812345678"),
    ("手机❶③8➊2345678", "❶③8➊2345678"),
    ("电话一三八零零一三八零零零", "一三八零零一三八零零零"),
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


UNSEEN = tuple(
    "\ufe0f\ufe00\u034f\U000e0100\u180b\u180f\u3164\u115f\u1160\uffa0\u2800\u0332\u0336\u0338\u20dd\u17b4\u200b"
    "\u2064\U000e0061\U0001d159"
)
ALL = Known(
    patient="MRN4711882",
    names=("王小明", "Müller^Johanna"),
    numbers=("110105198003071234",),
    dates=("1980-03-07",),
    texts=("13800138000",),
)
VALUES = ("王小明", "Müller", "Johanna", "110105198003071234", "13800138000", "MRN4711882", "19800307")


@pytest.mark.parametrize("sign", UNSEEN, ids=[f"{ord(sign):X}" for sign in UNSEEN])
def test_signs_between_the_letters_of_known_values_hide_nothing(who: Pseudonymiser, sign: str) -> None:
    text = "; ".join(sign.join(value) + sign for value in VALUES)
    done = clean(f"{text}.", who=who, known=ALL, policy=TextPolicy(all_tags=True))
    left = "".join(char for char in done.text if char not in "".join(UNSEEN))
    assert left == "[NAME]; [NAME]; [NAME]; [ID]; [PHONE]; [ID]; [ID]."


@pytest.mark.parametrize(
    ("written", "known"),
    [
        ("Muller", "Müller"),
        ("Mu\u200b\u0308ller", "Müller"),
        ("Jóhannà", "Johanna"),
        ("Joh\u0301anna", "Johanna"),
        ("Ｊｏｈａｎｎａ", "Ｊｏｈａｎｎａ"),
        ("张伟明", "張偉明"),
        ("José", "Jose\u0301"),
        ("Sørensen", "Sorensen"),
    ],
    ids=range(8),
)
def test_values_are_folded_as_texts_are(who: Pseudonymiser, written: str, known: str) -> None:
    done = clean(
        f"seen: {written}.",
        who=who,
        known=Known(patient="zz9", names=(known,)),
        policy=TextPolicy(all_tags=True, unknown_words=False),
    )
    assert done.text == "seen: [NAME]."


def test_what_is_kept_by_policy_counts_in_any_disguise(who: Pseudonymiser) -> None:
    text = "号码一一零一零五一九八零零三零七一二三四 and 1\u03381\u033801\ufe0f05198003071234"
    done = clean(text, who=who, known=ALL, policy=TextPolicy(keep=("id", "phone")))
    assert done.residue == 2
