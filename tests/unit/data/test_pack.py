"""Packs: the same pixels as one by one, larger than memory, whole after a kill, checked when opened."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import huizhen.data.pack as packing
from huizhen.core.progress import Silent
from huizhen.core.study import ImageModality
from huizhen.data.cache import Cache
from huizhen.data.pack import images_of, pack_images
from huizhen.data.preprocess import letterbox, letterbox_mask
from huizhen.errors import DataError, InvalidInputError, StorageError

US = ImageModality(name="US", size=32, channels=1)


def pack(shelf, cache, modality=US):
    return pack_images([("north", r) for r in shelf.found], {("north", 0): shelf}, modality, cache, Silent())


def fill(shelf, count, picture, **about):
    for i in range(count):
        shelf.put(f"p{i}", None, picture(i), **about)


def test_a_pack_holds_what_letterboxing_gives(shelf, cache, picture):
    wide = np.concatenate([picture(1), picture(2)], axis=2)
    lesion = np.zeros((40, 40), dtype=bool)
    lesion[5:9, 20:30] = True
    records = [shelf.put("a", None, wide), shelf.put("b", None, picture(3), mask=lesion)]
    packed = pack(shelf, cache)
    assert len(packed) == 2
    assert packed.rows(records).tolist() == [0, 1]
    np.testing.assert_array_equal(packed.pixels[0], letterbox(wide, size=32, channels=1))
    np.testing.assert_array_equal(packed.masks[1], letterbox_mask(lesion, size=32))
    assert packed.has_mask.tolist() == [False, True]
    assert not packed.masks[0].any()
    assert packed.geometry(0).to_native(np.ones((32, 32))).shape == (40, 80)
    assert isinstance(packed.pixels, np.memmap)
    assert not packed.pixels.flags.writeable


def test_identical_images_are_packed_once(shelf, cache, picture):
    shelf.put("a", None, picture(1))
    shelf.put("b", None, picture(2))
    shelf.put("c", None, picture(1))
    packed = pack(shelf, cache)
    assert len(packed) == 2
    assert packed.rows(shelf.found).tolist() == [0, 1, 0]
    assert packed.masks is None


def test_a_pack_is_made_once_and_by_content(shelf, cache, picture):
    fill(shelf, 5, picture)
    first = pack(shelf, cache)
    assert shelf.decoded == 5
    again = pack(shelf, Cache(cache.folder))
    assert shelf.decoded == 5
    assert again.digest == first.digest
    pack(shelf, cache, US.model_copy(update={"size": 64}))
    assert shelf.decoded == 10
    assert not list(cache.folder.rglob("*.safetensors"))  # shards are let go


def test_a_killed_build_goes_on_where_it_stood(shelf, cache, picture, monkeypatch):
    monkeypatch.setattr(packing, "SHARD_IMAGES", 2)
    fill(shelf, 7, picture)
    cut = shelf.pictures.pop(shelf.found[5].key)
    with pytest.raises(DataError, match="cut short"):
        pack(shelf, cache)
    assert not list(cache.folder.rglob("*.pack"))
    assert not list(cache.folder.rglob("*.part"))
    shelf.pictures[shelf.found[5].key] = cut
    shelf.decoded = 0
    packed = pack(shelf, cache)
    assert shelf.decoded == 3  # the shard that failed, and the one after it
    for i in range(7):
        np.testing.assert_array_equal(packed.pixels[i], letterbox(picture(i), size=32, channels=1))


def test_a_build_that_is_really_killed_goes_on(shelf, picture, tmp_path):
    """SIGKILL between two shards: the next process takes what is whole and ends with the same pack."""
    code = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
import huizhen.data.pack as packing
from huizhen.core.progress import Silent
from huizhen.core.study import ImageModality
from huizhen.data.cache import Cache
from conftest import Shelf, photo
packing.SHARD_IMAGES = 2
shelf = Shelf()
for i in range(12):
    shelf.put(f"p{{i}}", None, photo(i))
read = shelf.pixels
shelf.pixels = lambda record: time.sleep(float(sys.argv[2])) or read(record)
records = [("north", r) for r in shelf.found]
us = ImageModality(name="US", size=32, channels=1)
packed = packing.pack_images(records, {{("north", 0): shelf}}, us, Cache(Path(sys.argv[1])), Silent())
print(packed.digest, shelf.decoded)
"""

    def start(folder, pause):
        return subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / folder), str(pause)],
            env={**os.environ, "PYTHONPATH": "src"},
            stdout=subprocess.PIPE,
            text=True,
        )

    killed = start("killed", 0.2)
    while len(list((tmp_path / "killed").rglob("[!.]*.safetensors"))) < 2:
        assert killed.poll() is None
        time.sleep(0.02)
    killed.kill()
    killed.communicate()
    runs = [start(folder, 0).communicate(timeout=60)[0].split() for folder in ("killed", "whole")]
    assert runs[0][0] == runs[1][0]
    assert int(runs[0][1]) <= 8
    assert int(runs[1][1]) == 12


@pytest.mark.parametrize("part", ["pixels.npy", "manifest.json"])
@pytest.mark.parametrize("harm", ["flip", "cut", "gone"])
def test_a_damaged_pack_is_set_aside_and_made_again(shelf, cache, picture, part, harm):
    fill(shelf, 3, picture)
    digest = pack(shelf, cache).digest
    (folder,) = cache.folder.rglob("*.pack")
    path = folder / part
    data = path.read_bytes()
    path.unlink()
    if harm != "gone":
        path.write_bytes(data[:-7] if harm == "cut" else data[:-20] + bytes([data[-20] ^ 4]) + data[-19:])
    later = Cache(cache.folder)
    assert pack(shelf, later).digest == digest
    assert later.damaged == (str(folder.relative_to(cache.folder)),)
    assert pack(shelf, Cache(cache.folder)).digest == digest


def test_a_full_disk_leaves_no_pack(shelf, cache, picture, monkeypatch):
    fill(shelf, 3, picture)

    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(packing._Hashed, "write", full)
    with pytest.raises(StorageError, match="No space left"):
        pack(shelf, cache)
    assert not list(cache.folder.rglob("*.pack"))
    assert not list(cache.folder.rglob("*.part"))
    monkeypatch.undo()
    assert len(pack(shelf, cache)) == 3


def test_another_process_may_be_first(shelf, cache, picture, monkeypatch):
    fill(shelf, 3, picture)
    build = packing._build

    def overtaken(*args):
        monkeypatch.undo()
        build(*args)
        build(*args)

    monkeypatch.setattr(packing, "_build", overtaken)
    assert len(pack(shelf, cache)) == 3
    assert len(list(cache.folder.rglob("*.pack"))) == 1


def test_cohorts_larger_than_memory_need_one_shard_at_a_time(shelf, cache, monkeypatch):
    """100 MB of pixels in shards of 2 MB, within 15 MB."""
    monkeypatch.setattr(packing, "SHARD_BYTES", 2_000_000)
    large = ImageModality(name="US", size=512, channels=3)
    for i in range(128):
        shelf.put(f"p{i}", None, np.full((1, 4, 4), i / 128, np.float32))
    tracemalloc.start()
    packed = pack(shelf, cache, large)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert packed.pixels.nbytes > 100e6
    assert peak < 15e6
    assert packed.pixels[127, 2, 5, 5] == round(127 / 128 * 255)


def test_what_cant_be_packed_is_refused(shelf, cache, picture):
    with pytest.raises(DataError, match="no image to pack"):
        pack(shelf, cache)
    record = shelf.put("a", None, picture(1), mask=np.zeros((4, 4), dtype=bool))
    with pytest.raises(DataError, match="mask is \\(4, 4\\)"):
        pack(shelf, cache)
    other = shelf.put("b", None, picture(2))
    shelf.found.remove(record)
    with pytest.raises(InvalidInputError, match="not in the pack"):
        pack(shelf, cache).rows([record, other])


def test_images_of_cases_come_with_their_site(hospitals):
    north = hospitals.site("north", "US", "MG")
    north.put("a", "benign")
    hospitals.shelves["north"][1].put("a", None)
    south = hospitals.site("south")
    south.put("b", "malignant")
    cases = hospitals.take().cohort.cases
    assert [(site, record.patient_id) for site, record in images_of(cases, "US")] == [
        ("north", "a"),
        ("south", "b"),
    ]
    assert [site for site, _ in images_of(cases, "MG")] == ["north"]
