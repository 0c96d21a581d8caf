"""Every exception that huizhen raises, drawn as one tree.

::

    HuizhenError                     code, message, remedy, field, file
    ├── InvalidInputError     HZ10   a function was given an argument it refuses
    │   └── NotEstimableError HZ11   the input is valid, but the measure doesn't exist for it
    ├── StudyError            HZ20   the study file is wrong, or was changed after it was signed
    ├── DataError             HZ30   a file, table or cohort can't be used
    │   ├── UnreadableFileError HZ31 a file is broken, truncated or of another kind
    │   └── LeakageError      HZ32   a patient or a near-duplicate image crosses a split
    ├── ModelError            HZ40   weights, card or preprocessing don't fit together
    ├── LedgerError           HZ50   the log can't be read or written
    │   └── VerificationError HZ51   something was altered, or a signature doesn't hold
    ├── DossierError          HZ60   the dossier can't be built from the ledger
    ├── StageError            HZ70   a stage of the pipeline can't go on
    ├── StorageError          HZ80   the disk is full, a folder can't be written, a cache entry is damaged
    └── FederationError       HZ90   a round or a federated statistic can't go on
        ├── MessageError      HZ91   what arrived over a boundary is refused
        ├── PolicyError       HZ92   a site's policy refuses what was asked of it
        └── PrivacyError      HZ93   a privacy guarantee can't be given, or its budget is spent

Only the command line turns them into exit codes (`exit_code`). Their texts hold no control characters,
whatever a file is called, since they are shown in terminals. A message names field, file, shape
and pseudonym, never a patient's value.
"""

from __future__ import annotations

import re
from typing import ClassVar

__all__ = [
    "DataError",
    "DossierError",
    "FederationError",
    "HuizhenError",
    "InvalidInputError",
    "LeakageError",
    "LedgerError",
    "MessageError",
    "ModelError",
    "NotEstimableError",
    "PolicyError",
    "PrivacyError",
    "StageError",
    "StorageError",
    "StudyError",
    "UnreadableFileError",
    "VerificationError",
    "hidden_in",
    "visible",
]

_HIDDEN = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ufeff\\ud800-\\udfff]"
)
"""Control characters but tab and line feed, marks that turn the direction of text, and lone surrogates."""


def visible(text: str) -> str:
    """Return `text` with what a terminal obeys, or hides, written out: escapes, and turns of direction.

    >>> print(visible("a\\x1b[2Kb"))
    a\\u001b[2Kb
    """
    return _HIDDEN.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def hidden_in(text: str) -> bool:
    """Tell whether `text` holds what `visible` writes out.

    >>> hidden_in("two\\nlines"), hidden_in("\\u202e")
    (False, True)
    """
    return _HIDDEN.search(text) is not None


class HuizhenError(Exception):
    """The base of the tree: what went wrong, where, and what to do about it.

    >>> raise_me = DataError("no label column", remedy="name it in [site.source] columns", field="columns")
    >>> print(raise_me)
    HZ30 columns: no label column. Remedy: name it in [site.source] columns.
    """

    code: ClassVar[str] = "HZ00"
    exit_code: ClassVar[int] = 1

    def __init__(
        self, message: str, *, remedy: str, field: str | None = None, file: str | None = None
    ) -> None:
        super().__init__(visible(message))
        self.message = visible(message.rstrip("."))
        self.remedy = visible(remedy.rstrip("."))
        self.field = _on_one_line(field)
        self.file = _on_one_line(file)

    def __str__(self) -> str:
        place = ": ".join(part for part in (self.file, self.field) if part)
        return f"{self.code} {place + ': ' if place else ''}{self.message}. Remedy: {self.remedy}."

    def to_json(self) -> dict[str, str | None]:
        """Return the error as plain values, for `--json`."""
        return {
            "code": self.code,
            "message": self.message,
            "remedy": self.remedy,
            "field": self.field,
            "file": self.file,
        }


def _on_one_line(text: str | None) -> str | None:
    """Return a name that may come from anybody, so that it can neither end a line nor hide one."""
    return None if text is None else visible(text).replace("\n", "\\n")


class InvalidInputError(HuizhenError, ValueError):
    """A function was given an argument that it refuses."""

    code = "HZ10"
    exit_code = 10


class NotEstimableError(InvalidInputError):
    """The input is valid, but the measure doesn't exist for it: too few events, or separated classes.

    Validation turns it into the verdict "not assessed" with its message as the reason.
    """

    code = "HZ11"
    exit_code = 11


class StudyError(HuizhenError):
    """The study file is wrong, or was changed after it was signed."""

    code = "HZ20"
    exit_code = 20


class DataError(HuizhenError):
    """A file, table or cohort can't be used."""

    code = "HZ30"
    exit_code = 30


class UnreadableFileError(DataError):
    """A file is broken, truncated or of another kind than expected."""

    code = "HZ31"
    exit_code = 31


class LeakageError(DataError):
    """A patient or a near-duplicate image stands on both sides of a split."""

    code = "HZ32"
    exit_code = 32


class ModelError(HuizhenError):
    """Weights, card, preprocessing or thresholds don't belong together."""

    code = "HZ40"
    exit_code = 40


class LedgerError(HuizhenError):
    """The log can't be read or written."""

    code = "HZ50"
    exit_code = 50


class VerificationError(LedgerError):
    """Something was altered after it was signed, or a signature doesn't hold."""

    code = "HZ51"
    exit_code = 51


class DossierError(HuizhenError):
    """The dossier can't be built from the ledger."""

    code = "HZ60"
    exit_code = 60


class StageError(HuizhenError):
    """A stage of the pipeline can't go on."""

    code = "HZ70"
    exit_code = 70


class StorageError(HuizhenError):
    """The disk is full, a folder can't be written, or a cache entry is damaged."""

    code = "HZ80"
    exit_code = 80


class FederationError(HuizhenError):
    """A round or a federated statistic can't go on: below quorum, or sites that don't fit together."""

    code = "HZ90"
    exit_code = 90


class MessageError(FederationError):
    """What arrived over a boundary is refused: wrong kind, shape, size, signature, round or value."""

    code = "HZ91"
    exit_code = 91


class PolicyError(FederationError):
    """A site's policy refuses what was asked of it."""

    code = "HZ92"
    exit_code = 92


class PrivacyError(FederationError):
    """A privacy guarantee can't be given, two accountants disagree, or a budget is spent."""

    code = "HZ93"
    exit_code = 93
