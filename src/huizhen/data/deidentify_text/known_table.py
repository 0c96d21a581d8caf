"""What the site knows of its patients: a table of its own, or the headers of their DICOM files."""
# ruff: noqa: E501 - lists, one a line

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from huizhen.core.table_text import columns_of, numbered_rows
from huizhen.data.deidentify_text.known import Known
from huizhen.errors import DataError

__all__ = ["COLUMNS", "KnownPatients", "known_from_dicom", "read_known"]

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "patient": ("patient", "patient_id", "patientid", "mrn", "病案号", "病历号", "患者编号", "患者id", "登记号"),
    "file": ("file", "path", "filename", "document", "文件", "文件名"),
    "names": ("name", "patient_name", "first_name", "last_name", "given_name", "family_name", "surname", "maiden_name", "relative", "contact", "doctor", "physician", "referring_physician", "names", "姓名", "患者姓名", "家属", "联系人", "医师", "医生"),
    "numbers": ("number", "id", "ids", "national_id", "ssn", "nhs_number", "insurance", "insurance_number", "passport", "admission_id", "visit_id", "account", "numbers", "身份证号", "身份证", "住院号", "门诊号", "医保号", "就诊号"),
    "accessions": ("accession", "accession_number", "accessions", "检查号", "影像号", "申请单号"),
    "dates": ("birth_date", "birthdate", "dob", "date_of_birth", "出生日期", "生日"),
    "texts": ("address", "street", "city", "phone", "telephone", "mobile", "email", "employer", "texts", "地址", "住址", "电话", "手机", "邮箱", "联系电话", "工作单位"),
}  # fmt: skip
"""What a column may be called, by what it holds; case, spaces and hyphens don't count."""

_DATES = (
    "%Y-%m-%d",
    "%Y%m%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%d.%m.%Y",
    "%Y年%m月%d日",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d-%b-%Y",
    "%d %b %Y",
    "%d %B %Y",
    "%B %d, %Y",
)
"""Forms of a day of birth: where two fit, it is looked for as both."""

_TIME = re.compile(r"[T ]\d{1,2}:\d{2}(?::\d{2})?(?:\.\d+)?Z?$")

_NAME_TAGS = (
    0x00100010,
    0x00101001,
    0x00101005,
    0x00101060,
    0x00080090,
    0x00081048,
    0x00081050,
    0x00081060,
    0x00081070,
    0x00321032,
    0x00102297,
)
_NUMBER_TAGS = (
    0x00101000,
    0x00101090,
    0x00380010,
    0x00401001,
    0x00402016,
    0x00402017,
    0x00200010,
    0x00181000,
)
_TEXT_TAGS = (0x00101040, 0x00102154, 0x00102155, 0x00380400)


@dataclass(slots=True)
class KnownPatients:
    """What is known by patient, and which document is whose where the table says so."""

    patients: dict[str, Known]
    files: dict[str, str]

    def of(self, patient: str) -> Known:
        """Return what is known of a patient: the id alone where there is nothing else."""
        return self.patients.get(patient, Known(patient=patient))

    def add(self, known: Known) -> None:
        """Add to what is known of a patient."""
        old = self.patients.get(known.patient)
        self.patients[known.patient] = known if old is None else _together(old, known)


def _together(one: Known, other: Known) -> Known:
    both: dict[str, Any] = {
        item.name: tuple(dict.fromkeys((*getattr(one, item.name), *getattr(other, item.name))))
        for item in fields(Known)
        if item.name != "patient"
    }
    return Known(patient=one.patient, **both)


def read_known(path: Path) -> KnownPatients:
    """Return what a table (CSV or Parquet) says of the patients; several values in a cell are parted by ";".

    Raises `DataError` on a column whose name isn't one of `COLUMNS` or on a table without a column for the
    patient, on a day of birth that can't be read, and what reading a table raises.
    """
    named = {column: _holds(column) for column in columns_of(path)}
    strange = [number for number, holds in enumerate(named.values(), 1) if holds is None]
    if strange:
        raise DataError(
            f"column {strange[0]} of the table of known values isn't understood",
            remedy="call it patient, file, name, number, accession, birth_date, address, phone or email, or take it out",
            field="known",
            file=path.name,
        )
    if "patient" not in named.values():
        raise DataError(
            "the table of known values has no column for the patient",
            remedy="add a column patient with the patient's id",
            field="known",
            file=path.name,
        )
    found = KnownPatients({}, {})
    for line, row in numbered_rows(path, list(named)):
        _take_row(row, named, found, partial(_unreadable, path, line))
    return found


def _unreadable(path: Path, line: int, column: int) -> DataError:
    """Return the error of a day of birth that isn't one: a day that isn't looked for stays in the texts."""
    return DataError(
        f"line {line}: the date in column {column} of the table of known values can't be read",
        remedy="write it as 1950-03-05, or leave the cell empty",
        field="known",
        file=path.name,
    )


def _holds(column: str) -> str | None:
    name = re.sub(r"[\s-]+", "_", column.strip().lower())
    return next(
        (holds for holds, names in COLUMNS.items() if name in names or name.rstrip("0123456789_") in names),
        None,
    )


def _take_row(
    row: Mapping[str, str],
    named: Mapping[str, str | None],
    found: KnownPatients,
    unreadable: Callable[[int], DataError],
) -> None:
    """Add one row. Raises `unreadable` of a column whose date can't be read."""
    values: dict[str, list[str]] = {}
    dates: list[str] = []
    for number, (column, holds) in enumerate(named.items(), 1):
        if holds == "dates":
            dates += _days_in(row[column], partial(unreadable, number))
        elif holds and row[column].strip():
            values.setdefault(holds, []).extend(
                part.strip() for part in re.split("[;\uff1b]", row[column]) if part.strip()
            )
    patient = "".join(values.get("patient", [])[:1])
    if not patient:
        return
    for file in values.get("file", []):
        found.files[Path(file.replace("\\", "/")).as_posix()] = patient
    found.add(
        Known(
            patient=patient,
            names=(*values.get("names", []), *_joined(row, named)),
            numbers=(*values.get("numbers", []), *values.get("patient", [])[1:]),
            accessions=tuple(values.get("accessions", [])),
            dates=tuple(dict.fromkeys(dates)),
            texts=tuple(values.get("texts", [])),
        )
    )


def _days_in(cell: str, unreadable: Callable[[], DataError]) -> Iterator[str]:
    """Yield the days of birth in a cell. Raises `unreadable` for one that is none."""
    for text in re.split("[;\uff1b]", cell):
        days = _isos(text.strip())
        if text.strip() and not days:
            raise unreadable()
        yield from days


def _joined(row: Mapping[str, str], named: Mapping[str, str | None]) -> Iterator[str]:
    """Yield the name that columns for given and family name make together."""
    parts = [row[c].strip() for c in named if re.search(r"(first|given|last|family|sur)_?\s?name", c.lower())]
    if len([part for part in parts if part]) > 1:
        yield " ".join(parts)


def _isos(text: str) -> list[str]:
    """Return a date as ISO 8601 writes it, in both readings where it has two; none for another text.

    >>> _isos("1950-03-05 00:00:00"), _isos("05/03/1950"), _isos("31/12/1950"), _isos("about 1950")
    (['1950-03-05'], ['1950-03-05', '1950-05-03'], ['1950-12-31'], [])
    """
    found = []
    for form in _DATES:
        try:
            found.append(datetime.strptime(_TIME.sub("", text), form).date().isoformat())
        except ValueError:
            continue
    return list(dict.fromkeys(found))


def known_from_dicom(folder: Path, files: Iterable[str], found: KnownPatients) -> int:
    """Add what the headers of DICOM files say of their patients; return how many files could be read."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    read = 0
    for file in files:
        try:
            header = pydicom.dcmread(folder / file, stop_before_pixels=True)
            patient = str(header.get(0x00100020).value or "").strip() if 0x00100020 in header else ""
            if patient:
                found.add(_of_header(header, patient))
                read += 1
        except (
            InvalidDicomError,
            OSError,
            ValueError,
            AttributeError,
            NotImplementedError,
            KeyError,
            TypeError,
        ):
            continue
    return read


def _of_header(header: Any, patient: str) -> Known:
    """Return what one header says of its patient and staff."""

    def said(tags: Iterable[int]) -> tuple[str, ...]:
        values = [header[tag].value for tag in tags if tag in header and header[tag].VR != "SQ"]
        flat = [
            part
            for value in values
            for part in (value if isinstance(value, list | tuple) or hasattr(value, "append") else [value])
        ]
        return tuple(str(part).strip() for part in flat if str(part or "").strip())

    return Known(
        patient=patient,
        names=said(_NAME_TAGS),
        numbers=said(_NUMBER_TAGS),
        accessions=said((0x00080050,)),
        dates=tuple(day for text in said((0x00100030,)) for day in _isos(text)),
        texts=said(_TEXT_TAGS),
    )
