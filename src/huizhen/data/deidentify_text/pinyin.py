"""Chinese characters in pinyin without tones, and words that are pinyin.

>>> sorted(readings("单"))[:2], in_syllables("xiaoming"), in_syllables("smith")
(['chan', 'dan'], ('xiao', 'ming'), ())
"""

from __future__ import annotations

from functools import cache

from huizhen.data.deidentify_text.tables import load_table

__all__ = ["in_syllables", "readings"]


@cache
def _readings() -> dict[str, frozenset[str]]:
    made: dict[str, set[str]] = {}
    for syllable, chars in load_table("pinyin")["syllables"].items():
        for char in chars:
            made.setdefault(char, set()).add(syllable.replace("v", "u"))
    return {char: frozenset(syllables) for char, syllables in made.items()}


@cache
def _syllables() -> frozenset[str]:
    return frozenset(s.replace("v", "u") for s in load_table("pinyin")["syllables"])


def readings(char: str) -> frozenset[str]:
    """Return how a character is read, without tones; nothing for one that the table lacks."""
    return _readings().get(char, frozenset())


def in_syllables(word: str) -> tuple[str, ...]:
    """Return a word in lower-case Latin letters as syllables of pinyin, the longest first, () if none."""
    if not word:
        return ()
    for length in range(min(6, len(word)), 0, -1):
        if word[:length] in _syllables() and (length > 1 or len(word) == 1):
            if length == len(word):
                return (word,)
            if rest := in_syllables(word[length:]):
                return (word[:length], *rest)
    return ()
