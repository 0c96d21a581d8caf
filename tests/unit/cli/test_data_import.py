"""`data import`: a further hospital's folder and table become an external site, with no code."""

from __future__ import annotations

import csv
import tomllib

import numpy as np
import pytest
from PIL import Image

from huizhen.core.study import Study
from huizhen.core.study_file import check_study, load_study

STUDY = """\
name = "tiny"
title = "Tiny"
question = "?"
seed = 1
[task]
outcome = "malignancy"
positive = ["malignant"]
negative = ["benign"]
[[modality]]
name = "US"
kind = "image"
[[site]]
name = "home"
[[site.source]]
reader = "images"
modality = "US"
path = "home"
labels = "home.csv"
columns = { patient = "patient", outcome = "outcome", image = "image" }
"""


@pytest.fixture
def folder(tmp_path):
    """A study, and beside it a new hospital: 40 images in folders, a table with its own column names."""
    for i in range(40):
        path = tmp_path / "new" / f"20{i % 3}" / f"scan-{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), i, np.uint8)).save(path)
    rows = [
        {
            "Fall": f"F{i // 2}",
            "Datei": f"scan-{i}.png",
            "Befund": ("benign", "malignant", "normal")[i % 3],
            "Alter": i,
        }
        for i in range(40)
    ]
    write_table(tmp_path / "new.csv", rows)
    (tmp_path / "study.toml").write_text(STUDY)
    return tmp_path


def write_table(path, rows):
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_a_new_hospital_is_appended_as_external_site(invoke, as_json, folder):
    before = load_study(folder / "study.toml").digest
    result = invoke(
        *command(folder, folder / "new"),
        *("--site", "abroad", "--patient", "Fall", "--json"),
    )
    record = as_json(result)
    assert record["columns"] == {"patient": "Fall", "outcome": "Befund", "image": "Datei"}
    assert record["counts"] == {
        "rows": 40, "patients": 20, "positive": 13, "negative": 14, "other": 13, "unmatched": 0,
    }  # fmt: skip
    study = load_study(folder / "study.toml")
    assert study.digest != before
    site = study.site[1]
    assert (site.name, site.role.value, site.patient_ids) == ("abroad", "external", "own")
    assert (site.source[0].reader.value, site.source[0].path, site.source[0].labels) == (
        "images",
        "new",
        "new.csv",
    )
    new = [p for p in check_study(folder / "study.toml", data_root=None) if p.field.startswith("site[1]")]
    assert new == []


def test_without_a_study_the_toml_is_printed_ready_to_paste(invoke, folder, monkeypatch):
    monkeypatch.chdir(folder)
    result = invoke(
        "data", "import", "new", "--labels", "new.csv", "--outcome", "Befund", "--patient", "Fall"
    )
    assert result.exit_code == 0, result.output
    site = tomllib.loads(result.stdout)["site"][0]
    assert site["source"][0]["columns"] == {"patient": "Fall", "outcome": "Befund", "image": "Datei"}
    assert "read with reader images" in result.stderr
    assert "Datei (its cells name the images)" in result.stderr


def test_a_site_name_that_is_taken_leaves_the_study_as_it_was(invoke, folder):
    result = invoke(
        *command(folder, folder / "new"),
        *("--site", "home", "--patient", "Fall"),
    )
    assert result.exit_code == 20
    assert "site names used twice: home" in result.stderr
    assert (folder / "study.toml").read_text() == STUDY


def command(folder, source, labels=None):
    """Return the command line that imports `source` into the study."""
    table = labels or folder / "new.csv"
    return ("data", "import", source, "--labels", table, "--into", folder / "study.toml")


def run_import(invoke, folder, *more):
    return invoke(*command(folder, folder / "new"), *more)


@pytest.mark.parametrize(
    ("more", "code", "says"),
    [
        (("--patient", "Fal"), 30, "did you mean Fall?"),
        ((), 0, "each image is taken as a patient of its own"),
        (("--modality", "MR"), 10, "choose one of: US"),
        (("--role", "outside"), 10, "development or external"),
    ],
)
def test_what_can_not_be_settled_is_said(invoke, folder, more, code, says):
    result = run_import(invoke, folder, *more)
    assert result.exit_code == code
    assert says in result.output


def test_a_folder_elsewhere_is_refused_because_studies_travel(invoke, folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (folder / "new").rename(elsewhere / "new")
    line = command(folder, elsewhere / "new")
    result = invoke(*line)
    assert result.exit_code == 30
    assert "--data or $HUIZHEN_DATA" in result.stderr
    (folder / "new.csv").rename(elsewhere / "new.csv")
    line = command(folder, elsewhere / "new", elsewhere / "new.csv")
    assert invoke(*line, "--data", elsewhere).exit_code == 0


def test_rows_whose_image_is_absent_are_counted(invoke, folder, as_json):
    (folder / "new" / "200" / "scan-0.png").unlink()
    assert as_json(run_import(invoke, folder, "--json"))["counts"]["unmatched"] == 1
    result = run_import(invoke, folder, "--site", "again")
    assert "1 of 40 rows name an image that isn't there" in result.output


def test_a_table_that_names_no_image_is_refused(invoke, folder):
    write_table(folder / "new.csv", [{"patient": i, "label": "benign"} for i in range(5)])
    result = run_import(invoke, folder)
    assert result.exit_code == 30
    assert "--image" in result.stderr


def npz(folder, **arrays):
    np.savez(folder / "new.npz", **arrays)
    return command(folder, folder / "new.npz")


def test_npz_arrays_are_told_by_their_shapes(invoke, as_json, folder):
    pixels, lesions = np.zeros((40, 6, 6), np.uint8), np.zeros((40, 6, 1), np.uint8)
    names = np.array([f"scan-{i}.png" for i in range(40)])
    line = npz(folder, pixels=pixels, lesion_masks=lesions, names=names, weights=np.zeros((40, 2)))
    assert as_json(invoke(*line, "--json"))["reader"] == "npz"
    source = load_study(folder / "study.toml").site[1].source[0]
    assert (source.array, source.masks, source.ids) == ("pixels", "lesion_masks", "names")
    assert source.columns is not None
    assert source.columns.image == "Datei"


def test_npz_without_identifiers_goes_by_order_or_not_at_all(invoke, folder):
    line = npz(folder, images=np.zeros((40, 6, 6), np.uint8))
    assert invoke(*line, "--patient", "Fall").exit_code == 0
    line = npz(folder, images=np.zeros((39, 6, 6), np.uint8))
    result = invoke(*line, "--patient", "Fall", "--site", "other")
    assert result.exit_code == 30
    assert "40 rows, the array 39 images" in result.stderr


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"not a zip"])
def test_a_broken_npz_is_unreadable(invoke, folder, content):
    (folder / "new.npz").write_bytes(content)
    assert invoke("data", "import", folder / "new.npz", "--labels", folder / "new.csv").exit_code == 31


def test_pickled_arrays_are_never_loaded(invoke, folder):
    names = np.array([{"a": 1}] * 40, dtype=object)
    line = npz(folder, images=np.zeros((40, 6, 6), np.uint8), ids=names)
    assert invoke(*line, "--patient", "Fall").exit_code == 0
    assert load_study(folder / "study.toml").site[1].source[0].ids is None


def test_dicom_folders_are_told_by_their_content_and_patients_by_their_headers(invoke, as_json, folder):
    write_dicom(folder / "dicom")
    rows = [{"nr": f"DOE{i}", "class": ("benign", "malignant")[i % 2], "note": "x"} for i in range(3)]
    write_table(folder / "new.csv", rows)
    line = command(folder, folder / "dicom")
    record = as_json(invoke(*line, "--json"))
    assert record["reader"] == "dicom"
    assert record["columns"] == {"patient": "nr", "outcome": "class"}


def write_dicom(folder):
    """Write three DICOM files without a suffix."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    folder.mkdir()
    for i in range(3):
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.6.1"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
        dataset.PatientID = f"DOE{i}"
        dataset.save_as(folder / f"IM{i}", enforce_file_format=True)


def test_a_table_is_its_own_labels(invoke, as_json, folder):
    modality = '[[modality]]\nname = "lab"\nkind = "table"\nnumeric = ["Alter"]\n'
    source = '[[site.source]]\nreader = "table"\nmodality = "lab"\npath = "home.csv"\n'
    text = STUDY.replace("[[site]]", modality + "[[site]]") + source + 'columns = { patient = "patient" }\n'
    (folder / "study.toml").write_text(text)
    line = ("data", "import", folder / "new.csv", "--into", folder / "study.toml", "--patient", "Fall")
    assert as_json(invoke(*line, "--json"))["reader"] == "table"
    site = load_study(folder / "study.toml").site[1]
    assert (site.source[0].modality, site.source[0].labels) == ("lab", None)


@pytest.mark.parametrize("what", ["nothing", "text"])
def test_what_no_reader_reads_is_refused(invoke, folder, what):
    (folder / "odd").mkdir()
    if what == "text":
        (folder / "odd" / "notes.txt").write_text("x")
    assert invoke("data", "import", folder / "odd", "--labels", folder / "new.csv").exit_code == 30
    assert invoke("data", "import", folder / "none", "--labels", folder / "new.csv").exit_code == 30


def test_labels_are_needed_unless_folders_are_named_after_classes(invoke, as_json, folder):
    line = ("data", "import", folder / "new", "--into", folder / "study.toml")
    result = invoke(*line)
    assert result.exit_code == 30
    assert "--labels" in result.stderr
    for old, new in (("200", "benign"), ("201", "malignant"), ("202", "normal")):
        (folder / "new" / old).rename(folder / "new" / new)
    counts = as_json(invoke(*line, "--json"))["counts"]
    assert counts == {
        "rows": 40, "patients": 40, "positive": 13, "negative": 14, "other": 13, "unmatched": 0,
    }  # fmt: skip
    source = load_study(folder / "study.toml").site[1].source[0]
    assert (source.labels, source.columns) == (None, None)
    assert "by its folder's name" in invoke(*line, "--site", "again").output


def test_the_template_keeps_the_study_valid() -> None:
    assert Study.model_validate(tomllib.loads(STUDY)).name == "tiny"
