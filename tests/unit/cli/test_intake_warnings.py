"""`data import` and `study check` say what a hospital's data manager must know, and add no site of no use."""

from __future__ import annotations

import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from huizhen.cli.dicom_choice import match_ids
from huizhen.core.study_file import load_study

CLASSES = {"US": "1.2.840.10008.5.1.4.1.1.6.1", "MR": "1.2.840.10008.5.1.4.1.1.4"}
STUDY = """\
name = "tiny"
title = "Tiny"
question = "?"
seed = 1
[task]
outcome = "outcome"
positive = ["m"]
negative = ["b"]
[[modality]]
name = "{name}"
[[site]]
name = "home"
[[site.source]]
reader = "images"
modality = "{name}"
path = "home"
labels = "home.csv"
columns = {{ patient = "patient", outcome = "outcome", image = "image" }}
"""
ROWS = [(f"{i:05d}", "mb"[i % 2]) for i in range(80)]


def table(path, rows, head="patient,outcome"):
    path.write_text("\n".join([head, *(",".join(row) for row in rows)]) + "\n", encoding="utf-8")


@pytest.fixture
def folder(tmp_path):
    """A study with a site of images, and a folder with DICOM headers of two modalities."""
    (tmp_path / "home").mkdir()
    for patient, _ in ROWS:
        Image.new("L", (4, 4)).save(tmp_path / "home" / f"{patient}.png")
    table(tmp_path / "home.csv", [(p, f"{p}.png", o) for p, o in ROWS], "patient,image,outcome")
    (tmp_path / "study.toml").write_text(STUDY.format(name="US"))
    for modality, ids in (("US", ("00001", "00002", "00003")), ("MR", ("00004",))):
        for one in ids:
            write(tmp_path / "d" / f"{modality}{one}", modality, one)
    table(tmp_path / "new.csv", [("00001", "m"), ("00002", "b"), ("00003", "b")])
    return tmp_path


def write(path, modality, patient):
    """Write a DICOM header."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID, data.SOPInstanceUID = CLASSES[modality], generate_uid(entropy_srcs=[path.name])
    data.Modality, data.PatientID, data.Rows, data.Columns = modality, patient, 4, 4
    data.BodyPartExamined = "BREAST"
    path.parent.mkdir(exist_ok=True)
    pydicom.dcmwrite(path, data, implicit_vr=False, little_endian=True, enforce_file_format=True)


def line(folder, *more, source="d", labels="new.csv"):
    return (
        *("data", "import", folder / source, "--labels", folder / labels),
        *("--into", folder / "study.toml", "--site", "new", *more),
    )


def test_the_modality_is_counted_and_written(invoke, folder):
    result = invoke(*line(folder))
    assert result.exit_code == 0, result.output
    assert "DICOM images: MR 1, US 3" in result.output
    assert "Body parts of US: BREAST 3" in result.output
    assert "3 of 3 patient ids match" in result.output
    assert load_study(folder / "study.toml").site[1].source[0].dicom_modality == "US"


def test_a_mixed_folder_needs_to_be_told_which(invoke, folder):
    (folder / "study.toml").write_text(STUDY.format(name="images"))
    before = (folder / "study.toml").read_text()
    result = invoke(*line(folder))
    assert result.exit_code == 30
    assert "MR 1, US 3" in result.stderr
    assert "--dicom-modality" in result.stderr
    assert (folder / "study.toml").read_text() == before
    assert invoke(*line(folder, "--dicom-modality", "CT")).exit_code == 30
    assert invoke(*line(folder, "--dicom-modality", "US")).exit_code == 0


def test_each_modality_of_the_study_gets_its_source(invoke, folder):
    text = STUDY.format(name="US").replace("[[site]]", '[[modality]]\nname = "MRI"\n[[site]]')
    text += text[text.index("[[site.source]]") :].replace('"US"', '"MRI"')
    (folder / "study.toml").write_text(text)
    table(folder / "new.csv", [(f"0000{i}", "mb"[i % 2]) for i in range(1, 5)])
    assert invoke(*line(folder)).exit_code == 0
    sources = load_study(folder / "study.toml").site[1].source
    assert [(one.modality, one.dicom_modality) for one in sources] == [("US", "US"), ("MRI", "MR")]


def test_lost_zeros_are_refused_without_a_patient_id(invoke, folder):
    table(folder / "new.csv", [("1", "m"), ("2", "b"), ("3", "b")])
    result = invoke(*line(folder))
    assert result.exit_code == 30
    assert "0 of 3 patient ids match" in result.stderr
    assert "table 9, headers 99999" in result.stderr
    assert "leading zeros are lost" in result.stderr
    assert "00001" not in result.stderr


def test_few_matches_are_warned_about(invoke, folder):
    table(folder / "new.csv", [("00001", "m"), ("X-7", "b"), ("X-8", "b")])
    assert "Warning: many don't" in invoke(*line(folder)).output
    assert match_ids(["a", "b"], {"a", "b"}).is_poor is False


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([("00001", "good"), ("00002", "good"), ("00003", "Li Na")], "it holds good (2), 1 other values"),
        ([("00001", ""), ("00002", ""), ("00003", "x")], "1 other values, 2 empty cells"),
    ],
)
def test_a_site_without_a_known_class_is_not_added(invoke, folder, rows, says):
    table(folder / "new.csv", rows)
    before = (folder / "study.toml").read_text()
    result = invoke(*line(folder, "--outcome", "outcome"))
    assert result.exit_code == 30
    assert says in result.stderr
    assert "the study knows m, b" in result.stderr
    assert "Li Na" not in result.stderr
    assert (folder / "study.toml").read_text() == before


def test_a_site_without_its_images_is_not_added(invoke, folder):
    table(folder / "t.csv", [("1", "x7.png", "m"), ("2", "x8.png", "b")], "patient,image,outcome")
    result = invoke(*line(folder, "--image", "image", source="home", labels="t.csv"))
    assert result.exit_code == 30
    assert "none of the 2 images" in result.stderr
    assert "table A9.AAA, a file 99999" in result.stderr


def test_one_class_is_warned_about_at_import_and_check(invoke, folder):
    table(folder / "new.csv", [("00001", "m"), ("00002", "m"), ("00003", "m")])
    assert "Warning: all rows are of one class" in invoke(*line(folder)).output
    result = invoke("study", "check", folder / "study.toml")
    assert result.exit_code == 0, result.output
    assert "all 3 patients of the external site new are positive" in result.output


def test_windows_paths_and_case_are_understood(invoke, as_json, folder):
    rows = [(p, f"D:\\影像\\{p}.PNG", o) for p, o in ROWS]
    table(folder / "win.csv", rows, "patient,image,outcome")
    counts = as_json(invoke(*line(folder, "--json", source="home", labels="win.csv")))["counts"]
    assert (counts["rows"], counts["unmatched"]) == (80, 0)


def test_another_encoding_is_named_or_refused(invoke, folder):
    rows = [(p, f"{p}.png", o, "北京协和医院") for p, o in ROWS]
    table(folder / "zh.csv", rows, "患者编号,文件名,病理,医院")
    text = (folder / "zh.csv").read_text(encoding="utf-8")
    (folder / "zh.csv").write_bytes(text.encode("gb18030"))
    assert "read as GB 18030, e.g.: 患者编号" in invoke(*line(folder, source="home", labels="zh.csv")).output
    (folder / "l1.csv").write_bytes("patient,image,outcome,ort\n00001,00001.png,m,Köln\n".encode("latin-1"))
    more = ("--site", "l1")
    assert invoke(*line(folder, *more, source="home", labels="l1.csv")).exit_code == 31
    result = invoke(*line(folder, *more, "--encoding", "cp1252", source="home", labels="l1.csv"))
    assert result.exit_code == 0, result.output
    assert load_study(folder / "study.toml").site[-1].source[0].encoding == "cp1252"
    assert invoke(*line(folder, "--encoding", "klingon")).exit_code == 10


def test_check_names_the_lines_that_contradict_each_other(invoke, as_json, folder):
    text = (folder / "home.csv").read_text() + "00003,00003.png,b\n00003,00003.png,m\n"
    (folder / "home.csv").write_text(text)
    result = invoke("study", "check", folder / "study.toml")
    assert result.exit_code == 0, result.output
    assert "1 patients have both outcomes in home.csv, first lines 5 + 83" in result.output
    assert as_json(invoke("study", "check", folder / "study.toml", "--json"))["notes"]


def test_check_refuses_dicom_of_no_known_modality_or_with_other_patients(invoke, folder):
    invoke(*line(folder))
    study = folder / "study.toml"
    good = study.read_text()
    assert invoke("study", "check", study).exit_code == 0
    study.write_text(good.replace('dicom_modality = "US"', 'dicom_modality = "CT"'))
    assert "no image of DICOM modality CT; it holds MR 1, US 3" in invoke("study", "check", study).output
    study.write_text(good.replace('dicom_modality = "US"\n', "").replace('"US"', '"images"'))
    result = invoke("study", "check", study)
    assert result.exit_code == 20
    assert "the name images doesn't tell it" in result.output
    study.write_text(good)
    table(folder / "new.csv", [("1", "m"), ("2", "b")])
    result = invoke("study", "check", study)
    assert result.exit_code == 20
    assert "0 of 2 patient ids match" in result.output


def test_a_new_dicom_study_names_the_modality(invoke, tmp_path):
    flags = ("--name", "n", "--title", "t", "--question", "q", "--positive", "m", "--negative", "b")
    result = invoke(
        *("study", "new", tmp_path / "s.toml", *flags, "--reader", "dicom"),
        *("--modality", "MRI", "--modality", "x", "--site", "a"),
    )
    assert result.exit_code == 0, result.output
    sources = load_study(tmp_path / "s.toml").site[0].source
    assert [one.dicom_modality for one in sources] == ["MR", None]
