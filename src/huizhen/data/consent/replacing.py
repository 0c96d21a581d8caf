"""A register that takes another's place: no withdrawal may be lost by it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from itertools import chain
from pathlib import Path

from huizhen.data.consent.record import Consent
from huizhen.data.consent.register import read_register
from huizhen.errors import DataError

__all__ = ["lost_withdrawals", "refuse_losses"]


def refuse_losses(path: Path, new: Iterable[Consent]) -> None:
    """Raise `DataError` where `path` is a register with withdrawals that `new` lacks, or no register."""
    if not path.exists():
        return
    try:
        old = chain.from_iterable(read_register(path).consents.values())
    except DataError as error:
        raise DataError(
            "is there already, and can't be read as a register",
            remedy="choose another file",
            file=path.name,
            field="--out",
        ) from error
    if lost := len(lost_withdrawals(old, new)):
        raise DataError(
            f"patients whose withdrawal stands here and not in what is imported: {lost}",
            remedy="write to another file, enter their withdrawals there, and put it in this one's place",
            file=path.name,
            field="--out",
        )


def lost_withdrawals(old: Iterable[Consent], new: Iterable[Consent]) -> set[str]:
    """Return the patients who withdrew in `old`, and of whom `new` knows neither that nor anything later."""
    latest: dict[str, date] = {}
    for one in new:
        told = max(one.given, one.withdrawn or one.given)
        latest[one.patient] = max(told, latest.get(one.patient, told))
    return {one.patient for one in old if one.withdrawn and latest.get(one.patient, date.min) < one.withdrawn}
