"""The attacks of benchmarks/attack_catalogue.py, in small: without the guard they isolate."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "benchmarks"))
from attack_catalogue import ATTACKS, Planted, planted, tellers

from huizhen.data.catalogue.index import Index
from huizhen.data.catalogue.synthetic import synthetic_index


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """Made-up patients."""
    return synthetic_index(tmp_path_factory.mktemp("attacks") / "index", series=5000, seed=2)


@pytest.fixture(scope="module")
def people(index: Index) -> list[Planted]:
    """Two who are ill and two who aren't, each alone in what is known of them."""
    return planted(index, 4, 2)


def named(attack: str, teller: str, index: Index, people: list[Planted]) -> list[bool]:
    """Return whether an attack on a teller names each of the planted as ill."""
    return [ATTACKS[attack](one, tellers(index)[teller](), number) for number, one in enumerate(people)]


@pytest.mark.parametrize(
    ("attack", "without"),
    [
        ("alone", "exact"),
        ("one difference", "few"),
        ("thirty differences", "few"),
        ("general tracker, 15 sets", "few"),
        ("refusals", "refusing"),
    ],
)
def test_what_isolates_without_the_guard_fails_with_it(
    attack: str, without: str, index: Index, people: list[Planted]
) -> None:
    assert named(attack, without, index, people) == [one.ill for one in people]
    assert named(attack, "guard", index, people) == [False] * len(people)


def test_rounding_alone_falls_to_averaging(index: Index, people: list[Planted]) -> None:
    found = named("thirty differences", "rounded", index, people)
    assert any(found)
    assert not any(guess for guess, one in zip(found, people, strict=True) if not one.ill)


def test_where_few_begins_isolates_without_noise_and_guesses_with_it(index: Index) -> None:
    """The guard alone doesn't withstand a search for its own threshold; this is why there is noise."""
    some = planted(index, 12, 3)
    ill = [one.ill for one in some]
    assert named("where few begins", "guard", index, some) == ill
    guessed = named("where few begins", "noise", index, some)
    assert any(guessed[number] != ill[number] for number in range(len(some)))
    assert any(guess for guess, one in zip(guessed, some, strict=True) if not one.ill)
