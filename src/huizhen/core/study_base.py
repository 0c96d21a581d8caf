"""What every part of the study file is built on: names, and frozen models without unknown keys."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class Frozen(BaseModel):
    """A part of the study file: immutable, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")
