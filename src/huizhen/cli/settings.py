"""The global options, taken from anywhere in the line: huizhen --json verify X, or verify X --json."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from huizhen.core.words import Language
from huizhen.errors import InvalidInputError

__all__ = ["Settings", "locale_language", "take_settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the command line speaks: `json` one object on stdout, `quiet` no progress, `debug` tracebacks."""

    language: Language = Language.EN
    json: bool = False
    quiet: bool = False
    debug: bool = False


def locale_language(environment: Mapping[str, str] = os.environ) -> Language:
    """Return the language of LC_ALL, LC_MESSAGES or LANG, the first that is set.

    >>> locale_language({"LANG": "zh_CN.UTF-8"}).value, locale_language({"LC_ALL": "C", "LANG": "zh"}).value
    ('zh', 'en')
    """
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    return Language.from_locale(next((environment[name] for name in names if environment.get(name)), ""))


def take_settings(arguments: Sequence[str], language: Language) -> tuple[Settings, list[str]]:
    """Return the global options found before any `--`, and the other arguments in their order.

    `language` counts where no --lang is given. Raises `InvalidInputError` on a language that isn't there.

    >>> take_settings(["verify", "d", "--json"], Language.EN)[1]
    ['verify', 'd']
    """
    flags: dict[str, bool] = {"json": False, "quiet": False, "debug": False}
    others: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            others += [argument, *rest]
        elif argument.removeprefix("--") in flags and argument.startswith("--"):
            flags[argument.removeprefix("--")] = True
        elif argument == "--lang":
            language = _language(next(rest, ""))
        elif argument.startswith("--lang="):
            language = _language(argument.removeprefix("--lang="))
        else:
            others.append(argument)
    return Settings(language=language, **flags), others


def _language(text: str) -> Language:
    """Return the language of a --lang value."""
    try:
        return Language(text)
    except ValueError as error:
        choices = " or ".join(item.value for item in Language)
        raise InvalidInputError(f"can't be {text!r}", remedy=f"write {choices}", field="--lang") from error
