"""What becomes of a file: it is released, waits for a person, or is refused, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from huizhen.data.deidentify.context import Done
from huizhen.data.deidentify.regions import Inspection, Region

__all__ = ["Fate", "Outcome", "Reason", "Refused"]


class Fate(StrEnum):
    """What becomes of a file."""

    RELEASED = "released"
    QUEUED = "queued"
    REFUSED = "refused"


class Reason(StrEnum):
    """Why a file is not released."""

    NOT_DICOM = "not_dicom"
    ARCHIVE = "archive"
    """A ZIP, GZIP or other archive, which is never unpacked."""
    PICTURE = "picture"
    """A PNG, JPEG, TIFF or BMP without a DICOM header."""
    VOLUME = "volume"
    """A NIfTI, NRRD or MetaImage volume."""
    DOCUMENT = "document"
    """A PDF or office document."""
    UNREADABLE = "unreadable"
    """Cut off, or damaged otherwise."""
    TOO_LARGE = "too_large"
    LINK = "link"
    """A link, or no ordinary file."""
    DIRECTORY = "directory"
    """A DICOMDIR: an index of others, with names in it."""
    MISSING_UID = "missing_uid"
    MISSING_PATIENT = "missing_patient"
    MIXED_PATIENTS = "mixed_patients"
    CONFLICTING_DEMOGRAPHICS = "conflicting_demographics"
    DUPLICATE_ID = "duplicate_id"
    EXACT_DUPLICATE = "exact_duplicate"
    BURNED_IN = "burned_in"
    RISKY_PIXELS = "risky_pixels"
    OVERLAY_IN_PIXELS = "overlay_in_pixels"
    UNKNOWN_OBJECT = "unknown_object"
    """A SOP Class that the standard's tables here don't have: its pixels and bytes may be anything."""
    VOICE = "voice"
    DOUBTFUL_PIXELS = "doubtful_pixels"
    """An inspector of pixels couldn't decide."""
    HEAD = "head"
    """A scan of a head, from which a face can be drawn."""
    TOO_SLOW = "too_slow"
    """It took longer than the policy allows, or ended the process that read it."""
    BY_PERSON = "by_person"
    """A person who looked at it refused it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one file: `place` is its path below the output folder, where it was released.

    `done` has its actions without any old value; `kept` counts the elements that stayed as they were. `how`
    says who looked at its pixels ("ocr", "person", "unseen", or "" where there are none), and `regions` where
    text was found: blackened in a released file, a proposal in one that waits.
    """

    fate: Fate
    reason: Reason | None = None
    place: str = ""
    patient: str = ""
    done: tuple[Done, ...] = ()
    kept: int = 0
    how: str = ""
    regions: tuple[Region, ...] = ()


class Refused(Exception):  # noqa: N818  # a file's fate, which ends in a report and not at the caller
    """A file can't be released. It carries the reason only: never a value, nor another exception's text."""

    def __init__(self, reason: Reason, *, queued: bool = False, seen: Inspection | None = None) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.queued = queued
        self.seen = seen

    @property
    def outcome(self) -> Outcome:
        """The file's fate, with what an inspector had found before."""
        return Outcome(
            fate=Fate.QUEUED if self.queued else Fate.REFUSED,
            reason=self.reason,
            how=self.seen.how if self.seen else "",
            regions=self.seen.regions if self.seen else (),
        )
