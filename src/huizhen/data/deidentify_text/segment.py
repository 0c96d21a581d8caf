"""Chinese text cut into words: the fewest words that cover it, by a list, single characters elsewhere.

What a list of words leaves as single characters may be a name; what is a word is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from huizhen.data.deidentify_text.tables import words_of

__all__ = ["han_runs", "is_word", "segments"]

_RUN = re.compile(r"[\u3400-\u9fff]+")
_LONGEST = 6


def han_runs(text: str) -> Iterator[tuple[int, str]]:
    """Yield each run of Chinese characters with its start."""
    for match in _RUN.finditer(text):
        yield match.start(), match[0]


def is_word(text: str) -> bool:
    """Tell whether a list of words has `text`.

    >>> is_word("高血压"), is_word("张伟")
    (True, False)
    """
    return text in _words()


def segments(run: str) -> list[str]:
    """Return a run of Chinese characters as words, the fewest that cover it; on a tie the longer ones first.

    >>> segments("患者张伟因高血压入院")
    ['患者', '张', '伟', '因', '高血压', '入院']
    """
    n = len(run)
    fewest: list[tuple[float, int]] = [(0.0, 0)] * (n + 1)
    for i in range(n - 1, -1, -1):
        best = (fewest[i + 1][0] + 1.01, 1)
        for length in range(2, min(_LONGEST, n - i) + 1):
            if run[i : i + length] in _words():
                cost = fewest[i + length][0] + 1 - 0.001 * length
                best = min(best, (cost, length))
        fewest[i] = best
    found, at = [], 0
    while at < n:
        found.append(run[at : at + fewest[at][1]])
        at += fewest[at][1]
    return found


@cache
def _words() -> frozenset[str]:
    """Return the words of both lists, with the labels and titles around names."""
    return (
        words_of("words_zh", "words")
        | frozenset(word for word in words_of("medicine_zh", "words") if len(word) > 1)
        | frozenset(
            word
            for word in words_of("names_zh", "labels_before", "titles_after", "relatives")
            if len(word) > 1
        )
    )
