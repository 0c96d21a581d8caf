"""Which DICOM Modality a source takes."""

from __future__ import annotations

import pytest

from huizhen.core.dicom_modality import code_in_name, wanted_modality
from huizhen.core.study import ReaderKind, Source


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("US", "US"),
        ("us_left", "US"),
        ("breast-ultrasound", "US"),
        ("MG", "MG"),
        ("Mammography", "MG"),
        ("MRI", "MR"),
        ("dce-mri.2", "MR"),
        ("CT", "CT"),
        ("PET", "PT"),
        ("PET-CT", None),
        ("images", None),
        ("MUST", None),
    ],
)
def test_names_tell_a_modality_or_none(name: str, code: str | None) -> None:
    assert code_in_name(name) == code


def test_what_the_source_says_goes_before_the_name() -> None:
    source = Source(reader=ReaderKind.DICOM, modality="US", path="d", dicom_modality="MR")
    assert wanted_modality(source) == "MR"
    assert wanted_modality(source.model_copy(update={"dicom_modality": None})) == "US"
