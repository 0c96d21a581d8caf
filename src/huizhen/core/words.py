"""Words on screen and in reports, by key and language, from TOML tables that ship with each room."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from importlib.resources import files

from huizhen.errors import InvalidInputError


class Language(StrEnum):
    """A language that screens and reports exist in."""

    EN = "en"
    ZH = "zh"

    @classmethod
    def from_locale(cls, text: str) -> Language:
        """Return the language of a locale name such as LANG's; English unless it is Chinese.

        >>> Language.from_locale("zh_CN.UTF-8").value, Language.from_locale("C").value
        ('zh', 'en')
        """
        return cls.ZH if text.lower().startswith("zh") else cls.EN


@cache
def load_words(package: str, language: Language) -> Mapping[str, str]:
    """Return the words of `package` (its `words/<language>.toml`, tables joined by dots) by key."""
    table = tomllib.loads((files(package) / "words" / f"{language.value}.toml").read_text(encoding="utf-8"))
    flat: dict[str, str] = {}

    def walk(prefix: str, node: Mapping[str, object]) -> None:
        for key, value in node.items():
            if isinstance(value, Mapping):
                walk(f"{prefix}{key}.", value)
            else:
                flat[prefix + key] = str(value)

    walk("", table)
    return flat


def word(package: str, language: Language, key: str, **values: object) -> str:
    """Return the text of `key`, with `{name}` filled from `values`. Raises `InvalidInputError` if unknown."""
    try:
        return load_words(package, language)[key].format(**values)
    except KeyError as error:
        raise InvalidInputError(
            f"no word {error} for {key!r} in {package} ({language.value})", remedy="add it to words/*.toml"
        ) from error
