"""What is wrong with a file of settings is told in plain words, for any closed type."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from huizhen.core.toml_problem import problem_in
from huizhen.errors import InvalidInputError


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: str = ""
    width: int = 1


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")
    part: dict[str, Part] = {}
    several: tuple[Part, ...] = ()
    number: int = 0

    @model_validator(mode="after")
    def _small(self) -> Whole:
        if self.number > 9:
            raise InvalidInputError("is large", remedy="take a smaller one", field="number")
        return self


def told(given: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        Whole.model_validate(given)
    return str(problem_in(caught.value, Whole, remedy="look it up"))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"numbr": 1}, "numbr: is an unknown key (did you mean number?)"),
        ({"part": {"kind": {"widt": 1}}}, "part.kind.widt: is an unknown key (did you mean width?)"),
        ({"several": [{"zz": 1}]}, "several.0.zz: is an unknown key (known keys here: kind, width)"),
        ({"number": 10}, "number: is large (take a smaller one)"),
        ({"number": "many"}, "number: must be a whole number (write it without quotes or decimals)"),
    ],
    ids=["top", "a-key-of-ones-own", "in-a-list", "an-error-of-ones-own", "of-another-kind"],
)
def test_the_first_problem_is_told(given: dict[str, Any], text: str) -> None:
    assert told(given) == text
