"""PDF files as the text of their pages; forms, notes, attachments and properties stay behind."""

from __future__ import annotations

import io
import logging

from huizhen.data.deidentify_text.unreadable import TextReason, Unreadable

__all__ = ["text_of_pdf"]

_MARK, _WITHIN = b"%PDF-", 1024
"""What a PDF begins with, within so many bytes (ISO 32000-1, annex H.3.4.1)."""


def text_of_pdf(data: bytes) -> str:
    """Return the text of the pages of a PDF.

    Raises `Unreadable` for one that is encrypted or of pictures alone, `ImportError` without pypdf, and what
    pypdf raises on a broken one.
    """
    from pypdf import PdfReader

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it logs parts of a broken file
    if _MARK not in data[:_WITHIN]:
        raise Unreadable(TextReason.NOT_TEXT)
    reader = PdfReader(io.BytesIO(data))
    if reader.is_encrypted:
        raise Unreadable(TextReason.ENCRYPTED)
    pages = [page.extract_text() for page in reader.pages]
    if not any(page.strip() for page in pages):
        raise Unreadable(TextReason.NO_TEXT)
    return "\n\n".join(page.strip() for page in pages) + "\n"
