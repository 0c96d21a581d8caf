"""Answers from files: a CSV of many, or a folder into which readers drop one JSON or CSV per answer.

Columns, or JSON keys: `case`, `reader`, `label`, and if wanted `at` (ISO 8601). A file counts wholly or not
at all, and is never changed: whatever is refused can be put right there and imported again, since answers
that are in the queue already are passed over.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from huizhen.core.table_text import columns_of, rows_of
from huizhen.errors import DataError, HuizhenError, UnreadableFileError
from huizhen.train.active.queue import Queue
from huizhen.train.active.queue_records import Answer

__all__ = ["Imported", "Refusal", "import_csv", "import_folder", "refused_rows"]

NEEDED = ("case", "reader", "label")
SHOWN = 20
LARGEST_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A row (from 1 below the header; 0: the file as a whole) that wasn't taken, why, and what to do."""

    file: str
    row: int
    reason: str
    remedy: str

    def __str__(self) -> str:
        place = f"row {self.row}: " if self.row else ""
        return f"{place}{self.reason} ({self.remedy})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import did: answers that are `new`, `known` before, and `refused` ones."""

    new: int
    known: int
    refused: tuple[Refusal, ...] = ()


def import_csv(queue: Queue, path: Path) -> Imported:
    """Enter a CSV's answers, all or none. Raises `DataError` naming file, rows and remedies.

    A file cut off while it was written is refused where that can be told: a row without all cells, or a last
    row without line end whose label could be the beginning of another.
    """
    answers = _answers_in(path)
    refused = [
        Refusal(file=path.name, row=row, reason=error.message, remedy=error.remedy)
        for row, item in enumerate(answers, start=1)
        if (error := _trial(queue, item)) is not None
    ]
    refused += _doubled(answers, path)
    if not refused and answers and _may_be_cut_off(queue, path, answers[-1]):
        refused = [_cut_off(path, len(answers))]
    if refused:
        raise refused_rows(path, refused)
    new = queue.answer(answers)
    return Imported(new=new, known=len(answers) - new)


def import_folder(queue: Queue, folder: Path) -> Imported:
    """Enter what lies in a drop folder, file by file in order of name; one bad file doesn't hold up others.

    Files that begin with a point or end in `.part` are still being written and are left alone. Raises
    `UnreadableFileError` if the folder can't be read.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".csv", ".json"))
    except OSError as error:
        raise UnreadableFileError(
            f"can't be read ({error.strerror})",
            remedy="give the folder that readers write to",
            file=str(folder),
        ) from error
    new, known, refused = 0, 0, list[Refusal]()
    for path in paths:
        if path.name.startswith("."):
            continue
        try:
            done = import_csv(queue, path) if path.suffix.lower() == ".csv" else _import_json(queue, path)
        except (DataError, HuizhenError) as error:
            refused.append(Refusal(file=path.name, row=0, reason=error.message, remedy=error.remedy))
            continue
        new, known = new + done.new, known + done.known
    return Imported(new=new, known=known, refused=tuple(refused))


def _import_json(queue: Queue, path: Path) -> Imported:
    """Enter a JSON file's one answer."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise ValueError("too large")
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableFileError(
            f"is no readable JSON ({type(error).__name__})",
            remedy="write the answer anew, and rename the file into the folder when it is whole",
            file=str(path),
        ) from error
    if not isinstance(value, dict) or not all(isinstance(value.get(name), str) for name in NEEDED):
        raise DataError(
            "isn't one answer with case, reader and label as text",
            remedy="write these three keys",
            file=str(path),
        )
    new = queue.answer([_answer(value, source=path.name, file=str(path))])
    return Imported(new=new, known=1 - new)


def _answers_in(path: Path) -> list[Answer]:
    """Return a CSV's answers. Raises `DataError` on a missing column or a row without all cells."""
    names = [*NEEDED, *(["at"] if "at" in columns_of(path) else [])]
    rows = list(rows_of(path, names))
    short = [
        Refusal(
            file=path.name, row=row, reason="a cell is empty, or the row is cut off", remedy="complete it"
        )
        for row, cells in enumerate(rows, start=1)
        if not all(cells[name] for name in NEEDED)
    ]
    if short:
        raise refused_rows(path, short)
    return [
        _answer(cells, source=f"{path.name} row {row}", file=str(path)) for row, cells in enumerate(rows, 1)
    ]


def _answer(cells: Mapping[str, str], *, source: str, file: str) -> Answer:
    """Return the answer of a row or object. Raises `DataError` on a time that is none."""
    at = cells.get("at") or ""
    try:
        if at:
            datetime.fromisoformat(at)
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{source}: the time isn't ISO 8601", remedy="write e.g. 2026-03-01T09:30:00+00:00", file=file
        ) from error
    case, reader, label = (cells[name].strip() for name in NEEDED)
    return Answer(case=case, reader=reader, label=label, source=source, at=at)


def _trial(queue: Queue, item: Answer) -> DataError | None:
    """Return why the queue would refuse an answer, or None."""
    try:
        queue.check(item)
    except DataError as error:
        return error
    return None


def _doubled(answers: Sequence[Answer], path: Path) -> Iterator[Refusal]:
    """Yield rows that contradict an earlier row of the same file by the same reader."""
    first: dict[tuple[str, str], tuple[int, str]] = {}
    for row, item in enumerate(answers, start=1):
        before, label = first.setdefault((item.case, item.reader), (row, item.label))
        if label != item.label:
            reason = f"another answer by the reader of row {before} to the same case"
            yield Refusal(file=path.name, row=row, reason=reason, remedy="keep the one that he stands by")


def _may_be_cut_off(queue: Queue, path: Path, last: Answer) -> bool:
    """Tell whether a file ends within its last row, in a label that begins another."""
    longer = any(name != last.label and name.startswith(last.label) for name in queue.label_names)
    return longer and not path.read_bytes().endswith((b"\n", b"\r"))


def _cut_off(path: Path, row: int) -> Refusal:
    return Refusal(
        file=path.name,
        row=row,
        reason="the file ends here without a line end, and the label could be the beginning of another",
        remedy="check the last row and end it with a line end",
    )


def refused_rows(path: Path, refused: Sequence[Refusal]) -> DataError:
    """Return the error for a CSV of which nothing was taken; it names the first twenty rows."""
    shown = "; ".join(map(str, refused[:SHOWN]))
    more = f"; and {len(refused) - SHOWN} more" if len(refused) > SHOWN else ""
    return DataError(
        f"nothing was imported: {shown}{more}",
        remedy="put these rows right and import the file again; answers already in are passed over",
        file=str(path),
    )
