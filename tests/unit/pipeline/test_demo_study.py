"""The demonstration's study file is a study, without running it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from huizhen.core.study import Role, Study, Variant
from huizhen.core.study_file import check_study_text
from huizhen.data.phantom import PhantomFolder
from huizhen.pipeline.demo import demo_study


@pytest.fixture
def text() -> str:
    hospitals = ("north", "south", "east", "far")
    return demo_study(PhantomFolder(root=Path("phantoms"), hospitals=hospitals), seed=5, epochs=6)


def test_it_has_no_problem(text: str) -> None:
    assert check_study_text(text) == []


def test_the_last_hospital_is_external_and_all_is_marked_as_phantom(text: str) -> None:
    study = Study.model_validate(tomllib.loads(text))
    assert [site.role for site in study.site[:-1]] == [Role.DEVELOPMENT] * (len(study.site) - 1)
    assert study.site[-1].role is Role.EXTERNAL
    assert (study.phantom, study.seed, study.training.epochs) == (True, 5, 6)
    assert study.network.variants[0] is Variant.CMAN
    assert all(len(site.source) == 3 for site in study.site)
