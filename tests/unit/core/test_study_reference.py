"""The study file's reference: every key of every model, its limits, its default, its meaning."""

from __future__ import annotations

import tomllib
from importlib.resources import files

from huizhen.core import study_reference as page
from huizhen.core.study_reference import SECTIONS, study_reference


def test_every_key_has_its_row() -> None:
    text = study_reference()
    for _, model in SECTIONS:
        for name in model.model_fields:
            assert f"| `{name}` |" in text


def test_limits_choices_and_defaults_are_said() -> None:
    rows = {
        line.split("|")[1].strip(" `"): line
        for line in study_reference().splitlines()
        if line.startswith("| `")
    }
    assert "whole number (at least 1, at most 1000)" in rows["epochs"]
    assert "`frozen`, `finetune`" in rows["mode"]
    assert "| required |" in rows["at_least"]
    assert '`"images"`' in rows["array"]


def test_no_meaning_is_kept_for_a_key_that_is_gone_or_explains_itself() -> None:
    kept = tomllib.loads((files("huizhen.core") / "study_meanings.toml").read_text("utf-8"))
    models = {model.__name__: model for _, model in SECTIONS}
    for name, meanings in kept.items():
        assert set(meanings) <= set(models[name].model_fields)
        assert not set(meanings) & set(page._notes(models[name]))
