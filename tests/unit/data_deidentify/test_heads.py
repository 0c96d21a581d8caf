"""Scans of heads: found on the careful side, and refused or queued."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from huizhen.data.deidentify.files import deidentify_file
from huizhen.data.deidentify.heads import Sign, head_sign
from huizhen.data.deidentify.key import Pseudonymiser
from huizhen.data.deidentify.outcome import Fate, Reason
from huizhen.data.deidentify.policy import DeidPolicy

Make = Callable[..., Dataset]


def bare(make: Make, **more: object) -> Dataset:
    """Return a section of which nothing says what it shows."""
    data = make()
    data.StudyDescription = ""
    for keyword, value in more.items():
        setattr(data, keyword, value)
    return data


@pytest.mark.parametrize(
    ("more", "sign"),
    [
        ({"BodyPartExamined": "HEAD"}, Sign.BODY_PART),
        ({"BodyPartExamined": "NECK"}, Sign.BODY_PART),
        ({"BodyPartExamined": "WHOLEBODY", "Modality": "PT"}, Sign.BODY_PART),
        ({"StudyDescription": "MRI Brain w/o contrast"}, Sign.DESCRIPTION),
        ({"SeriesDescription": "t1_mprage_sag"}, Sign.DESCRIPTION),
        ({"ProtocolName": "头颅平扫"}, Sign.DESCRIPTION),
        ({"Modality": "CT", "StudyDescription": "CT Sinuses"}, Sign.DESCRIPTION),
        ({"StudyDescription": "CT head and chest"}, Sign.DESCRIPTION),
        ({"PixelSpacing": [0.5, 0.5], "Rows": 512, "Columns": 512}, Sign.FIELD_OF_VIEW),
        ({"PixelSpacing": [0.9, 0.9], "Rows": 512, "Columns": 512}, None),
        ({"PixelSpacing": [0.5, 0.5], "Rows": 512, "Columns": 512, "BodyPartExamined": "KNEE"}, None),
        ({"StudyDescription": "MRI breast bilateral"}, None),
        ({"StudyDescription": "CT Thorax", "Modality": "CT"}, None),
        ({"BodyPartExamined": "HEAD", "Modality": "DX"}, None),
        ({"StudyDescription": "Cardiac MR, linear, incidental, diagnose, surface"}, None),
        ({"SeriesDescription": "t1_tof_3d"}, Sign.DESCRIPTION),
        ({"SeriesDescription": "颈部增强"}, Sign.DESCRIPTION),
        ({"BodyPartExamined": "HEAD", "Modality": "US"}, None),
        ({}, None),
    ],
)
def test_what_tells_a_head(make: Make, more: dict[str, object], sign: Sign | None) -> None:
    assert head_sign(bare(make, **more)) is sign


def test_the_field_of_view_of_an_enhanced_object(make: Make) -> None:
    measures, shared = Dataset(), Dataset()
    measures.PixelSpacing = [0.5, 0.5]
    shared.PixelMeasuresSequence = Sequence([measures])
    data = bare(make, Rows=480, Columns=400, SharedFunctionalGroupsSequence=Sequence([shared]))
    assert head_sign(data) is Sign.FIELD_OF_VIEW


@pytest.mark.parametrize("scheme", ["AnatomicRegionSequence", "ProcedureCodeSequence"])
def test_a_coded_region(make: Make, scheme: str) -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "12738006", "SCT", "x"
    assert head_sign(bare(make, **{scheme: Sequence([code])})) is Sign.CODE


@pytest.mark.parametrize(
    ("heads", "fate"),
    [("refuse", Fate.REFUSED), ("review", Fate.QUEUED), ("release", Fate.RELEASED)],
)
def test_what_becomes_of_a_head(
    make: Make, write: Callable[..., Path], tmp_path: Path, who: Pseudonymiser, heads: str, fate: Fate
) -> None:
    by = DeidPolicy.model_validate({"pixels": {"heads": heads}})
    source = write(bare(make, BodyPartExamined="BRAIN"))
    outcome = deidentify_file(source, tmp_path / "out", policy=by, who=who)
    assert outcome.fate is fate
    assert outcome.reason is (None if fate is Fate.RELEASED else Reason.HEAD)


def test_heads_wait_unless_somebody_says_otherwise() -> None:
    assert DeidPolicy().pixels.heads == "review"
