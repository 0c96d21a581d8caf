"""What every part of the study file is built on: names, and frozen models without unknown keys."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints, field_validator

from huizhen.errors import hidden_in

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class Frozen(BaseModel):
    """A part of the study file: immutable, no unknown keys, no text that hides or turns what is shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*")
    @classmethod
    def _seen_as_written(cls, value: Any) -> Any:
        """Refuse control characters and marks that turn the direction of text, also in lists and keys."""
        if isinstance(value, str) and hidden_in(value):
            raise ValueError("holds a control character, or one that turns the direction of text")
        if isinstance(value, list | tuple):
            for item in value:
                cls._seen_as_written(item)
        elif isinstance(value, dict):
            for key, item in value.items():
                cls._seen_as_written(key)
                cls._seen_as_written(item)
        return value
