"""Files are whole or absent: broken off, on a full disk, in a folder that can't be written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from huizhen.core.files import whole_folder, write_bytes, write_json, write_text
from huizhen.errors import StorageError


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.json"
    write_json(path, {"ä": 1})
    write_text(path, "new")
    assert path.read_text() == "new"
    assert os.listdir(path.parent) == ["b.json"]


def test_nan_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", float("nan"))
    assert os.listdir(tmp_path) == []


def test_a_full_disk_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text(tmp_path / "a", "old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        write_bytes(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_folder_that_is_a_file_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    with pytest.raises(StorageError):
        write_text(tmp_path / "a" / "b", "y")
    with pytest.raises(StorageError), whole_folder(tmp_path / "a" / "c"):
        pass


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "good") as scratch:
        (scratch / "x").write_text("1")
        assert not (tmp_path / "good").exists()
    with pytest.raises(ZeroDivisionError), whole_folder(tmp_path / "bad") as scratch:
        (scratch / "x").write_text(str(1 / 0))
    assert sorted(os.listdir(tmp_path)) == ["good"]


def test_a_folder_is_never_overwritten(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "a") as scratch:
        (scratch / "x").write_text("1")
    with pytest.raises(StorageError), whole_folder(tmp_path / "a") as scratch:
        (scratch / "x").write_text("2")
    assert (tmp_path / "a" / "x").read_text() == "1"
    assert os.listdir(tmp_path) == ["a"]
