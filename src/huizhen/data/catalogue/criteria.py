"""What may be asked of a catalogue: a closed tree of criteria, in one canonical form.

::

    query = parse_query(b'{"operand": "AND", "children": ['
                        b'{"key": "RID10311", "type": "IN", "value": ["RID10312"]},'
                        b'{"key": "age", "type": "BETWEEN", "value": {"min": 50, "max": 59}}]}')

Two trees that are the same but for order, nesting, doubled parts or the way of writing a bound have one
canonical form, and so one answer. Criteria are met by one series, unless `within` says study or subject.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from huizhen.core.digests import Digest, canonical_json, digest_bytes
from huizhen.data.catalogue.codes import canonical_value, key_of, keys
from huizhen.errors import InvalidInputError

__all__ = ["ALL", "MOST_BYTES", "Combined", "Criterion", "Operand", "Query", "Within", "parse_query"]

MOST_BYTES = 16_384
MOST_DEPTH = 6
MOST_CRITERIA = 64
MOST_VALUES = 64


class Operand(StrEnum):
    """How the parts of a tree are combined; NOT has one part."""

    AND = "AND"
    OR = "OR"
    NOT = "NOT"


class Within(StrEnum):
    """What has to meet the criteria together: one series, one study (by any of its series), one subject."""

    SERIES = "series"
    STUDY = "study"
    SUBJECT = "subject"


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """A leaf: `values` of a coded key, or a number from `low` to `high`, both included."""

    key: str
    values: tuple[str, ...] = ()
    low: int = 0
    high: int = 0

    def plain(self) -> dict[str, Any]:
        """Return the criterion as the JSON that `parse_query` reads."""
        if keys()[self.key].is_number:
            return {"key": self.key, "type": "BETWEEN", "value": {"min": self.low, "max": self.high}}
        return {"key": self.key, "type": "IN", "value": list(self.values)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Combined:
    """A node: criteria and nodes, in canonical order. AND of nothing is everything."""

    operand: Operand
    children: tuple[Criterion | Combined, ...]

    def plain(self) -> dict[str, Any]:
        """Return the node as the JSON that `parse_query` reads."""
        return {"operand": self.operand.value, "children": [one.plain() for one in self.children]}


Node = Criterion | Combined
ALL = Combined(operand=Operand.AND, children=())


@dataclass(frozen=True, kw_only=True)  # without slots: its digest is made once
class Query:
    """A question in canonical form."""

    tree: Combined
    within: Within = Within.SERIES

    def plain(self) -> dict[str, Any]:
        """Return the question as JSON."""
        return {**self.tree.plain(), "within": self.within.value}

    @cached_property
    def digest(self) -> Digest:
        """The digest of the canonical form: the same for the same question."""
        return digest_bytes(canonical_json(self.plain()))

    def criteria(self) -> Iterator[Criterion]:
        """Yield the leaves."""
        yield from _leaves(self.tree)


def parse_query(given: bytes | Mapping[str, Any]) -> Query:
    """Return the question of JSON as Lens writes it, with an optional "within" at its root.

    LOWER_THAN and GREATER_THAN leave the bound out, BETWEEN has both in. A root without children asks for
    everything. Raises `InvalidInputError` that names the place in the tree, for anything unknown, and for
    more than `MOST_BYTES`, `MOST_DEPTH` levels, `MOST_CRITERIA` criteria or `MOST_VALUES` values.
    """
    root = _read(given) if isinstance(given, bytes) else given
    if not isinstance(root, Mapping):
        raise _wrong("the question is no JSON object", "", remedy="write {operand, children}")
    rest = {name: value for name, value in root.items() if name not in ("within", "ast", "id")}
    if isinstance(root.get("ast"), Mapping) and not rest:  # as Lens sends it
        return parse_query({**root["ast"], "within": root.get("within", "series")})
    within = _within(root.get("within", "series"))
    if rest.get("children") == [] and rest.get("operand") in ("AND", "OR") and len(rest) == 2:
        return Query(tree=ALL, within=within)
    tree = _canonical(_node(rest, "root", 1))
    if sum(1 for _ in _leaves(tree)) > MOST_CRITERIA:
        raise _wrong(f"more than {MOST_CRITERIA} criteria", "root", remedy="ask with fewer")
    return Query(
        tree=tree if isinstance(tree, Combined) else Combined(operand=Operand.AND, children=(tree,)),
        within=within,
    )


def _read(data: bytes) -> Any:
    if len(data) > MOST_BYTES:
        raise _wrong(f"the question has over {MOST_BYTES} bytes", "", remedy="ask with fewer criteria")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _wrong("the question is no JSON", "", remedy="write {operand, children}") from error


def _within(given: object) -> Within:
    if isinstance(given, str) and given in tuple(Within):
        return Within(given)
    raise _wrong("criteria are met within something unknown", "within", remedy="series, study or subject")


def _node(given: object, place: str, depth: int) -> Node:
    """Return one node or leaf."""
    if depth > MOST_DEPTH:
        raise _wrong(f"the tree is deeper than {MOST_DEPTH}", place, remedy="nest less")
    if not isinstance(given, Mapping):
        raise _wrong("a part of the tree is no object", place, remedy="write {key, type, value}")
    if "operand" not in given:
        return _leaf(given, place)
    if set(given) != {"operand", "children"} or not isinstance(given["children"], list):
        raise _wrong("a node has other parts than it may", place, remedy="write {operand, children}")
    if not isinstance(given["operand"], str) or given["operand"] not in tuple(Operand):
        raise _wrong("a node has an unknown operand", place, remedy="AND, OR or NOT")
    children = given["children"]
    operand = Operand(given["operand"])
    if not children or len(children) > MOST_CRITERIA or (operand is Operand.NOT and len(children) != 1):
        raise _wrong("a node has a wrong number of children", place, remedy="NOT has one, others some")
    parts = (_node(child, f"{place}.{n}", depth + 1) for n, child in enumerate(children))
    return Combined(operand=operand, children=tuple(parts))


def _leaf(given: Mapping[str, Any], place: str) -> Criterion:
    """Return a criterion. `system` (of Lens) says which code system a key is of, and is passed over."""
    if not {"key", "type", "value"} <= set(given) <= {"key", "type", "value", "system"}:
        raise _wrong("a criterion has other parts than it may", place, remedy="write {key, type, value}")
    if not isinstance(given["key"], str):
        raise _wrong("a criterion's key is no text", place, remedy=f"ask by {', '.join(keys())}")
    key, value = key_of(given["key"]), given["value"]
    if not key.is_number:
        if given["type"] != "IN":
            raise _wrong(f"{key.name} is asked by IN", place, remedy="write type IN and a list of codes")
        return _coded(key.name, value, place)
    low, high = _bounds(given["type"], value, key.least, key.most, place)
    if not key.least <= low <= high <= key.most:
        raise _wrong(
            f"{key.name} is asked out of range", place, remedy=f"ask from {key.least} up to {key.most}"
        )
    return Criterion(key=key.name, low=low, high=high)


def _coded(key: str, value: object, place: str) -> Criterion:
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list) or not 0 < len(given) <= MOST_VALUES:
        raise _wrong("IN takes a list of codes", place, remedy=f"give 1 to {MOST_VALUES} codes")
    if not all(isinstance(one, str) and len(one) <= 200 for one in given):
        raise _wrong("IN takes texts", place, remedy="give codes as texts")
    return Criterion(key=key, values=tuple(sorted({canonical_value(key, one) for one in given})))


def _bounds(kind: object, value: object, least: int, most: int, place: str) -> tuple[int, int]:
    """Return both bounds, included."""
    match kind, value:
        case "LOWER_THAN", int(bound) if not isinstance(bound, bool):
            return least, bound - 1
        case "GREATER_THAN", int(bound) if not isinstance(bound, bool):
            return bound + 1, most
        case "BETWEEN", {"min": int(low), "max": int(high)} if not isinstance(low, bool):
            return low, high
    raise _wrong(
        "a number is asked in no known way",
        place,
        remedy="LOWER_THAN or GREATER_THAN with a whole number, or BETWEEN with {min, max}",
    )


def _canonical(node: Node) -> Node:
    """Return a node in its one form: flat, sorted, without doubles."""
    if isinstance(node, Criterion):
        return node
    children = [_canonical(child) for child in node.children]
    if node.operand is Operand.NOT:
        (only,) = children
        doubled = isinstance(only, Combined) and only.operand is Operand.NOT
        return only.children[0] if doubled else Combined(operand=Operand.NOT, children=(only,))  # type: ignore[union-attr]  # `doubled` says that it is combined
    flat: dict[bytes, Node] = {}
    for child in children:
        same = isinstance(child, Combined) and child.operand is node.operand
        for part in child.children if same else (child,):  # type: ignore[union-attr]  # `same` says so
            flat[canonical_json(part.plain())] = part
    parts = tuple(flat[form] for form in sorted(flat))
    return parts[0] if len(parts) == 1 else Combined(operand=node.operand, children=parts)


def _leaves(node: Node) -> Iterator[Criterion]:
    if isinstance(node, Criterion):
        yield node
    else:
        for child in node.children:
            yield from _leaves(child)


def _wrong(message: str, place: str, *, remedy: str) -> InvalidInputError:
    return InvalidInputError(message, remedy=remedy, field=place or None)
