"""Errors about a table and a policy name the file that is wrong, and the column that was meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from huizhen.core.study_wording import nearest
from huizhen.data.disclosure.policy import DisclosurePolicy
from huizhen.errors import DataError, HuizhenError, PolicyError

__all__ = ["check_columns", "named_by"]


def check_columns(policy: DisclosurePolicy, held: Sequence[str], table: str) -> None:
    """Check that a table holds every column that the policy names. Raises `DataError` for the first.

    `held`: the table's columns; `table`: its file's name.
    """
    for field, name in policy.fields():
        if name not in held:
            close = nearest(name, list(held))
            raise DataError(
                f"the table {table} has no column {name}",
                remedy=f"did you mean {close}?" if close else f"it has: {', '.join(held)}",
                field=field,
                file=policy.file,
            )


@contextmanager
def named_by(policy: DisclosurePolicy, table: Path) -> Iterator[None]:
    """Name the file in an error that names none: the policy's for `PolicyError`, the table's for others."""
    try:
        yield
    except (PolicyError, DataError) as error:
        if error.file is not None:
            raise
        file = policy.file if isinstance(error, PolicyError) else table.name
        raise _again(error, file) from error


def _again(error: HuizhenError, file: str | None) -> HuizhenError:
    return type(error)(error.message, remedy=error.remedy, field=error.field, file=file)
