"""Names of persons in Chinese: after labels and words for relatives, before titles, and by surname in free text."""
# ruff: noqa: E501 - patterns and lists of words, one a line

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from huizhen.data.deidentify_text.kinds import Found, Kind
from huizhen.data.deidentify_text.segment import han_runs, is_word, segments
from huizhen.data.deidentify_text.tables import load_table, words_of

__all__ = ["find_persons_zh"]

_H = r"[\u3400-\u9fff]"
_DOT = "·•・‧∙"
_ETHNIC = re.compile(rf"{_H}{{1,8}}(?:[{_DOT}]{_H}{{1,10}})+")
_SOMEBODY = re.compile(r"[某×xX*]{1,2}")
_SPACED = re.compile(rf"{_H}[ ]{_H}(?:[ ]{_H})?(?=[,，。;；、()（）\s]|$)")
"""A name with spaces between its characters."""

_PERSON = re.compile(r"\s*[,，(（]\s*(?:[男女]|性别|\d{1,3}\s*岁)")
"""What follows a name and nothing else: ，男，56岁."""

_LIST_MARK = re.compile(r"[、,，/\s和与及]+")


def find_persons_zh(text: str) -> Iterator[Found]:
    """Yield names of persons in Chinese characters in a folded text.

    >>> text = "患者张伟因高血压入院,主治医师:欧阳小红,其妻李某陪护"
    >>> sorted({text[one.start : one.end] for one in find_persons_zh(text)})
    ['张伟', '李', '欧阳小红']
    """
    for match in _ETHNIC.finditer(text):
        if not any(char in match[0] for char in "年月日号"):
            yield _found(match.start(), match.end(), "ethnic", 0.85)
    yield from _after_labels(text)
    yield from _before_titles(text)
    yield from _in_running_text(text)
    yield from _alone(text)


def _found(start: int, end: int, recogniser: str, score: float) -> Found:
    return Found(start=start, end=end, kind=Kind.NAME, recogniser=f"name_zh_{recogniser}", score=score)


# --- Shapes


@cache
def _surnames() -> tuple[frozenset[str], frozenset[str], frozenset[str], frozenset[str]]:
    """Return single, compound and ambiguous surnames, and characters that no given name begins with."""
    table = load_table("names_zh")
    single = frozenset(table["surnames"]) - {"\n"}
    never = frozenset(table["function"]) - frozenset(table["given_too"]) - {"\n"}
    return single, words_of("names_zh", "compound"), frozenset(table["ambiguous"]) - {"\n"}, never


def surname_of(text: str) -> str:
    """Return the surname that `text` begins with, "" if none.

    >>> surname_of("欧阳小红"), surname_of("张伟"), surname_of("的")
    ('欧阳', '张', '')
    """
    single, compound, _, _ = _surnames()
    if text[:2] in compound:
        return text[:2]
    return text[:1] if text[:1] in single else ""


def _name_length(text: str) -> int:
    """Return how many characters at the start of `text` are a name: surname and one or two; 0 for none.

    A given name ends before a word that continues the sentence, and before characters that names lack.
    """
    surname = surname_of(text)
    if not surname:
        return 0
    never = _surnames()[3]
    rest = text[len(surname) : len(surname) + 2]
    if not rest or rest[0] in never:
        return 0
    if len(rest) == 1 or rest[1] in never or _continues(text[len(surname) + 1 :]):
        return len(surname) + 1
    if _ends_better_after_one(text, len(surname)):
        return len(surname) + 1
    return len(surname) + 2


def _continues(text: str) -> bool:
    """Tell whether `text` begins with a word that follows names, or with a title."""
    return any(text[:length] in _followed() for length in range(1, _longest_follower() + 1))


@cache
def _followed() -> frozenset[str]:
    return frozenset(_followers())


@cache
def _longest_follower() -> int:
    return max(map(len, _followers()))


@cache
def _followers() -> tuple[str, ...]:
    after, titles = words_of("names_zh", "after"), words_of("names_zh", "titles_after")
    return tuple(sorted(after | titles | words_of("names_zh", "relatives"), key=len, reverse=True))


def _ends_better_after_one(text: str, surname: int) -> bool:
    """Tell whether the second character of a given name rather begins a word: 张伟|入院."""
    rest = text[surname + 1 :]
    if len(rest) < 2:
        return False
    two = rest[:2]
    return is_word(two) and not _continues(rest[1:]) and not is_word(text[surname : surname + 2])


# --- After labels


@cache
def _labels() -> re.Pattern[str]:
    labels = words_of("names_zh", "labels_before") | words_of("names_zh", "relatives")
    said = "|".join(sorted(map(re.escape, labels), key=len, reverse=True))
    return re.compile(rf"(?P<label>{said}|姓\s+名)(?P<mark>(?:\s*\([^()\n]{{1,8}}\))?\s*[:=]\s*|\s+|)")


def _after_labels(text: str) -> Iterator[Found]:
    """Yield names after labels; after a colon or a space any two to four characters up to a mark will do."""
    for match in _labels().finditer(text):
        at = match.end()
        marked = ":" in match["mark"] or "=" in match["mark"]
        if marked or match["mark"]:
            yield from _listed(text, at, strict=not marked)
        elif not text[match.start() - 1 : match.start()].startswith(("非",)):
            run = _run_at(text, at)
            length = _name_length(run)
            if spaced := _SPACED.match(text, at):
                yield _found(at, spaced.end(), "label", 0.75)
            elif length and _is_plausible(run, length):
                yield _found(at, at + length, "label", 0.75)
            elif somebody := _somebody(run):
                yield _found(at, at + somebody, "somebody", 0.8)
            elif _tells_who(match["label"]) and (length := _unlisted(run)):
                yield _found(at, at + length, "relative", 0.6)
            elif 2 <= len(run) <= 4 and not is_word(run) and _is_person(match["label"], text, at + len(run)):
                yield _found(at, at + len(run), "label", 0.7)


def _tells_who(label: str) -> bool:
    """Tell whether after a label only a person can follow, as after 其妻 and 护士, but not after 患者."""
    return label in words_of("names_zh", "relatives", "titles_after")


def _is_person(label: str, text: str, end: int) -> bool:
    """Tell whether what stands between a label and `end` must be a name, whatever its surname."""
    return label.endswith("姓名") or _PERSON.match(text, end) is not None


def _unlisted(run: str) -> int:
    """Return the length of a name whose surname no list has, before a word that follows names; 0 for none."""
    for length in (3, 2):
        name = run[:length]
        if len(name) == length and not set(name) & _surnames()[3] and not is_word(name):
            ends = len(run) == length or _continues(run[length:])
            if ends and len(segments(name)) >= length - 1:
                return length
    return 0


def _somebody(run: str) -> int:
    """Return the length of the surname before 某: 张某, 欧阳某某."""
    surname = surname_of(run) or run[:1]
    return len(surname) if _SOMEBODY.match(run[len(surname) :]) else 0


def _listed(text: str, at: int, *, strict: bool) -> Iterator[Found]:
    """Yield names of a list that begins at `at`: 张伟、李娜, 王芳."""
    while run := _run_at(text, at):
        length = _whole_or_name(run, strict=strict)
        if not length:
            return
        yield _found(at, at + length, "label", 0.7 if strict else 0.86)
        after = at + length
        if not strict and (title := next((t for t in _followers() if text.startswith(t, after)), "")):
            after += len(title)
        between = _LIST_MARK.match(text, after)
        if between is None or "\n" in between[0] or "  " in between[0]:
            return
        at = between.end()
        strict = True


def _run_at(text: str, at: int) -> str:
    match = re.compile(rf"{_H}+").match(text, at)
    return match[0] if match else ""


def _whole_or_name(run: str, *, strict: bool) -> int:
    """Return the length of the name that begins a run: all of a short run that is no word, or by its shape."""
    if somebody := _somebody(run):
        return somebody
    length = _name_length(run)
    if length and _is_plausible(run, length):
        return length
    title = next((t for t in _followers() if len(t) > 1 and run.endswith(t)), "")
    bare = run[: len(run) - len(title)]
    if not strict and 2 <= len(bare) <= 4 and not set(bare) & _surnames()[3]:
        listed = surname_of(bare) and bare not in _followers()
        return len(bare) if listed or not is_word(bare) else 0
    return 0


def _is_plausible(run: str, length: int) -> bool:
    """Tell whether the first characters of a run are no word, and don't begin one that goes on."""
    name = run[:length]
    if is_word(name):
        return False
    first = segments(run)[0]
    if len(first) > 1 and len(first) != length and first not in _surnames()[1]:
        return False
    return not (name[0] in _surnames()[2] and len(first) > 1)


# --- Before titles


@cache
def _titles() -> re.Pattern[str]:
    titles = words_of("names_zh", "titles_after") - {"家属", "老人", "同学", "患儿"}
    said = "|".join(sorted(titles, key=len, reverse=True))
    return re.compile(rf"(?:{said})+|某")


def _before_titles(text: str) -> Iterator[Found]:
    """Yield names right before titles: 张主任, 欧阳小红医生, 李某."""
    for match in _titles().finditer(text):
        end = match.start()
        before = re.search(rf"{_H}{{1,8}}$", text[max(0, end - 8) : end])
        if before is None:
            continue
        length = _name_before(before[0])
        if length:
            yield _found(end - length, end, "title", 0.8)


def _name_before(run: str) -> int:
    """Return how many characters at the end of a run are a name: the longest that is one whole name."""
    cut = segments(run)
    for length in (4, 3, 2):
        name = run[-length:]
        surname = surname_of(name)
        if len(name) < length or not surname or len(surname) >= length or length - len(surname) > 2:
            continue
        given = name[len(surname) :]
        if (
            is_word(name)
            or set(given) & _surnames()[3]
            or (len(surname) == 1 and surname in _surnames()[2] and is_word(given) and length > 2)
        ):
            continue
        if _starts_a_segment(cut, length) and not _is_stuck(run[:-length], name):
            return length
    bare = run.lstrip("请由经与和及邀予到让")
    if (
        2 <= len(bare) <= 3
        and bare != run
        and not set(bare) & _surnames()[3]
        and len(segments(bare)) >= len(bare) - 1
    ):
        return len(bare) if not is_word(bare) else 0
    tail = cut[-1]
    if tail in _surnames()[1]:
        return 2
    if run[-2:] in _surnames()[1]:
        return 2
    if len(tail) == 1 and tail not in _surnames()[3] and (len(run) == 1 or run[-2] == "的"):
        return 1  # whatever character: a surname that no list has
    if len(tail) == 1 and tail in _surnames()[0] and not _is_department(run):
        return 1
    return 0


def _is_department(run: str) -> bool:
    return run.endswith(("科", "室", "组", "部", "院", "病区"))


def _starts_a_segment(cut: list[str], length: int) -> bool:
    """Tell whether the last `length` characters begin where a word does."""
    total = 0
    for word in reversed(cut):
        total += len(word)
        if total >= length:
            return total == length
    return False


def _is_stuck(before: str, name: str) -> bool:
    """Tell whether the character before a name makes a word with the name's surname."""
    return bool(before) and is_word(before[-1] + name[0]) and not is_word(before[-2:])


# --- Alone


_SIGNED = re.compile(
    r"[ \t]*(?:\n\s*(?:[12]\d{3}|\d{1,2}[月/.-]|[〇零○一二三四五六七八九十]{1,4}[年月])|\s*$)"
)
"""What follows a signature: a date on the next line, or nothing more."""


def _alone(text: str) -> Iterator[Found]:
    """Yield runs of two to four characters that what stands around them makes names.

    Before ，男 or an age; or alone on a line before a date or at the end, as signatures are.
    """
    for start, run in han_runs(text):
        end = start + len(run)
        if not 2 <= len(run) <= 4 or run in _followers() or set(run) & _surnames()[3]:
            continue
        if is_word(run) and not surname_of(run):
            continue
        line = text[:start].rpartition("\n")[2]
        if _PERSON.match(text, end) or (not line.strip() and _SIGNED.match(text, end) and not is_word(run)):
            yield _found(start, end, "alone", 0.55)


# --- In running text


def _in_running_text(text: str) -> Iterator[Found]:
    """Yield surnames with given names that no word covers, where the sentence goes on as after a name."""
    for start, run in han_runs(text):
        at = 0
        cut = segments(run)
        for i, word in enumerate(cut):
            if surname_of(word) == word and (length := _length_by_segments(cut, i)):
                ends = at + length == len(run)
                begins = at == 0
                follows = _continues(run[at + length :])
                sure = (begins and ends) or (follows and (begins or word not in _surnames()[2]))
                if sure or (word not in _surnames()[2] and (begins or ends)):
                    yield _found(start + at, start + at + length, "text", 0.62 if sure else 0.42)
            at += len(word)


def _length_by_segments(cut: list[str], i: int) -> int:
    """Return the length of a name whose surname is the segment `i`: one or two single characters, or one word."""
    never = _surnames()[3]
    rest = cut[i + 1 : i + 3]
    then = "".join(cut[i + 2 : i + 8])
    if not rest or rest[0] in words_of("names_zh", "titles_after"):
        return 0
    if len(rest[0]) == 2 and not set(rest[0]) & never and (i + 2 >= len(cut) or _continues(then)):
        return len(cut[i]) + 2 if len(cut[i]) > 1 or cut[i] not in _surnames()[2] else 0
    if len(rest[0]) != 1 or rest[0] in never:
        return 0
    if len(rest) > 1 and len(rest[1]) == 1 and rest[1] not in never and not _continues(then):
        return len(cut[i]) + 2
    return len(cut[i]) + 1
