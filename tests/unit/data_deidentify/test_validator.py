"""dciodvfy, the validator of Debian's dicom3tools, finds no error in a copy that the original hadn't."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pydicom
import pytest

from huizhen.data.deidentify.files import deidentify_file
from huizhen.data.deidentify.key import Pseudonymiser
from huizhen.data.deidentify.policy import DeidPolicy
from huizhen.data.readers.dicom_headers import quiet

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(
        shutil.which("dciodvfy") is None and "HUIZHEN_REQUIRE_OPTIONAL" not in os.environ,
        reason="dciodvfy (package dicom3tools) is not installed",
    ),
]
LARGEST = 400_000
"""Bytes: the validator reads every pixel, and a kind of object is among the smaller files too."""

OPTIONS = {
    "basic": [],
    "default": ["clean_descriptors", "clean_structured_content", "clean_graphics", "modified_dates"],
    "retain": ["device", "institution", "patient_characteristics", "full_dates", "uids", "safe_private"],
}


def errors_of(path: Path) -> Counter[str]:
    """Return the validator's errors, without the values in them."""
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, timeout=60, check=False)
    said = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
    return Counter(re.sub(r"(?<=UID )[\d.]+|<[^>]*>$", "", line) for line in said if line.startswith("Error"))


@pytest.mark.parametrize("options", list(OPTIONS))
def test_no_new_errors(
    samples: list[Path], tmp_path: Path, who: Pseudonymiser, policy: DeidPolicy, options: str
) -> None:
    by = DeidPolicy.model_validate({"options": OPTIONS[options], "pixels": policy.pixels})
    new: dict[str, Counter[str]] = {}
    checked = 0
    for source in (path for path in samples if path.stat().st_size < LARGEST):
        path = source
        with quiet():
            data = pydicom.dcmread(source, force=True)
            if "SOPClassUID" in data and not data.get("PatientID"):
                data.PatientID, path = "4711", tmp_path / source.name
                data.save_as(path)
        outcome = deidentify_file(path, tmp_path / "out", policy=by, who=who)
        if outcome.place:
            checked += 1
            found = errors_of(tmp_path / "out" / outcome.place) - errors_of(path)
            new |= {source.name: found} if found else {}
    assert checked >= 24
    assert new == {}
