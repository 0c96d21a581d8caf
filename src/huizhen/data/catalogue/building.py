"""An index built from a prepared DICOM folder and tables, resumably, and found again by what made it.

Headers alone are read. What a file's header says is kept beside the index, by the file's place, size and
time, so that a killed build goes on, and the next one reads new files only. In the index patients are known
by a keyed hash.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from huizhen.core.digests import Digest, digest_file, digest_value
from huizhen.core.files import open_private, private_folder, storage_error
from huizhen.core.progress import Progress, Silent
from huizhen.core.table_text import columns_of, numbered_rows
from huizhen.data.catalogue.codes import canonical_value, key_of, maker_of
from huizhen.data.catalogue.index import CODED, MANIFEST, Columns, Index, open_index, write_index
from huizhen.data.readers.dicom_kinds import body_part_of, modality_of
from huizhen.data.readers.dicom_values import text_of
from huizhen.data.readers.paths import walk_folder
from huizhen.errors import DataError, HuizhenError, UnreadableFileError

__all__ = ["Sources", "build_index"]

HEADERS = "headers.jsonl"
BATCH = 256

Row = tuple[str, str, str, str, str, str, str, int, int]
"""Of one series: patient, study, series, modality, manufacturer, body part, sex, age, year (-1: not said)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What an index is built from: a folder of DICOM files, a table of series, a table of diagnoses.

    The table of series has columns patient, study, series and modality, and where known manufacturer,
    body_part, sex, age and year; that of diagnoses patient and diagnosis, and where known age and year.
    """

    images: Path | None = None
    series: Path | None = None
    diagnoses: Path | None = None


def build_index(sources: Sources, state: Path, *, secret: bytes, progress: Progress | None = None) -> Index:
    """Return the index of `sources`, built below `state` unless it is there; `secret` keys patients' hashes.

    Raises `DataError` when there is nothing to index or a table can't be used, `UnreadableFileError` on a
    broken table, `StorageError` when `state` can't be written.
    """
    rows: list[Row] = []
    if sources.images is not None:
        rows += _rows_of_images(sources.images, state, progress or Silent())
    if sources.series is not None:
        rows += list(_rows_of_table(sources.series))
    if not rows:
        raise DataError(
            "there is no series to index", remedy="name images or a table of series", field="index"
        )
    fingerprint = hmac.new(secret, b"catalogue index", sha256).hexdigest()[:16]
    tables = [digest_file(path) for path in (sources.diagnoses,) if path is not None]
    source = digest_value([sorted(map(list, set(rows))), tables, fingerprint])
    folder = state / f"index-{source[:16]}"
    if (folder / MANIFEST).exists():
        return open_index(folder)
    diagnoses = list(_diagnoses(sources.diagnoses)) if sources.diagnoses is not None else []
    return _written(folder, rows, diagnoses, secret, source)


# --- headers -------------------------------------------------------------------------------------------


def _rows_of_images(images: Path, state: Path, progress: Progress) -> list[Row]:
    """Return a row for each series below a folder; of a series' files the first one speaks for it."""
    if not images.is_dir():
        raise DataError("there is no such folder", remedy="correct [index] images", file=str(images))
    files, _ = walk_folder(images.resolve())
    known = _known(state / HEADERS)
    marks = {file: _mark(images / file) for file in files}
    fresh = [file for file in files if known.get(file, ("",))[0] != marks[file]]
    with progress.track("index", len(fresh)) as advance:
        for start in range(0, len(fresh), BATCH):
            part = fresh[start : start + BATCH]
            known |= _read_and_kept(images, part, marks, state / HEADERS)
            advance(len(part))
    found: dict[tuple[str, str], Row] = {}
    for file in files:
        row = known[file][1]
        if row is not None:
            found.setdefault((row[1], row[2]), row)
    return list(found.values())


def _known(path: Path) -> dict[str, tuple[str, Row | None]]:
    """Return what headers were read before; a line that was cut off is passed over."""
    found: dict[str, tuple[str, Row | None]] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                file, mark, row = json.loads(line)
                found[str(file)] = (str(mark), None if row is None else _checked(row))
            except (ValueError, TypeError):
                continue
    return found


def _checked(row: Sequence[Any]) -> Row:
    texts, numbers = [str(one) for one in row[:7]], [int(one) for one in row[7:]]
    if len(texts) != 7 or len(numbers) != 2:
        raise ValueError("another form")
    return (*texts, *numbers)  # type: ignore[return-value]  # seven texts and two numbers


def _mark(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size}:{status.st_mtime_ns}"


def _read_and_kept(
    images: Path, files: Sequence[str], marks: Mapping[str, str], path: Path
) -> dict[str, tuple[str, Row | None]]:
    """Read some headers, and write down durably what they say."""
    found = {file: (marks[file], _row_of(images / file)) for file in files}
    lines = "".join(json.dumps([file, *said], ensure_ascii=False) + "\n" for file, said in found.items())
    try:
        private_folder(path.parent)
        with open_private(path) as stream:
            stream.write(b"\n" + lines.encode(errors="replace"))
    except OSError as error:
        raise storage_error(path, error) from error
    return found


def _row_of(path: Path) -> Row | None:
    """Return what an image's header says; None of what is no image, or names no patient, study and series."""
    from huizhen.data.readers.dicom_headers import read_dataset

    try:
        data = read_dataset(path, pixels=False)
    except UnreadableFileError:
        return None
    names = [text_of(data, name) for name in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")]
    modality = modality_of(text_of(data, "Modality"), text_of(data, "SOPClassUID"))
    if not all(names) or not modality or "Rows" not in data:
        return None
    return (
        names[0],
        names[1],
        names[2],
        _coded("modality", modality),
        maker_of(text_of(data, "Manufacturer")),
        _coded("body_part", body_part_of(data)),
        _coded("sex", text_of(data, "PatientSex")),
        _age(text_of(data, "PatientAge"), text_of(data, "PatientBirthDate"), text_of(data, "StudyDate")),
        _year(text_of(data, "StudyDate")),
    )


def _coded(key: str, text: str) -> str:
    """Return a value's code, "" for what is none."""
    try:
        return canonical_value(key, text) if text.strip() else ""
    except HuizhenError:
        return ""


def _age(text: str, born: str, day: str) -> int:
    """Return years from Patient's Age (0010,1010), else between two dates; -1 where neither says it.

    >>> _age("061Y", "", ""), _age("018M", "", ""), _age("", "19600601", "20200531"), _age("", "", "")
    (61, 1, 59, -1)
    """
    if found := re.fullmatch(r"(\d{1,3})([DWMY])", text):
        return int(found[1]) // {"D": 365, "W": 52, "M": 12, "Y": 1}[found[2]]
    if re.fullmatch(r"\d{8}", born) and re.fullmatch(r"\d{8}", day):
        years = int(day[:4]) - int(born[:4]) - (day[4:] < born[4:])
        return years if 0 <= years <= 150 else -1
    return -1


def _year(day: str) -> int:
    return int(day[:4]) if re.fullmatch(r"(19|20|21)\d{6}", day) else -1


# --- tables --------------------------------------------------------------------------------------------

_SERIES = ("patient", "study", "series", "modality")
_SERIES_MORE = ("manufacturer", "body_part", "sex", "age", "year")


def _rows_of_table(path: Path) -> Iterable[Row]:
    """Yield a row for each line of a table of series."""
    for line, cells in _lines(path, _SERIES, _SERIES_MORE):
        yield (
            *(cells[name].strip() for name in _SERIES[:3]),
            _code_in(cells, "modality", path, line),
            maker_of(cells.get("manufacturer", "")),
            _code_in(cells, "body_part", path, line),
            _code_in(cells, "sex", path, line),
            _number_in(cells, "age", "age", path, line),
            _number_in(cells, "year", "year", path, line),
        )  # type: ignore[misc]  # seven texts and two numbers


def _diagnoses(path: Path) -> Iterable[tuple[str, str, int, int]]:
    """Yield patient, diagnosis, age and year of each line of a table of diagnoses."""
    for line, cells in _lines(path, ("patient", "diagnosis"), ("age", "year")):
        yield (
            cells["patient"].strip(),
            _code_in(cells, "diagnosis", path, line),
            _number_in(cells, "age", "diagnosis_age", path, line),
            _number_in(cells, "year", "diagnosis_year", path, line),
        )


def _lines(path: Path, needed: Sequence[str], more: Sequence[str]) -> Iterable[tuple[int, Mapping[str, str]]]:
    """Yield the numbered lines of a table; the names of patients and the like must stand in each."""
    held = columns_of(path)
    for line, cells in numbered_rows(path, [*needed, *(name for name in more if name in held)]):
        if empty := [name for name in needed if not cells[name].strip()]:
            raise _unclear(path, line, empty[0], "fill it in")
        yield line, cells


def _code_in(cells: Mapping[str, str], key: str, path: Path, line: int) -> str:
    text = cells.get(key, "")
    try:
        return canonical_value(key, text) if text.strip() else ""
    except HuizhenError as error:
        raise _unclear(path, line, key, error.remedy) from error


def _number_in(cells: Mapping[str, str], column: str, key: str, path: Path, line: int) -> int:
    text, bounds = cells.get(column, "").strip(), key_of(key)
    if not text:
        return -1
    if not re.fullmatch(r"\d{1,4}(\.0*)?", text) or not bounds.least <= int(float(text)) <= bounds.most:
        raise _unclear(path, line, column, f"write a whole number from {bounds.least} to {bounds.most}")
    return int(float(text))


def _unclear(path: Path, line: int, column: str, remedy: str) -> DataError:
    """Return the error of one cell; what stands there may be a patient's and is not repeated."""
    return DataError(f"line {line} can't be used", remedy=remedy, field=column, file=path.name)


# --- columns -------------------------------------------------------------------------------------------


def _written(
    folder: Path,
    rows: Iterable[Row],
    diagnoses: Iterable[tuple[str, str, int, int]],
    secret: bytes,
    source: Digest,
) -> Index:
    """Write the columns of rows; a diagnosis of somebody without images is left out."""
    hashed = {patient: _hash(secret, patient) for patient in {row[0] for row in rows}}
    ordered = sorted(set(rows), key=lambda row: (hashed[row[0]], row))
    people = sorted({hashed[row[0]] for row in ordered})
    person = {value: place for place, value in enumerate(people)}
    studies: dict[tuple[str, str], int] = {}
    first: list[Row] = []
    for row in ordered:
        if (row[0], row[1]) not in studies:
            studies[row[0], row[1]] = len(first)
            first.append(row)
    sexes = {person[hashed[row[0]]]: row[6] or "U" for row in reversed(ordered) if row[6]}
    told = sorted((person[hashed[patient]], *rest) for patient, *rest in set(diagnoses) if patient in hashed)
    given = {
        "modality": [row[3] for row in ordered],
        "manufacturer": [row[4] for row in ordered],
        "body_part": [row[5] for row in ordered],
        "sex": [sexes.get(place, "U") for place in range(len(people))],
        "diagnosis": [str(row[1]) for row in told],
    }
    words = {name: ("", *sorted(set(given[name]) - {""})) for name in CODED}
    coded = {name: np.array([words[name].index(value) for value in given[name]], np.uint16) for name in CODED}
    return write_index(
        folder,
        Columns(
            study=np.array([studies[row[0], row[1]] for row in ordered], np.uint32),
            subject=np.array([person[hashed[row[0]]] for row in first], np.uint32),
            age=np.array([row[7] for row in first], np.int16),
            year=np.array([row[8] for row in first], np.int16),
            person=np.array(people, np.uint64),
            diagnosis_subject=np.array([row[0] for row in told], np.uint32),
            diagnosis_age=np.array([row[2] for row in told], np.int16),
            diagnosis_year=np.array([row[3] for row in told], np.int16),
            **coded,
        ),
        words,
        source,
    )


def _hash(secret: bytes, patient: str) -> int:
    return int.from_bytes(hmac.new(secret, patient.encode(), sha256).digest()[:8], "big")
