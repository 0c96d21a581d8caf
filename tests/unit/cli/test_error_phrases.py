"""An error's English text is told in Chinese by its template; what isn't known stays as it is."""

from __future__ import annotations

import time

import pytest

from huizhen.cli.error_phrases import Phrase
from huizhen.cli.error_words import Translator, shown
from huizhen.core.words import Language

WORDS = {
    "is missing": "缺失",
    "add it": "请补上",
    "no column {}": "没有列 {0}",
    "the table {} has no column {}": "列 {1} 不在表 {0} 中",
    "write {}": "请写 {0:list}",
    "it holds {}": "其中有：{0:word}",
    "nothing": "（空）",
    "can't be read ({})": "无法读取（{0}）",
    "write it as {{ key = value }}": "请写成 {{ 键 = 值 }}",
    "line {}": "第 {0} 行",
    "{} problems": "{0} 个问题",
}


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("is missing", "缺失"),
        ("Is missing.", "缺失"),
        ("write it as { key = value }", "请写成 { 键 = 值 }"),
        ("no column age", "没有列 age"),
        ("the table a {b}.csv has no column age {0}", "列 age {0} 不在表 a {b}.csv 中"),
        ("can't be read (no column age)", "无法读取（没有列 age）"),
        ("can't be read (Broken by another library)", "无法读取（Broken by another library）"),
        ("write en or zh", "请写 en 或 zh"),
        ("it holds nothing", "其中有：（空）"),
        ("no column nothing", "没有列 nothing"),
        ("a.csv is missing", "a.csv 缺失"),
        ("north: is missing; south: no column age", "north：缺失；south：没有列 age"),
        (
            "2 problems:\n  line 3: seed: is missing (add it)\n",
            "2 个问题：\n  第 3 行：seed：缺失（请补上）\n",
        ),
        ("write something that nobody ever wrote", "write something that nobody ever wrote"),
        ("", ""),
    ],
)
def test_a_text_is_told_by_its_template(english: str, chinese: str) -> None:
    assert Translator(WORDS).text(english) == chinese


def test_the_template_that_says_most_wins() -> None:
    told = Translator(
        {"{} is wrong": "{0} 有误", "column {} is wrong": "列 {0} 有误", "{} is {}": "{0}：{1}"}
    )
    assert told.text("column age is wrong") == "列 age 有误"


def test_values_are_read_from_both_ends() -> None:
    phrase = Phrase.of("{} of {}{}", "")
    assert list(phrase.values("1 of 2 of 3")) == [("1", "", "2 of 3"), ("1 of 2", "3", "")]
    assert list(phrase.values("1 from 2")) == []


def test_english_stays_english() -> None:
    assert shown("is missing", Language.EN) == "is missing"
    assert shown("is missing", Language.ZH) == "缺失"


@pytest.mark.parametrize("text", ["; ".join(f"a{k}: b (c{k}) and d: e" for k in range(200)), "a: (b " * 200])
def test_a_long_text_takes_no_time(text: str) -> None:
    begun = time.process_time()
    shown(text, Language.ZH)
    assert time.process_time() - begun < 5
