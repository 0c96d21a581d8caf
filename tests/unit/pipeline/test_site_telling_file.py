"""What site classifiers said: the table holds enough for every figure, to the last bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from huizhen.pipeline.site_telling_file import read_tellings, write_tellings
from huizhen.validate.assessments.harmonisation import BOTH, Told, site_told_around, telling_of

RNG = np.random.default_rng(6)


def told(sizes: dict[str, int], *, halved: str = "") -> Told:
    site = np.repeat(list(sizes), list(sizes.values()))
    features = RNG.normal(size=(len(site), 5))
    half = np.where(site == halved, np.arange(len(site)) % 2, BOTH)
    names = np.array([f"p{k}" for k in range(len(site))])
    return Told(patient=names, site=site, before=features, after=features[:, :2], half=half)


@pytest.mark.parametrize("phantom", [False, True])
def test_the_figures_follow_from_the_table(tmp_path: Path, phantom: bool) -> None:
    """A site of few patients too, of which nothing is said, and a modality of one site alone."""
    made = {
        "US": telling_of(told({"a": 60, "b": 74, "few": 3}, halved="b"), seed=1),
        "MR": telling_of(told({"a": 20}), seed=1),
    }
    write_tellings(tmp_path, made, phantom=phantom)
    again = read_tellings(tmp_path)
    assert set(again) == {"US", "MR"}
    for name, one in made.items():
        first, second = (
            {e.key: e.to_json() for e in site_told_around(t, modality=name, phantom=phantom, seed=1)}
            for t in (one, again[name])
        )
        assert first == second
    assert "few/after/trees" in again["US"].refused
    assert again["US"].scores["a/after/trees"].shape == (2, 137)
    assert ("phantom" in (tmp_path / "site_telling.csv").read_text(encoding="utf-8")) is phantom


def test_without_a_table_there_is_nothing(tmp_path: Path) -> None:
    assert read_tellings(tmp_path) == {}
