"""Why a text is not released."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["TextReason", "Unreadable"]


class TextReason(StrEnum):
    """Why a text is not released."""

    NOT_TEXT = "not_text"
    """A picture, an archive, or other bytes under the name of a text."""
    UNKNOWN_KIND = "unknown_kind"
    """A file of an ending that isn't read, or JSON that is no FHIR resource."""
    ENCODING = "encoding"
    """Neither UTF-8 nor GB 18030 of common Chinese, nor what the policy names."""
    EMPTY = "empty"
    NO_TEXT = "no_text"
    """A PDF of pictures alone: a scan."""
    ENCRYPTED = "encrypted"
    """A PDF with a password, of which the first may be empty."""
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    """Reading and cleaning it took longer than the policy allows, or ended the process that did it."""
    LINK = "link"
    """A link, or no ordinary file."""
    DAMAGED = "damaged"
    """A file that is broken or encrypted or unpacks to too much, or a text that can't be cleaned."""
    SEVERAL_PATIENTS = "several_patients"
    """A FHIR resource or bundle that names more than one patient."""
    MISSING_PATIENT = "missing_patient"
    RESIDUE = "residue"
    """Something known of the patient still stood in the result."""


class Unreadable(Exception):  # noqa: N818  # a document's fate, which ends in a report and not at the caller
    """A text can't be read. It carries the reason only, never a value."""

    def __init__(self, reason: TextReason) -> None:
        super().__init__(reason.value)
        self.reason = reason
