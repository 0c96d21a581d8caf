"""A folder of DICOM files is read for the modality that its source means, and for one person an id."""

from __future__ import annotations

import secrets
import warnings
from collections import Counter

import numpy as np

from huizhen.core.progress import Silent
from huizhen.core.study import Study
from huizhen.data.cache import Cache
from huizhen.data.intake import intake
from huizhen.data.readers.dicom_kinds import count_headers

PIXELS = np.arange(64, dtype=np.uint16).reshape(8, 8)


def build(dicom, folder):
    """Write two ultrasound pictures, one each of MG and MR, and a report."""
    dicom(folder / "us1.dcm", PIXELS, Modality="US", PatientID="1", BodyPartExamined="BREAST")
    dicom(folder / "us2.dcm", PIXELS + 1, Modality="US", PatientID="2")
    with warnings.catch_warnings(action="ignore"):  # pydicom's, of a value that is no code
        dicom(
            folder / "mg.dcm", PIXELS + 2, Modality="MG", PatientID="1", BodyPartExamined="LI NA 1970-01-01"
        )
    dicom(folder / "mr.dcm", PIXELS + 3, Modality="MR", PatientID="3", BodyPartExamined="BRAIN")
    dicom(folder / "sr.dcm", Modality="SR", PatientID="4")
    (folder / "odd.dcm").write_bytes(bytes(200))


def test_headers_are_counted_by_modality_body_part_and_patient(tmp_path, dicom):
    build(dicom, tmp_path)
    found = count_headers(tmp_path, sorted(path.name for path in tmp_path.iterdir()))
    assert str(found) == "MG 1, MR 1, US 2"
    assert found.body_parts == {"US": {"BREAST": 1, "": 1}, "MG": {"?": 1}, "MR": {"BRAIN": 1}}
    assert found.patients["US"] == {"1", "2"}
    assert found.all_patients == {"1", "2", "3"}
    assert (found.files, found.read) == (6, 6)


def test_a_modality_called_after_one_takes_that_one_alone(tmp_path, dicom, opened):
    build(dicom, tmp_path / "d")
    scan = opened("dicom", modality="US").scan()
    assert [record.key for record in scan.images] == ["us1.dcm", "us2.dcm"]
    assert Counter(one.reason for one in scan.exclusions) == {"wrong_modality": 3, "unreadable": 1}
    assert scan.body_parts == {"BREAST": 1, "": 1}
    assert len(opened("dicom", modality="X").scan().images) == 4
    assert len(opened("dicom", modality="US", dicom_modality="MR").scan().images) == 1


def test_a_header_without_modality_goes_by_its_sop_class(tmp_path, dicom, opened):
    dicom(tmp_path / "d" / "a.dcm", PIXELS, Modality="", SOPClassUID="1.2.840.10008.5.1.4.1.1.6.1")
    assert len(opened("dicom", modality="US").scan().images) == 1


def study(**task):
    """Return a study of one site with a folder d and a table labels.csv."""
    source = {
        "reader": "dicom",
        "modality": "US",
        "path": "d",
        "labels": "labels.csv",
        "columns": {"patient": "patient", "outcome": "outcome"},
    }
    return Study.model_validate(
        {
            "name": "s",
            "title": "s",
            "question": "s",
            "seed": 1,
            "task": {"outcome": "o", "positive": ["m"], "negative": ["b"], **task},
            "modality": [{"name": "US"}],
            "site": [{"name": "north", "source": [source]}],
        }
    )


def take(folder, **task):
    return intake(
        study(**task),
        roots=[folder],
        pseudonym_secret=secrets.token_bytes(32),
        cache=Cache(folder / "cache"),
        progress=Silent(),
    )


def fill(folder, dicom, rows):
    """Write a picture of each of six patients, and labels."""
    for i in range(6):
        noise = np.random.default_rng(i).integers(0, 4000, (64, 64)).astype(np.uint16)
        dicom(folder / "d" / f"{i}.dcm", noise, Modality="US", PatientID=str(i), PatientName=f"A^{i}")
    lines = ["patient,outcome", *(f"{i},{'mb'[i % 2]}" for i in range(6)), *rows]
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")


def left_out(taken):
    return sorted((one.unit, one.reason, one.subject) for one in taken.cohort.exclusions)


def test_one_id_of_several_persons_is_left_out_and_its_files_are_named(tmp_path, dicom):
    fill(tmp_path, dicom, [])
    noise = np.random.default_rng(9).integers(0, 4000, (64, 64)).astype(np.uint16)
    dicom(
        tmp_path / "d" / "other.dcm",
        noise,
        Modality="US",
        PatientID="0",
        PatientName="B^9",
        StudyInstanceUID="1.2.3",
        SeriesInstanceUID="1.2.4",
    )
    taken = take(tmp_path)
    assert {case.patient_id for case in taken.cohort.cases} == {"1", "2", "3", "4", "5"}
    images = [row for row in left_out(taken) if row[0] == "image"]
    assert images == [("image", "several_persons", "0.dcm"), ("image", "several_persons", "other.dcm")]
    patients = [row[1] for row in left_out(taken) if row[0] == "patient"]
    assert patients == ["several_persons"]
    assert taken.body_parts == {"north": {"US": {"": 7}}}


def test_contradicting_rows_leave_the_patient_out_by_line(tmp_path, dicom):
    fill(tmp_path, dicom, ["0,b", "0,b", "1,other"])
    taken = take(tmp_path)
    assert {case.patient_id for case in taken.cohort.cases} == {"1", "2", "3", "4", "5"}
    rows = [row for row in left_out(taken) if row[0] == "row"]
    assert rows == [("row", "contradictory_outcomes", f"labels.csv:{line}") for line in (2, 8, 9)]
    assert [row[1] for row in left_out(taken) if row[0] == "patient"] == ["contradictory_outcomes"]


def test_a_study_may_say_that_one_positive_row_is_enough(tmp_path, dicom):
    fill(tmp_path, dicom, ["0,b"])
    taken = take(tmp_path, mixed_outcomes="positive")
    assert {case.patient_id: case.outcome for case in taken.cohort.cases}["0"] == 1
    assert [(one.what, one.count) for one in taken.flow.tallies] == [("mixed_outcomes", 1)]
