"""One writer at a time, in this process, in others, and in forked children."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from huizhen.errors import LedgerError
from huizhen.ledger.log import Log
from huizhen.ledger.signing import SigningKey

Scribe = Any  # the fixtures of conftest.py
Python = Any


def test_a_second_writer_is_refused_with_the_remedy(tmp_path: Path, scribe: Scribe) -> None:
    first = Log.open(tmp_path, scribe.key)
    with pytest.raises(LedgerError, match=rf"process {os.getpid()}\) has this log open.*wait until"):
        Log.open(tmp_path, scribe.key)
    first.close()
    Log.open(tmp_path, scribe.key).close()


HOLD = """
import sys, time
from pathlib import Path
from huizhen.ledger.log import Log
from huizhen.ledger.signing import SigningKey
from huizhen.ledger.signing import SigningKey
log = Log.open(Path(sys.argv[1]), SigningKey.generate())
log.append("a", {})
print("open", flush=True)
time.sleep(60)
"""


def test_a_killed_writer_of_another_process_leaves_the_log_free(
    tmp_path: Path, scribe: Scribe, python: Python
) -> None:
    with python(HOLD, tmp_path) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(LedgerError, match=rf"process {other.pid}\)"):
            Log.open(tmp_path, scribe.key)
        other.send_signal(signal.SIGKILL)
        other.wait()
    scribe.write(tmp_path, 1)


def _try_in_child(log: Log, folder: Path, key: SigningKey, answers: Any) -> None:
    for act in (lambda: log.append("a", {}), lambda: Log.open(folder, key)):
        try:
            act()
        except LedgerError as error:
            answers.put(error.message)


def test_a_forked_child_neither_writes_nor_holds_the_log(tmp_path: Path, scribe: Scribe) -> None:
    fork = multiprocessing.get_context("fork")
    answers = fork.Queue()
    log = Log.open(tmp_path, scribe.key)
    child = fork.Process(target=_try_in_child, args=(log, tmp_path, scribe.key, answers))
    child.start()
    said = [answers.get(timeout=30), answers.get(timeout=30)]
    child.join()
    assert "opened by another process" in said[0]
    assert f"process {os.getpid()}" in said[1]
    log.append("a", {})
    log.commit()
    log.close()
