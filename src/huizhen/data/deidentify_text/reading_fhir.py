"""FHIR resources in JSON as their free texts: narratives, conclusions, notes, values, and attached texts.

Reports, documents, observations and the like, alone or in a bundle (R4B and R5). Identifiers, names, dates
and codes in fields of their own stay behind; an attachment that is only linked to isn't fetched.

Source: HL7 FHIR R5, DiagnosticReport, DocumentReference, Observation, Composition, Narrative, Attachment.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

from huizhen.data.deidentify_text.reading_pages import shown_by
from huizhen.data.deidentify_text.unreadable import TextReason, Unreadable

__all__ = ["text_of_fhir"]

_TEXTS = frozenset(
    ("conclusion", "valueString", "valueMarkdown", "description", "summary", "comment", "payloadString")
)
"""Fields that hold free text."""

_KINDS = {
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "application/pdf": ".pdf",
    "application/rtf": ".rtf",
    "text/rtf": ".rtf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
}
"""Contents of attachments that are read, by their type; others, pictures and sounds, stay behind."""

Read = Callable[[bytes, str], str]


def text_of_fhir(text: str, read: Read) -> str:
    """Return the free texts of a FHIR resource in JSON, in order; `read` reads an attachment by its ending.

    Raises `Unreadable` for JSON that is no resource, for several patients, and what `read` raises.

    >>> text_of_fhir('{"resourceType": "Observation", "valueString": "Seen by Dr. Okonkwo."}', lambda *_: "")
    'Seen by Dr. Okonkwo.\\n'
    """
    try:
        resource = json.loads(text)
    except ValueError as error:
        raise Unreadable(TextReason.DAMAGED) from error
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        raise Unreadable(TextReason.UNKNOWN_KIND)
    if len(set(_patients(resource))) > 1:
        raise Unreadable(TextReason.SEVERAL_PATIENTS)
    found = [part.strip() for part in _texts(resource, read) if part.strip()]
    return "\n\n".join(dict.fromkeys(found)) + "\n"


def _patients(value: Any) -> Iterator[str]:
    """Yield whom resources name as their subject or patient."""
    if isinstance(value, list):
        for one in value:
            yield from _patients(one)
    elif isinstance(value, dict):
        if value.get("resourceType") == "Patient" and isinstance(value.get("id"), str):
            yield value["id"]
        for key, inner in value.items():
            reference = inner.get("reference") if isinstance(inner, dict) else None
            if key in ("subject", "patient") and isinstance(reference, str) and "Patient/" in reference:
                yield reference.partition("Patient/")[2].partition("/")[0]
            yield from _patients(inner)


def _texts(value: Any, read: Read) -> Iterator[str]:
    """Yield the texts of a resource and of what stands in it, in the order of its fields."""
    if isinstance(value, list):
        for one in value:
            yield from _texts(one, read)
    elif isinstance(value, dict):
        if isinstance(value.get("data"), str):
            yield _attached(value, read)
        for key, inner in value.items():
            if isinstance(inner, str):
                yield from _said(key, inner, value)
            else:
                yield from _texts(inner, read)


def _said(key: str, text: str, around: dict[str, Any]) -> Iterator[str]:
    """Yield a field's text where it is free text: a narrative, a known field, an Annotation's text."""
    if key == "div":
        yield shown_by(text)
    elif key in _TEXTS or (key == "text" and "coding" not in around):
        yield text


def _attached(attachment: dict[str, Any], read: Read) -> str:
    """Return the text of an attachment, "" for one of a type that isn't read."""
    said = str(attachment.get("contentType", "")).partition(";")[0].strip().lower()
    ending = _KINDS.get(said)
    if ending is None:
        return ""
    try:
        data = base64.b64decode("".join(attachment["data"].split()), validate=True)
    except ValueError as error:
        raise Unreadable(TextReason.DAMAGED) from error
    return read(data, ending)
