"""The study file's [dossier]: which guidelines the dossier answers, and the form that people fill in."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from huizhen.core.study_base import Frozen

__all__ = ["DossierPlan"]

Chosen = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$|^.{1,250}\.toml$")]


class DossierPlan(Frozen):
    """What the dossier reports beyond results. Paths are relative to the study file."""

    form: str | None = None
    """The form that people fill in (`huizhen form new`). It may change after the study was signed: each
    version enters the ledger."""
    checklists: Annotated[list[Chosen], Field(min_length=1)] | None = None
    """Guidelines that the dossier answers, by id (`claim-2024`) or as a file of your own (`ours.toml`).
    Without it: all that huizhen brings."""
