"""Several processes: the same bytes and the same journal as one, limits of time, processes that end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from huizhen.data.deidentify import jobs as module
from huizhen.data.deidentify.decisions import UNSAID, Said
from huizhen.data.deidentify.jobs import Job, Setup, done_by_processes, done_here
from huizhen.data.deidentify.key import Pseudonymiser
from huizhen.data.deidentify.outcome import Fate, Reason
from huizhen.data.deidentify.policy import DeidPolicy
from huizhen.data.deidentify.prepare import prepare
from huizhen.data.deidentify.regions import Inspection, Region
from huizhen.errors import StorageError

Make = Callable[..., Dataset]
Write = Callable[..., Path]


@pytest.fixture
def setup(tmp_path: Path, policy: DeidPolicy, who: Pseudonymiser) -> Setup:
    """A setup over `in` and `out`."""
    return Setup(folder=tmp_path / "in", images=tmp_path / "out", policy=policy, who=who)


def content(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def test_processes_write_what_one_does_and_in_its_order(
    make: Make,
    write: Write,
    tmp_path: Path,
    policy: DeidPolicy,
    who: Pseudonymiser,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("huizhen.data.deidentify.prepare._LEAST_FILES", {"none": 20})
    for i in range(60):
        write(make(study=f"1.{i}", instance=f"1.{i}.1"), f"in/{i:02d}.dcm")
    (tmp_path / "in/07.dcm").write_bytes((tmp_path / "in/07.dcm").read_bytes()[:-3])
    results = []
    for name, processes in (("one", 1), ("two", 2)):
        out, state = tmp_path / name / "out", tmp_path / name / "state"
        made = prepare(tmp_path / "in", out, state=state, policy=policy, who=who, processes=processes)
        journal = next(state.glob("*-*.jsonl")).read_text().splitlines()
        results.append((made.counts, content(out / "images"), (out / "actions.jsonl").read_text(), journal))
    assert results[0] == results[1]
    assert results[0][0] == {Fate.RELEASED: 59, Fate.REFUSED: 1}
    again = prepare(
        tmp_path / "in",
        tmp_path / "two/out",
        state=tmp_path / "two/state",
        policy=policy,
        who=who,
        processes=2,
    )
    assert again.known == 59


def test_a_job_survives_the_way_to_a_process() -> None:
    seen = Inspection(sure=True, regions=(Region(top=1, bottom=2, left=3, right=4),), how="person")
    for said in (UNSAID, Said(refused=True), Said(head=True, pixels=seen)):
        job = Job(file=os.fsdecode(b"a\xff\n.dcm"), name="F-1", mark="1-2", said=said)
        assert Job.from_json(job.to_json()) == job


def test_what_takes_too_long_is_refused(
    make: Make, write: Write, setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(3):
        write(make(study=f"1.{i}", instance=f"1.{i}.1"), f"in/{i}.dcm")
    whole = module.deidentify_file

    def slow(source: Path, *given: object, **more: object) -> object:
        if source.name == "1.dcm":
            time.sleep(30)
        return whole(source, *given, **more)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(module, "deidentify_file", slow)
    brief = Setup(
        folder=setup.folder,
        images=setup.images,
        policy=setup.policy.model_copy(update={"seconds_per_file": 1}),
        who=setup.who,
    )
    start = time.monotonic()
    made = list(done_here(brief, [Job(file=f"{i}.dcm", name=f"F-{i}", mark="") for i in range(3)]))
    assert [one.outcome.reason for one in made] == [None, Reason.TOO_SLOW, None]
    assert time.monotonic() - start < 20
    assert not list(setup.images.rglob("*.part"))


def ends(line: object, *given: object) -> None:
    """Serve as a process that ends at its second file, as a decoder might."""
    import json

    line.send_bytes(b"ready")  # type: ignore[attr-defined]  # a connection
    setup = Setup(
        folder=Path(str(given[0])),
        images=Path(str(given[1])),
        policy=DeidPolicy.model_validate_json(str(given[2])),
        who=Pseudonymiser(secret=given[3]),  # type: ignore[arg-type]  # bytes
    )
    while True:
        job = Job.from_json(json.loads(line.recv_bytes()))  # type: ignore[attr-defined]  # a connection
        if job.file == "1.dcm":
            os._exit(9)
        line.send_bytes(json.dumps(setup.do(job).to_json()).encode())  # type: ignore[attr-defined]  # a connection


def never(line: object, *given: object) -> None:
    """Serve as a process that can't begin."""
    os._exit(3)


def hangs(line: object, *given: object) -> None:
    """Serve as a process that begins a file and never ends it."""
    line.send_bytes(b"ready")  # type: ignore[attr-defined]  # a connection
    time.sleep(60)


def test_a_process_that_ends_costs_its_file_only(
    make: Make, write: Write, setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(4):
        write(make(study=f"1.{i}", instance=f"1.{i}.1"), f"in/{i}.dcm")
    monkeypatch.setattr(module, "_serve", ends)
    jobs = [Job(file=f"{i}.dcm", name=f"F-{i}", mark="") for i in range(4)]
    made = list(done_by_processes(setup, jobs, processes=1))
    assert [one.file for one in made] == ["F-0", "F-1", "F-2", "F-3"]
    assert [one.outcome.reason for one in made] == [None, Reason.TOO_SLOW, None, None]


def test_a_process_that_cannot_begin_ends_the_run(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_serve", never)
    with pytest.raises(StorageError, match="can't be started"):
        list(done_by_processes(setup, [Job(file="0.dcm", name="F-0", mark="")], processes=2))


def test_a_process_that_hangs_is_ended(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_serve", hangs)
    monkeypatch.setattr(module, "_GRACE_S", 0.2)
    brief = Setup(
        folder=setup.folder,
        images=setup.images,
        policy=setup.policy.model_copy(update={"seconds_per_file": 1}),
        who=setup.who,
    )
    (made,) = done_by_processes(brief, [Job(file="0.dcm", name="F-0", mark="")], processes=1)
    assert made.outcome.reason is Reason.TOO_SLOW


def test_what_cannot_be_written_is_said(make: Make, write: Write, setup: Setup) -> None:
    write(make(), "in/0.dcm")
    setup.images.write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="can't be written"):
        list(done_by_processes(setup, [Job(file="0.dcm", name="F-0", mark="")], processes=1))
