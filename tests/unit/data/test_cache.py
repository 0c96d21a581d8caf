"""The cache: whole or absent, checked on each read, honest about damage and full disks."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from huizhen.core.digests import digest_value
from huizhen.data.cache import Cache
from huizhen.errors import StorageError

KEY = digest_value("key")


def never():
    raise AssertionError("found, not made")


def only_file(cache: Cache) -> Path:
    (path,) = (p for p in cache.folder.rglob("*") if p.is_file())
    return path


def test_arrays_come_back_as_they_were_made(cache):
    made = {
        "sliced": np.arange(24, dtype=np.int16).reshape(4, 6)[:, ::2],
        "big_endian": np.array([1.5, 2.5], dtype=">f8"),
        "flags": np.array([True, False]),
        "none": np.zeros((0, 3), np.float32),
        "single": np.array(7.0),
    }
    first = cache.arrays(KEY, lambda: made)
    again = cache.arrays(KEY, never)
    for name, array in made.items():
        for held in (first[name], again[name]):
            np.testing.assert_array_equal(held, array)
            assert held.shape == array.shape
            assert held.dtype == array.dtype.newbyteorder("<")
    assert cache.damaged == ()


def test_values_come_back_as_json(cache):
    assert cache.values(KEY, lambda: {"a": (1, None, 0.1)}) == {"a": [1, None, 0.1]}
    assert cache.values(KEY, never) == {"a": [1, None, 0.1]}
    assert cache.values(digest_value("none"), lambda: None) is None
    assert cache.values(digest_value("none"), never) is None


@pytest.mark.parametrize("kind", ["arrays", "values"])
@pytest.mark.parametrize("harm", ["flip", "cut", "empty", "other"])
def test_a_damaged_entry_is_set_aside_made_again_and_reported(cache, kind, harm):
    content = {"x": np.arange(100)} if kind == "arrays" else list(range(100))
    ask = getattr(cache, kind)
    ask(KEY, lambda: content)
    path = only_file(cache)
    data = path.read_bytes()
    middle = len(data) // 2
    path.write_bytes(
        {
            "flip": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
            "cut": data[:-9],
            "empty": b"",
            "other": b"{}",
        }[harm]
    )
    again = ask(KEY, lambda: content)
    if kind == "arrays":
        np.testing.assert_array_equal(again["x"], content["x"])
    else:
        assert again == content
    assert cache.damaged == (str(path.relative_to(cache.folder)),)
    assert path.with_name(path.name + ".damaged").exists()
    assert Cache(cache.folder).aside == cache.damaged  # what another process finds
    ask(KEY, never)


def test_an_entry_under_another_key_is_not_believed(cache):
    other = digest_value("other")
    cache.arrays(other, lambda: {"x": np.zeros(3)})
    cache.place(KEY, ".safetensors").parent.mkdir(exist_ok=True)
    os.replace(cache.place(other, ".safetensors"), cache.place(KEY, ".safetensors"))
    assert cache.arrays(KEY, lambda: {"x": np.ones(3)})["x"].tolist() == [1, 1, 1]
    assert len(cache.damaged) == 1


def test_a_full_disk_leaves_nothing_behind(cache, monkeypatch):
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left on device") as caught:
        cache.arrays(KEY, lambda: {"x": np.zeros(3)})
    assert "free space" in caught.value.remedy
    assert [p for p in cache.folder.rglob("*") if p.is_file()] == []
    monkeypatch.undo()
    cache.arrays(KEY, lambda: {"x": np.zeros(3)})


def test_a_really_full_disk_leaves_nothing_behind(tmp_path):
    """A file size limit of the operating system stands in for the end of the disk."""
    code = f"""
import resource, signal, sys
from pathlib import Path
import numpy as np
from huizhen.core.digests import digest_value
from huizhen.data.cache import Cache
from huizhen.errors import StorageError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    Cache(Path({str(tmp_path / "c")!r})).arrays(digest_value(1), lambda: {{"x": np.zeros(10_000)}})
except StorageError as error:
    sys.exit(error.exit_code)
"""
    run = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": "src"}, check=False)
    assert run.returncode == StorageError.exit_code
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


@pytest.mark.parametrize("ask", ["arrays", "values"])
def test_a_folder_that_cant_be_written_is_named(tmp_path, ask):
    (tmp_path / "file").write_text("in the way")
    cache = Cache(tmp_path / "file" / "cache")
    with pytest.raises(StorageError, match="can't be written") as caught:
        getattr(cache, ask)(KEY, dict)
    assert str(tmp_path) in str(caught.value.file)


def test_an_entry_that_cant_be_read_is_an_error_not_a_miss(cache):
    cache.place(KEY, ".json").mkdir(parents=True)
    with pytest.raises(StorageError, match="can't be read"):
        cache.values(KEY, lambda: 1)


def test_what_fails_to_be_made_leaves_no_entry(cache):
    with pytest.raises(ZeroDivisionError):
        cache.values(KEY, lambda: 1 / 0)
    assert cache.values(KEY, lambda: 2) == 2


def test_writers_at_the_same_time_agree(tmp_path):
    code = f"""
from pathlib import Path
import numpy as np
from huizhen.core.digests import digest_value
from huizhen.data.cache import Cache
cache = Cache(Path({str(tmp_path)!r}))
for i in range(60):
    held = cache.arrays(digest_value(i), lambda: {{"x": np.full(500, i)}})
    assert (held["x"] == i).all()
assert cache.damaged == ()
"""
    runs = [
        subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": "src"})
        for _ in range(2)
    ]
    assert [run.wait(timeout=60) for run in runs] == [0, 0]
    assert len(list(tmp_path.rglob("*.safetensors"))) == 60


def test_sweeping_takes_only_old_scratch(cache):
    cache.values(KEY, lambda: 1)
    old = cache.folder / "ab" / ".x.123.part"
    fresh = cache.folder / "ab" / ".y.123.part"
    for path in (old, fresh):
        path.mkdir(parents=True)
        (path / "piece").write_text("half")
    os.utime(old, (time.time() - 90_000, time.time() - 90_000))
    assert cache.sweep() == 1
    assert not old.exists()
    assert fresh.exists()
    cache.values(KEY, never)
