"""Whether pixels may leave: what is risky waits, unless an inspector or the policy says otherwise.

An inspector finds burned-in text (`looking.TextInspector`: by OCR, and by the known layout of a device) and
says which regions to blacken (`blackening.blacken`). A person's decision stands in for one (`decisions`).
"""

from __future__ import annotations

from typing import Protocol

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from huizhen.data.deidentify.elements import texts_of
from huizhen.data.deidentify.outcome import Reason, Refused
from huizhen.data.deidentify.policy import PixelPolicy
from huizhen.data.deidentify.profile import object_of
from huizhen.data.deidentify.regions import Inspection, Region

__all__ = ["RISKY", "Inspection", "PixelInspector", "Region", "check_pixels", "is_risky"]

RISKY = frozenset(
    {"BDUS", "CR", "DOC", "ES", "GM", "HD", "IVUS", "OP", "OT", "PX", "RF", "RG", "SC", "US", "XA", "XC"}
)
"""Modalities (0008,0060) whose devices, or whose scanning of film, write onto the image."""

_GREY = frozenset({"CR", "CT", "DX", "MG", "MR", "NM", "PT"})
_SLICES = frozenset({"CT", "MR", "PT"})
_OBJECTS = {
    "secondary-capture": "SC",
    "ultrasound": "US",
    "photo": "XC",
    "video": "XC",
    "endoscopic": "ES",
    "print": "SC",
}
"""What kinds of objects (parts of their names in PS3.3) are like, whatever modality they name."""

_RISKY_TYPES = frozenset({"SCREEN SAVE", "LOCALIZER", "DOSE_INFO", "REPORT", "PASTED", "SCANNED", "PROTOCOL"})
_VOICE = frozenset({"basic-voice-audio-waveform", "general-audio-waveform", "real-time-audio-waveform"})
_OVERLAY_BIT = 0x0102


class PixelInspector(Protocol):
    """Looks at an image's pixels for text and faces."""

    def inspect(self, dataset: Dataset) -> Inspection:
        """Return what stands in the pixels of a dataset, which has them and is otherwise cleaned already."""
        ...


def is_risky(dataset: Dataset) -> bool:
    """Tell whether a header makes text in the image likely: by its kind, or since it says so."""
    flag = "".join(texts_of(dataset, _tag("BurnedInAnnotation"))).strip().upper()
    return flag == "YES" or bool(_risks(dataset, object_of("".join(texts_of(dataset, _tag("SOPClassUID"))))))


def check_pixels(dataset: Dataset, policy: PixelPolicy, *, inspected: bool) -> None:
    """Check that a file may be released by what its header says of its pixels, before it is cleaned.

    `inspected` says that an inspector will look at them, or a person did. Raises `Refused` to queue it: a
    voice, an object that the standard doesn't define, an overlay hidden in the pixels' unused bits, Burned In
    Annotation YES, and risky modalities of which neither the policy nor, if trusted, the file says that they
    are clean.
    """
    iod = object_of("".join(texts_of(dataset, _tag("SOPClassUID"))))
    if not iod or iod == "raw-data":
        raise Refused(Reason.UNKNOWN_OBJECT, queued=True)
    if iod in _VOICE:
        raise Refused(Reason.VOICE, queued=True)
    if any(_hides_overlay(dataset, tag) for tag in list(dataset.keys())):
        raise Refused(Reason.OVERLAY_IN_PIXELS, queued=True)
    if "Rows" not in dataset or inspected:
        return
    flag = "".join(texts_of(dataset, _tag("BurnedInAnnotation"))).strip().upper()
    if flag == "YES" and not policy.release_annotated:
        raise Refused(Reason.BURNED_IN, queued=True)
    risks = _risks(dataset, iod)
    if risks - set(policy.release) and not (flag == "NO" and policy.trust_flag):
        raise Refused(Reason.RISKY_PIXELS, queued=True)


def _risks(dataset: Dataset, iod: str) -> set[str]:
    """Return what makes text in the image likely: its modality, the modality that its object is like, or SC.

    An image without a modality counts as OT.
    """
    modality = "".join(texts_of(dataset, _tag("Modality"))).strip().upper() or "OT"
    types = {text.strip().upper() for text in texts_of(dataset, _tag("ImageType"))}
    risks = {kind for part, kind in _OBJECTS.items() if part in iod}
    if types & _RISKY_TYPES or "ConversionType" in dataset or _is_rendered(dataset, modality):
        risks.add("SC")
    return risks | ({modality} & RISKY)


def _is_rendered(dataset: Dataset, modality: str) -> bool:
    """Tell whether an image looks drawn, not taken: in colour, or a slice that lies nowhere."""
    colour = "".join(texts_of(dataset, _tag("PhotometricInterpretation")))
    if modality in _GREY and not colour.startswith("MONOCHROME"):
        return True
    placed = "ImagePositionPatient" in dataset or "SharedFunctionalGroupsSequence" in dataset
    return modality in _SLICES and not placed


def _hides_overlay(dataset: Dataset, tag: BaseTag) -> bool:
    """Tell whether an element says that an overlay's plane lies in unused bits of the pixels."""
    plane = tag.group >> 8 == 0x60 and tag.element == _OVERLAY_BIT
    return plane and list(texts_of(dataset, tag)) != ["0"]


def _tag(keyword: str) -> int:
    from pydicom.datadict import tag_for_keyword

    return tag_for_keyword(keyword) or 0
