"""Words: both languages have the same keys and the same gaps, and no key is missing or unused."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import huizhen.dossier
from huizhen.core.words import Language, load_words
from huizhen.dossier.wording import PACKAGE, Text, join, listed, say, say_or

ENGLISH, CHINESE = (load_words(PACKAGE, language) for language in (Language.EN, Language.ZH))
SOURCES = Path(huizhen.dossier.__file__).parent


def gaps(text: str) -> set[str]:
    """Return the names of a text's gaps."""
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_both_languages_have_the_same_keys() -> None:
    assert set(ENGLISH) == set(CHINESE)
    assert len(ENGLISH) > 300


def test_both_languages_have_the_same_gaps() -> None:
    assert {k: gaps(v) for k, v in ENGLISH.items()} == {k: gaps(v) for k, v in CHINESE.items()}


def test_chinese_is_chinese() -> None:
    same = {k for k, v in CHINESE.items() if v == ENGLISH[k] and re.search("[A-Za-z]{3}", v)}
    assert same <= {"model.cman", "short.auc"}


def test_every_key_that_the_code_names_exists() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in sorted(SOURCES.rglob("*.py")))
    pages = "\n".join(path.read_text(encoding="utf-8") for path in sorted(SOURCES.rglob("*.html")))
    named = set(re.findall(r'\b(?:say|phrase)\("([a-z_.]+)"', code + pages))
    named.discard("caption.")  # completed by the kind of block
    assert len(named) > 100
    assert named <= set(ENGLISH)


def test_no_word_is_unused() -> None:
    text = "\n".join(p.read_text(encoding="utf-8") for s in ("py", "html") for p in SOURCES.rglob(f"*.{s}"))
    open_ended = {
        "metric",
        "short",
        "column",
        "value",
        "modality",
        "model",
        "cohort",
        "topic",
        "reason",
        "stage",
    }
    built = {"order", "verdict", "fact", "table", "heading", "case", "bound", "unit", "size", "timeline"}
    built |= {"head_of_log", "caption", "figure", "axis", "head", "target", "allocation", "sheet_hint"}
    built |= {"state", "told", "distance", "groups", "terms", "multiplicity", "given", "robustness"}
    built |= {"conformal", "shortcuts", "guideline_kind", "sheet", "sheet_role", "crate", "deviation"}
    built |= {"not_provided", "print", "consent"}
    unused = [k for k in ENGLISH if k.split(".")[0] not in open_ended | built and f'"{k}"' not in text]
    assert unused == []


def test_unknown_word_with_gaps_stays_as_it_is() -> None:
    assert say_or("model.single_of", "single_of") == Text.both("single_of")
    assert say_or("model.nothing", "nothing") == Text.both("nothing")


def test_texts_fill_their_own_language() -> None:
    filled = say("answer.none", cohort=say("cohort.external"))
    assert "external test set" in filled.en
    assert "外部测试集" in filled.zh
    assert listed([Text("a", "甲"), Text("b", "乙")]) == Text("a, b", "甲、乙")
    assert join() == Text.both("")
