"""The image folder reader: layouts, depths, masks, and files that are refused."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image

from huizhen.data.readers.image_files import read_image
from huizhen.errors import DataError, UnreadableFileError

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
SOURCE = {"labels": "labels.csv", "columns": {"patient": "pid", "outcome": "label", "image": "file"}}


def save(path, pixels=GREY, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def write_labels(tmp_path, *rows):
    with (tmp_path / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("file", "pid", "label"), *rows])


def reasons(scan):
    return sorted((one.unit, one.reason, one.subject) for one in scan.exclusions)


@pytest.mark.parametrize("cell", ["a/one.png", "a/one", "one.png", "one", "a\\one.png", "./a/one.png"])
def test_names_of_an_image_in_the_table(tmp_path, opened, cell):
    save(tmp_path / "d/a/one.png")
    write_labels(tmp_path, (cell, "p1", "benign"))
    scan = opened("images", **SOURCE).scan()
    assert [(record.patient_id, record.key) for record in scan.images] == [("p1", "a/one.png")]
    assert scan.outcomes == {"p1": ("benign",)}
    assert scan.exclusions == ()


def test_what_has_no_counterpart(tmp_path, opened):
    for name in ("a/1.png", "b/1.png", "2.png", "3.png", "4.png", "6.png"):
        save(tmp_path / "d" / name)
    (tmp_path / "d/notes.txt").write_text("x")
    (tmp_path / "d/5.png").write_bytes(b"no image")
    rows = [
        ("1", "p1", "x"),
        ("2", "p2", "x"),
        ("2.png", "p1", "y"),
        ("9", "p3", "x"),
        ("4", "p4", ""),
        ("5", "p5", "x"),
        ("6", "p6", "x"),
        ("6.png", "p6", "y"),
    ]
    write_labels(tmp_path, *rows)
    scan = opened("images", **SOURCE).scan()
    assert [record.key for record in scan.images] == ["4.png", "6.png"]
    assert scan.outcomes["p6"] == ("x", "y")  # two lesions of one image
    assert reasons(scan) == [
        ("image", "absent_file", "labels.csv:5"),
        ("image", "duplicate_id", "2.png"),
        ("image", "duplicate_id", "a/1.png"),  # "1" may be either
        ("image", "duplicate_id", "b/1.png"),
        ("image", "missing_label", "3.png"),
        ("image", "unreadable", "5.png"),
        ("image", "unreadable", "notes.txt"),
        ("patient", "missing_label", "4.png"),
    ]


def test_folders_are_classes_without_a_table(tmp_path, opened):
    for name in (
        "benign/benign (2).png",
        "benign/benign (10).png",
        "malignant/p7/a.png",
        "malignant/p7/b.png",
        "loose.png",
    ):
        save(tmp_path / "d" / name)
    scan = opened("images").scan()
    assert [(record.patient_id, record.key) for record in scan.images] == [
        ("benign/benign (10)", "benign/benign (10).png"),
        ("benign/benign (2)", "benign/benign (2).png"),
        ("loose", "loose.png"),
        ("p7", "malignant/p7/a.png"),
        ("p7", "malignant/p7/b.png"),
    ]
    assert scan.outcomes == {
        "benign/benign (2)": ("benign",),
        "benign/benign (10)": ("benign",),
        "p7": ("malignant",),
    }
    assert reasons(scan) == [("patient", "missing_label", "loose.png")]


def test_a_flat_folder_without_labels_is_unlabelled(tmp_path, opened):
    save(tmp_path / "d/1.png")
    scan = opened("images").scan()
    assert len(scan.images) == 1
    assert scan.outcomes == {}
    assert scan.exclusions == ()


def test_masks_beside_their_image_are_no_images(tmp_path, opened):
    left, right = np.zeros_like(GREY), np.zeros_like(GREY)
    left[1, 1], right[2, 2] = 255, 1
    save(tmp_path / "d/benign/x.png")
    save(tmp_path / "d/benign/x_mask.png", left)
    save(tmp_path / "d/benign/x_mask_1.png", right)
    save(tmp_path / "d/benign/x_masked.png")
    reader = opened("images")
    scan = reader.scan()
    assert [(record.key, record.has_mask) for record in scan.images] == [
        ("benign/x.png", True),
        ("benign/x_masked.png", False),
    ]
    mask = reader.mask(scan.images[0])
    assert mask.dtype == np.bool_
    assert np.argwhere(mask).tolist() == [[1, 1], [2, 2]]
    assert reader.mask(scan.images[1]) is None


def test_masks_in_a_folder_of_their_own(tmp_path, opened):
    for name in ("a/x.png", "a/y.png", "a/z.png"):
        save(tmp_path / "d" / name)
    save(tmp_path / "d/masks/a/x.png", GREY)
    save(tmp_path / "d/masks/a/y_mask.png", GREY[:3])
    reader = opened("images", masks="d/masks")
    scan = reader.scan()
    assert [record.has_mask for record in scan.images] == [True, True, False]
    assert reader.mask(scan.images[0]).shape == GREY.shape
    with pytest.raises(UnreadableFileError, match="another size"):
        reader.mask(scan.images[1])


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".TIFF"])
def test_lossless_kinds(tmp_path, opened, suffix):
    save(tmp_path / f"d/x{suffix}")
    reader = opened("images")
    [record] = reader.scan().images
    np.testing.assert_allclose(reader.pixels(record)[0], GREY / 255, atol=1e-6)


def test_jpeg_and_colour(tmp_path, opened):
    colour = np.zeros((16, 16, 3), np.uint8)
    colour[..., 0] = 255
    save(tmp_path / "d/x.JPG", colour, quality=95)
    reader = opened("images", channels=3)
    [record] = reader.scan().images
    np.testing.assert_allclose(reader.pixels(record)[:, 8, 8], [1, 0, 0], atol=0.02)
    assert opened("images").pixels(record).shape == (1, 16, 16)


def test_palette_alpha_and_bilevel(tmp_path):
    image = Image.fromarray(GREY)
    for mode in ("P", "LA", "RGBA", "RGB"):
        image.convert(mode).save(tmp_path / f"{mode}.png")
        values = read_image(tmp_path / f"{mode}.png")
        np.testing.assert_allclose(values if values.ndim == 2 else values[..., 1], GREY / 255, atol=1e-6)
    Image.fromarray(GREY > 100).save(tmp_path / "1.png")
    np.testing.assert_array_equal(read_image(tmp_path / "1.png"), GREY > 100)


@pytest.mark.parametrize(
    ("suffix", "kind"), [(".png", np.uint16), (".tif", np.uint16), (".tif", np.float32), (".tif", np.int32)]
)
def test_deep_images_are_scaled_by_their_range(tmp_path, suffix, kind):
    deep = np.arange(400).reshape(20, 20).astype(kind) * 8  # twelve bits, as detectors give
    save(tmp_path / f"x{suffix}", deep)
    low, high = np.percentile(deep, [0.5, 99.5])
    expected = np.clip((deep - low) / (high - low), 0, 1)
    np.testing.assert_allclose(read_image(tmp_path / f"x{suffix}"), expected, atol=1e-5)


def test_exif_orientation_is_followed(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise
    save(tmp_path / "x.png", exif=exif)
    np.testing.assert_allclose(read_image(tmp_path / "x.png"), np.rot90(GREY, -1) / 255, atol=1e-6)


@pytest.mark.parametrize(("bag", "pages"), [("image", [3]), ("frames", [0, 2, 3, 5])])
def test_pages_of_a_tiff(tmp_path, opened, bag, pages):
    images = [Image.fromarray(np.full((4, 4), 10 * page, np.uint8)) for page in range(6)]
    (tmp_path / "d").mkdir()
    images[0].save(tmp_path / "d/x.tif", save_all=True, append_images=images[1:])
    reader = opened("images", bag=bag)
    scan = reader.scan()
    assert [record.key for record in scan.images] == [f"x.tif#{page}" for page in pages]
    for record, page in zip(scan.images, pages, strict=True):
        np.testing.assert_allclose(reader.pixels(record), page * 10 / 255, atol=1e-6)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_cut_off_files_are_found_by_the_scan(tmp_path, opened, suffix):
    noise = np.random.Generator(np.random.Philox(1)).integers(0, 255, (64, 64), dtype=np.uint8)
    save(tmp_path / f"d/x{suffix}", noise)
    path = tmp_path / f"d/x{suffix}"
    path.write_bytes(path.read_bytes()[:-200])
    scan = opened("images").scan()
    assert reasons(scan) == [("image", "unreadable", f"x{suffix}")]


def test_decompression_bombs_are_refused(tmp_path, opened, monkeypatch):
    save(tmp_path / "d/x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30)  # 48 pixels: Pillow only warns below twice the bound
    scan = opened("images").scan()
    assert reasons(scan) == [("image", "unreadable", "x.png")]


def test_where_without_a_table_is_refused(tmp_path, opened):
    save(tmp_path / "d/x.png")
    with pytest.raises(DataError, match="no labels table"):
        opened("images", where={"scanner": "GE"}).scan()


def test_patient_names_the_file_without_an_image_column(tmp_path, opened):
    save(tmp_path / "d/p1.png")
    write_labels(tmp_path, ("", "p1", "benign"))
    scan = opened("images", labels="labels.csv", columns={"patient": "pid", "outcome": "label"}).scan()
    assert [record.patient_id for record in scan.images] == ["p1"]


def test_view_and_duplicate_group(tmp_path, opened):
    save(tmp_path / "d/1.png")
    write_labels(tmp_path, ("1", "p1", "left"))
    columns = {"patient": "pid", "image": "file", "view": "label", "duplicate_group": "label"}
    [record] = opened("images", labels="labels.csv", columns=columns).scan().images
    assert (record.view, record.duplicate_group) == ("left", "left")


def test_masks_that_lead_out_of_the_folder_are_not_read(tmp_path, opened):
    save(tmp_path / "d/benign/x.png", GREY)
    save(tmp_path / "d/benign/x_mask.png", GREY)
    save(tmp_path / "m/benign/x.png", GREY)
    save(tmp_path / "elsewhere.png", np.full_like(GREY, 255))
    (tmp_path / "d/benign/x_mask_1.png").symlink_to(tmp_path / "elsewhere.png")
    (tmp_path / "m/benign/x_mask.png").symlink_to(tmp_path / "elsewhere.png")
    reader = opened("images", masks="m")
    mask = reader.mask(reader.scan().images[0])
    np.testing.assert_array_equal(mask, GREY > 0)
