"""The DICOM reader on folders: what becomes an image, what is left out and why."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset

from huizhen.core.cohort import ImageRecord
from huizhen.data.readers.dicom_headers import read_dataset
from huizhen.errors import DataError, UnreadableFileError

PIXELS = (np.arange(64, dtype=np.uint16) * 9).reshape(8, 8)


def write_labels(folder, *rows, header=("pid", "label")):
    with (folder / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])


def reasons(scan):
    return sorted((one.unit, one.reason, one.subject) for one in scan.exclusions)


COLUMNS = {"patient": "pid", "outcome": "label"}


def test_four_views_of_a_patient(tmp_path, dicom, opened):
    for side in "LR":
        for view in ("CC", "MLO"):
            dicom(tmp_path / "d/p1" / f"{side}{view}.dcm", PIXELS, ImageLaterality=side, ViewPosition=view)
    scan = opened("dicom", channels=3, dicom_modality="MG").scan()
    assert [record.view for record in scan.images] == ["L-CC", "L-MLO", "R-CC", "R-MLO"]
    assert {record.key for record in scan.images} == {f"p1/{s}{v}.dcm" for s in "LR" for v in ("CC", "MLO")}
    assert scan.exclusions == ()
    assert scan.outcomes == {}


def test_outcomes_come_from_the_table_by_patient(tmp_path, dicom, opened):
    for patient in ("007", "8", "9", "10"):
        dicom(tmp_path / "d" / f"{patient}.dcm", PIXELS, PatientID=patient)
    write_labels(tmp_path, ("007", "1.0"), ("8", ""), ("9", "1"), ("9", "0"), ("absent", "1"))
    scan = opened("dicom", labels="labels.csv", columns=COLUMNS).scan()
    assert scan.outcomes == {"007": ("1",), "9": ("1", "0"), "absent": ("1",)}
    assert len(scan.images) == 4  # the unlabelled stay: another source may hold their label
    assert reasons(scan) == [("patient", "missing_label", "10.dcm"), ("patient", "missing_label", "8.dcm")]


def test_where_leaves_patients_out_without_a_word(tmp_path, dicom, opened):
    for patient in ("a", "b", "c"):
        dicom(tmp_path / "d" / f"{patient}.dcm", PIXELS, PatientID=patient)
    write_labels(tmp_path, ("a", "1", "GE"), ("b", "0", "Canon"), header=("pid", "label", "scanner"))
    scan = opened("dicom", labels="labels.csv", columns=COLUMNS, where={"scanner": ["GE"]}).scan()
    assert [record.patient_id for record in scan.images] == ["a"]
    assert scan.exclusions == ()


def test_bad_files_among_good_ones(tmp_path, dicom, opened):
    folder = tmp_path / "d"
    dicom(folder / "good.dcm", PIXELS)
    dicom(folder / "report.dcm", Modality="SR")
    dicom(folder / "mr.dcm", PIXELS, Modality="MR")
    dicom(folder / "nobody.dcm", PIXELS, PatientID="", StudyInstanceUID="1.2")
    (folder / "cut.dcm").write_bytes((folder / "good.dcm").read_bytes()[:-5])
    (folder / "notes.txt").write_text("not DICOM")
    (folder / ".hidden").write_text("passed over")
    scan = opened("dicom", dicom_modality="MG").scan()
    assert [record.key for record in scan.images] == ["good.dcm"]
    assert reasons(scan) == [
        ("image", "missing_patient", "nobody.dcm"),
        ("image", "unreadable", "cut.dcm"),
        ("image", "unreadable", "notes.txt"),
        ("image", "wrong_modality", "mr.dcm"),
        ("image", "wrong_modality", "report.dcm"),
    ]


def test_two_patients_in_one_study_are_all_left_out(tmp_path, dicom, opened):
    dicom(tmp_path / "d/1.dcm", PIXELS, PatientID="a", StudyInstanceUID="1.2.3")
    dicom(tmp_path / "d/2.dcm", PIXELS + 1, PatientID="b", StudyInstanceUID="1.2.3")
    dicom(tmp_path / "d/3.dcm", PIXELS + 2, PatientID="c")
    scan = opened("dicom").scan()
    assert [record.patient_id for record in scan.images] == ["c"]
    assert reasons(scan) == [("image", "mixed_patients", "1.dcm"), ("image", "mixed_patients", "2.dcm")]


def test_two_patients_in_one_series_of_two_studies(tmp_path, dicom, opened):
    dicom(tmp_path / "d/1.dcm", PIXELS, PatientID="a", SeriesInstanceUID="1.2.3")
    dicom(tmp_path / "d/2.dcm", PIXELS + 1, PatientID="b", SeriesInstanceUID="1.2.3")
    scan = opened("dicom").scan()
    assert scan.images == ()
    assert {one.reason for one in scan.exclusions} == {"mixed_patients"}


def test_a_copy_and_another_file_of_one_identifier(tmp_path, dicom, opened):
    dicom(tmp_path / "d/1.dcm", PIXELS, SOPInstanceUID="1.2.3")
    shutil.copy(tmp_path / "d/1.dcm", tmp_path / "d/2.dcm")
    dicom(tmp_path / "d/3.dcm", PIXELS + 1, SOPInstanceUID="1.2.3")
    scan = opened("dicom").scan()
    assert [record.key for record in scan.images] == ["1.dcm"]
    assert reasons(scan) == [("image", "duplicate_id", "3.dcm"), ("image", "exact_duplicate", "2.dcm")]


@pytest.mark.parametrize(
    ("bag", "frames"), [("image", [15]), ("frames", [3, 11, 18, 26]), ("slices", [3, 11, 18, 26])]
)
def test_a_clip_gives_frames(tmp_path, dicom, opened, bag, frames):
    clip = np.stack([np.full((4, 4, 3), value, np.uint8) for value in range(30)])
    dicom(tmp_path / "d/a.dcm", clip, Modality="US")
    reader = opened("dicom", bag=bag)
    scan = reader.scan()
    assert [record.key for record in scan.images] == [f"a.dcm#{frame}" for frame in frames]
    assert [record.view for record in scan.images] == [f"frame {frame + 1}" for frame in frames]
    assert len({record.digest for record in scan.images}) == len(frames)
    for record, frame in zip(scan.images, frames, strict=True):
        np.testing.assert_allclose(reader.pixels(record), frame / 255, atol=1e-6)


@pytest.fixture
def dynamic(tmp_path, dicom):
    """A study of five phases and nine slices, each phase a series, and a localiser."""
    for phase in range(5):
        for z in range(9):
            dicom(
                tmp_path / f"d/{phase}/{z}.dcm",
                PIXELS + 100 * phase + z,
                Modality="MR",
                SeriesInstanceUID=f"1.2.{phase}",
                AcquisitionTime=f"10{phase:02}00",
                ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
                ImagePositionPatient=[0, 0, z * 2],
                PixelSpacing=[0.5, 0.7],
            )
    dicom(tmp_path / "d/scout.dcm", PIXELS, Modality="MR", SeriesInstanceUID="1.2.9")
    return tmp_path


def test_phases_become_channels_and_slices_a_bag(dynamic, opened):
    reader = opened("dicom", bag="slices", channels=3, dicom_modality="MR")
    scan = reader.scan()
    assert [record.view for record in scan.images] == ["slice 2", "slice 4", "slice 6", "slice 8"]
    assert scan.images[0].key == "0/1.dcm|1/1.dcm|4/1.dcm"
    assert reasons(scan) == [("image", "other_series", "scout.dcm")]
    pixels = reader.pixels(scan.images[0])
    assert pixels.shape == (3, 8, 8)
    assert pixels[0].mean() < pixels[1].mean() < pixels[2].mean()
    assert reader.spacing_mm(scan.images[0]) == (0.5, 0.7)
    path = reader.dataset_path(scan.images[0])
    assert path == (dynamic / "d/0/1.dcm").resolve()


def test_fewer_phases_than_channels_repeat_the_last(dynamic, opened):
    for phase in (2, 3, 4):
        shutil.rmtree(dynamic / "d" / str(phase))
    scan = opened("dicom", channels=3).scan()
    assert [record.key for record in scan.images] == ["0/4.dcm|1/4.dcm|1/4.dcm"]


def test_one_channel_takes_the_early_phase(dynamic, opened):
    scan = opened("dicom").scan()
    assert [record.key for record in scan.images] == ["1/4.dcm"]


def test_masks_go_by_the_instance_of_a_phase(dynamic, opened, dicom):
    (dynamic / "masks").mkdir()
    uids = [read_dataset(dynamic / f"d/0/{z}.dcm").SOPInstanceUID for z in (1, 3)]
    mask = np.zeros((8, 8), np.uint8)
    mask[2, 3] = 255
    Image.fromarray(mask).save(dynamic / f"masks/{uids[0]}.png")
    np.savez_compressed(dynamic / f"masks/{uids[1]}.npz", mask=mask.T > 0)
    reader = opened("dicom", bag="slices", channels=3, masks="masks")
    scan = reader.scan()
    assert [record.has_mask for record in scan.images] == [True, True, False, False]
    found = [reader.mask(record) for record in scan.images]
    assert found[0].dtype == np.bool_
    assert found[0][2, 3]
    assert found[0].sum() == 1
    assert found[1][3, 2]
    assert found[2:] == [None, None]


def test_a_mask_that_leads_out_of_the_folder_is_none(dynamic, opened):
    (dynamic / "masks").mkdir()
    uid = read_dataset(dynamic / "d/0/1.dcm").SOPInstanceUID
    Image.fromarray(np.full((8, 8), 255, np.uint8)).save(dynamic / "elsewhere.png")
    (dynamic / f"masks/{uid}.png").symlink_to(dynamic / "elsewhere.png")
    reader = opened("dicom", bag="slices", channels=3, masks="masks")
    records = reader.scan().images
    assert [record.has_mask for record in records] == [False] * 4
    assert reader.mask(replace(records[0], has_mask=True)) is None


def test_a_broken_mask_is_unreadable(tmp_path, dicom, opened):
    data = dicom(tmp_path / "d/a.dcm", PIXELS)
    (tmp_path / "masks").mkdir()
    (tmp_path / f"masks/{data.SOPInstanceUID}.png").write_bytes(b"no png")
    reader = opened("dicom", masks="masks")
    [record] = reader.scan().images
    with pytest.raises(UnreadableFileError):
        reader.mask(record)


def test_a_file_that_vanished_is_unreadable(tmp_path, dicom, opened):
    dicom(tmp_path / "d/a.dcm", PIXELS)
    reader = opened("dicom")
    [record] = reader.scan().images
    (tmp_path / "d/a.dcm").unlink()
    with pytest.raises(UnreadableFileError):
        reader.pixels(record)


def test_names_that_the_key_uses_itself(tmp_path, dicom, opened):
    dicom(tmp_path / "d/a#1|b%.dcm", PIXELS)
    reader = opened("dicom")
    [record] = reader.scan().images
    assert reader.pixels(record).shape == (1, 8, 8)


def test_spacing_of_other_kinds(tmp_path, dicom, opened):
    region = Dataset()
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX, region.PhysicalDeltaY = 0.01, -0.02
    dicom(tmp_path / "d/1.dcm", PIXELS, ImagerPixelSpacing=[0.1, 0.2])
    dicom(tmp_path / "d/2.dcm", PIXELS, Modality="US", SequenceOfUltrasoundRegions=[region])
    dicom(tmp_path / "d/3.dcm", PIXELS, PixelSpacing=None)
    reader = opened("dicom")
    found = [reader.spacing_mm(record) for record in reader.scan().images]
    assert found == [(0.1, 0.2), (pytest.approx(0.2), pytest.approx(0.1)), None]


def test_phantoms_are_known(tmp_path, dicom, opened):
    dicom(tmp_path / "d/a.dcm", PIXELS, PatientID="PHANTOM-1")
    dicom(tmp_path / "d/b.dcm", PIXELS + 1, PatientID="real")
    scan = opened("dicom").scan()
    assert [record.phantom for record in scan.images] == [True, False]


def test_labels_table_inside_the_folder_is_no_image(tmp_path, dicom, opened):
    dicom(tmp_path / "d/a.dcm", PIXELS)
    write_labels(tmp_path / "d", ("p1", "1"))
    scan = opened("dicom", labels="d/labels.csv", columns=COLUMNS).scan()
    assert scan.exclusions == ()
    assert isinstance(scan.images[0], ImageRecord)


def test_absent_column_names_the_nearest(tmp_path, dicom, opened):
    dicom(tmp_path / "d/a.dcm", PIXELS)
    write_labels(tmp_path, ("p1", "1"), header=("pid", "Label"))
    with pytest.raises(DataError, match="did you mean Label"):
        opened("dicom", labels="labels.csv", columns=COLUMNS).scan()


def test_raw_mammograms_are_left_aside_for_those_to_be_shown(tmp_path, dicom, opened):
    raw = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.2.1", "ImageLaterality": "L"}
    dicom(tmp_path / "d/a/raw.dcm", PIXELS, PatientID="a", **raw)
    dicom(tmp_path / "d/a/shown.dcm", PIXELS + 1, PatientID="a", ImageLaterality="L")
    dicom(tmp_path / "d/b/raw.dcm", PIXELS, PatientID="b", **raw)
    scan = opened("dicom").scan()
    assert [record.key for record in scan.images] == ["a/shown.dcm", "b/raw.dcm"]
    assert reasons(scan) == [("image", "other_series", "a/raw.dcm")]


def test_a_changed_file_is_read_anew(tmp_path, dicom, opened):
    dicom(tmp_path / "d/a.dcm", PIXELS)
    before = opened("dicom").scan().images
    dicom(tmp_path / "d/a.dcm", PIXELS + 1, PatientID="another")
    [after] = opened("dicom").scan().images
    assert after.patient_id == "another"
    assert after.digest != before[0].digest
