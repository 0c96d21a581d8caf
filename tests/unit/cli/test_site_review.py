"""huizhen site review: pages of what waits, decisions entered, an audit, and what each prints."""

from __future__ import annotations

import json
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset

from huizhen.cli.commands.site_prepare import STATE
from huizhen.data.deidentify.review_page import PAGES, REVIEW
from huizhen.federate.site.folder import SiteFolder


@pytest.fixture
def site(tmp_path: Path) -> Path:
    SiteFolder.create(tmp_path / "site", name="north", data=tmp_path / "data")
    return tmp_path / "site"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.6.1", "1.2.3.4"
    data.StudyInstanceUID, data.SeriesInstanceUID = "1.2.3", "1.2.3.3"
    data.PatientID, data.PatientName, data.Modality = "4711", "Weber^Annemarie", "US"
    data.Rows, data.Columns, data.SamplesPerPixel = 20, 30, 1
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation = 7, 0
    data.PhotometricInterpretation, data.PixelData = "MONOCHROME2", bytes(range(200)) * 3
    (tmp_path / "raw").mkdir()
    pydicom.dcmwrite(tmp_path / "raw/weber.dcm", data, enforce_file_format=True)
    return tmp_path / "raw"


def test_from_waiting_to_released_to_audited(invoke, raw: Path, site: Path, tmp_path: Path) -> None:
    prepare = ("site", "prepare", raw, "--out", tmp_path / "out", "--site", site, "--jobs", "1")
    assert "person: 1" in invoke(*prepare).output
    shown = invoke("site", "review", site)
    assert "1 items wait for somebody to look" in shown.output
    (asked,) = (site / STATE / PAGES).iterdir()
    review = json.loads((asked / REVIEW).read_text())
    answer = {"item": 1, "verdict": "blacken", "boxes": [[0, 5, 0, 30]]}
    saved = tmp_path / "d.json"
    saved.write_text(json.dumps({"review": review["review"], "decisions": [answer]}))
    assert invoke("site", "review", site, saved).exit_code == 30, "nobody is named"
    done = invoke("site", "review", site, saved, "--reader", "A. Reader")
    assert "0 to release, 1 to blacken, 0 to refuse, for 1 files" in done.output
    assert "files: 1, patients: 1" in invoke(*prepare).output
    made = json.loads(invoke("--json", "site", "review", site, "--audit", "5").stdout)
    assert (made["items"], made["population"], made["audit"]) == (1, 1, True)
    saved.write_text(json.dumps({"review": made["review"], "decisions": [{"item": 1, "verdict": "release"}]}))
    said = invoke("--lang", "zh", "site", "review", site, saved, "--reader", "A. Reader")
    assert "1 幅影像中有 0 幅仍有文字" in said.output
    assert invoke("site", "review", site, saved, "--audit", "5", "--reader", "x").exit_code != 0
    report = json.loads(invoke("--json", *prepare).stdout)
    assert report["audit"]["looked_at"] == 1
    assert "Reader" not in json.dumps(report)


def test_nothing_to_review(invoke, site: Path) -> None:
    refused = invoke("site", "review", site)
    assert refused.exit_code == 30
    assert "huizhen site prepare" in refused.output
