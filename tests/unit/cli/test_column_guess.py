"""Columns are judged by their cells first, by their names only then, and a wrong guess can be overridden."""

from __future__ import annotations

import pytest

from huizhen.cli.column_guess import Counts, count_rows, guess_columns
from huizhen.cli.source_guess import Found
from huizhen.core.study import ReaderKind, Task
from huizhen.errors import DataError

TASK = Task(outcome="malignancy", positive=("malignant",), negative=("benign",))
NUMBERS = Task(outcome="event", positive=("1",), negative=("0",))
FOLDER = Found(
    reader=ReaderKind.IMAGES, images=3, names=frozenset({"a", "a.png", "b", "b.png", "c", "c.png"})
)


def columns(
    rows: list[dict[str, str]], found: Found = FOLDER, task: Task | None = TASK, **given: str
) -> dict[str, str]:
    """Return key -> column."""
    return {guess.key: guess.column for guess in guess_columns(rows, found, task, given)}


def table(*heads: str) -> list[dict[str, str]]:
    """Return three rows of patient, image, outcome and side under `heads`."""
    cells = [("p1", "a.png", "benign", "0"), ("p1", "b", "malignant", "1"), ("p2", "c.png", "normal", "1")]
    return [dict(zip(heads, row, strict=True)) for row in cells]


@pytest.mark.parametrize(
    "heads",
    [
        ("Patient ID", "x1", "x2", "x3"),
        ("患者编号", "文件名", "病理", "侧别"),
        ("Study / Patient ID", "image", "label", "class"),
        ("case", "label", "image", "outcome"),
    ],
)
def test_cells_go_before_names(heads: tuple[str, ...]) -> None:
    patient, image, outcome, _ = heads
    assert columns(table(*heads)) == {"patient": patient, "image": image, "outcome": outcome}


def test_classes_that_are_numbers_need_a_name_too() -> None:
    rows = table("case", "file", "text", "event")
    assert columns(table("case", "file", "text", "label"), task=NUMBERS)["outcome"] == "label"
    with pytest.raises(DataError, match="--outcome"):
        columns(rows, task=NUMBERS)
    assert columns(rows, task=NUMBERS, outcome="event")["outcome"] == "event"


def test_what_was_given_is_taken_even_against_the_cells() -> None:
    found = columns(table("p", "i", "o", "s"), patient="s", outcome="p")
    assert (found["patient"], found["outcome"], found["image"]) == ("s", "p", "i")


@pytest.mark.parametrize("key", ["patient", "outcome", "image"])
def test_a_given_column_that_is_absent_names_the_nearest(key: str) -> None:
    with pytest.raises(DataError, match="did you mean person"):
        columns(table("person", "i", "o", "s"), **{key: "persn"})


def test_without_a_patient_column_each_image_is_a_patient_and_that_is_said() -> None:
    guesses = guess_columns(table("p", "i", "o", "s"), FOLDER, TASK, {})
    first = guesses[0]
    assert (first.key, first.column, first.why) == ("patient", "i", "fallback")
    dicom = Found(reader=ReaderKind.DICOM, images=3)
    with pytest.raises(DataError, match="--patient"):
        guess_columns(table("p", "i", "o", "s"), dicom, TASK, {})


def test_headers_of_images_tell_the_patient_column() -> None:
    dicom = Found(reader=ReaderKind.DICOM, images=3, patients=frozenset({"p1", "p2"}))
    assert columns(table("x", "i", "o", "s"), dicom)["patient"] == "x"


def test_counts_are_of_rows_patients_and_classes() -> None:
    rows = [*table("p", "i", "o", "s"), {"p": "p3", "i": "gone", "o": "benign", "s": ""}]
    guesses = guess_columns(rows, FOLDER, TASK, {"patient": "p"})
    counts = count_rows(rows, guesses, FOLDER, TASK)
    assert counts == Counts(rows=4, patients=3, positive=1, negative=2, other=1, unmatched=1)
