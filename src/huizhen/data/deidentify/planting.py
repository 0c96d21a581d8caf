"""Planted identifiers: a proof that nothing gets out, which a site can run on files of its own.

Markers are put wherever identity may stand in a file; then everything that leaves is searched for them:

    >>> marker = Markers()
    >>> marker.text(), marker.text(), marker.uid()
    ('ZQ000001XW', 'ZQ000002XW', '1.2.826.0.1.9999999.3')
    >>> found_in(b"...ZQ000002XW..."), found_in("zq000002xw".encode("utf-16-le")), found_in(b"2.25.17")
    (1, 1, 0)
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID

from huizhen.data.deidentify.profile import rows
from huizhen.data.readers.dicom_headers import quiet

__all__ = ["Markers", "found_in", "plant", "plant_file", "searched"]

_MARK = re.compile(rb"z\x00{0,3}q\x00{0,3}(?:\d\x00{0,3}){6}x\x00{0,3}w", re.IGNORECASE)
_UID_ROOT = "1.2.826.0.1.9999999"
_UID_MARK = re.compile(re.escape(_UID_ROOT.encode()) + rb"\.\d")
_TEXTS = frozenset("AE AS CS DA DS DT IS LO LT PN SH ST TM UC UR UT".split())  # noqa: SIM905  # shorter to read
_BYTES = frozenset({"OB", "OW", "UN"})
_KEPT = frozenset({0x00080016, 0x00080018, 0x0020000D, 0x0020000E, 0x00080005})
"""Without these as they are, no file would be read at all; the UIDs among them are marked by `plant_file`."""

_NESTED = (0x00081115, 0x0008114A, 0x00400260)
"""Sequences outside the table: what stands in them is cleaned by what it is itself."""


class Markers:
    """Gives markers, each once, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def text(self) -> str:
        """Return a marker that fits every VR of text."""
        self.count += 1
        return f"ZQ{self.count:06d}XW"

    def uid(self) -> str:
        """Return a marker that is a UID."""
        self.count += 1
        return f"{_UID_ROOT}.{self.count}"


def found_in(data: bytes) -> int:
    """Return how many markers stand in bytes, in any case of letters, in UTF-8, UTF-16 or UTF-32."""
    return len(_MARK.findall(data)) + len(_UID_MARK.findall(data))


def plant(dataset: Dataset, markers: Markers, *, depth: int = 2) -> None:
    """Put a marker into every attribute of Table E.1-1 that can carry text, and wherever else text may hide.

    That is private elements, creators' names, unknown elements, overlays, SR content, graphic and
    waveform annotations, samples, palettes and profiles that are text, and sequences of the table; and all of
    it again, `depth` deep, in sequences that the table doesn't list.
    """
    implicit = bool(dataset.original_encoding[0]) if dataset.original_encoding[0] is not None else False
    for key in rows():
        if re.fullmatch("[0-9a-f]{8}", key) and int(key, 16) not in _KEPT and int(key, 16) >> 16 > 6:
            _mark(dataset, Tag(int(key, 16)), markers, implicit=implicit)
    for group in (0x6000, 0x6002, 0x601E):
        for element, vr in ((0x0022, "LO"), (0x1500, "LO"), (0x3000, "OW"), (0x4000, "LT")):
            _put(dataset, Tag(group, element), vr, markers.text(), implicit=implicit)
    _put(dataset, Tag(0x5000, 0x2500), "LO", markers.text(), implicit=implicit)
    _put(dataset, Tag(0x5000, 0x3000), "OW", markers.text(), implicit=implicit)
    _plant_private(dataset, markers, implicit=implicit)
    _plant_content(dataset, markers)
    _plant_waveform(dataset, markers, implicit=implicit)
    if depth:
        for tag in _NESTED:
            item = Dataset()
            plant(item, markers, depth=depth - 1 if tag == _NESTED[0] else 0)
            dataset[tag] = DataElement(tag, "SQ", Sequence([item]))


def _mark(dataset: Dataset, tag: BaseTag, markers: Markers, *, implicit: bool) -> None:
    """Put a marker into one attribute, in whatever its VR can carry."""
    vr = dictionary_VR(tag)
    if vr == "UI":
        _put(dataset, tag, vr, markers.uid(), implicit=implicit)
    elif vr == "SQ":
        item = Dataset()
        for inner, inner_vr in (
            (0x00080100, "SH"),
            (0x00080104, "LO"),
            (0x00080080, "LO"),
            (0x00100010, "PN"),
        ):
            _put(item, Tag(inner), inner_vr, markers.text(), implicit=implicit)
        _put(item, Tag(0x00081155), "UI", markers.uid(), implicit=implicit)
        dataset[tag] = DataElement(tag, "SQ", Sequence([item]))
    elif vr in _TEXTS or vr in _BYTES:
        _put(dataset, tag, vr, markers.text(), implicit=implicit)


def _put(dataset: Dataset, tag: BaseTag, vr: str, text: str, *, implicit: bool) -> None:
    """Set an element to bytes as a file might have them, legal or not."""
    value = text.encode() + (b"\0" if vr == "UI" else b" ") * (len(text) % 2)
    dataset[tag] = RawDataElement(tag, None if implicit else vr, len(value), value, 0, implicit, True)


def _plant_private(dataset: Dataset, markers: Markers, *, implicit: bool) -> None:
    """Put markers into private elements, creators, elements without a creator, and elements nobody knows."""
    for group in (0x0009, 0x0019, 0x0029, 0x7053):
        _put(dataset, Tag(group, 0x00F0), "LO", markers.text(), implicit=implicit)
        for element, vr in ((0xF001, "LO"), (0xF002, "UN"), (0xF003, "OB"), (0xF004, "PN"), (0xE001, "LT")):
            _put(dataset, Tag(group, element), vr, markers.text(), implicit=implicit)
        item = Dataset()
        _put(item, Tag(0x00100010), "PN", markers.text(), implicit=implicit)
        dataset[Tag(group, 0xF010)] = DataElement(Tag(group, 0xF010), "SQ", Sequence([item]))
    for tag in (0x00080FFF, 0x00101235, 0x00400FFF):
        _put(dataset, Tag(tag), "LO", markers.text(), implicit=implicit)


def _plant_content(dataset: Dataset, markers: Markers) -> None:
    """Put markers into content items of each kind, graphic annotations and long texts outside the table."""
    items = [_content(kind, markers) for kind in ("TEXT", "PNAME", "CODE", "UIDREF", "DATE", "NUM")]
    container = _content("CONTAINER", markers)
    container.ContentSequence = Sequence([_content("TEXT", markers), _content("PNAME", markers)])
    dataset.ContentSequence = Sequence([*items, container])
    drawn, text = Dataset(), Dataset()
    text.UnformattedTextValue = markers.text()
    drawn.GraphicLayer, drawn.TextObjectSequence = "LAYER", Sequence([text])
    dataset.GraphicAnnotationSequence = Sequence([drawn])
    dataset.SegmentDescription = f"lesion of {markers.text()}"
    dataset.RetrieveURL = f"https://pacs.example/{markers.text()}"
    dataset.SecondaryReviewerName = markers.text()


def _plant_waveform(dataset: Dataset, markers: Markers, *, implicit: bool) -> None:
    """Put markers into a waveform's labels, annotations and samples, and into tables and profiles."""
    group, channel, note = Dataset(), Dataset(), Dataset()
    group.MultiplexGroupLabel, channel.ChannelLabel = markers.text(), f"II {markers.text()}"
    channel.ChannelDerivationDescription = markers.text()
    group.ChannelDefinitionSequence = Sequence([channel])
    group.WaveformBitsAllocated = 16
    for tag in (0x5400100A, 0x54001010):
        _put(group, Tag(tag), "OW", markers.text(), implicit=implicit)
    note.UnformattedTextValue = f"seen by {markers.text()}"
    dataset.WaveformSequence, dataset.WaveformAnnotationSequence = Sequence([group]), Sequence([note])
    for tag, vr in ((0x00281201, "OW"), (0x00281221, "OW"), (0x00282000, "OB")):
        _put(dataset, Tag(tag), vr, markers.text(), implicit=implicit)


def _content(kind: str, markers: Markers) -> Dataset:
    """Return a content item (PS3.3 C.17.3) with a marker in its name and in its value."""
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", kind
    item.ConceptNameCodeSequence = Sequence([_code(markers)])
    if kind == "TEXT":
        item.TextValue = f"Finding of {markers.text()}"
    elif kind == "PNAME":
        item.PersonName = markers.text()
    elif kind == "CODE":
        item.ConceptCodeSequence = Sequence([_code(markers)])
    elif kind == "UIDREF":
        item.UID = markers.uid()
    elif kind == "NUM":
        measured = Dataset()
        measured.NumericValue = "1.5"
        measured.MeasurementUnitsCodeSequence = Sequence([_code(markers)])
        item.MeasuredValueSequence = Sequence([measured])
    return item


def _code(markers: Markers) -> Dataset:
    """Return a local code that is markers all over, or one of the standard's with another meaning."""
    item = Dataset()
    if markers.count % 2:
        item.CodeValue, item.CodingSchemeDesignator = markers.text(), markers.text()
    else:
        item.CodeValue, item.CodingSchemeDesignator = "121106", "DCM"
    item.CodeMeaning, item.CodingSchemeVersion = markers.text(), markers.text()
    return item


def plant_file(dataset: Dataset, path: Path, markers: Markers, *, depth: int = 2) -> None:
    """Write a dataset with markers in it, its preamble, its file meta information and after its end.

    The UIDs by which files are told apart, and the patient's id, are markers too. Raises `OSError`.
    """
    plant(dataset, markers, depth=depth)
    for tag in (0x00080018, 0x0020000D, 0x0020000E):
        dataset[tag] = DataElement(tag, "UI", markers.uid())
    dataset.add_new(0x00100020, "LO", markers.text())
    if "PixelData" not in dataset:
        dataset[0xFFFCFFFC] = DataElement(0xFFFCFFFC, "OB", markers.text().encode())
    meta = dataset.file_meta
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.ImplementationVersionName = markers.text()
    for element in (0x0016, 0x0017, 0x0018):
        meta.add_new((0x0002, element), "AE", markers.text())
    meta.PrivateInformationCreatorUID = UID(markers.uid())
    meta.PrivateInformation = markers.text().encode()
    dataset.preamble = b" ".join(markers.text().encode() for _ in range(11)).ljust(128)
    whole = BytesIO()
    with pydicom.config.disable_value_validation():
        pydicom.dcmwrite(whole, dataset, enforce_file_format=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    after = markers.text().encode() if "PixelData" in dataset else b""
    path.write_bytes(whole.getvalue() + after)


def searched(folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield each file below a folder with the number of markers in it: its name, bytes and decoded values.

    A deflated DICOM file is searched unpacked too, every dataset as it reads again.
    """
    for path in sorted(folder.rglob("*")):
        count = found_in(str(path.relative_to(folder)).encode())
        if path.is_file():
            data = path.read_bytes()
            count += found_in(data) + _decoded(data)
        yield path, count


def _shown(dataset: Dataset) -> int:
    """Return the markers in the values of a dataset as they read, and in all below it."""
    count = 0
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
        except Exception:  # a value that nobody can decode; its bytes are searched as they are
            continue
        if element.VR == "SQ":
            count += sum(_shown(item) for item in element.value or ())
        else:
            count += found_in(str(element.value).encode())
    return count


def _decoded(data: bytes) -> int:
    """Return the markers in the text of a DICOM file's values, and in what a deflated one unpacks to."""
    if data[128:132] != b"DICM":
        return 0
    with quiet():
        dataset = pydicom.dcmread(BytesIO(data))
        count = found_in(str(dataset.file_meta).encode()) + _shown(dataset)
    if dataset.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1.99":
        start = 144 + int.from_bytes(data[140:144], "little")
        count += found_in(zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[start:]))
    return count
