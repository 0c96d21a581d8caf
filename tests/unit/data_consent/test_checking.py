"""What is odd in a register that can be read, and a register written and read again."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from huizhen.data.consent.barred import Barred, bar, person_key, read_barred
from huizhen.data.consent.checking import Oddity, check_register
from huizhen.data.consent.record import Consent, said_of
from huizhen.data.consent.register import read_register, register_problems
from huizhen.data.consent.table import write_register
from huizhen.errors import DataError, InvalidInputError

DAY = date(2026, 11, 23)
HEAD = "patient,version,given,terms,decision,modalities,partners,until,withdrawn\n"


def odd(tmp_path: Path, *rows: str) -> dict[Oddity, int]:
    """Return what is odd in a register of these rows."""
    path = tmp_path / "consents.csv"
    path.write_text(HEAD + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return dict(check_register(read_register(path), DAY).oddities)


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (("a,1,2025-01-01,HMB,,,,,",), set()),
        (("a,1,2025-01-01,HMB,,,,,", "a,1,2025-01-01,GRU; HMB,,,,,"), {Oddity.OVERLAP}),
        (("a,1,2025-01-01,HMB,,US,,,", "a,1,2025-01-01,HMB,,MG,,,"), set()),
        (("a,1,2025-01-01,HMB,,,x,,", "a,1,2025-01-01,HMB,,,y,,"), set()),
        (("a,1,2025-01-01,HMB,,,,2025-02-01,", "a,1,2025-03-01,HMB,,,,,"), {Oddity.SPLIT}),
        (("a,1,2025-01-01,HMB,,,,,", "a,1,2025-01-01,,deny,US,,,"), {Oddity.CONFLICT}),
        (("a,1,2025-01-01,HMB,,MG,,,", "a,1,2025-01-01,,deny,US,,,"), set()),
        (("a,1,2025-01-01,HMB,,,,,", "a,1,2025-01-01,HMB,,,,,"), {Oddity.TWICE}),
        (("a,1,2025-05-01,HMB,,,,,", "a,2,2025-01-01,HMB,,,,,"), {Oddity.ORDER}),
        (("a,1,2027-01-01,HMB,,,,,",), {Oddity.AHEAD}),
        (("a,1,2025-01-01,HMB,,,,,2026-12-01",), {Oddity.AHEAD}),
    ],
)
def test_overlaps_conflicts_and_days_out_of_order(
    tmp_path: Path, rows: tuple[str, ...], found: set[Oddity]
) -> None:
    assert set(odd(tmp_path, *rows)) == found


def test_all_rows_that_cant_be_read_are_told(tmp_path: Path) -> None:
    path = tmp_path / "consents.csv"
    rows = ("a,1,2025-01-01,HMX,,,,,", "b,1,2025-01-01,HMB,,,,,", "c,x,2025-01-01,HMB,,,,,")
    path.write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")
    assert [one.field for one in register_problems(path)] == ["terms", "version"]
    with pytest.raises(DataError, match="line 2"):
        read_register(path)


def test_a_name_that_a_register_cant_keep_is_refused(tmp_path: Path) -> None:
    wrong = Consent(patient="a;b", version=1, given=DAY, said=said_of(["HMB"]))
    with pytest.raises(InvalidInputError, match="semicolon"):
        write_register(tmp_path / "consents.csv", [wrong])


def test_who_withdrew_stays_on_the_list(tmp_path: Path) -> None:
    gone = [("north", "7", date(2026, 1, 1))]
    assert bar(tmp_path, b"s", gone) == 1
    assert bar(tmp_path, b"s", gone) == 0
    assert bar(tmp_path, b"s", [("north", "7", date(2026, 2, 1))]) == 1
    listed = read_barred(tmp_path, b"s")
    assert listed.since("north", "7") == date(2026, 2, 1)
    assert listed.since("south", "7") is None
    text = (tmp_path / "withdrawn.jsonl").read_text(encoding="utf-8")
    assert person_key(b"s", "north", "7") in text
    old, new = (Consent(patient="7", version=v, given=date(2026, v, 1), said=()) for v in (2, 3))
    assert listed.left_of("north", "7", [old, new]) == (new,)
    assert read_barred(tmp_path / "none", b"s") == Barred(secret=b"s")


def test_a_damaged_list_of_who_withdrew_is_told(tmp_path: Path) -> None:
    bar(tmp_path, b"s", [("north", "7", date(2026, 1, 1))])
    file = tmp_path / "withdrawn.jsonl"
    with file.open("ab") as stream:
        stream.write(b'{"who": "cut')
    assert len(read_barred(tmp_path, b"s").days) == 1, "a crash cut it short"
    bar(tmp_path, b"s", [("north", "8", date(2026, 1, 1))])
    assert len(read_barred(tmp_path, b"s").days) == 2
    file.write_bytes(b"{}\n" + file.read_bytes())
    with pytest.raises(DataError, match="line 1"):
        read_barred(tmp_path, b"s")
