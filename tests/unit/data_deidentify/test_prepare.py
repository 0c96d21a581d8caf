"""A folder made ready: what leaves and what stays, resumed, taken back, and searched for markers."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset, FileMetaDataset

from huizhen.core.evidence import Verdict
from huizhen.core.progress import Silent
from huizhen.core.words import Language, load_words
from huizhen.data.deidentify.context import Rule
from huizhen.data.deidentify.journal import Journal
from huizhen.data.deidentify.key import KEY_FILE, Pseudonymiser, open_secret
from huizhen.data.deidentify.options import Option
from huizhen.data.deidentify.outcome import Fate, Reason
from huizhen.data.deidentify.planting import Markers, found_in, plant_file, searched
from huizhen.data.deidentify.policy import DeidPolicy, PixelPolicy
from huizhen.data.deidentify.prepare import (
    ACTIONS,
    IMAGES,
    PATIENTS,
    WAITING,
    Prepared,
    _write_patients,
    prepare,
)
from huizhen.data.deidentify.profile import Action
from huizhen.data.deidentify.report import evidence_of, report_of, write_report
from huizhen.data.readers.dicom_intake import find_headers
from huizhen.data.readers.interface import Located
from huizhen.errors import DataError, PolicyError, StorageError

Make = Callable[..., Dataset]
Write = Callable[..., Path]
Run = Callable[..., Prepared]


@pytest.fixture
def run(tmp_path: Path, policy: DeidPolicy, who: Pseudonymiser) -> Run:
    """Return a function that prepares `in` into `out`."""

    def run(**more: object) -> Prepared:
        given = {"state": tmp_path / "site", "policy": policy, "who": who, **more}
        return prepare(tmp_path / "in", tmp_path / "out", **given)  # type: ignore[arg-type]  # a test's own

    return run


def released(tmp_path: Path) -> list[Path]:
    """Return the files that were released."""
    return sorted((tmp_path / "out" / IMAGES).rglob("*.dcm"))


def test_what_one_file_cannot_tell(make: Make, write: Write, run: Run, tmp_path: Path) -> None:
    write(make(), "in/good.dcm")
    write(make(patient="1", study="1.5", instance="1.5.1"), "in/mixed1.dcm")
    write(make(patient="2", study="1.5", instance="1.5.2"), "in/mixed2.dcm")
    write(make(patient="3", study="1.6", instance="1.6.1"), "in/born1.dcm")
    born = make(patient="3", study="1.7", instance="1.7.1")
    born.PatientBirthDate = "19620518"
    write(born, "in/born2.dcm")
    (tmp_path / "in/sub").mkdir()
    (tmp_path / "in/sub/copy.dcm").write_bytes((tmp_path / "in/good.dcm").read_bytes())
    other = make()
    other.StudyDescription = "another"
    write(other, "in/other.dcm")
    (tmp_path / "in/notes.txt").write_text("Weber, Annemarie")
    (tmp_path / "in/out.dcm").symlink_to("/etc/hostname")
    (tmp_path / "in/again.dcm").symlink_to("good.dcm")
    made = run()
    assert dict(made.counts) == {Fate.RELEASED: 1, Fate.REFUSED: 7, Fate.QUEUED: 2}
    assert dict(made.reasons) == {
        (Fate.REFUSED, Reason.MIXED_PATIENTS): 2,
        (Fate.QUEUED, Reason.CONFLICTING_DEMOGRAPHICS): 2,
        (Fate.REFUSED, Reason.EXACT_DUPLICATE): 1,
        (Fate.REFUSED, Reason.DUPLICATE_ID): 1,
        (Fate.REFUSED, Reason.NOT_DICOM): 1,
        (Fate.REFUSED, Reason.LINK): 2,
    }
    assert len(released(tmp_path)) == 1
    waiting = [json.loads(line) for line in (tmp_path / "site" / WAITING).read_text().splitlines()]
    assert {line["file"] for line in waiting} >= {"born1.dcm", "sub/copy.dcm", "out.dcm"}
    table = (tmp_path / "site" / PATIENTS).read_text().splitlines()
    (name,) = {path.parts[-4] for path in released(tmp_path)}
    assert f"4711-0815,{name}" in table
    assert (tmp_path / "site" / PATIENTS).stat().st_mode & 0o777 == 0o600
    left = (tmp_path / "out" / ACTIONS).read_text()
    assert "born1" not in left
    assert left.count("\n") == 10


def test_a_killed_run_goes_on(
    make: Make, write: Write, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(6):
        write(make(study=f"1.{i}", instance=f"1.{i}.1"), f"in/{i}.dcm")
    from huizhen.data.deidentify import jobs as module

    whole, calls = module.deidentify_file, []

    def dies(source: Path, *given: object, **more: object) -> object:
        calls.append(source.name)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return whole(source, *given, **more)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(module, "deidentify_file", dies)
    with pytest.raises(KeyboardInterrupt):
        run()
    with next((tmp_path / "site").glob("*.jsonl")).open("ab") as stream:
        stream.write(b'{"file": "F-cut o')
    begun = released(tmp_path)[0].with_name(".half.part")
    begun.write_bytes(b"half")
    made = run()
    assert (made.known, made.files, len(released(tmp_path))) == (3, 6, 6)
    assert not begun.exists()
    before = {path: path.stat().st_mtime_ns for path in released(tmp_path)}
    assert run().known == 6
    assert {path: path.stat().st_mtime_ns for path in released(tmp_path)} == before
    released(tmp_path)[0].unlink()
    assert run().known == 5
    assert len(released(tmp_path)) == 6


def test_what_may_not_leave_any_more_is_taken_back(
    make: Make, write: Write, run: Run, tmp_path: Path
) -> None:
    write(make(), "in/a.dcm")
    assert run().counts[Fate.RELEASED] == 1
    write(make(patient="somebody else", instance="1.2.9"), "in/b.dcm")
    assert run().reasons == {(Fate.REFUSED, Reason.MIXED_PATIENTS): 2}
    assert released(tmp_path) == []
    (tmp_path / "in/b.dcm").unlink()
    assert run().counts == {Fate.RELEASED: 1}


def test_another_policy_or_key_needs_another_folder(
    make: Make, write: Write, run: Run, tmp_path: Path
) -> None:
    write(make(), "in/a.dcm")
    run()
    assert run().known == 1
    for other in ({"who": Pseudonymiser(secret=b"x" * 32)}, {"policy": DeidPolicy()}):
        with pytest.raises(DataError, match="another policy or another key"):
            run(**other)
    (tmp_path / "out/deid.json").write_text("x")
    with pytest.raises(DataError, match="damaged"):
        run()


def test_a_folder_with_files_of_somebody_else_is_left_alone(
    make: Make, write: Write, run: Run, tmp_path: Path
) -> None:
    write(make(), "in/a.dcm")
    theirs = write(make(), "out/images/2025/old.dcm")
    for _ in range(2):
        with pytest.raises(DataError, match="no preparation wrote") as told:
            run()
    assert told.value.file == "out"
    assert theirs.exists()
    theirs.rename(tmp_path / "old.dcm")
    (tmp_path / "out/images/2025").rmdir()
    (tmp_path / "out/images").rmdir()
    (tmp_path / "out/.DS_Store").write_bytes(b"")
    assert run().counts == {Fate.RELEASED: 1}


def test_waiting_names_files_as_people_write_them(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/说明.txt").write_text("x")
    (tmp_path / os.fsdecode(b"in/\xff.txt")).write_text("x")
    run()
    text = (tmp_path / "site" / WAITING).read_text(encoding="utf-8")
    assert "说明.txt" in text
    assert {json.loads(line)["file"] for line in text.splitlines()} == {"说明.txt", os.fsdecode(b"\xff.txt")}


def test_two_runs_at_once_are_kept_apart(make: Make, write: Write, run: Run, tmp_path: Path) -> None:
    write(make(), "in/a.dcm")
    run()
    journal = Journal(path=next((tmp_path / "site").glob("*-*.jsonl")))
    with journal.appending(), pytest.raises(StorageError, match="under way"):
        run()


@pytest.mark.parametrize(
    ("out", "state"), [("in/out", "site"), ("out", "in/site"), (".", "site"), ("out", "out/site")]
)
def test_folders_are_kept_apart(
    make: Make, write: Write, tmp_path: Path, policy: DeidPolicy, who: Pseudonymiser, out: str, state: str
) -> None:
    write(make(), "in/a.dcm")
    with pytest.raises(DataError, match="lies in the folder"):
        prepare(tmp_path / "in", tmp_path / out, state=tmp_path / state, policy=policy, who=who)


def test_an_absent_folder(run: Run) -> None:
    with pytest.raises(DataError, match="no such folder"):
        run()


def test_names_of_files_may_be_anything(make: Make, write: Write, run: Run, tmp_path: Path) -> None:
    odd = [
        os.fsdecode(b"in/\xff\xfe.dcm"),
        "in/a\nb.dcm",
        "in/$(touch x)/;.dcm",
        "in/\u202eabc.dcm",
        "in/...dcm",
    ]
    for i, name in enumerate(odd):
        write(make(study=f"1.{i}", instance=f"1.{i}.1"), name)
    (tmp_path / "in" / os.fsdecode(b"\xff.txt")).write_text("Weber")
    assert run().counts == {Fate.RELEASED: 4, Fate.REFUSED: 1}, "hidden files are passed over"
    plain = set("P-0123456789abcdefimages/.dcm")
    assert all(set(str(path.relative_to(tmp_path / "out"))) <= plain for path in released(tmp_path))
    (waiting,) = (tmp_path / "site" / WAITING).read_text().splitlines()
    assert json.loads(waiting)["file"] == os.fsdecode(b"\xff.txt")


def test_what_is_released_is_a_source_for_studies(make: Make, write: Write, run: Run, tmp_path: Path) -> None:
    for i in range(3):
        write(make(study=f"1.{i}", instance=f"1.{i}.1"), f"in/{i}.dcm")
    run()
    place = Located(site="north", index=0, path=tmp_path / "out" / IMAGES)
    found = find_headers(place, wanted="MR", progress=Silent(), about="")
    assert found.exclusions == ()
    assert len(found.headers) == 3
    assert {header.patient for header in found.headers} == {released(tmp_path)[0].parts[-4]}


def test_no_marker_is_in_anything_that_leaves(
    make: Make,
    run: Run,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    markers = Markers()
    for i in range(6):
        data = make()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
        path = tmp_path / "in" / markers.text() / f"{markers.text()}.dcm"
        plant_file(data, path, markers, depth=int(i == 1))
        if i == 0:
            path.write_bytes(path.read_bytes()[:3000])
    made = run()
    assert made.counts == {Fate.RELEASED: 5, Fate.REFUSED: 1}
    assert markers.count > 5000
    for language in Language:
        write_report(made, tmp_path / "out", language)
        assert {str(path): n for path, n in searched(tmp_path / "out") if n} == {}
    said = capfd.readouterr()
    rest = [caplog.text, said.out, said.err, repr(made), repr(evidence_of(made))]
    rest += [path.read_text() for path in (tmp_path / "site").glob("*-*.jsonl")]
    assert found_in("".join(rest).encode()) == 0


def test_an_absent_engine_ends_the_run_before_it_begins(
    make: Make, write: Write, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(make(), "in/a.dcm")
    monkeypatch.setitem(sys.modules, "rapidocr_onnxruntime", None)
    with pytest.raises(PolicyError, match="isn't installed"):
        run(policy=DeidPolicy(pixels=PixelPolicy(inspect="ocr")))
    assert not (tmp_path / "out").exists()


def test_text_in_an_image_is_blackened_by_the_whole_command(
    make: Make, write: Write, run: Run, tmp_path: Path
) -> None:
    drawn = Image.new("L", (360, 120), 40)
    ImageDraw.Draw(drawn).text((20, 30), "WEBER^ANNEMARIE", fill=230, font=ImageFont.load_default(22))
    data = make()
    data.Modality, data.Rows, data.Columns = "US", 120, 360
    data.PixelData = drawn.tobytes()
    write(data, "in/a.dcm")
    plain = make(study="1.9", instance="1.9.1")
    write(plain, "in/b.dcm")
    made = run(policy=DeidPolicy(pixels=PixelPolicy(inspect="ocr", look_at="risky")))
    assert made.counts == {Fate.RELEASED: 2}
    assert (made.pixels.by_ocr, made.pixels.blackened, made.pixels.unseen) == (1, 1, 1)
    images = [pydicom.dcmread(path).pixel_array for path in released(tmp_path)]
    (image,) = [one for one in images if one.shape == (120, 360)]
    assert image.max() == 40
    assert evidence_of(made)[1].detail["blackened"] == 1


def test_the_report(make: Make, write: Write, run: Run, tmp_path: Path) -> None:
    data = make()
    for creator, group in (("SIEMENS CSA HEADER", 0x0029), ("Clinic of Weber", 0x0031)):
        block = data.private_block(group, creator, create=True)
        for i in range(5):
            block.add_new(i, "LO", f"private {i}")
    write(data, "in/a.dcm")
    (tmp_path / "in/notes.txt").write_text("Weber")
    made = run()
    page = write_report(made, tmp_path / "out", Language.EN).read_text()
    assert "1 file of 1 patient may leave." in page
    assert "1 image left though nobody looked at it" in page
    assert "OCR missed is not known" not in page, "OCR never ran"
    assert report_of(made)["private"] == [
        {"creator": "SIEMENS CSA HEADER", "action": "X", "attributes": 6, "elements": 6},
        {"creator": "", "action": "X", "attributes": 6, "elements": 6},
    ]
    assert "Weber" not in page + (tmp_path / "out/actions.jsonl").read_text()
    assert "xx10" not in page
    assert "PatientName" in page
    assert "DICOM PS3.15 2024e" in page
    assert "放行" in write_report(made, tmp_path / "out", Language.ZH).read_text()
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["held"] == [{"fate": "refused", "reason": "not_dicom", "files": 1}]
    evidence, pixels, audit = evidence_of(made)
    assert (pixels.key, pixels.estimate) == ("deidentification/pixels", 0.0)
    assert pixels.detail["unseen"] == 1
    assert audit.verdict is Verdict.NOT_ASSESSED
    assert (evidence.estimate, evidence.n, evidence.unit) == (1.0, 2, "file")
    assert evidence.detail["standard"] == "DICOM PS3.15 2024e, Annex E, Table E.1-1"


def test_every_word_of_the_report_is_there() -> None:
    for language in Language:
        words = load_words("huizhen.data.deidentify", language)
        wanted = {f"option.{option.value}" for option in Option} | {f"rule.{rule.value}" for rule in Rule}
        wanted |= {f"fate.{fate.value}" for fate in Fate} | {f"reason.{reason.value}" for reason in Reason}
        wanted |= {f"action.{action.value}" for action in Action}
        assert wanted <= set(words)
    assert set(load_words("huizhen.data.deidentify", Language.EN)) == set(
        load_words("huizhen.data.deidentify", Language.ZH)
    )


def test_the_secret_is_its_owners_alone(tmp_path: Path) -> None:
    secret = open_secret(tmp_path)
    path = tmp_path / KEY_FILE
    assert open_secret(tmp_path) == secret
    assert path.stat().st_mode & 0o777 == 0o600
    assert secret.hex() not in repr(Pseudonymiser(secret=secret))
    path.chmod(0o644)
    with pytest.raises(StorageError, match="may be read by others"):
        open_secret(tmp_path)
    path.chmod(0o600)
    path.write_text("short")
    with pytest.raises(StorageError, match="damaged"):
        open_secret(tmp_path)


def test_no_spreadsheet_takes_a_patients_id_for_a_formula(tmp_path: Path) -> None:
    _write_patients(tmp_path / "patients.csv", {"=1+1", "4711"}, Pseudonymiser(secret=b"k" * 32))
    rows = (tmp_path / "patients.csv").read_text(encoding="utf-8").splitlines()
    assert [row.split(",")[0] for row in rows] == ["patient", "4711", "'=1+1"]
