"""Which files of a folder are usable: each is read once a process, whatever number of sources share it."""

from __future__ import annotations

import os
from collections import Counter

import numpy as np
import pytest

from huizhen.data.readers import dicom_intake
from huizhen.data.readers.dicom_intake import FOLDERS, find_headers
from huizhen.data.readers.interface import SILENT, Located

PIXELS = (np.arange(64, dtype=np.uint16) * 9).reshape(8, 8)


@pytest.fixture
def reads(monkeypatch):
    """How often each file was read."""
    count = Counter()
    real = dicom_intake.read_header

    def counted(path, file):
        count[file] += 1
        return real(path, file)

    monkeypatch.setattr(dicom_intake, "read_header", counted)
    return count


def find(folder, *, wanted=None, site="north", index=0, masks=None):
    place = Located(site=site, index=index, path=folder, masks=masks)
    return find_headers(place, wanted=wanted, progress=SILENT, about="")


def hospital(folder, dicom, count=6):
    for i in range(count):
        modality = "MG" if i % 2 else "US"
        dicom(folder / f"{i}.dcm", PIXELS + i, PatientID=f"p{i}", Modality=modality)
    (folder / "broken.dcm").write_bytes(b"broken")


def test_sources_that_share_a_folder_read_each_file_once(tmp_path, dicom, reads):
    hospital(tmp_path / "d", dicom)
    mg, us, again = (find(tmp_path / "d", wanted=m, index=i) for i, m in enumerate(("MG", "US", "MG")))
    assert [h.file for h in mg.headers] == [h.file for h in again.headers] == ["1.dcm", "3.dcm", "5.dcm"]
    assert [h.file for h in us.headers] == ["0.dcm", "2.dcm", "4.dcm"]
    for found in (mg, us):  # what is wrong is told to each source
        assert Counter(one.reason for one in found.exclusions) == {"unreadable": 1, "wrong_modality": 3}
    assert reads == dict.fromkeys([*(f"{i}.dcm" for i in range(6)), "broken.dcm"], 1)


def test_only_what_changed_is_read_again(tmp_path, dicom, reads):
    folder = tmp_path / "d"
    hospital(folder, dicom)
    first = find(folder)
    dicom(folder / "0.dcm", PIXELS, PatientID="somebody else", Modality="US")
    os.utime(folder / "0.dcm", ns=(1, 1))
    dicom(folder / "broken.dcm", PIXELS, PatientID="p9")
    (folder / "1.dcm").unlink()
    second = find(folder)
    assert first.headers[0].patient == "p0"
    assert [h.patient for h in second.headers] == ["somebody else", "p2", "p3", "p4", "p5", "p9"]
    assert (reads["0.dcm"], reads["broken.dcm"], reads["2.dcm"]) == (2, 2, 1)


def test_what_is_passed_over_for_one_source_is_read_for_another(tmp_path, dicom, reads):
    folder = tmp_path / "d"
    hospital(folder, dicom, count=2)
    dicom(folder / "masks" / "m.dcm", PIXELS, PatientID="m")
    assert len(find(folder, masks=folder / "masks").headers) == 2
    assert len(find(folder).headers) == 3
    assert set(reads.values()) == {1}


def test_few_folders_are_remembered(tmp_path, dicom, reads):
    for k in range(FOLDERS + 1):
        dicom(tmp_path / f"{k}" / f"of{k}.dcm", PIXELS, PatientID="p")
        find(tmp_path / f"{k}")
    find(tmp_path / "0")
    find(tmp_path / f"{FOLDERS}")
    assert (reads["of0.dcm"], reads[f"of{FOLDERS}.dcm"]) == (2, 1)


def test_a_file_that_vanishes_meanwhile_is_unreadable(tmp_path, dicom, monkeypatch):
    hospital(tmp_path / "d", dicom, count=2)
    real = dicom_intake.list_files
    monkeypatch.setattr(
        dicom_intake, "list_files", lambda *a, **k: ([*real(*a, **k)[0], "gone.dcm"], real(*a, **k)[1])
    )
    found = find(tmp_path / "d")
    assert ("unreadable", "gone.dcm") in {(one.reason, one.subject) for one in found.exclusions}
