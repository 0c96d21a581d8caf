"""Words by key and language; an unknown key or a missing value is an error, not an empty screen."""

from __future__ import annotations

import pytest

from huizhen.core.words import Language, load_words, word
from huizhen.errors import InvalidInputError


def test_tables_are_flattened_and_filled() -> None:
    assert load_words("huizhen.cli", Language.EN)["verdict.pass"] == "pass"
    assert word("huizhen.cli", Language.ZH, "check.bad", count=3) == "3 个问题。"


def test_unknown_keys_and_missing_values_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"add it to words"):
        word("huizhen.cli", Language.EN, "no.such.key")
    with pytest.raises(InvalidInputError, match="count"):
        word("huizhen.cli", Language.EN, "check.bad")


@pytest.mark.parametrize(
    ("name", "language"),
    [("zh_CN.UTF-8", Language.ZH), ("ZH", Language.ZH), ("en_GB", Language.EN), ("", Language.EN)],
)
def test_locales(name: str, language: Language) -> None:
    assert Language.from_locale(name) is language
