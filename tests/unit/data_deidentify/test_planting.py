"""Proof by planted identifiers: of thousands of markers none is in anything that leaves."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

from huizhen.data.deidentify.files import deidentify_file
from huizhen.data.deidentify.key import Pseudonymiser
from huizhen.data.deidentify.outcome import Fate
from huizhen.data.deidentify.planting import Markers, found_in, plant_file, searched
from huizhen.data.deidentify.policy import DeidPolicy

SYNTAXES = {
    "implicit": "1.2.840.10008.1.2",
    "explicit": "1.2.840.10008.1.2.1",
    "deflated": "1.2.840.10008.1.2.1.99",
    "big-endian": "1.2.840.10008.1.2.2",
}
OBJECTS = {
    "mr": "1.2.840.10008.5.1.4.1.1.4",
    "us": "1.2.840.10008.5.1.4.1.1.6.1",
    "sr": "1.2.840.10008.5.1.4.1.1.88.33",
    "pdf": "1.2.840.10008.5.1.4.1.1.104.1",
    "presentation": "1.2.840.10008.5.1.4.1.1.11.1",
}
PLAIN = {"safe_private": ["clean_descriptors", "modified_dates", "safe_private"], "basic": []}


def planted(
    make: Callable[..., Dataset], path: Path, markers: Markers, kind: str, syntax: str, depth: int
) -> None:
    """Write a phantom of one kind, full of markers."""
    data = make()
    data.SOPClassUID = OBJECTS[kind]
    if kind not in ("mr", "us"):
        del data.PixelData, data.Rows, data.Columns
    if kind == "pdf":
        data.MIMETypeOfEncapsulatedDocument = "application/pdf"
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = SYNTAXES[syntax]
    plant_file(data, path, markers, depth=depth)


@pytest.mark.parametrize(
    ("syntax", "options"),
    [*((syntax, "default") for syntax in SYNTAXES), ("explicit", "safe_private"), ("implicit", "basic")],
    ids=[*SYNTAXES, "safe-private", "basic"],
)
def test_no_marker_leaves_a_phantom(
    make: Callable[..., Dataset],
    tmp_path: Path,
    who: Pseudonymiser,
    policy: DeidPolicy,
    syntax: str,
    options: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    by = policy
    if options in PLAIN:
        by = DeidPolicy.model_validate({"options": PLAIN[options], "pixels": policy.pixels})
    markers, records = Markers(), ""
    for kind in OBJECTS:
        path = tmp_path / "in" / markers.text() / f"{markers.text()}.dcm"
        planted(make, path, markers, kind, syntax, depth=int(kind == "sr"))
        outcome = deidentify_file(path, tmp_path / "out", policy=by, who=who)
        assert outcome.fate is Fate.RELEASED, (kind, outcome.reason)
        records += repr(outcome)
    assert markers.count > 5000
    assert sum(n for _, n in searched(tmp_path / "in")) > 5000, "the search itself would find them"
    assert {str(path): n for path, n in searched(tmp_path / "out") if n} == {}
    said = capfd.readouterr()
    assert found_in((records + caplog.text + said.out + said.err).encode()) == 0


def test_comments_in_compressed_pixels_go(
    make: Callable[..., Dataset], tmp_path: Path, who: Pseudonymiser, policy: DeidPolicy
) -> None:
    jpeg = bytes.fromhex("ffd8ffe00010") + b"JFIF\0\1\1\0\0\1\0\1\0\0" + b"\xff\xfe\x00\x0cZQ000001XW"
    jpeg += (
        b"\xff\xe1\x00\x0eExZQ000002XW"
        + b"\xff\xda\x00\x02\x11\x22\xff\xfe\x00\x0cZQ000003XW\xff\xd9ZQ000004XW"
    )
    data = make()
    data.PixelData = encapsulate([jpeg])
    data["PixelData"].VR = "OB"
    data["PixelData"].is_undefined_length = True
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.50"
    pydicom.dcmwrite(tmp_path / "a.dcm", data, enforce_file_format=True)
    assert sum(n for _, n in searched(tmp_path)) >= 4
    outcome = deidentify_file(tmp_path / "a.dcm", tmp_path / "out", policy=policy, who=who)
    assert outcome.fate is Fate.RELEASED
    assert sum(n for _, n in searched(tmp_path / "out")) == 0
    assert len(pydicom.dcmread(tmp_path / "out" / outcome.place).PixelData) == len(data.PixelData)


@pytest.mark.realdata
def test_no_marker_leaves_a_sample_file(
    samples: list[Path], tmp_path: Path, who: Pseudonymiser, policy: DeidPolicy
) -> None:
    markers, released = Markers(), 0
    for source in samples:
        data = pydicom.dcmread(source, force=True)
        if "SOPClassUID" not in data or "TransferSyntaxUID" not in data.file_meta:
            continue
        data.Modality = data.get("Modality") or "OT"
        path = tmp_path / "in" / markers.text() / f"{source.stem}.dcm"
        plant_file(data, path, markers, depth=0)
        outcome = deidentify_file(path, tmp_path / "out", policy=policy, who=who)
        released += outcome.fate is Fate.RELEASED
        path.unlink()
    assert released >= 30
    assert markers.count > 5000
    assert {path.name: n for path, n in searched(tmp_path / "out") if n} == {}
