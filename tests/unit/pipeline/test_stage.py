"""Stages are whole or absent, made once, and enter the ledger once, whatever happens in between."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import huizhen
from huizhen.core.digests import digest_value
from huizhen.core.evidence import Evidence
from huizhen.core.files import write_json, write_text
from huizhen.errors import StageError, StorageError
from huizhen.ledger.log import Log
from huizhen.pipeline.stage import ARTEFACTS, Made, Run, artefacts, study_part

Body = Callable[[Path], Made]


def body(folder: Path) -> Made:
    """Write a private file and two public ones; say three things."""
    write_json(folder / "private.json", [1.5, None])
    write_text(folder / ARTEFACTS / "b.txt", "b")
    write_text(folder / ARTEFACTS / "deep" / "a.txt", "a")
    evidence = [
        Evidence(key=f"count/{i}", metric="count", stage="s", estimate=i, descriptive=True) for i in (1, 2)
    ]
    return Made(evidence=evidence, entries=[("lock", {"model_digest": "d"})])


def never(folder: Path) -> Made:
    raise AssertionError("the body ran again")


def kinds(log: Log) -> list[str]:
    return [entry.kind for entry in log.entries]


def below(folder: Path) -> list[Path]:
    return list(folder.rglob("*")) if folder.exists() else []


def test_a_stage_enters_what_it_says_then_its_files_then_itself(run: Run) -> None:
    stage = run.stage("s", ["input"], body, made_from={})
    assert kinds(run.log) == ["lock", "evidence", "evidence", "artefact", "artefact", "stage"]
    assert [e.body["path"] for e in run.log.entries if e.kind == "artefact"] == ["b.txt", "deep/a.txt"]
    assert run.log.entries[-1].body["digest"] == stage.digest
    assert len(run.log.heads) == 1  # one commit
    assert stage.read("private.json") == [1.5, None]


def test_the_second_call_does_not_run_the_body_nor_enter_anything(run: Run) -> None:
    first = run.stage("s", ["input"], body, made_from={})
    size = run.log.size
    assert run.stage("s", ["input"], never, made_from={}) == first
    assert run.log.size == size


def test_another_process_finds_it_too(bench: Any) -> None:
    with (one := bench.open()).log:
        first, size = one.stage("s", ["input"], body, made_from={}), one.log.size
    with (other := bench.open()).log:
        assert other.stage("s", ["input"], never, made_from={}) == first
        assert other.log.size == size


@pytest.mark.parametrize(("name", "inputs"), [("s", ["other"]), ("s", [["input"]]), ("t", ["input"])])
def test_other_inputs_or_another_name_are_another_stage(run: Run, name: str, inputs: list[object]) -> None:
    first, other = run.stage("s", ["input"], body, made_from={}), run.stage(name, inputs, body, made_from={})
    assert first.digest != other.digest
    assert first.folder != other.folder
    assert kinds(run.log).count("stage") == 2


def test_another_version_is_another_stage(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run.stage("s", [], body, made_from={})
    monkeypatch.setattr(huizhen, "__version__", "99")
    assert run.stage("s", [], body, made_from={}).digest != first.digest


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(1)])
def test_a_body_that_raises_leaves_nothing(run: Run, error: BaseException) -> None:
    def half(folder: Path) -> Made:
        body(folder)
        raise error

    with pytest.raises(type(error)):
        run.stage("s", [], half, made_from={})
    assert below(run.folder / "stages") == []
    assert run.log.size == 0
    run.stage("s", [], body, made_from={})
    assert kinds(run.log)[-1] == "stage"


def test_a_full_disk_in_the_body_is_a_storage_error(run: Run) -> None:
    def full(folder: Path) -> Made:
        raise OSError(28, os.strerror(28))

    with pytest.raises(StorageError, match="No space left") as caught:
        run.stage("s", [], full, made_from={})
    assert "free space" in caught.value.remedy
    assert below(run.folder / "stages") == []


def test_evidence_that_no_ledger_takes_leaves_no_stage(run: Run) -> None:
    def nan(folder: Path) -> Made:
        bad = Evidence(key="k", metric="m", stage="s", detail={"x": float("nan")})
        return Made(evidence=[bad])

    with pytest.raises(ValueError, match="JSON"):
        run.stage("s", [], nan, made_from={})
    assert below(run.folder / "stages") == []
    assert run.log.size == 0


def test_killed_before_the_ledger_a_stage_is_entered_later(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is there, the commit never came: the next run enters it without making it again."""
    first = bench.open()
    with monkeypatch.context() as patch:
        patch.setattr(Log, "commit", lambda self: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            first.stage("s", [], body, made_from={})
    first.log.close()
    with (later := bench.open()).log:
        assert later.log.size == 0
        later.stage("s", [], never, made_from={})
        assert kinds(later.log) == ["lock", "evidence", "evidence", "artefact", "artefact", "stage"]


def test_what_a_killed_run_left_is_cleared_when_the_stage_is_made(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", lambda *args, **kwargs: None)  # as if killed: nothing tidies up
        with pytest.raises(KeyboardInterrupt):
            run.stage("s", [], lambda folder: (_ for _ in ()).throw(KeyboardInterrupt()), made_from={})
    [left] = (run.folder / "stages").iterdir()
    assert left.name.endswith(".part")
    stage = run.stage("s", [], body, made_from={})
    assert list((run.folder / "stages").iterdir()) == [stage.folder]


def test_a_folder_that_holds_another_stages_record_is_refused(run: Run) -> None:
    """Half of the digest names the folder; the record holds all of it."""
    digest = digest_value({"stage": "s", "inputs": [], "version": huizhen.__version__})
    folder = run.folder / "stages" / f"s-{digest[:16]}"
    write_json(folder / "stage.json", {"digest": digest[:16] + "0" * 48, "entries": [], "evidence": []})
    with pytest.raises(StageError, match="another stage") as caught:
        run.stage("s", [], never, made_from={})
    assert caught.value.file == str(folder)
    assert run.log.size == 0


def test_the_ledger_says_what_a_stage_was_made_from(run: Run) -> None:
    first = run.stage("s", ["input"], body, made_from=study_part(run.study, "seed", "task"))
    run.stage("t", ["input"], body, made_from={"s": first.digest, "a file": digest_value("content")})
    [one, other] = [entry.body["inputs"] for entry in run.log.entries if entry.kind == "stage"]
    part = run.study.model_dump(mode="json", include={"seed", "task"})
    assert one == [{"what": "study: seed, task", "digest": digest_value(part)}]
    assert other == [
        {"what": "s", "digest": first.digest},
        {"what": "a file", "digest": digest_value("content")},
    ]


def test_a_stage_entered_later_says_what_it_was_made_from_then(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bench.open()
    with monkeypatch.context() as patch:
        patch.setattr(Log, "commit", lambda self: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            first.stage("s", [], body, made_from={"then": digest_value(1)})
    first.log.close()
    with (later := bench.open()).log:
        later.stage("s", [], never, made_from={"now": digest_value(2)})
        assert [one["what"] for one in later.log.entries[-1].body["inputs"]] == ["then"]


def test_names_of_models_make_plain_folder_names(run: Run) -> None:
    stage = run.stage("fit/single:MG/fold0/member0", [], body, made_from={})
    assert stage.folder.parent == run.folder / "stages"
    assert stage.folder.name.startswith("fit-single-MG-fold0-member0-")


def test_artefacts_are_listed_with_digest_and_size(run: Run) -> None:
    found = dict(artefacts(run.stage("s", [], body, made_from={})))
    assert list(found) == ["b.txt", "deep/a.txt"]
    assert found["b.txt"]["size"] == 1
    assert found["b.txt"]["sha256"].startswith("3e23e816")
    assert artefacts(run.stage("t", [], lambda folder: Made(), made_from={})) == []
