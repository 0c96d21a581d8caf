"""CSV as hospitals write it, read strictly: its encoding, its separator, and why one can't be read."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from huizhen.core.table_limits import check_cells
from huizhen.errors import UnreadableFileError

__all__ = ["ENCODINGS", "CsvTable", "parse_csv"]

ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-16": "UTF-16",
    "gb18030": "GB 18030",
    "big5": "Big5",
    "cp1252": "Windows-1252",
    "latin-1": "Latin-1",
    "shift-jis": "Shift JIS",
    "euc-kr": "EUC-KR",
}
"""What a table may be said to be encoded in, and what that is called."""

COMMON = 0.8
"""Share of a text's characters beyond ASCII that must be common Chinese for it to be taken for GB 18030."""

_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_EXCEL = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_SEPARATORS = ",;\t"
_WIDE_COMMA = "\uff0c"
_LONGEST_CELL = 1 << 20
_SAVE = "save it as CSV in UTF-8, or as Parquet"

Line = tuple[int, tuple[str, ...]]
"""A line's number and its cells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvTable:
    """A CSV file: its columns, its rows that aren't empty, each with its line, and its encoding's name."""

    header: tuple[str, ...]
    rows: tuple[Line, ...]
    encoding: str


def parse_csv(data: bytes, path: Path, *, field: str | None = None, encoding: str | None = None) -> CsvTable:
    """Return the bytes of the file at `path` as a table; `encoding` is a key of `ENCODINGS`, None to find it.

    The separator is the header's commonest of comma, semicolon and tab; cells are stripped, short lines
    filled up. Raises `UnreadableFileError` on a workbook, an unknown encoding, a line with more cells than
    columns, an open quotation mark, or a title where the header should be.
    """
    refuse = _Refusal(path.name, field)
    named, text = _text(data, encoding, refuse)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text, refuse), strict=True)
    rows: list[Line] = []
    csv.field_size_limit(_LONGEST_CELL)
    try:
        header = tuple(name.strip() for name in next(reader, []))
        for cells in reader:
            stripped = tuple(cell.strip() for cell in cells)
            if any(stripped):
                rows.append((reader.line_num, stripped))
                check_cells(len(rows), len(header), path, field=field)
    except csv.Error as error:
        raise refuse(f"line {reader.line_num} is not CSV", remedy=_SAVE) from error
    _check_header(header, rows, refuse)
    return CsvTable(header=header, rows=_filled(header, rows), encoding=ENCODINGS[named])


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Makes the errors of one file."""

    file: str
    field: str | None

    def __call__(self, message: str, *, remedy: str) -> UnreadableFileError:
        return UnreadableFileError(message, remedy=remedy, field=self.field, file=self.file)


def _text(data: bytes, encoding: str | None, refuse: _Refusal) -> tuple[str, str]:
    """Return the encoding of bytes, given or found, and their text."""
    if data.startswith(_EXCEL):
        raise refuse("is an Excel workbook", remedy='save it in Excel as "CSV UTF-8", and give that')
    named = encoding or _encoding_of(data)
    if named is None:
        raise refuse("holds bytes that no text has", remedy=_SAVE)
    try:
        return named, _decoded(data, named, given=encoding is not None)
    except UnicodeError as error:
        if encoding:
            raise refuse(
                "is not in the encoding that was named", remedy="correct encoding, or leave it out"
            ) from error
        raise refuse(
            "is neither UTF-8 nor GB 18030 of common Chinese",
            remedy='save it as "CSV UTF-8", or name its encoding: big5, cp1252 or gb18030',
        ) from error


def _separator(text: str, refuse: _Refusal) -> str:
    """Return the character that separates the cells of the first line."""
    first = text.partition("\n")[0]
    separator = max(_SEPARATORS, key=first.count)
    if separator not in first and _WIDE_COMMA in first:
        raise refuse("separates its columns by full-width commas", remedy="replace them by plain commas")
    return separator


def _check_header(header: Sequence[str], rows: Sequence[Line], refuse: _Refusal) -> None:
    """Check that line 1 isn't a title, and that no line has more cells than it."""
    if rows and sum(map(bool, header)) == 1 and sum(map(bool, rows[0][1])) > 1:
        raise refuse(
            f"line 1 is no header, but line {rows[0][0]} may be one",
            remedy="delete what stands above the names of the columns",
        )
    for line, cells in rows:
        if any(cells[len(header) :]):
            raise refuse(f"line {line} has {len(cells)} cells, the header {len(header)}", remedy=_SAVE)


def _encoding_of(data: bytes) -> str | None:
    """Return UTF-16 by its mark, UTF-8 if it is, else GB 18030; None of bytes that no text has."""
    if data.startswith(_UTF16):
        return "utf-16"
    if b"\x00" in data:
        return None
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "gb18030"
    return "utf-8"


def _decoded(data: bytes, encoding: str, *, given: bool) -> str:
    """Return the text of bytes. Raises `UnicodeError` if they are none, or no Chinese that anybody writes."""
    text = data.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    if encoding == "gb18030" and not given and not is_common_chinese(text):
        raise UnicodeError("not plausible")
    return text


def is_common_chinese(text: str) -> bool:
    """Tell whether most of a text's characters beyond ASCII are common Chinese ones or their punctuation.

    Nearly any bytes are GB 18030 of some characters; those of Latin-1 or Big5 are rare ones. Common ones are
    level 1 of GB/T 2312 (rows 16 to 55) and its signs (rows 1 to 3).

    >>> is_common_chinese("\\u60a3\\u8005\\uff0c\\u826f\\u6027")
    True
    >>> is_common_chinese("b\\xf6sartig".encode("latin-1").decode("gb18030"))
    False
    """
    other = [char for char in text if ord(char) > 127]
    return sum(map(_is_common, other)) >= COMMON * len(other)


def _is_common(char: str) -> bool:
    try:
        lead = char.encode("gb2312")[0]
    except UnicodeEncodeError:
        return False
    return 0xA1 <= lead <= 0xA3 or 0xB0 <= lead <= 0xD7


def _filled(header: Sequence[str], rows: Sequence[Line]) -> tuple[Line, ...]:
    """Return the rows with a cell for each column."""
    width = len(header)
    return tuple((line, (*cells[:width], *([""] * (width - len(cells))))) for line, cells in rows)
