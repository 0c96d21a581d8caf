"""huizhen site prepare: from a raw export to files that may leave, with the key left at the site."""

from __future__ import annotations

import json
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset

from huizhen.cli.commands.site_prepare import POLICY, STATE
from huizhen.data.deidentify.key import KEY_FILE
from huizhen.data.deidentify.prepare import IMAGES, WAITING
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
    data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.88.11", "1.2.3.4"
    data.StudyInstanceUID, data.SeriesInstanceUID = "1.2.3", "1.2.3.3"
    data.PatientID, data.PatientName, data.Modality = "4711", "Weber^Annemarie", "SR"
    folder = tmp_path / "raw" / "Weber"
    folder.mkdir(parents=True)
    pydicom.dcmwrite(folder / "weber.dcm", data, enforce_file_format=True)
    (folder / "weber.txt").write_text("Weber")
    return tmp_path / "raw"


def test_prepare_releases_and_reports(invoke, raw: Path, site: Path, tmp_path: Path) -> None:
    result = invoke("site", "prepare", raw, "--out", tmp_path / "out", "--site", site)
    assert result.exit_code == 0, result.output
    assert "files: 1, patients: 1" in result.output
    assert "Refused: 1" in result.output
    assert "Weber" not in result.output.replace(str(tmp_path), "")
    assert len(list((tmp_path / "out" / IMAGES).rglob("*.dcm"))) == 1
    assert (site / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert "weber.txt" in (site / STATE / WAITING).read_text()
    left = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert {path.suffix for path in left} == {".dcm", ".json", ".jsonl", ".html"}
    assert not [path for path in left if b"Weber" in path.read_bytes() or "weber" in str(path).lower()]


def test_prepare_says_that_nobody_looked_at_pixels(invoke, raw: Path, site: Path, tmp_path: Path) -> None:
    said = invoke("site", "prepare", raw, "--out", tmp_path / "unseen", "--site", site).stdout
    assert "Nobody looked at the pixels" in " ".join(said.split())


def test_prepare_in_json_and_in_chinese(invoke, raw: Path, site: Path, tmp_path: Path) -> None:
    made = invoke("--json", "site", "prepare", raw, "--out", tmp_path / "out", "--site", site)
    assert json.loads(made.stdout)["files"] == {"released": 1, "queued": 0, "refused": 1}
    again = invoke("--lang", "zh", "site", "prepare", raw, "--out", tmp_path / "out", "--site", site)
    assert "放行" in again.output
    assert "去标识报告" in (tmp_path / "out/report.html").read_text()


def test_prepare_by_the_sites_policy(invoke, raw: Path, site: Path, tmp_path: Path) -> None:
    (site / POLICY).write_text('options = ["uids"]\n')
    assert invoke("site", "prepare", raw, "--out", tmp_path / "out", "--site", site).exit_code == 0
    assert next((tmp_path / "out").rglob("*.dcm")).name == "1.2.3.4.dcm"
    (site / POLICY).write_text('options = ["everything"]\n')
    refused = invoke("site", "prepare", raw, "--out", tmp_path / "two", "--site", site)
    assert refused.exit_code == 92
    assert not (tmp_path / "two").exists()


def test_prepare_wants_a_site(invoke, raw: Path, tmp_path: Path) -> None:
    refused = invoke("site", "prepare", raw, "--out", tmp_path / "out", "--site", tmp_path)
    assert refused.exit_code == 92
    assert "huizhen site init" in refused.output
