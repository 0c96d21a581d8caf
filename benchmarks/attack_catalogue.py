"""Attacks on counts: how many planted patients they tell the diagnosis of, with and without the guard.

    PYTHONPATH=src python benchmarks/attack_catalogue.py --patients 3000 --planted 40

Each planted patient is the only one of a band of age, year, sex and maker, which the attacker knows; half of
them have the diagnosis that is sought. For each, every attack puts questions of the catalogue's own kind to
six tellers of counts:

    exact    counts as they are
    few      counts below 10 are told as few
    rounded  and the others are rounded to 10
    refusing and what differs from an answered question by 1 to 9 subjects is refused
    guard    this package without noise: rounded, few as few, and the guard
    noise    this package with noise of standard deviation 10, at most 200 different questions

An attack names a patient as ill only on evidence, a difference or a refusal. What is printed: of the planted
who are ill, how many are named (isolated), and of the others how many are named wrongly.

References: Denning & Schlörer, ACM TODS 5:88-102 (1980) (trackers); Kenthapadi et al., PODS 2005 (refusals).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.streams import stream
from huizhen.data.catalogue.criteria import parse_query
from huizhen.data.catalogue.disclosure import Disclosure, rounded
from huizhen.data.catalogue.guard import Guard, Kind
from huizhen.data.catalogue.index import Index
from huizhen.data.catalogue.matching import match
from huizhen.data.catalogue.synthetic import WORDS, synthetic_index

Mask = NDArray[np.bool_]
Tree = dict[str, Any]
Teller = Callable[[Tree], int | str | None]
ILL = "SNOMEDCT254837009"
POLICY = Disclosure()
REFUSED = "refused"


def both(operand: str, *children: Tree) -> Tree:
    """Return a node."""
    return {"operand": operand, "children": list(children)}


def leaf(key: str, value: str) -> Tree:
    """Return a coded criterion."""
    return {"key": key, "type": "IN", "value": [value]}


def band(key: str, low: int, high: int) -> Tree:
    """Return a criterion of a number."""
    return {"key": key, "type": "BETWEEN", "value": {"min": low, "max": high}}


@dataclass(frozen=True)
class Planted:
    """A patient whom `known` alone describes; `ill` is what the attacker wants to know."""

    known: Tree
    ill: bool


def planted(index: Index, count: int, seed: int) -> list[Planted]:
    """Return patients who are alone in what is known of them, half of them ill."""
    draw, found = stream(seed, "planted"), {True: [], False: []}
    seen: set[int] = set()
    while min(map(len, found.values())) < count // 2:
        age = int(draw.integers(4, 18)) * 5
        known = both(
            "AND",
            band("age", age, age + 4),
            band("year", year := int(draw.integers(2005, 2026)), year),
            leaf("sex", str(draw.choice(["F", "M"]))),
            leaf("manufacturer", str(draw.choice(WORDS["manufacturer"][1:]))),
            leaf("modality", str(draw.choice(WORDS["modality"][1:]))),
        )
        subjects = subjects_of(index, {**known, "within": "subject"})
        place = int(np.argmax(subjects))
        if subjects.sum() == 1 and place not in seen:
            seen.add(place)
            ill = bool((subjects & subjects_of(index, both("AND", leaf("diagnosis", ILL)))).any())
            found[ill].append(Planted(known, ill))
    return [*found[True][: count // 2], *found[False][: count // 2]]


def subjects_of(index: Index, tree: Tree) -> Mask:
    """Return who meets a tree, within the subject."""
    return match(index, parse_query({"within": "subject", **tree})).subjects


def tellers(index: Index) -> dict[str, Callable[[], Teller]]:
    """Return makers of tellers: each attack on each patient begins with a fresh one, which favours it."""

    def exact() -> Teller:
        return lambda tree: int(subjects_of(index, tree).sum())

    def few() -> Teller:
        return lambda tree: value if (value := int(subjects_of(index, tree).sum())) >= 10 else None

    def nearest() -> Teller:
        return lambda tree: rounded(float(subjects_of(index, tree).sum()), POLICY).value

    def refusing() -> Teller:
        answered: list[Mask] = []

        def tell(tree: Tree) -> int | str | None:
            mask = subjects_of(index, tree)
            if any(0 < np.count_nonzero(mask ^ other) < 10 for other in answered):
                return REFUSED
            answered.append(mask)
            return rounded(float(mask.sum()), POLICY).value

        return tell

    def guard() -> Teller:
        held = Guard(np.arange(index.subjects, dtype=np.uint32), smallest=POLICY.smallest)

        def tell(tree: Tree) -> int | str | None:
            mask = subjects_of(index, tree)
            judgement = held.judge(mask)
            if judgement.kind is Kind.EXHAUSTED:
                return REFUSED
            value = judgement.value
            if judgement.kind is Kind.NEW:
                value = float(mask.sum())
                held.take(mask, value)
            return rounded(value, POLICY).value

        return tell

    def noise() -> Teller:
        told: dict[str, float] = {}

        def tell(tree: Tree) -> int | str | None:
            asked = parse_query({"within": "subject", **tree})
            if asked.digest not in told:
                if len(told) >= POLICY.most_questions:
                    return REFUSED
                drawn = float(stream(index.subjects, "noise", asked.digest).normal(0.0, 10.0))
                told[asked.digest] = float(match(index, asked).subjects.sum()) + drawn
            return rounded(told[asked.digest], POLICY, bounded=False).value

        return tell

    return {
        "exact": exact,
        "few": few,
        "rounded": nearest,
        "refusing": refusing,
        "guard": guard,
        "noise": noise,
    }


# --- attacks: each names a patient as ill, or doesn't ------------------------------------------------


def sets(seed: int, count: int) -> Iterator[Tree]:
    """Yield sets to hide somebody among: many different ones of some size."""
    draw = stream(seed, "sets")
    for _ in range(count):
        low = int(draw.integers(4, 12)) * 5
        yield both(
            "OR",
            both(
                "AND", band("age", low, low + 24), leaf("modality", str(draw.choice(WORDS["modality"][1:4])))
            ),
            both("AND", _drawn(draw, "body_part", 9), leaf("sex", "F")),
        )


def _drawn(draw: np.random.Generator, key: str, most: int) -> Tree:
    """Return a criterion of one of the values of a key."""
    return leaf(key, str(draw.choice(WORDS[key][1:most])))


def directly(one: Planted, tell: Teller, seed: int) -> bool:
    """Ask for the patient alone."""
    told = tell(both("AND", one.known, leaf("diagnosis", ILL)))
    return isinstance(told, int) and told > 0


def by_difference(one: Planted, tell: Teller, seed: int) -> bool:
    """Ask for a set, and for the same set with the patient if ill, once."""
    return _differs(one, tell, next(sets(seed, 1)))


def by_many_differences(one: Planted, tell: Teller, seed: int) -> bool:
    """The same with thirty sets: rounding is a chance of ten to one each time, and falls."""
    return any(_differs(one, tell, hiding) for hiding in sets(seed, 30))


def _differs(one: Planted, tell: Teller, hiding: Tree) -> bool:
    sought = both("AND", one.known, leaf("diagnosis", ILL))
    without = both("AND", hiding, both("NOT", one.known))
    first, second = tell(without), tell(both("OR", without, sought))
    return isinstance(first, int) and isinstance(second, int) and second > first


def by_tracker(one: Planted, tell: Teller, seed: int) -> bool:
    """Denning and Schlörer's general tracker: a set and its complement, both with the patient if ill."""
    sought = both("AND", one.known, leaf("diagnosis", ILL))
    for tracker in sets(seed, 15):
        rest = both("NOT", tracker)
        told = [tell(tree) for tree in (both("OR", sought, tracker), both("OR", sought, rest), tracker, rest)]
        if all(isinstance(value, int) for value in told) and told[0] + told[1] > told[2] + told[3]:  # type: ignore[operator]  # numbers, as just asked
            return True
    return False


def by_refusals(one: Planted, tell: Teller, seed: int) -> bool:
    """Ask for a set, and with the patient if ill: refused is ill, answered is not."""
    sought = both("AND", one.known, leaf("diagnosis", ILL))
    for hiding in sets(seed, 3):
        without = both("AND", hiding, both("NOT", one.known))
        if isinstance(tell(without), int) and tell(both("OR", without, sought)) == REFUSED:
            return True
    return False


def by_parts(one: Planted, tell: Teller, seed: int) -> bool:
    """Ask for a set with the patient if ill, and for its two halves without: what is over, on average."""
    sought, over = both("AND", one.known, leaf("diagnosis", ILL)), []
    for hiding in sets(seed, 30):
        for half in (leaf("sex", "F"), leaf("manufacturer", "GE")):
            without = both("AND", hiding, both("NOT", one.known))
            halves = (both("AND", without, half), both("AND", without, both("NOT", half)))
            told = [tell(both("OR", without, sought)), *map(tell, halves)]
            if all(isinstance(value, int) for value in told):
                over.append(told[0] - told[1] - told[2])  # type: ignore[operator]  # numbers, as just asked
    spread = max(float(np.std(over)), 0.1) / np.sqrt(len(over)) if over else 1.0
    return bool(over) and float(np.mean(over)) > 0.5 + 0.5 * spread


def by_threshold(one: Planted, tell: Teller, seed: int) -> bool:
    """Look for a set that the patient takes from few to told; then ask with the patient if ill instead.

    One of the two sets is asked again by that, so whatever is told by sets alone tells which.
    """
    sought, draw = both("AND", one.known, leaf("diagnosis", ILL)), stream(seed, "threshold")
    for _ in range(13):
        small, last = [], None
        for _ in range(12):
            small.append(_cell(draw))
            without = both("AND", both("OR", *small), both("NOT", one.known))
            if tell(without) is not None:
                break
            last = without
        if last is not None and isinstance(tell(both("OR", last, one.known)), int):
            return isinstance(tell(both("OR", last, sought)), int)
    return False


def _cell(draw: np.random.Generator) -> Tree:
    """Return a set of a few subjects."""
    low, year = int(draw.integers(6, 16)) * 5, int(draw.integers(2005, 2026))
    kinds = (_drawn(draw, "modality", 5), leaf("sex", str(draw.choice(["F", "M"]))))
    return both("AND", band("age", low, low + 4), band("year", year, year), *kinds)


def by_wordings(one: Planted, tell: Teller, seed: int) -> bool:
    """Ask for a set without the patient, and with them if ill, each in 99 wordings that mean the same."""
    sought, over = both("AND", one.known, leaf("diagnosis", ILL)), []
    without = both("AND", next(sets(seed, 1)), both("NOT", one.known))
    for number in range(99):
        nobody = leaf("manufacturer", f"NONE{number}")
        told = [tell(both("OR", without, nobody)), tell(both("OR", without, sought, nobody))]
        if all(isinstance(value, int) for value in told):
            over.append(told[1] - told[0])  # type: ignore[operator]  # numbers, as just asked
    return bool(over) and float(np.mean(over)) > 0.5


ATTACKS = {
    "alone": directly,
    "one difference": by_difference,
    "thirty differences": by_many_differences,
    "general tracker, 15 sets": by_tracker,
    "refusals": by_refusals,
    "sums of parts, 60 sets": by_parts,
    "where few begins": by_threshold,
    "99 wordings of one difference": by_wordings,
}


def main() -> None:
    """Run every attack on every teller and print how many are isolated."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--patients", type=int, default=3000)
    options.add_argument("--planted", type=int, default=40)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--only", choices=list(ATTACKS))
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        index = synthetic_index(Path(scratch) / "index", series=given.patients * 6, seed=given.seed)
        people = planted(index, given.planted, given.seed)
        for name, attack in ATTACKS.items():
            if given.only in (None, name):
                found = {}
                for teller, make in tellers(index).items():
                    named = [attack(one, make(), given.seed * 1000 + n) for n, one in enumerate(people)]
                    right = sum(guess for guess, one in zip(named, people, strict=True) if one.ill)
                    wrong = sum(guess for guess, one in zip(named, people, strict=True) if not one.ill)
                    found[teller] = f"{right} of {given.planted // 2}, {wrong} wrongly"
                print(json.dumps({name: found}), flush=True)


if __name__ == "__main__":
    main()
