"""Texts read from bytes: their encoding, plain text in HTML and Word files, and what is no text at all."""
# ruff: noqa: E501 - lists, one a line

from __future__ import annotations

import io
import re
from enum import StrEnum
from html.parser import HTMLParser

from huizhen.core.table_csv import ENCODINGS, is_common_chinese

__all__ = ["SUFFIXES", "TextReason", "Unreadable", "decoded", "text_of"]

SUFFIXES = frozenset({".txt", ".text", ".md", ".html", ".htm", ".docx"})
"""Endings of the files that are read."""

_MARKS = (
    b"%PDF",
    b"PK\x03\x04",
    b"\xd0\xcf\x11\xe0",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"\x1f\x8b",
    b"{\\rtf",
    b"II*\x00",
    b"MM\x00*",
)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
_MOST_CONTROLS = 0.05
_LARGEST_UNPACKED = 64 << 20
_MOST_OPEN = 100
"""Tags that no ">" ends, at the end of a page."""

_BLOCKS = frozenset(
    [
        "p",
        "div",
        "br",
        "tr",
        "li",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "table",
        "section",
        "article",
        "header",
        "footer",
        "dt",
        "dd",
        "pre",
        "blockquote",
    ]
)  # shorter to read


class TextReason(StrEnum):
    """Why a text is not released."""

    NOT_TEXT = "not_text"
    """A picture, a PDF, an archive, or other bytes under the name of a text."""
    UNKNOWN_KIND = "unknown_kind"
    """A file of an ending that isn't read."""
    ENCODING = "encoding"
    """Neither UTF-8 nor GB 18030 of common Chinese, nor what the policy names."""
    EMPTY = "empty"
    TOO_LARGE = "too_large"
    LINK = "link"
    """A link, or no ordinary file."""
    DAMAGED = "damaged"
    """A page or Word file that is broken or encrypted or unpacks to too much, or a text that can't be cleaned."""
    MISSING_PATIENT = "missing_patient"
    RESIDUE = "residue"
    """Something known of the patient still stood in the result."""


class Unreadable(Exception):  # noqa: N818  # a document's fate, which ends in a report and not at the caller
    """A text can't be read. It carries the reason only, never a value."""

    def __init__(self, reason: TextReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


def decoded(data: bytes, *, encoding: str = "auto") -> str:
    """Return bytes as text: by a byte-order mark, UTF-8, or GB 18030 if that gives common Chinese.

    `encoding`: "auto", or a key of `core.table_csv.ENCODINGS`. Raises `Unreadable`.

    >>> decoded("姓名：张伟，患者".encode("gb18030"))
    '姓名：张伟，患者'
    """
    if not data.strip(b" \t\r\n\xef\xbb\xbf"):
        raise Unreadable(TextReason.EMPTY)
    if data.startswith(_MARKS):
        raise Unreadable(TextReason.NOT_TEXT)
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    if b"\x00" in data and not wide and encoding != "utf-16":
        raise Unreadable(TextReason.NOT_TEXT)
    text = _as_text(data, "utf-16" if wide else encoding)
    if len(_CONTROL.findall(text)) > _MOST_CONTROLS * len(text):
        raise Unreadable(TextReason.NOT_TEXT)
    return text


def _as_text(data: bytes, encoding: str) -> str:
    try:
        if encoding in ENCODINGS:
            return data.decode("utf-8-sig" if encoding == "utf-8" else encoding)
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("gb18030")
    except UnicodeError as error:
        raise Unreadable(TextReason.ENCODING) from error
    if not is_common_chinese(text):
        raise Unreadable(TextReason.ENCODING)
    return text


def text_of(data: bytes, suffix: str, *, encoding: str = "auto") -> str:
    """Return the text of a file by its ending. Raises `Unreadable`, whatever is wrong with it."""
    try:
        text = _of_word(data) if suffix == ".docx" else decoded(data, encoding=encoding)
        if suffix in (".html", ".htm"):
            text = _of_page(text)
    except Unreadable:
        raise
    except Exception as error:  # parsers of pages and archives fail in as many ways as a file is damaged
        raise Unreadable(TextReason.DAMAGED) from error
    if not text.strip():
        raise Unreadable(TextReason.EMPTY)
    return text


def _of_page(text: str) -> str:
    """Return what a page shows. Raises `Unreadable` where many tags are open at its end: reading is quadratic."""
    if text.count("<", text.rfind(">") + 1) > _MOST_OPEN:
        raise Unreadable(TextReason.DAMAGED)
    reader = _Html()
    reader.feed(text)
    reader.close()
    return re.sub(r"\n{3,}", "\n\n", "".join(reader.parts)).strip() + "\n"


class _Html(HTMLParser):
    """Collects what a page shows: blocks end lines, scripts, styles and comments go."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hidden += tag in ("script", "style", "template", "head")
        if tag in _BLOCKS:
            self.parts.append("\n")
        elif tag in ("td", "th"):
            self.parts.append("  ")

    def handle_endtag(self, tag: str) -> None:
        self.hidden = max(0, self.hidden - (tag in ("script", "style", "template", "head")))
        if tag in _BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(re.sub(r"\s+", " ", data))


def _of_word(data: bytes) -> str:
    """Return the paragraphs and tables of a Word file, headers and footers too; its properties stay behind."""
    import zipfile

    from docx import Document

    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        if sum(one.file_size for one in packed.infolist()) > _LARGEST_UNPACKED:
            raise Unreadable(TextReason.DAMAGED)
    document = Document(io.BytesIO(data))
    return "\n".join(text for part in _parts_of(document) for text in _lines_of(part)) + "\n"


def _parts_of(document: object) -> list[object]:
    """Return the headers, the body and the footers."""
    sections = list(document.sections)  # type: ignore[attr-defined]  # python-docx's own class
    return [*(one.header for one in sections), document, *(one.footer for one in sections)]


def _lines_of(part: object) -> list[str]:
    """Return the text of a part's paragraphs and of its tables' rows, in order."""
    lines = []
    for block in part.iter_inner_content():  # type: ignore[attr-defined]  # python-docx's own class
        if hasattr(block, "rows"):
            lines += ["  ".join(cell.text for cell in row.cells) for row in block.rows]
        else:
            lines.append(block.text)
    return lines
