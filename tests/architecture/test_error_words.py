"""Every error and problem can be told in Chinese: the catalogue against the source, and against itself."""

from __future__ import annotations

import errno
import inspect
import os
import re
import tomllib

import pytest
from pydantic_core import PydanticKnownError

from huizhen.cli.error_phrases import parse_template
from huizhen.cli.error_templates import OUTSIDE, faults, read_said
from huizhen.cli.error_words import SENTENCE, Translator, load_catalogue, read_catalogue

COMMAND = re.compile(r"huizhen [a-z]+( [a-z]+)?|pip install \S+")
"""What is to be typed, the same in both languages."""

CALLED = re.compile(
    r"^(Input|Field|Extra|String|Value|Missing|Option|Argument|No such [oc]|Got|Invalid value)"
    r"|(Errno|\(at |item)"
)
"""Texts that no source spells out: pydantic's and typer's, shown by calls (here and in tests/unit/cli)."""

CODES = {"readers and cases"}
"""Texts of several words that are values to be typed, and so the same in both languages."""

PYDANTIC = {
    "missing": {},
    "extra_forbidden": {},
    "string_type": {},
    "string_too_short": {"min_length": 2},
    "string_too_long": {"max_length": 1},
    "string_pattern_mismatch": {"pattern": "[a-z]+"},
    "int_type": {},
    "int_parsing": {},
    "int_from_float": {},
    "float_type": {},
    "float_parsing": {},
    "bool_type": {},
    "bool_parsing": {},
    "list_type": {},
    "tuple_type": {},
    "set_type": {},
    "frozen_set_type": {},
    "dict_type": {},
    "model_type": {"class_name": "SitePolicy"},
    "greater_than": {"gt": 1.0},
    "greater_than_equal": {"ge": 1.0},
    "less_than": {"lt": 1.0},
    "less_than_equal": {"le": 1.0},
    "multiple_of": {"multiple_of": 2.0},
    "too_short": {"field_type": "List", "min_length": 1, "actual_length": 0},
    "too_long": {"field_type": "List", "max_length": 2, "actual_length": 3},
    "finite_number": {},
    "literal_error": {"expected": "'a', 'b' or 'c'"},
    "time_type": {},
    "time_parsing": {"error": "x"},
    "date_type": {},
    "datetime_type": {},
    "none_required": {},
}
"""Pydantic's errors that a policy or card may have, with what fills their texts."""


def spoken(kind: str) -> str:
    """Return pydantic's message of an error."""
    return PydanticKnownError(kind, PYDANTIC[kind] or None).message()  # type: ignore[arg-type]  # its kinds are literals


@pytest.fixture(scope="module")
def told() -> Translator:
    """The translator by the whole catalogue."""
    return Translator(load_catalogue())


def test_source_and_catalogue_fit() -> None:
    wrong = faults(read_said(), read_catalogue())
    assert wrong == {}, "see what `python -m huizhen.cli.error_templates` prints, and CONTRIBUTING"


def test_the_chinese_is_chinese() -> None:
    texts = {english: chinese for english, chinese in load_catalogue().items() if english not in CODES}
    without = [text for text in texts.values() if not re.search(r"[一-鿿]|^\{0\}$", text)]
    assert without == []
    assert [text for text in texts.values() if SENTENCE.search(COMMAND.sub("", text))] == []


def test_each_template_is_recognised_among_all_others(told: Translator) -> None:
    wrong = {}
    for english, chinese in load_catalogue().items():
        values = [
            f"v{place}" for place in range(sum(name is not None for _, name, _ in parse_template(english)))
        ]
        wanted = re.sub(r":(list|word)\}", "}", chinese).format(*values)
        found = told.text(english.format(*values).strip())
        if found != wanted and not english.startswith(" "):
            wrong[english] = found
    assert wrong == {}


def test_what_the_system_and_python_say_is_said_there() -> None:
    module = inspect.getmodule(tomllib.loads)
    assert module is not None
    parser = inspect.getsource(module).replace("\\\\", "\\")
    said = {os.strerror(number) for number in errno.errorcode}
    absent = []
    for english in read_catalogue()[OUTSIDE]:
        literals = [literal.strip(" ()") for literal, _, _ in parse_template(english)]
        if not CALLED.search(english) and english not in said and not all(one in parser for one in literals):
            absent.append(english)
    assert absent == []


def test_a_system_error_and_a_toml_error_are_told_whole(told: Translator) -> None:
    assert (
        told.text(str(OSError(2, os.strerror(2), "a b.toml")))
        == "没有这个文件或文件夹：'a b.toml'（错误号 2）"
    )
    with pytest.raises(tomllib.TOMLDecodeError) as caught:
        tomllib.loads("a = [1")
    assert told.text(str(caught.value)) == "数组没有闭合（文件末尾）"
    with pytest.raises(tomllib.TOMLDecodeError) as caught:
        tomllib.loads("a = 1\na b = 2")
    assert told.text(str(caught.value)) == "键之后应有 '='（第 2 行，第 3 列）"


@pytest.mark.parametrize("kind", PYDANTIC)
def test_pydantic_is_told(told: Translator, kind: str) -> None:
    chinese = told.text(spoken(kind))
    assert re.search(r"[一-鿿]", chinese)
    assert not SENTENCE.search(chinese), chinese
