"""What runs in a job: the executor at a site, and its lock on the site's folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("nvflare")
from nvflare.apis.fl_constant import FLContextKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.apis.signal import Signal

from huizhen.errors import FederationError, StorageError
from huizhen.federate.engines.flare_controller import FRAME, TASK, FrameController
from huizhen.federate.engines.flare_executor import SiteExecutor, load_settings
from huizhen.federate.engines.flare_provision import SETTINGS
from huizhen.federate.site.lock import alone


class Counting:
    """A worker that counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def answer(self, frame: bytes) -> bytes:
        self.asked.append(frame)
        if frame == b"full":
            raise StorageError("the disk is full", remedy="free space")
        return b"answer to " + frame


def task(executor: SiteExecutor, frame: object, number: str, name: str = TASK) -> Shareable:
    data, context = Shareable(), FLContext()
    data[FRAME] = frame
    context.set_prop(FLContextKey.TASK_ID, number, private=True, sticky=False)
    return executor.execute(name, data, context, Signal())


@pytest.fixture
def executor() -> SiteExecutor:
    executor = SiteExecutor()
    executor._worker = Counting()
    return executor


def test_a_task_brought_twice_is_done_once(executor: SiteExecutor) -> None:
    assert task(executor, b"a", "1")[FRAME] == task(executor, b"a", "1")[FRAME] == b"answer to a"
    assert executor._worker.asked == [b"a"]
    task(executor, b"a", "2")
    assert executor._worker.asked == [b"a", b"a"]


@pytest.mark.parametrize("wrong", [{"frame": "text"}, {"frame": None}, {"frame": b"a", "name": "train"}])
def test_what_is_no_frame_is_not_answered(executor: SiteExecutor, wrong) -> None:
    reply = task(executor, wrong["frame"], "1", wrong.get("name", TASK))
    assert reply.get_return_code() == ReturnCode.BAD_TASK_DATA
    assert executor._worker.asked == []


def test_what_cannot_be_noted_does_not_leave(executor: SiteExecutor) -> None:
    reply = task(executor, b"full", "1")
    assert reply.get_return_code() == ReturnCode.EXECUTION_EXCEPTION
    assert FRAME not in reply


def test_nothing_is_answered_before_the_site_is_open() -> None:
    assert task(SiteExecutor(), b"a", "1").get_return_code() == ReturnCode.BAD_TASK_DATA


def test_settings_come_from_the_site_alone(tmp_path: Path) -> None:
    with pytest.raises(FederationError, match="isn't attached"):
        load_settings(tmp_path)
    (tmp_path / SETTINGS).write_text(json.dumps({"site": "s", "learner": "json:nothing"}))
    with pytest.raises(FederationError, match="isn't attached"):
        load_settings(tmp_path)
    (tmp_path / SETTINGS).write_text(json.dumps({"site": "s", "learner": "json:loads"}))
    assert load_settings(tmp_path) == (Path("s"), json.loads)


def test_one_worker_at_a_time_in_a_folder(tmp_path: Path) -> None:
    code = "import fcntl, sys; f = open(sys.argv[1], 'ab'); fcntl.flock(f, fcntl.LOCK_EX); "
    code += "print(1, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "worker.lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(FederationError, match="another worker"):
            alone(tmp_path, patience_s=0.3)
        other.kill()
    alone(tmp_path, patience_s=20.0).close()


def test_late_and_failed_answers_at_the_server() -> None:
    controller = FrameController()
    controller._number = 2

    def answered(number: int, result: Shareable) -> None:
        controller._answered(number, SimpleNamespace(result=result), FLContext())

    late, good = Shareable(), Shareable()
    late[FRAME], good[FRAME] = b"late", b"good"
    answered(1, late)
    assert controller._done.empty()
    answered(2, good)
    assert controller._done.get() == (2, b"good")
    answered(2, make_reply(ReturnCode.EXECUTION_EXCEPTION))
    assert controller._done.get() == (2, b"")
