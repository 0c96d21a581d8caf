"""Small files that the readers' tests build: DICOM objects of every kind, and an opener."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from huizhen.core.study import ImageModality, Source
from huizhen.data.readers.interface import Reader
from huizhen.data.readers.open import open_source

STORAGE = {
    "MG": "1.2.840.10008.5.1.4.1.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "US": "1.2.840.10008.5.1.4.1.1.6.1",
    "SR": "1.2.840.10008.5.1.4.1.1.88.11",
}

Build = Callable[..., Dataset]


def uid(*names: object) -> str:
    """Return an identifier derived from names."""
    return pydicom.uid.generate_uid(entropy_srcs=[str(name) for name in names])


@pytest.fixture
def dicom() -> Build:
    """A function that writes a DICOM file and returns its dataset; attributes override the defaults."""

    def build(path: Path, pixels: NDArray[Any] | None = None, **attributes: Any) -> Dataset:
        data = Dataset()
        data.file_meta = FileMetaDataset()
        data.Modality = attributes.get("Modality", "MG")
        data.SOPClassUID = STORAGE.get(data.Modality, STORAGE["MR"])
        data.SOPInstanceUID = uid(path.name, path.parent.name)
        data.PatientID = "p1"
        data.StudyInstanceUID = uid("study", attributes.get("PatientID", "p1"))
        data.SeriesInstanceUID = uid("series", attributes.get("PatientID", "p1"))
        if pixels is not None:
            _add_pixels(data, pixels)
        for name, value in attributes.items():
            setattr(data, name, value)
        syntax = data.file_meta.get("TransferSyntaxUID", ExplicitVRLittleEndian)
        data.file_meta.TransferSyntaxUID = syntax
        path.parent.mkdir(parents=True, exist_ok=True)
        pydicom.dcmwrite(
            path, data, implicit_vr=syntax.is_implicit_VR, little_endian=True, enforce_file_format=True
        )
        return data

    return build


def _add_pixels(data: Dataset, pixels: NDArray[Any]) -> None:
    """Put pixels (H, W), (F, H, W), (H, W, 3) or (F, H, W, 3) into a dataset."""
    colour = pixels.shape[-1] == 3 and pixels.ndim > 2
    frames = pixels.ndim - (3 if colour else 2)
    data.Rows, data.Columns = pixels.shape[frames : frames + 2]
    data.SamplesPerPixel = 3 if colour else 1
    data.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        data.PlanarConfiguration = 0
    if frames:
        data.NumberOfFrames = len(pixels)
    data.BitsAllocated = data.BitsStored = pixels.dtype.itemsize * 8
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    data.PixelData = pixels.tobytes()


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., Reader]:
    """A function that opens a source below tmp_path: `opened("dicom", path="d", bag="slices")`."""

    def open_it(kind: str, *, channels: int = 1, max_images: int = 4, **source: Any) -> Reader:
        return open_source(
            Source.model_validate({"reader": kind, "modality": "X", "path": "d", **source}),
            roots=[tmp_path],
            site="north",
            index=0,
            modality=ImageModality(name="X", channels=channels, max_images=max_images),
        )

    return open_it


@pytest.fixture
def ramp16() -> NDArray[np.uint16]:
    """A picture (8, 10) of 16 bits whose values rise from 0 to 790."""
    return (np.arange(80, dtype=np.uint16) * 10).reshape(8, 10)
