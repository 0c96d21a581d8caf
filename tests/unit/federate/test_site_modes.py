"""What a site, a run and a queue write is for their owner alone, whatever the umask is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from huizhen.core.files import private_folder, write_text
from huizhen.federate.journal import Journal
from huizhen.federate.outbox import Outbox
from huizhen.federate.site.folder import SiteFolder
from huizhen.federate.site.lock import alone
from huizhen.ledger.log import Log
from huizhen.ledger.signing import SigningKey
from huizhen.train.active.queue import Queue


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def test_folders_and_files_are_the_owners_alone(tmp_path: Path) -> None:
    top = tmp_path / "new" / "north"
    SiteFolder.create(top, name="north", data=tmp_path)
    Outbox(top).note(kind="k", study="s", digest="d", size=1)
    alone(top).close()
    Journal(top / "lead").note("asked")
    Queue.create(top / "labels" / "q.sqlite", site="north", labels=["a", "b"], readers=1).close()
    write_text(top / "deep" / "er" / "a.txt", "x")
    with Log.open(top / "run" / "ledger", SigningKey.generate()) as log:
        log.append("study", {})
        log.commit()
    found = [top, *top.rglob("*")]
    assert len(found) > 14
    wrong = [str(p.relative_to(tmp_path)) for p in found if p.stat().st_mode & 0o077]
    assert wrong == []


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir(mode=0o755)
    private_folder(tmp_path / "mine" / "a" / "b")
    modes = [(tmp_path / path).stat().st_mode & 0o777 for path in ("mine", "mine/a", "mine/a/b")]
    assert modes == [0o755, 0o700, 0o700]
