"""Free text cleaned by what may stay: words of anatomy, procedure and technique; everything else is dropped.

    >>> cleaned("CT chest abdomen pelvis - 55F Dr. Smith")
    'CT chest abdomen pelvis'
    >>> cleaned("张伟 胸部平扫+增强")
    '胸部 平扫 增强'

Source: DICOM PS3.15 E.3.5, note 2.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator
from functools import cache
from importlib.resources import files

__all__ = ["cleaned", "is_descriptive"]

_TOKEN = re.compile(r"[^\W_㐀-鿿豈-﫿]+(?:\.[0-9]+)?|[㐀-鿿豈-﫿]+|\S")
_HAN = re.compile(r"[㐀-鿿豈-﫿]")
_MEASURE = re.compile(r"\d{1,2}(?:\.\d{1,2})?(?:mm|cm|kv|kvp|phase|d|t)")
_TITLES = frozenset(["dr", "mrs", "ms", "miss", "prof", "doctor", "sir", "rn", "md"])


def cleaned(text: str, *, but: Collection[str] = frozenset()) -> str:
    """Return the words of `text` that may stay, with single spaces between them; "" if there is none.

    `but` holds lower-case words that go although they are descriptive: names of this file's people. A word
    after a title goes too ("Dr. Hip"). Numbers stay only as thin measures ("5mm").
    """
    kept: list[str] = []
    titled = False
    for token in _TOKEN.findall(text):
        lower = token.lower()
        if _HAN.match(token):
            kept += [word for word in _han_words(token) if word not in but]
            titled = False
        elif lower in _TITLES or token == "Mr":  # MR is a modality
            titled = True
        elif token.isalnum() or "." in token[1:]:
            if not titled and lower not in but and is_descriptive(lower):
                kept.append(token)
            titled = False
    return " ".join(kept)


def is_descriptive(word: str) -> bool:
    """Tell whether a lower-case word is in the table, or is a thin measure.

    >>> is_descriptive("axial"), is_descriptive("3mm"), is_descriptive("smith")
    (True, True, False)
    """
    return word in _words()[0] or _MEASURE.fullmatch(word) is not None


def _han_words(run: str) -> Iterator[str]:
    """Yield the words of the table in a run of Chinese characters, the longest first at each place."""
    table = _words()[1]
    longest = max(map(len, table))
    start = 0
    while start < len(run):
        word = next(
            (run[start : start + n] for n in range(longest, 1, -1) if run[start : start + n] in table), ""
        )
        if word:
            yield word
        start += len(word) or 1


@cache
def _words() -> tuple[frozenset[str], frozenset[str]]:
    """Return the English and the Chinese words."""
    path = files("huizhen.data.deidentify") / "tables" / "words.toml"
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return frozenset(table["english"].split()), frozenset(table["chinese"].split())
