"""Word files as their paragraphs and tables, with headers and footers; their properties stay behind."""

from __future__ import annotations

import io

from huizhen.data.deidentify_text.unreadable import TextReason, Unreadable

__all__ = ["text_of_word"]

_LARGEST_UNPACKED = 64 << 20


def text_of_word(data: bytes) -> str:
    """Return the text of a Word file. Raises `Unreadable`, and what python-docx raises on a broken one."""
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
