"""The language of conditions: a fact, a comparison, a value; what isn't known is neither true nor false.

::

    kind in [images, updates]        the word is one of these
    receiver not in @adequate        ... or none of a list that the law's file names
    sensitive_persons >= 10000       numbers and days: = != < <= > >=
    anonymous is true                a truth

All conditions of a rule must hold (strong Kleene logic): one that is false decides it, else one that is
unknown leaves it open.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from huizhen.core.jurisdictions import CODES, meant_by
from huizhen.core.study_wording import nearest
from huizhen.data.transfer.facts import Fact, Value, known_facts
from huizhen.errors import InvalidInputError

__all__ = ["Condition", "Facts", "all_hold", "parse_condition"]

Facts = Mapping[str, Value]
"""What is known; a fact that is missing here is unknown."""

_FORM = re.compile(r"^(?P<fact>[a-z_]+) (?P<op>is|in|not in|=|!=|<=|>=|<|>) (?P<value>.+)$")
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition: `text` as it was written, the `fact` it asks for, how it compares, and with what."""

    text: str
    fact: str
    op: str
    value: bool | int | date | frozenset[str]

    def holds(self, facts: Facts) -> bool | None:
        """Return whether the condition holds; None where the fact isn't known."""
        known = facts.get(self.fact)
        if known is None:
            return None
        if isinstance(self.value, frozenset):
            return (known in self.value) != (self.op == "not in")
        if isinstance(self.value, bool):
            return known is self.value
        return _COMPARE[self.op](_number(known), _number(self.value))


def _number(value: Value) -> float:
    return float(value.toordinal()) if isinstance(value, date) else float(value)


def parse_condition(text: str, lists: Mapping[str, Sequence[str]]) -> Condition:
    """Return a condition. `lists` are those that the law's file names. Raises `InvalidInputError`.

    >>> parse_condition("kind in [images]", {}).holds({"kind": "images"})
    True
    >>> parse_condition("sensitive_persons >= 10000", {}).holds({"sensitive_persons": 9999})
    False
    >>> parse_condition("anonymous is true", {}).holds({}) is None
    True
    """
    found = _FORM.match(text.strip())
    if found is None:
        raise _unclear(text, "write it as: fact is true, fact >= 10000, fact in [a, b]")
    name, op, value = found["fact"], found["op"], found["value"].strip()
    fact = known_facts().get(name)
    if fact is None:
        raise _unclear(text, "ask for a fact that huizhen transfer rules --facts lists")
    match fact.type, op:
        case "truth", "is" if value in ("true", "false"):
            return Condition(text=text, fact=name, op=op, value=value == "true")
        case "number", _ if op in _COMPARE and value.replace("_", "").isdecimal():
            return Condition(text=text, fact=name, op=op, value=int(value))
        case "day", _ if op in _COMPARE and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
            return Condition(text=text, fact=name, op=op, value=date.fromisoformat(value))
        case (("word" | "place"), "in" | "not in"):
            return Condition(
                text=text, fact=name, op=op, value=_known(text, fact, _words(text, value, lists))
            )
        case (("word" | "place"), "is") if re.fullmatch(r"[A-Za-z0-9_]+", value):
            return Condition(text=text, fact=name, op="in", value=_known(text, fact, frozenset({value})))
    raise _unclear(text, f"{name} is a {fact.type}: compare it with one")


def _known(text: str, fact: Fact, words: frozenset[str]) -> frozenset[str]:
    """Return words, each of which the fact may be: a rule about a place that isn't there forbids nothing."""
    may = CODES if fact.type == "place" else frozenset(fact.choices)
    if may and (unknown := sorted(words - may)):
        meant = meant_by(unknown[0]) if fact.type == "place" else nearest(unknown[0], sorted(may))
        remedy = f"did you mean {meant}?" if meant else f"{fact.name} is never {unknown[0]}"
        raise _unclear(text, remedy)
    return words


def _words(text: str, value: str, lists: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Return the words of "[a, b]", or those of "@list"."""
    if value.startswith("@"):
        if value[1:] not in lists:
            raise _unclear(text, "name a list that stands in [lists] of the file")
        return frozenset(lists[value[1:]])
    if not re.fullmatch(r"\[[A-Za-z0-9_, ]+\]", value):
        raise _unclear(text, "write the words as [a, b], or name a list as @list")
    return frozenset(part.strip() for part in value[1:-1].split(","))


def all_hold(conditions: Sequence[Condition], facts: Facts) -> bool | None:
    """Return whether all conditions hold; None where some are unknown and none is false.

    >>> one, two = (parse_condition(t, {}) for t in ("anonymous is true", "emergency is true"))
    >>> all_hold([one, two], {"emergency": False}), all_hold([one, two], {"emergency": True})
    (False, None)
    """
    found = [one.holds(facts) for one in conditions]
    if False in found:
        return False
    return None if None in found else True


def _unclear(text: str, remedy: str) -> InvalidInputError:
    return InvalidInputError(f"{text[:80]!r} is no condition", remedy=remedy, field="when")
