"""A register that is imported over another doesn't lose who withdrew."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from huizhen.data.consent.record import Consent, said_of
from huizhen.data.consent.replacing import lost_withdrawals, refuse_losses
from huizhen.data.consent.table import write_register
from huizhen.errors import DataError


def consent(patient: str, given: int, withdrawn: int | None = None) -> Consent:
    return Consent(
        patient=patient,
        version=given,
        given=date(2026, 1, given),
        said=said_of(["HMB"]),
        withdrawn=date(2026, 1, withdrawn) if withdrawn else None,
    )


def test_a_withdrawal_is_lost_unless_it_or_something_later_is_known() -> None:
    old = [consent("a", 1, 5), consent("b", 1, 5), consent("c", 1, 5), consent("d", 1), consent("e", 1, 5)]
    new = [consent("a", 1), consent("b", 1, 5), consent("c", 6), consent("a", 2)]
    assert lost_withdrawals(old, new) == {"a", "e"}
    assert lost_withdrawals([], new) == set()


def test_a_register_is_replaced_only_by_one_that_knows_its_withdrawals(tmp_path: Path) -> None:
    path = tmp_path / "consents.csv"
    refuse_losses(path, [])
    write_register(path, [consent("a", 1, 5)])
    refuse_losses(path, [consent("a", 1, 5), consent("b", 2)])
    with pytest.raises(DataError, match="not in what is imported: 1") as told:
        refuse_losses(path, [consent("a", 1)])
    assert told.value.field == "--out"


def test_what_is_no_register_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text("[question]\n", encoding="utf-8")
    with pytest.raises(DataError, match="can't be read as a register"):
        refuse_losses(path, [consent("a", 1)])
