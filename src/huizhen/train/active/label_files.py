"""One reader's labels from a CSV with the columns `case` and `label`; other columns are passed over.

All rows count or none, and every wrong row is named at once. A row without a label is left for later, so that
a list of open cases can be filled in bit by bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from huizhen.core.table_cells import as_meant
from huizhen.core.table_text import rows_of
from huizhen.errors import DataError
from huizhen.train.active.answer_files import Imported, Refusal, refused_rows
from huizhen.train.active.queue import Queue
from huizhen.train.active.queue_records import Answer, State

__all__ = ["import_labels"]

UNREADABLE = "it can't be labelled"
Row = tuple[int, str, str]
"""Number from 1 below the header, case, label."""


def import_labels(
    queue: Queue, path: Path, *, reader: str, adjudicate: bool = False, withdraw: bool = False
) -> Imported:
    """Enter a CSV's labels as answers of `reader`, or as rulings, or take its cases out.

    Raises `DataError` that names every wrong row: a case that wasn't asked, is settled or stands twice, a
    label that is none, another answer by the same reader; and when no row has a label.
    """
    if not reader.strip():
        raise DataError("nobody is named who read", remedy="name the reader", field="reader")
    rows = list(_rows(path, labelled=not withdraw))
    if not rows:
        raise DataError(
            "no row has a label", remedy="fill in the column label, then import the file", file=str(path)
        )
    states = queue.states()
    check = _checks(queue, reader, states, adjudicate=adjudicate, withdraw=withdraw)
    refused = [*_twice(rows, path), *_wrong(rows, path, check)]
    if refused:
        raise refused_rows(path, sorted(refused, key=lambda one: one.row))
    if withdraw:
        for _, case, _ in rows:
            queue.withdraw(case, actor=reader, why=UNREADABLE)
        return Imported(new=len(rows), known=0)
    if adjudicate:
        for _, case, label in rows:
            queue.adjudicate(case, label, adjudicator=reader, why=f"{path.name}")
        return Imported(new=len(rows), known=0)
    new = queue.answer([_answer(reader, path, row) for row in rows])
    return Imported(new=new, known=len(rows) - new)


def _rows(path: Path, *, labelled: bool) -> Iterator[Row]:
    """Yield the rows that say something."""
    names = ("case", "label") if labelled else ("case",)
    for number, cells in enumerate(rows_of(path, names), start=1):
        label = cells.get("label", "").strip()
        if label or not labelled:
            yield number, as_meant(cells["case"].strip()), as_meant(label)


def _answer(reader: str, path: Path, row: Row) -> Answer:
    number, case, label = row
    return Answer(case=case, reader=reader.strip(), label=label, source=f"{path.name} row {number}")


def _checks(
    queue: Queue, reader: str, states: Mapping[str, State], *, adjudicate: bool, withdraw: bool
) -> Callable[[Row, Path], None]:
    """Return what raises `DataError` for a row that the queue would refuse."""

    def check(row: Row, path: Path) -> None:
        _, case, label = row
        if withdraw or adjudicate:
            wanted = (State.DISPUTED,) if adjudicate else (State.OPEN, State.DISPUTED)
            known = queue.label_names[0] if withdraw else label
            queue.check_known(case, known)
            if states[case] not in wanted:
                raise DataError(
                    f"case {case} is {states[case].value}",
                    remedy="adjudicate what readers disagree on" if adjudicate else "reopen it first",
                    field="case",
                )
            return
        queue.check(_answer(reader, path, row))

    return check


def _wrong(rows: Sequence[Row], path: Path, check: Callable[[Row, Path], None]) -> Iterator[Refusal]:
    """Yield the rows that the queue would refuse."""
    for row in rows:
        try:
            check(row, path)
        except DataError as error:
            yield Refusal(file=path.name, row=row[0], reason=error.message, remedy=error.remedy)


def _twice(rows: Sequence[Row], path: Path) -> Iterator[Refusal]:
    """Yield the rows whose case stands in an earlier row."""
    first: dict[str, int] = {}
    for number, case, _ in rows:
        before = first.setdefault(case, number)
        if before != number:
            reason = f"the case of row {before} again"
            yield Refusal(file=path.name, row=number, reason=reason, remedy="keep one row a case")
