"""Why something was not assessed, in both languages: rooms write English, `reasons.toml` has the Chinese.

A reason with values in it ("fewer than 10 patients") is recognised by its template. So are the names of how
intervals were computed, and the limits that a model's card tells.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from huizhen.dossier.wording import Text, known, say

__all__ = ["reason_templates", "reason_text"]


@cache
def reason_templates() -> Mapping[str, str]:
    """Return the Chinese of each English template."""
    return tomllib.loads((files("huizhen.dossier") / "reasons.toml").read_text(encoding="utf-8"))


def reason_text(reason: str) -> Text:
    """Return a reason as it stands, with its Chinese where the words or a template know it.

    >>> reason_text("fewer than 2 patients").zh
    '患者少于 2 名'
    >>> reason_text("kappa of 7 cases that were all labelled alike, or of too few").zh
    '7 个病例标签全同或病例过少，无法计算 kappa'
    """
    if known(f"reason.{reason}"):
        return Text(reason, say(f"reason.{reason}").zh)
    bare = reason.rstrip(".")
    if bare in reason_templates():
        return Text(reason, reason_templates()[bare])
    for pattern, chinese in _patterns():
        found = pattern.fullmatch(bare)
        if found:
            values = [reason_templates().get(value, value) for value in found.groups()]
            return Text(reason, chinese.format(*values))
    return Text.both(reason)


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Return templates with values as patterns, those that say most first."""
    open_ = sorted(
        (one for one in reason_templates().items() if "{}" in one[0]), key=lambda one: -len(one[0])
    )
    return tuple(
        (re.compile("(.+?)".join(map(re.escape, english.split("{}"))), re.DOTALL), chinese)
        for english, chinese in open_
    )
