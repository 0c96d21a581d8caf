"""Texts read from bytes: their encoding, plain text in pages and documents, and what is no text at all."""

from __future__ import annotations

import re
import unicodedata

from huizhen.core.table_csv import ENCODINGS, is_common_chinese
from huizhen.data.deidentify_text.reading_fhir import text_of_fhir
from huizhen.data.deidentify_text.reading_pages import shown_by
from huizhen.data.deidentify_text.reading_pdf import text_of_pdf
from huizhen.data.deidentify_text.reading_rtf import text_of_rtf
from huizhen.data.deidentify_text.reading_word import text_of_word
from huizhen.data.deidentify_text.unreadable import TextReason, Unreadable
from huizhen.errors import InvalidInputError

__all__ = ["SUFFIXES", "TextReason", "Unreadable", "decoded", "text_of"]

SUFFIXES = frozenset({".txt", ".text", ".md", ".html", ".htm", ".docx", ".pdf", ".rtf", ".json"})
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
    b"\x7fELF",
    b"7z\xbc\xaf",
    b"Rar!\x1a",
)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
_MOST_CONTROLS = 0.05
_MOST_UNASSIGNED = 0.01
_WIDE = re.compile("[\u3400-\u9fff\ua000-\ua4cf\uac00-\ud7a3]")
"""Characters that bytes read as UTF-16 by mistake mostly are: Han, Yi, Hangul."""


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
    _check_is_text(text, wide=wide or encoding == "utf-16")
    return text


def _check_is_text(text: str, *, wide: bool) -> None:
    """Raise `Unreadable` for what nobody writes: control characters, and those that no language has.

    Nearly any bytes are UTF-16 (`wide`) of something: mostly of rare characters of China and Korea.
    """
    if len(_CONTROL.findall(text)) > _MOST_CONTROLS * len(text):
        raise Unreadable(TextReason.NOT_TEXT)
    strange = sum(unicodedata.category(char) in ("Cn", "Co", "Cs") for char in text if char > "\xff")
    if strange > _MOST_UNASSIGNED * len(text):
        raise Unreadable(TextReason.NOT_TEXT)
    if wide and not is_common_chinese("".join(_WIDE.findall(text))):
        raise Unreadable(TextReason.ENCODING)


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
    """Return the text of a file by its ending.

    Raises `Unreadable`, whatever is wrong with it; `InvalidInputError` where what reads its kind is absent.
    """
    try:
        text = _text_of(data, suffix, encoding)
    except (Unreadable, InvalidInputError):
        raise
    except ImportError as error:
        raise InvalidInputError(
            f"reading files in {suffix} needs a package that isn't installed",
            remedy="pip install 'huizhen[deid]'",
        ) from error
    except Exception as error:  # parsers of pages and archives fail in as many ways as a file is damaged
        raise Unreadable(TextReason.DAMAGED) from error
    if not text.strip():
        raise Unreadable(TextReason.EMPTY)
    return text


def _text_of(data: bytes, suffix: str, encoding: str) -> str:
    if suffix == ".docx":
        return text_of_word(data)
    if suffix == ".pdf":
        return text_of_pdf(data)
    if suffix == ".rtf":
        return text_of_rtf(data)
    text = decoded(data, encoding=encoding)
    if suffix in (".html", ".htm"):
        return shown_by(text)
    if suffix == ".json":
        return text_of_fhir(text, lambda inner, ending: text_of(inner, ending, encoding=encoding))
    return text
