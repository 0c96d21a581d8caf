"""Global options are taken from anywhere before `--` and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huizhen.cli.settings import locale_language, take_settings
from huizhen.core.words import Language
from huizhen.errors import InvalidInputError


@given(st.lists(st.sampled_from(["run", "a.toml", "--out", "x", "-v"])), st.integers(0, 5))
def test_other_arguments_keep_their_order(others: list[str], place: int) -> None:
    given_line = [*others[:place], "--json", *others[place:], "--lang", "zh"]
    settings, rest = take_settings(given_line, Language.EN)
    assert rest == others
    assert (settings.json, settings.language, settings.quiet) == (True, Language.ZH, False)


def test_nothing_is_taken_after_a_double_dash() -> None:
    settings, rest = take_settings(["run", "--", "--json", "--lang"], Language.EN)
    assert (settings.json, rest) == (False, ["run", "--", "--json", "--lang"])


@pytest.mark.parametrize("line", [["--lang"], ["--lang", "fr"], ["--lang="]])
def test_a_language_that_is_not_there_is_refused(line: list[str]) -> None:
    with pytest.raises(InvalidInputError, match="en or zh"):
        take_settings(line, Language.EN)


def test_lc_all_goes_before_lang() -> None:
    assert locale_language({"LC_ALL": "zh_TW", "LANG": "en_GB"}) is Language.ZH
    assert locale_language({"LC_ALL": "", "LANG": "zh_TW"}) is Language.ZH
    assert locale_language({}) is Language.EN
