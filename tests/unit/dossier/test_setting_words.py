"""Every setting of a study file has a name in both languages."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from huizhen.core.study import Study
from huizhen.dossier.wording import known


def _fields(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[str]:
    if model in seen:
        return
    seen.add(model)
    for name, field in model.model_fields.items():
        yield name
        for inner in _models(field.annotation):
            yield from _fields(inner, seen)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


@pytest.mark.parametrize("field", sorted(set(_fields(Study, set()))))
def test_a_setting_has_its_word(field: str) -> None:
    assert known(f"column.{field}"), f"dossier/words/*.toml, [column] {field} is missing"
