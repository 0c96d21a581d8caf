"""RTF as its text; pictures, objects, fields' instructions and properties stay behind."""

from __future__ import annotations

from huizhen.core.table_csv import is_common_chinese
from huizhen.data.deidentify_text.unreadable import TextReason, Unreadable

__all__ = ["text_of_rtf"]

_MARK = b"{\\rtf"
_LEAST = 4
"""Bytes beyond ASCII from which on it is told that they are Chinese under another name."""


def text_of_rtf(data: bytes) -> str:
    """Return the text of RTF in the code pages that it names.

    Raises `Unreadable` where there is no RTF, or one whose bytes are Chinese and are said to be Western;
    `ImportError` without striprtf, and what striprtf raises on a broken one.
    """
    from striprtf.striprtf import rtf_to_text

    if not data.lstrip().startswith(_MARK):
        raise Unreadable(TextReason.NOT_TEXT)
    said = data.decode("latin-1")
    text = str(rtf_to_text(said, errors="strict"))  # type: ignore[no-untyped-call]  # striprtf has no types
    if _is_misnamed(text):
        raise Unreadable(TextReason.ENCODING)
    return text


def _is_misnamed(text: str) -> bool:
    """Tell whether letters of Western Europe are Chinese in GB 18030 that was read wrongly.

    >>> _is_misnamed("姓名张伟".encode("gb18030").decode("cp1252")), _is_misnamed("Müller, größer, café")
    (True, False)
    """
    strange = sum(char > "\x7f" for char in text)
    if strange < _LEAST:
        return False
    try:
        return is_common_chinese(text.encode("cp1252").decode("gb18030"))
    except UnicodeError:
        return False
