"""Which column of a labels table holds what, judged by its cells first and by its name only then."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from huizhen.cli.dicom_choice import pattern_of
from huizhen.cli.source_guess import Found
from huizhen.core.study import ReaderKind, Task
from huizhen.core.study_wording import nearest
from huizhen.core.table_text import cell_equals
from huizhen.data.readers.image_names import Spelling
from huizhen.errors import DataError

__all__ = ["Counts", "Guess", "count_rows", "guess_columns", "refuse_useless"]

Rows = Sequence[Mapping[str, str]]

ENOUGH = 0.5
"""Share of a column's cells that must fit for it to be taken by its content."""

MOST_SHOWN = 8
"""How many values of an outcome column an error shows."""

NAMES: Mapping[str, tuple[str, ...]] = {
    "patient": (
        *(
            "patient",
            "patientid",
            "patientno",
            "patientnumber",
            "患者",
            "患者编号",
            "患者id",
            "病人",
            "病例号",
        ),
        *("住院号", "case", "caseid", "subject", "subjectid", "pid", "mrn"),
    ),
    "outcome": (
        *("outcome", "label", "pathology", "diagnosis", "class", "target", "malignancy"),
        *("结局", "标签", "病理", "诊断", "类别", "良恶性"),
    ),
    "image": ("image", "imageid", "file", "filename", "imagefile", "path", "id", "影像", "图像", "文件名"),
    "view": ("view", "viewposition"),
    "duplicate_group": ("duplicategroup", "dupgroup"),
}
"""What columns are commonly called, letters and digits only."""

INSIDE = {"patient": ("patientid", "patient", "患者")}
"""Names that also count as a part of a longer one, as in "Demographics / Patient ID"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """One column found: what it holds (`key`), its name, and why it was taken (a word key in import.why)."""

    key: str
    column: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a labels table holds: rows, patients, rows of each class, rows whose image is absent."""

    rows: int
    patients: int
    positive: int
    negative: int
    other: int
    unmatched: int


def guess_columns(
    rows: Rows, found: Found, task: Task | None, given: Mapping[str, str | None]
) -> tuple[Guess, ...]:
    """Return which column holds what; `given` overrides by key.

    Raises `DataError` if a given column is absent, or no column of outcomes (or, where rows must name images,
    of image names) can be found.
    """
    columns = list(rows[0]) if rows else []
    _check_given(given, columns)
    guesses = {key: Guess(key=key, column=name, why="given") for key, name in given.items() if name}
    if found.names:
        _add(guesses, "image", _by_images(rows, found), "content")
    _add(guesses, "outcome", _by_classes(rows, task, guesses), "classes")
    _add(guesses, "patient", _by_content(rows, lambda cell: cell in found.patients), "content")
    for key in ("outcome", "patient", "view", "duplicate_group"):
        taken = {guess.column for guess in guesses.values()}
        _add(guesses, key, _by_name(key, [name for name in columns if name not in taken]), "name")
    _settle(guesses, found, columns, len(rows))
    return tuple(guesses[key] for key in NAMES if key in guesses)


def _check_given(given: Mapping[str, str | None], columns: list[str]) -> None:
    """Refuse a given column that the table lacks."""
    for key, name in given.items():
        if name and name not in columns:
            close = nearest(name, columns)
            remedy = f"did you mean {close}?" if close else f"it has: {', '.join(columns[:20])}"
            raise DataError(f"the table has no column {name}", remedy=remedy, field=f"--{key}")


def _add(guesses: dict[str, Guess], key: str, column: str | None, why: str) -> None:
    """Take a column for `key` unless one is taken, or none was found."""
    if key not in guesses and column is not None:
        guesses[key] = Guess(key=key, column=column, why=why)


def _by_content(rows: Rows, fits: Callable[[str], bool]) -> str | None:
    """Return the column most of whose filled cells fit, if enough do."""
    shares = {}
    for column in rows[0] if rows else ():
        cells = [row[column].strip() for row in rows if row[column].strip()]
        shares[column] = sum(fits(cell) for cell in cells) / len(cells) if cells else 0.0
    best = max(shares, key=lambda column: shares[column], default=None)
    return best if best is not None and shares[best] >= ENOUGH else None


def _by_images(rows: Rows, found: Found) -> str | None:
    """Return the column most of whose cells name images as the readers take them."""
    shares = {}
    for column in rows[0] if rows else ():
        filled = sum(bool(row[column].strip()) for row in rows)
        shares[column] = len(_named(rows, column, found)) / filled if filled else 0.0
    best = max(shares, key=lambda column: shares[column], default=None)
    return best if best is not None and shares[best] >= ENOUGH else None


def _named(rows: Rows, column: str, found: Found) -> list[int]:
    """Return which rows' cells name an image that is there."""
    if found.reader is ReaderKind.NPZ:
        return [i for i, row in enumerate(rows) if row[column].strip() in found.names]
    spelling = Spelling.of(row[column] for row in rows)
    folded = {name.casefold() for name in found.names}
    return [
        i
        for i, row in enumerate(rows)
        if row[column].strip() and spelling.look_up(row[column], found.names, folded) is not None
    ]


def _by_classes(rows: Rows, task: Task | None, guesses: Mapping[str, Guess]) -> str | None:
    """Return the column whose cells are the task's classes; if those are numbers, it must be named so too."""
    if task is None:
        return None
    classes = (*task.positive, *task.negative)
    taken = {guess.column for guess in guesses.values()}
    free = [{name: cell for name, cell in row.items() if name not in taken} for row in rows]
    if all(name.strip("-.").isdigit() for name in classes):
        return _by_name("outcome", list(free[0]) if free else [])
    return _by_content(free, lambda cell: any(cell_equals(cell, name) for name in classes))


def _by_name(key: str, columns: Sequence[str]) -> str | None:
    """Return the column that is called as columns of `key` commonly are, the commonest name first.

    >>> _by_name("patient", ["ID", "Patient_ID", "case"]), _by_name("patient", ["ID", "Who / Patient ID"])
    ('Patient_ID', 'Who / Patient ID')
    """
    plain = {"".join(char for char in name.lower() if char.isalnum()): name for name in reversed(columns)}
    if exact := next((plain[name] for name in NAMES[key] if name in plain), None):
        return exact
    held = (plain[name] for part in INSIDE.get(key, ()) for name in reversed(plain) if part in name)
    return next(held, None)


def _settle(guesses: dict[str, Guess], found: Found, columns: list[str], rows: int) -> None:
    """Refuse what can't be read; take each image as a patient where no patient column is there."""
    if found.reader in (ReaderKind.IMAGES, ReaderKind.NIFTI) and "image" not in guesses:
        raise DataError(
            "no column of the table names the images",
            remedy="name it with --image; cells are paths or file names, with or without suffix",
        )
    if found.reader is ReaderKind.NPZ and "image" not in guesses and rows != found.images:
        raise DataError(
            f"the table has {rows} rows, the array {found.images} images, and no identifiers link them",
            remedy="give one row an image in the array's order, or save an array of ids and name its column",
        )
    if "outcome" not in guesses:
        raise DataError(
            "no column of outcomes found",
            remedy=f"name it with --outcome; the table has: {', '.join(columns[:20])}",
        )
    if "patient" not in guesses:
        source = guesses.get("image")
        if source is None:
            raise DataError("no column of patients found", remedy="name it with --patient")
        guesses["patient"] = Guess(key="patient", column=source.column, why="fallback")


def count_rows(rows: Rows, guesses: Sequence[Guess], found: Found, task: Task | None) -> Counts:
    """Return how many rows, patients and classes the guessed columns give."""
    column = {guess.key: guess.column for guess in guesses}

    def of(classes: Sequence[str]) -> int:
        return sum(any(cell_equals(row[column["outcome"]], name) for name in classes) for row in rows)

    positive, negative = (of(task.positive), of(task.negative)) if task else (0, 0)
    looked = bool(found.names) and "image" in column
    return Counts(
        rows=len(rows),
        patients=len({row[column["patient"]] for row in rows}),
        positive=positive,
        negative=negative,
        other=len(rows) - positive - negative,
        unmatched=len(rows) - len(_named(rows, column["image"], found)) if looked else 0,
    )


def refuse_useless(
    counts: Counts, rows: Rows, guesses: Sequence[Guess], task: Task, *, names: frozenset[str], file: str
) -> None:
    """Raise `DataError` when no row is of a class of the study, or no image that the table names is there."""
    if not counts.positive + counts.negative:
        column = next(guess.column for guess in guesses if guess.key == "outcome")
        known = ", ".join((*task.positive, *task.negative))
        raise DataError(
            f"no row of column {column} is of a class of the study: it holds {_held(rows, column)}",
            remedy=f"the study knows {known}; correct [task], or name another column with --outcome",
            file=file,
        )
    if counts.rows and counts.unmatched == counts.rows:
        column = next(guess.column for guess in guesses if guess.key == "image")
        raise DataError(
            f"none of the {counts.rows} images that column {column} names is there"
            " (9 for a digit, A for a letter:"
            f" table {pattern_of(rows[0][column])}, a file {pattern_of(min(names, default='-'))})",
            remedy="give the folder that holds them, or name another column with --image",
            file=file,
        )


def _held(rows: Rows, column: str) -> str:
    """Return a column's commonest values; what stands once may be a patient's, and is counted only."""
    counts = Counter(row[column].strip() for row in rows)
    empty = counts.pop("", 0)
    shared = [(value, count) for value, count in counts.most_common(MOST_SHOWN) if count > 1]
    rest = len(counts) - len(shared)
    parts = [f"{value[:40]} ({count})" for value, count in shared]
    parts += [f"{rest} other values"] if rest else []
    return ", ".join(parts + ([f"{empty} empty cells"] if empty else []))
