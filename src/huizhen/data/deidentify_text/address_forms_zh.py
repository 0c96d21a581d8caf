"""Surnames as people call each other in Chinese: 老张, 小王, 王总, 李姐."""

from __future__ import annotations

from collections.abc import Iterator

from huizhen.data.deidentify_text.kinds import Found, Kind
from huizhen.data.deidentify_text.segment import han_runs, segments
from huizhen.data.deidentify_text.tables import load_table, words_of

__all__ = ["find_address_forms"]

_BEFORE = frozenset("老小")
_AFTER = frozenset("总工哥姐嫂叔姨伯婶")


def find_address_forms(text: str) -> Iterator[Found]:
    """Yield surnames between 老 or 小 and the end of a word, and before 总, 工, 哥, 姐 and the like.

    Only common surnames count, and only where the cut into words leaves them alone: 肝小叶 and 缩小 stay.

    >>> [one.start for one in find_address_forms("老张和小王都在,王总签字,最小黄斑,小叶增生")]
    [1, 4, 8]
    """
    for start, run in han_runs(text):
        cut = segments(run)
        at = start
        for i, word in enumerate(cut):
            if (place := _called(word, cut[:i][-1:], cut[i + 1 : i + 3])) is not None:
                yield Found(
                    start=at + place,
                    end=at + place + 1,
                    kind=Kind.NAME,
                    recogniser="name_zh_called",
                    score=0.6,
                )
            at += len(word)


def _called(word: str, before: list[str], after: list[str]) -> int | None:
    """Return where in a word a surname of a form of address stands, None where there is none."""
    if len(word) == 2 and word[0] in _BEFORE and _is_surname(word[1], word[0]):
        return 1 if _goes_on(after) else None
    if len(word) == 2 and _is_surname(word[0]) and word[1] in _AFTER:
        return 0 if _goes_on(after) else None
    if (
        len(word) == 1
        and before
        and before[0] in _BEFORE
        and _is_surname(word, before[0])
        and _goes_on(after)
    ):
        return 0
    if len(word) != 1 or not _is_surname(word):
        return None
    return 0 if after and after[0] in _AFTER and _goes_on(after[1:]) else None


def _is_surname(char: str, before: str = "") -> bool:
    table = load_table("names_zh")
    return char in table["called"] or (before == "老" and char in table["called_old"])


def _goes_on(after: list[str]) -> bool:
    """Tell whether a name may end before some words: it isn't one more character of a thing's name."""
    return not after or len(after[0]) > 1 or _may_follow(after[0])


def _may_follow(char: str) -> bool:
    table = load_table("names_zh")
    return char in table["function"] or char in words_of("names_zh", "after")
