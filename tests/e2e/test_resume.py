"""SIGKILL at any moment, run again: the same numbers, bit for bit.

A driver that has imported everything once forks a process a run, so that what is killed is a real process and
not its start-up. One study is killed at random moments, the other at its renames and flushes to the disk,
where what is half-written would show.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from huizhen.dossier.verification import verify_dossier
from huizhen.ledger.log import Log
from huizhen.ledger.signing import SigningKey

ROOT = Path(__file__).resolve().parents[2]
LEAST_KILLS = 10

DRIVER = """
import json, os, signal, sys, traceback
from pathlib import Path

import highdicom, scipy.optimize, sklearn.linear_model, sklearn.metrics, torch._dynamo
import huizhen.explain.dicom_export, huizhen.train.fit
from huizhen.core.progress import Silent
from huizhen.core.words import Language
from huizhen.pipeline.run import run_study


def count(limit):
    "Count renames and flushes; kill this process before or after the one of number `limit`."
    calls = [0]

    def counted(real):
        def call(*args, **kwargs):
            calls[0] += 1
            if calls[0] == limit and limit % 2:
                os.kill(os.getpid(), signal.SIGKILL)
            done = real(*args, **kwargs)
            if calls[0] == limit:
                os.kill(os.getpid(), signal.SIGKILL)
            return done

        return call

    os.replace, os.fsync = counted(os.replace), counted(os.fsync)
    return calls


def child(order):
    huizhen.train.fit.CHECKPOINT_EVERY_S = -1.0  # after every epoch
    calls = count(order["kill_at"])
    study = Path(order["study"])
    result = run_study(
        study,
        out=Path(order["out"]),
        data_root=None,
        home=study.parent / "home",
        progress=Silent(),
        language=Language.EN,
    )
    answer = {"dossier": str(result.dossier), "key_id": result.key_id, "calls": calls[0]}
    Path(order["answer"]).write_text(json.dumps(answer))


for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            child(json.loads(line))
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@dataclass
class Driver:
    """Runs a study in a process of its own, which can be killed."""

    process: subprocess.Popen[str]
    study: Path

    def run(self, out: Path, *, kill_after_s: float | None = None, kill_at: int = 0) -> bool:
        """Run once; return whether it ended by itself, False when it was killed. Fails when it fails."""
        answer = self.study.parent / "answer.json"
        order = {"study": str(self.study), "out": str(out), "kill_at": kill_at, "answer": str(answer)}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        pid = int(self._line())
        assert self.process.stdout is not None
        if kill_after_s is not None and not select.select([self.process.stdout], [], [], kill_after_s)[0]:
            os.kill(pid, signal.SIGKILL)
        code = int(self._line())
        assert code in (0, -signal.SIGKILL), f"the run ended with {code}; see stderr"
        return code == 0

    @property
    def answer(self) -> dict[str, Any]:
        """What the last run that ended by itself said."""
        record: dict[str, Any] = json.loads((self.study.parent / "answer.json").read_text())
        return record

    def _line(self) -> str:
        assert self.process.stdout is not None
        # unbuffered reading, or `select` would not see what already lies in Python's buffer
        found = b""
        while not found.endswith(b"\n"):
            byte = os.read(self.process.stdout.fileno(), 1)
            assert byte, "the driver ended"
            found += byte
        return found.decode()


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[Callable[[Path], Driver]]:
    """Return a function that starts a driver for a study file."""
    started: list[subprocess.Popen[str]] = []

    def start(study: Path) -> Driver:
        process = subprocess.Popen(
            [sys.executable, "-c", DRIVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"},
        )
        started.append(process)
        return Driver(process=process, study=study)

    yield start
    for process in started:
        process.kill()
        process.communicate()


def told(out: Path, key: SigningKey) -> list[tuple[str, Any]]:
    """Return all that a run's ledger says, without times and without files that hold the time of the lock."""
    with Log.open(out / "ledger", key) as log:
        entries = [(entry.kind, dict(entry.body)) for entry in log.entries]
    kept: list[tuple[str, Any]] = []
    for kind, body in entries:
        if kind == "stage":
            body.pop("seconds")
        if kind == "artefact" and body["path"].endswith(".dcm"):
            body = {"path": body["path"]}
        kept.append((kind, body))
    return kept


def files(out: Path) -> dict[str, bytes]:
    """Return the content of what must come out the same: predictions, decisions, weights, overlays."""
    wanted = ("*.csv", "decisions.json", "tune.json", "*.safetensors", "*.png", "card.json")
    found = [path for pattern in wanted for path in (out / "stages").rglob(pattern)]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in found}


def whole(out: Path) -> None:
    """Check what a kill left: everything under a final name can be read whole."""
    for stage in (out / "stages").glob("*"):
        if not stage.name.endswith(".part"):
            record = json.loads((stage / "stage.json").read_text())
            assert stage.name.endswith(record["digest"][:16])
    for dossier in out.glob("dossier-*"):
        verify_dossier(dossier)


def assert_same_as_undisturbed(driver: Driver, disturbed: Path, undisturbed: Path) -> None:
    key = SigningKey.create_or_load(driver.study.parent / "home" / "signing_key.pem")
    whole(disturbed)
    one, other = told(disturbed, key), told(undisturbed, key)
    assert [kind for kind, _ in one] == [kind for kind, _ in other]
    for ours, theirs in zip(one, other, strict=True):
        assert ours == theirs
    evidence = [body["key"] for kind, body in one if kind == "evidence"]
    assert len(evidence) == len(set(evidence)) > 30
    mine, yours = files(disturbed), files(undisturbed)
    assert set(mine) == set(yours)
    assert [name for name in mine if mine[name] != yours[name]] == []
    assert sum("/predictions_" in name for name in mine) == 4  # before and after outcomes were opened
    assert list((disturbed / "stages").glob(".*")) == []  # what kills left there is cleared
    [dossier] = disturbed.glob("dossier-*")
    verify_dossier(dossier, expected_key_id=driver.answer["key_id"])
    assert [path for path in dossier.rglob("*") if ".part" in path.name] == []


class Patience:
    """Lets a run live longer each time that it could add nothing, so that any machine comes to the end."""

    def __init__(self, out: Path) -> None:
        self.out, self.factor, self.before = out, 1.0, set[tuple[str, int]]()

    def look(self) -> None:
        """See whether the killed run left something that the next one can build on."""
        kept = [p for part in ("stages", "checkpoints", "cache") for p in (self.out / part).rglob("*")]
        now = {(str(p), p.stat().st_mtime_ns) for p in kept if p.is_file() and ".part" not in str(p)}
        self.factor = 1.0 if now != self.before else self.factor * 1.4
        self.before = now


@pytest.mark.slow
def test_killed_at_random_moments(
    blobs: Callable[..., Any], drive: Callable[[Path], Driver], tmp_path: Path
) -> None:
    """Frozen encoders, two folds: cached features, two fits of each model, calibration in each fold."""
    study = blobs(split='method = "folds"\nfolds = 2\ntune = 0.25', training="epochs = 3")
    driver = drive(study.write(tmp_path / "study"))
    assert driver.run(tmp_path / "warm-up")  # pays for what the first run on this machine pays for
    started = time.monotonic()
    assert driver.run(tmp_path / "undisturbed")
    took_s = time.monotonic() - started
    rng, kills = random.Random(17), 0
    while kills < LEAST_KILLS:  # once, but where the machine stood still while a run went on
        out = tmp_path / f"disturbed-{kills}"
        patience = Patience(out)
        while not driver.run(out, kill_after_s=took_s * rng.uniform(0, 0.09) * patience.factor):
            kills += 1
            patience.look()
            whole(out)
        assert_same_as_undisturbed(driver, out, tmp_path / "undisturbed")


@pytest.mark.slow
def test_killed_at_renames_and_flushes(
    blobs: Callable[..., Any], drive: Callable[[Path], Driver], tmp_path: Path
) -> None:
    """Fine-tuning with averaged weights and a checkpoint an epoch, killed right before and after them."""
    training = 'mode = "finetune"\nepochs = 2\naverage_weights = 0.9'
    driver = drive(blobs(variants='"cman"', training=training).write(tmp_path / "study"))
    assert driver.run(tmp_path / "undisturbed")
    calls = driver.answer["calls"]
    assert calls > 60
    rng, kills, patience = random.Random(23), 0, Patience(tmp_path / "disturbed")
    while not driver.run(tmp_path / "disturbed", kill_at=rng.randint(2, int(calls / 8 * patience.factor))):
        kills += 1
        patience.look()
        whole(tmp_path / "disturbed")
    assert kills >= LEAST_KILLS, f"{kills} kills over {calls} renames and flushes"
    assert_same_as_undisturbed(driver, tmp_path / "disturbed", tmp_path / "undisturbed")
