"""The study file's [dossier]: ids and files of checklists, and the form's path."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from huizhen.core.study_dossier import DossierPlan


def test_ids_and_files_are_taken() -> None:
    plan = DossierPlan(form="form.toml", checklists=["claim-2024", "rules/ours.toml"])
    assert plan.checklists == ["claim-2024", "rules/ours.toml"]


def test_nothing_said_means_all() -> None:
    assert DossierPlan().checklists is None


@pytest.mark.parametrize("name", ["", "CLAIM 2024", "claim_2024", "a\u202e.toml"], ids=repr)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        DossierPlan(checklists=[name])


def test_an_empty_list_is_refused() -> None:
    with pytest.raises(ValidationError):
        DossierPlan(checklists=[])
