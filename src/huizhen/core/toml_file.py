"""A TOML file as a closed type: read in one way, so that every file is refused in the same words."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from huizhen.core.toml_problem import listed, problems_in
from huizhen.errors import HuizhenError, PolicyError

__all__ = ["place_of", "read_toml", "refused"]

Model = TypeVar("Model", bound=BaseModel)


def read_toml(
    path: Path | Traversable,
    model: type[Model],
    *,
    wrong: Callable[[ValidationError], HuizhenError],
    unreadable: type[HuizhenError] = PolicyError,
) -> Model:
    """Return what a TOML file says, as `model`.

    Raises what `wrong` makes of a file that says something else, and `unreadable` of one that isn't there,
    isn't text or isn't TOML.
    """
    try:
        return model.model_validate(tomllib.loads(path.read_text(encoding="utf-8-sig")))
    except ValidationError as error:
        raise wrong(error) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise unreadable(
            f"can't be read as TOML ({_reason(error)})",
            remedy=_remedy(error),
            file=path.name,
        ) from error


def _remedy(error: Exception) -> str:
    """Return what to do about a file that isn't TOML."""
    if isinstance(error, UnicodeDecodeError):
        return "save it as UTF-8"
    return "check that the file is there and is TOML"


def _reason(error: Exception) -> str:
    """Return why a file isn't TOML: where its text stops being that, or only of what kind the error is."""
    if isinstance(error, UnicodeDecodeError):
        return "its text isn't UTF-8"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error)


def refused(
    error: ValidationError,
    model: type[BaseModel],
    kind: type[HuizhenError],
    *,
    remedy: str,
    file: str,
) -> HuizhenError:
    """Return the error, of class `kind`, of a file that should have been a `model`, by all its problems."""
    problems = problems_in(error, model, remedy=remedy)
    if len(problems) > 1:
        return kind(listed(problems), remedy=remedy, file=file)
    (one,) = problems
    return kind(one.reason, remedy=one.remedy, field=one.field or None, file=file)


def place_of(error: ValidationError) -> str | None:
    """Return where the first problem stands, as "bounds.k"; None where it is of the whole file."""
    return ".".join(map(str, error.errors()[0]["loc"])) or None
