"""What a de-identified dataset says of itself (DICOM PS3.15 E.1.1 point 6 and E.3.6; PS3.3 C.7.1.1)."""

from __future__ import annotations

from collections.abc import Iterable

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from huizhen import __version__
from huizhen.data.deidentify.options import BASIC, CODES, Option
from huizhen.data.deidentify.profile import EDITION

__all__ = ["mark"]


def mark(dataset: Dataset, options: Iterable[Option]) -> None:
    """Say that identity was removed, how, by which edition, and what became of the dates.

    What an earlier de-identifier said is replaced, since anybody could have written it.
    """
    taken = sorted(set(options))
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = [f"huizhen {__version__}", f"DICOM PS3.15 {EDITION} Annex E"]
    dataset.DeidentificationMethodCodeSequence = Sequence(
        [_code(*BASIC), *(_code(*CODES[option]) for option in taken)]
    )
    dataset.LongitudinalTemporalInformationModified = _dates(taken)


def _dates(options: Iterable[Option]) -> str:
    if Option.MODIFIED_DATES in options:
        return "MODIFIED"
    return "UNMODIFIED" if Option.FULL_DATES in options else "REMOVED"


def _code(value: str, meaning: str) -> Dataset:
    """Return an item of a code sequence, scheme DCM."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item
