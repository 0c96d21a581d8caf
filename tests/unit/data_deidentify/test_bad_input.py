"""What else a raw export holds, and names that would lead elsewhere: refused, or made harmless."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from huizhen.data.deidentify.files import deidentify_file
from huizhen.data.deidentify.key import Pseudonymiser
from huizhen.data.deidentify.outcome import Fate, Outcome, Reason
from huizhen.data.deidentify.policy import DeidPolicy

Make = Callable[..., Dataset]
Write = Callable[..., Path]


@pytest.fixture
def run(tmp_path: Path, policy: DeidPolicy, who: Pseudonymiser) -> Callable[..., Outcome]:
    """Return a function that de-identifies one file."""

    def run(source: Path, *, by: DeidPolicy = policy) -> Outcome:
        return deidentify_file(source, tmp_path / "out", policy=by, who=who)

    return run


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"PK\x03\x04" + b"../../etc/passwd" * 20, Reason.ARCHIVE),
        (b"\x1f\x8b" + bytes(300), Reason.ARCHIVE),
        (bytes(257) + b"ustar" + bytes(200), Reason.ARCHIVE),
        (b"\x89PNG\r\n" + bytes(300), Reason.PICTURE),
        (b"\xff\xd8\xff\xe0" + bytes(300), Reason.PICTURE),
        (b"\x5c\x01" + bytes(342) + b"n+1\0", Reason.VOLUME),
        (b"%PDF-1.7" + bytes(300), Reason.DOCUMENT),
    ],
    ids=["zip", "gzip", "tar", "png", "jpeg", "nifti", "pdf"],
)
def test_what_else_an_export_holds(
    run: Callable[..., Outcome], tmp_path: Path, content: bytes, reason: Reason
) -> None:
    (tmp_path / "a.dcm").write_bytes(content)
    outcome = run(tmp_path / "a.dcm")
    assert (outcome.fate, outcome.reason) == (Fate.REFUSED, reason)
    assert [path.name for path in tmp_path.rglob("*")] == ["a.dcm"], "nothing is unpacked"


@pytest.mark.parametrize("uid", ["../../../escaped", "/etc/escaped", "1.2/../../x", "1.2.3\0/../x"])
@pytest.mark.parametrize("options", [["uids"], []], ids=["retained", "replaced"])
def test_uids_lead_nowhere_else(
    make: Make, write: Write, run: Callable[..., Outcome], tmp_path: Path, uid: str, options: list[str]
) -> None:
    data = make()
    source = write(data)
    wrong = uid.encode().ljust(16, b"\0")
    right = data.SOPInstanceUID.encode()
    head = struct.pack("<HH2sH", 0x0008, 0x0018, b"UI", len(right) + len(right) % 2)
    lie = struct.pack("<HH2sH", 0x0008, 0x0018, b"UI", len(wrong))
    whole = source.read_bytes()
    source.write_bytes(whole.replace(head + right + b"\0" * (len(right) % 2), lie + wrong))
    outcome = run(source, by=DeidPolicy.model_validate({"options": options}))
    assert outcome.fate is Fate.RELEASED
    inside = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*") if path.is_file()}
    assert inside == {"in", "out"}
    assert ".." not in outcome.place
    assert not Path(outcome.place).is_absolute()
