"""The npz reader: pairing rows with labels, masks, types, and files that are refused."""

from __future__ import annotations

import csv
import tracemalloc
import zipfile

import numpy as np
import pytest

from huizhen.data.readers import npz_members
from huizhen.data.readers.npz_members import load_member
from huizhen.errors import DataError, UnreadableFileError

IMAGES = np.arange(4 * 6 * 10, dtype=np.uint8).reshape(4, 6, 10)
IDS = np.array(["w", "x", "y", "z"])
ROWS = [("w", "p1", "benign"), ("x", "p1", "benign"), ("y", "p2", ""), ("z", "p3", "malignant")]
SOURCE = {"path": "a.npz", "labels": "labels.csv", "columns": {"patient": "pid", "outcome": "label"}}
BY_ID = {**SOURCE, "ids": "ids", "columns": {**SOURCE["columns"], "image": "img"}}


@pytest.fixture
def write(tmp_path):
    """Write a.npz and labels.csv."""

    def write_both(rows=ROWS, *, save=np.savez, **arrays):
        save(tmp_path / "a.npz", **{"images": IMAGES, **arrays})
        with (tmp_path / "labels.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([("img", "pid", "label"), *rows])

    return write_both


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_rows_in_order(write, opened, save):
    write(save=save)
    reader = opened("npz", **SOURCE)
    scan = reader.scan()
    assert [(record.patient_id, record.key) for record in scan.images] == [
        ("p1", "0"), ("p1", "1"), ("p2", "2"), ("p3", "3"),
    ]  # fmt: skip
    assert scan.outcomes == {"p1": ("benign",), "p3": ("malignant",)}
    assert [(one.unit, one.reason, one.subject) for one in scan.exclusions] == [
        ("patient", "missing_label", "a.npz#2")
    ]
    for record in scan.images:
        np.testing.assert_allclose(reader.pixels(record)[0], IMAGES[int(record.key)] / 255, atol=1e-6)
    assert reader.dataset_path(scan.images[0]) is None


def test_digests_are_of_the_pixels_not_the_file(write, opened, tmp_path):
    write()
    first = [record.digest for record in opened("npz", **SOURCE).scan().images]
    write(images=IMAGES[::-1].copy(), save=np.savez_compressed)
    second = [record.digest for record in opened("npz", **SOURCE).scan().images]
    assert second == first[::-1]
    assert len(set(first)) == 4


def test_rows_by_identifier_whatever_their_order(write, opened):
    write(rows=ROWS[::-1], ids=IDS)
    scan = opened("npz", **BY_ID).scan()
    assert [(record.patient_id, record.key) for record in scan.images] == [
        ("p1", "0"), ("p1", "1"), ("p2", "2"), ("p3", "3"),
    ]  # fmt: skip


def test_identifiers_without_counterpart_or_twice(write, opened):
    write(
        rows=[ROWS[0], *ROWS[:2], ("q", "p9", "benign"), ("x", "p8", "benign")],
        ids=np.array(["w", "x", "w2", "w2"]),
    )
    scan = opened("npz", **BY_ID).scan()
    assert [record.key for record in scan.images] == ["0"]
    assert sorted((one.reason, one.subject) for one in scan.exclusions) == [
        ("duplicate_id", "a.npz#2"),
        ("duplicate_id", "a.npz#3"),
        ("duplicate_id", "labels.csv:4"),
        ("duplicate_id", "labels.csv:6"),
        ("unreadable", "labels.csv:5"),
    ]


def test_where_keeps_rows_in_their_places(write, opened):
    write()
    scan = opened("npz", **SOURCE, where={"label": ["malignant", "benign"], "pid": "p3"}).scan()
    assert [(record.patient_id, record.key) for record in scan.images] == [("p3", "3")]
    with pytest.raises(DataError, match="no row has these values"):
        opened("npz", **SOURCE, where={"label": "normal"}).scan()


def test_a_row_without_patient_is_left_out(write, opened):
    write(rows=[("w", "", "benign"), *ROWS[1:]])
    scan = opened("npz", **SOURCE).scan()
    assert [record.key for record in scan.images] == ["1", "2", "3"]
    assert ("missing_patient", "labels.csv:2") in [(one.reason, one.subject) for one in scan.exclusions]


def test_another_number_of_rows_is_refused(write, opened):
    write(rows=ROWS[:3])
    with pytest.raises(DataError, match="3 rows, the array 4"):
        opened("npz", **SOURCE).scan()


def test_without_a_table_each_row_is_a_patient(write, opened):
    write(ids=IDS)
    scan = opened("npz", path="a.npz").scan()
    assert [record.patient_id for record in scan.images] == ["0", "1", "2", "3"]
    scan = opened("npz", path="a.npz", ids="ids").scan()
    assert [record.patient_id for record in scan.images] == ["w", "x", "y", "z"]
    assert scan.exclusions == ()


@pytest.mark.parametrize("packed", [False, True])
def test_masks_plain_or_packed(write, opened, packed):
    masks = np.zeros(IMAGES.shape, bool)
    masks[1, 2, 9] = True
    write(masks=np.packbits(masks, axis=-1) if packed else masks)
    reader = opened("npz", **SOURCE, masks="masks")
    records = reader.scan().images
    assert [record.has_mask for record in records] == [False, True, False, False]
    np.testing.assert_array_equal(reader.mask(records[1]), masks[1])
    assert reader.mask(records[0]) is None


def test_colours_as_phases(write, opened):
    colour = np.stack([IMAGES, IMAGES + 1, IMAGES + 2], axis=-1)
    write(images=colour)
    reader = opened("npz", **SOURCE, channels=3)
    [record, *_] = reader.scan().images
    np.testing.assert_allclose(reader.pixels(record), np.moveaxis(colour[0], 2, 0) / 255, atol=1e-6)
    assert opened("npz", **SOURCE).pixels(record).shape == (1, 6, 10)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (IMAGES.astype(np.uint16) * 257, IMAGES / 255),
        (IMAGES / 255.0, IMAGES / 255),
        (IMAGES > 100, IMAGES > 100),
    ],
)
def test_types_of_pixels(write, opened, array, expected):
    write(images=array)
    reader = opened("npz", **SOURCE)
    for record in reader.scan().images:
        pixels = reader.pixels(record)
        assert pixels.dtype == np.float32
        np.testing.assert_allclose(pixels[0], expected[int(record.key)], atol=1e-6)


def test_floats_beyond_one_are_scaled_and_nan_stays(write, opened):
    wide = IMAGES.astype(np.float64) * 7 - 300
    wide[0, 0, 0] = np.nan
    write(images=wide)
    reader = opened("npz", **SOURCE)
    records = reader.scan().images
    assert np.isnan(reader.pixels(records[0])).sum() == 1
    assert (reader.pixels(records[1]).min(), reader.pixels(records[1]).max()) == (0, 1)


@pytest.mark.parametrize(
    ("arrays", "source", "match"),
    [
        ({"images": np.zeros((4, 6))}, {}, "shape"),
        ({"images": np.zeros((4, 6, 5, 2))}, {}, "shape"),
        ({"images": np.array([["a"]])}, {}, "type"),
        ({}, {"array": "imgs"}, "no array imgs"),
        ({"masks": np.zeros((4, 6, 3), bool)}, {"masks": "masks"}, "don't fit"),
        ({"ids": np.array(["a"])}, {"ids": "ids"}, "don't fit"),
        ({}, {"where": {"labl": "x"}}, "no column labl"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(write, opened, arrays, source, match):
    write(**arrays)
    with pytest.raises(DataError, match=match):
        opened("npz", **{**SOURCE, **source}).scan()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_pickled_objects_are_never_loaded(write, opened, save):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("pickle was loaded",))

    write(images=np.array([Bomb()] * 4, dtype=object), save=save)
    with pytest.raises(UnreadableFileError):
        opened("npz", **SOURCE).scan()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_broken_files_are_refused(write, opened, tmp_path, save):
    write(save=save)
    whole = (tmp_path / "a.npz").read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], whole[:60] + bytes(60) + whole[120:]):
        (tmp_path / "a.npz").write_bytes(damaged)
        with pytest.raises(UnreadableFileError):
            opened("npz", **SOURCE).scan()


def test_stored_arrays_are_mapped_and_compressed_ones_bounded(write, tmp_path, monkeypatch):
    write(images=np.asfortranarray(IMAGES))
    mapped = load_member(tmp_path / "a.npz", "images", field="f")
    assert isinstance(mapped, np.memmap)
    np.testing.assert_array_equal(mapped, IMAGES)
    write(save=np.savez_compressed)
    monkeypatch.setattr(npz_members, "LARGEST_UNPACKED", 100)
    with pytest.raises(DataError, match="unpacked"):
        load_member(tmp_path / "a.npz", "images", field="f")


def test_arrays_are_read_only(write, tmp_path):
    write(save=np.savez_compressed)
    with pytest.raises(ValueError, match="read-only"):
        load_member(tmp_path / "a.npz", "images", field="f")[0] = 1


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_header_of_megabytes_is_not_unpacked(tmp_path, compression):
    start = b"\x93NUMPY\x02\x00" + (64 << 20).to_bytes(4, "little")
    with zipfile.ZipFile(tmp_path / "a.npz", "w", compression) as archive:
        archive.writestr("images.npy", start + b"[" * (64 << 20))
    tracemalloc.start()
    with pytest.raises(UnreadableFileError):
        load_member(tmp_path / "a.npz", "images", field="f")
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
