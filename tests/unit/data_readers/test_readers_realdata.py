"""The readers on real files: DICOM of every transfer syntax, a DCE-MRI, published arrays and tables."""

from __future__ import annotations

import csv
import os
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from huizhen.core.study import ImageModality, Source, TableModality
from huizhen.data.readers.open import open_source

ROOT = Path(os.environ.get("HUIZHEN_DATA", Path(__file__).parents[4] / "shared/data"))
pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not ROOT.is_dir(), reason="no data folder: set $HUIZHEN_DATA"),
]

VARIED = ROOT / "dicom_phi_and_multimodality"
LEFT_OUT = {
    "presidio__0_ORIGINAL_no_pixels.dcm": "unreadable",
    "pydicom__JPEG-lossy.dcm": "unreadable",  # twelve-bit JPEG Extended
    "pydicom__no_meta.dcm": "unreadable",  # begins in the middle of an element
    "pydicom__nested_priv_SQ.dcm": "unreadable",  # no SOP class
    "pydicom__priv_SQ.dcm": "unreadable",
    "pydicom__rtplan.dcm": "wrong_modality",
    "pydicom__waveform_ecg.dcm": "wrong_modality",
    "pydicom__reportsi.dcm": "wrong_modality",
    "pydicom__test-SR.dcm": "wrong_modality",
    "pydicom__liver_1frame.dcm": "wrong_modality",  # a segmentation
    "pydicom__ExplVR_BigEnd.dcm": "missing_patient",
    "pydicom__image_dfl.dcm": "missing_patient",
}


def image_reader(root, channels=1, max_images=4, **source):
    return open_source(
        Source.model_validate({"modality": "X", **source}),
        roots=[root],
        site="s",
        index=0,
        modality=ImageModality(name="X", channels=channels, max_images=max_images),
    )


def indexed():
    with (VARIED / "index.csv").open() as stream:
        return {row["file"]: row for row in csv.DictReader(stream) if row["file"].endswith(".dcm")}


def test_every_dicom_file_gives_pixels_or_a_reason(tmp_path):
    given, left_out = [], {}
    for name, row in indexed().items():
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(VARIED / "files" / name, folder)
        reader = image_reader(tmp_path, reader="dicom", path=name, channels=3)
        scan = reader.scan()
        for record in scan.images:
            pixels = reader.pixels(record)
            assert pixels.shape == (3, int(row["rows"]), int(row["cols"])), name
            assert np.isfinite(pixels).all(), name
            assert 0 <= pixels.min() < pixels.max() <= 1, name
            given.append(name)
        left_out.update({one.subject: one.reason for one in scan.exclusions})
    assert left_out == LEFT_OUT
    assert sorted(given) == sorted(set(indexed()) - set(LEFT_OUT))
    assert (len(given), len(left_out)) == (24, 12)


@pytest.mark.parametrize("modality", ["US", "MR", "CT"])
def test_a_mixed_folder_gives_one_modality(modality):
    scan = image_reader(VARIED, reader="dicom", path="files", dicom_modality=modality).scan()
    assert scan.images
    counts = Counter(one.reason for one in scan.exclusions)
    assert counts["wrong_modality"] > 15
    assert counts["mixed_patients"] == 0
    assert {one.subject for one in scan.exclusions if one.subject.endswith(".png")}  # no DICOM: unreadable


@pytest.fixture(scope="module")
def duke(tmp_path_factory):
    """The five dynamic series of one patient, two other slices and a segmentation."""
    folder = tmp_path_factory.mktemp("duke")
    with zipfile.ZipFile(ROOT / "dicom_duke_dce_mri_1patient/duke_breast_mri_153_subset.zip") as archive:
        archive.extractall(folder)
    return folder


def test_dynamic_series_become_channels(duke):
    reader = image_reader(
        duke, reader="dicom", path=".", dicom_modality="MR", bag="slices", channels=3, max_images=8
    )
    scan = reader.scan()
    assert [record.key for record in scan.images] == [
        "|".join(f"{series}.000000/1-{n:03}.dcm" for series in (2, 4, 17)) for n in (64, 72, 80, 88, 96)
    ]
    assert {(one.reason, one.subject) for one in scan.exclusions} == {
        ("wrong_modality", "SEG/segmentation.dcm"),
        ("other_series", "26.000000/1-20.dcm"),
    }
    for record in scan.images:
        pre, early, last = reader.pixels(record)
        assert pre.shape == (448, 448)
        assert early.mean() > pre.mean()  # contrast came in
        assert last.mean() > pre.mean()
    assert reader.spacing_mm(scan.images[0]) == pytest.approx((0.7589, 0.7589), abs=1e-4)


def test_the_middle_slice_of_a_dynamic_series(duke):
    reader = image_reader(duke, reader="dicom", path=".", dicom_modality="MR", channels=3)
    [record] = reader.scan().images
    assert record.key.startswith("2.000000/1-080.dcm|")


def test_busbra_by_scanner():
    source = {
        "reader": "npz",
        "path": "us_busbra/busbra_128.npz",
        "labels": "us_busbra/labels.csv",
        "columns": {"patient": "Case", "outcome": "Pathology", "image": "ID", "view": "Side"},
        "ids": "ids",
        "masks": "masks",
    }
    whole = image_reader(ROOT, **source).scan()
    assert (len(whole.images), len(whole.outcomes), whole.exclusions) == (1875, 1064, ())
    with (ROOT / "us_busbra/labels.csv").open() as stream:
        devices = Counter(row["Device"] for row in csv.DictReader(stream))
    parts = {name: image_reader(ROOT, **source, where={"Device": name}).scan() for name in devices}
    assert {name: len(part.images) for name, part in parts.items()} == devices
    reader = image_reader(ROOT, **source)
    for record in whole.images[:50]:
        mask = reader.mask(record)
        assert mask.shape == (128, 128)
        assert mask.any()


def test_busi_with_its_near_duplicates():
    columns = {"patient": "id", "outcome": "label", "duplicate_group": "dup_group"}
    source = {"path": "us_busi/busi_128.npz", "labels": "us_busi/labels.csv", "masks": "masks"}
    scan = image_reader(ROOT, reader="npz", columns=columns, **source).scan()
    assert Counter(value for values in scan.outcomes.values() for value in values) == {
        "benign": 437, "malignant": 210, "normal": 133,
    }  # fmt: skip
    assert len({record.duplicate_group for record in scan.images}) < 780
    assert sum(record.has_mask for record in scan.images) == 647


def test_breastdcedl_phases():
    columns = {"patient": "pid", "outcome": "label", "image": "filename"}
    source = {"path": "mri_breastdcedl/mri_112_rgb.npz", "labels": "mri_breastdcedl/labels.csv"}
    reader = image_reader(ROOT, channels=3, reader="npz", columns=columns, **source)
    scan = reader.scan()
    assert len(scan.images) == 1607
    assert len(scan.outcomes) == 536
    assert reader.pixels(scan.images[0]).shape == (3, 112, 112)


def table_scan(path, patient, outcome, **modality):
    source = Source.model_validate(
        {
            "reader": "table",
            "modality": "T",
            "path": path,
            "columns": {"patient": patient, "outcome": outcome},
        }
    )
    table = TableModality(name="T", kind="table", **modality)
    return open_source(source, roots=[ROOT], site="s", index=0, modality=table).scan()


def test_ispy2_table():
    scan = table_scan("mri_breastdcedl/ispy2_clinical.csv", "pid", "pCR", numeric=("age", "HR", "HER2pos"))
    assert len(scan.rows) == 982
    assert {value for values in scan.outcomes.values() for value in values} == {"0", "1"}
    assert {one.reason for one in scan.exclusions} <= {"missing_label"}


def test_duke_table():
    path = "duke_breast_multimodal_tabular/duke_clinical_mammo_us_mri_features.csv"
    nodes = "Tumor Characteristics / Staging(Nodes)#(Nx replaced by -1)[N]"
    size = "Tumor Characteristics / Staging(Tumor Size)# [T]"
    maker = "MRI Technical Information / Manufacturer"
    scan = table_scan(path, "Patient Information / Patient ID", nodes, numeric=(size,), categorical=(maker,))
    assert len(scan.rows) == 922
    counts = Counter(value for values in scan.outcomes.values() for value in values)
    assert counts["0"] == 529
    assert counts["1"] + counts["2"] + counts["3"] == 369
