"""The NIfTI reader: orientation, slices, phases, masks, and files that are refused."""

from __future__ import annotations

import csv
import gzip

import nibabel as nib
import numpy as np
import pytest

from huizhen.data.readers.nifti_volumes import count_slices, read_volume
from huizhen.errors import UnreadableFileError

VALUES = np.arange(4 * 5 * 6, dtype=np.int16).reshape(
    4, 5, 6
)  # x to the right, y to the front, z to the head


def save(path, values=VALUES, zooms=(0.5, 0.6, 3.0), codes="RAS"):
    """Save RAS+ values in another orientation of storage."""
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([*zooms, 1.0])
    image = nib.Nifti1Image(values, affine)
    target = nib.orientations.axcodes2ornt(codes)
    turned = image.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(affine), target))
    nib.save(turned, path)


def reasons(scan):
    return sorted((one.unit, one.reason, one.subject) for one in scan.exclusions)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR", "SAL"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_every_storage_orientation_gives_the_same_picture(tmp_path, codes, suffix):
    save(tmp_path / f"a{suffix}", codes=codes)
    volume = read_volume(tmp_path / f"a{suffix}")
    assert count_slices(tmp_path / f"a{suffix}") == 6
    picture = volume.slice(2)[0]
    assert picture.shape == (5, 4)
    assert picture[0, 0] == VALUES[3, 4, 2]  # right front is shown top left
    assert picture[4, 3] == VALUES[0, 0, 2]
    assert volume.spacing_mm == pytest.approx((0.6, 0.5))


@pytest.mark.parametrize(
    ("zooms", "count", "top_left"),
    [
        ((3, 0.5, 0.5), 4, VALUES[1, 4, 5]),
        ((0.5, 3, 0.5), 5, VALUES[3, 1, 5]),
        ((1, 1, 1), 6, VALUES[3, 4, 1]),
    ],
)
def test_slices_lie_across_the_largest_spacing(tmp_path, zooms, count, top_left):
    save(tmp_path / "a.nii", zooms=zooms)
    assert count_slices(tmp_path / "a.nii") == count
    assert read_volume(tmp_path / "a.nii").slice(1)[0, 0, 0] == top_left


@pytest.mark.parametrize(("bag", "slices"), [("image", [3]), ("slices", [0, 2, 3, 5])])
def test_slices_of_a_bag(tmp_path, opened, bag, slices):
    save(tmp_path / "d/p1.nii.gz")
    reader = opened("nifti", bag=bag)
    scan = reader.scan()
    assert [record.key for record in scan.images] == [f"p1.nii.gz#{place}" for place in slices]
    assert scan.images[0].patient_id == "p1"
    assert scan.images[0].view == f"slice {slices[0] + 1}"
    assert len({record.digest for record in scan.images}) == len(slices)
    pixels = reader.pixels(scan.images[0])
    assert pixels.shape == (1, 5, 4)
    assert (pixels.min(), pixels.max()) == (0, 1)
    assert reader.spacing_mm(scan.images[0]) == pytest.approx((0.6, 0.5))


def test_phases_become_channels_on_one_range(tmp_path, opened):
    phases = np.stack([VALUES * 0 + 10, VALUES * 0 + 30, VALUES * 0 + 20, VALUES * 0 + 15], axis=-1)
    phases[0, 0, 3, :] = 0
    save(tmp_path / "d/p1.nii", phases.astype(np.float32))
    reader = opened("nifti", channels=3)
    [record] = reader.scan().images
    pixels = reader.pixels(record)
    np.testing.assert_allclose(pixels[:, 0, 0], [1 / 3, 1, 0.5], atol=1e-5)


def test_patients_from_a_table_or_the_name(tmp_path, opened):
    for name in ("p1.nii.gz", "p2/left.nii", "p2/right.nii"):
        save(tmp_path / "d" / name)
    assert [record.patient_id for record in opened("nifti").scan().images] == ["p1", "p2", "p2"]
    with (tmp_path / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(
            [("f", "pid", "y"), ("p1", "A", "1"), ("left.nii", "B", "0"), ("p2/right", "B", "0.0")]
        )
    columns = {"patient": "pid", "image": "f", "outcome": "y"}
    scan = opened("nifti", labels="labels.csv", columns=columns).scan()
    assert [record.patient_id for record in scan.images] == ["A", "B", "B"]
    assert scan.outcomes == {"A": ("1",), "B": ("0",)}


def test_masks_of_the_same_name(tmp_path, opened):
    mask = np.zeros(VALUES.shape, np.uint8)
    mask[3, 4, 3] = 2
    save(tmp_path / "d/p1.nii.gz", codes="LPS")
    save(tmp_path / "d/p2.nii.gz")
    save(tmp_path / "d/p3.nii.gz")
    save(tmp_path / "masks/p1.nii", mask)
    save(tmp_path / "masks/p3.nii", mask[:2])
    reader = opened("nifti", masks="masks")
    first, second, third = reader.scan().images
    assert (first.has_mask, second.has_mask) == (True, False)
    assert np.argwhere(reader.mask(first)).tolist() == [[0, 0]]
    assert reader.mask(second) is None
    with pytest.raises(UnreadableFileError, match="shape"):
        reader.mask(third)


def test_two_dimensions_are_one_slice(tmp_path, opened):
    nib.save(nib.Nifti1Image(VALUES[..., 0], np.eye(4)), _made(tmp_path / "d/p1.nii"))
    reader = opened("nifti")
    [record] = reader.scan().images
    assert reader.pixels(record).shape == (1, 5, 4)


def _made(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def test_nan_stays_for_quality_control(tmp_path, opened):
    values = VALUES.astype(np.float32)
    values[0, 0, 3] = np.nan
    save(tmp_path / "d/p1.nii", values)
    reader = opened("nifti")
    [record] = reader.scan().images
    assert np.isnan(reader.pixels(record)).sum() == 1


def test_damaged_files_are_left_out(tmp_path, opened):
    save(tmp_path / "d/good.nii.gz")
    save(tmp_path / "d/cut.nii")
    whole = (tmp_path / "d/cut.nii").read_bytes()
    (tmp_path / "d/cut.nii").write_bytes(whole[:-10])
    packed = (tmp_path / "d/good.nii.gz").read_bytes()
    (tmp_path / "d/cutgz.nii.gz").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "d/text.nii").write_text("no volume")
    (tmp_path / "d/readme.txt").write_text("no volume")
    colour = np.zeros((3, 3, 3), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(colour, np.eye(4)), tmp_path / "d/rgb.nii")
    scan = opened("nifti").scan()
    assert [record.key for record in scan.images] == ["good.nii.gz#3"]
    assert {one.reason for one in scan.exclusions} == {"unreadable"}
    assert sorted(one.subject for one in scan.exclusions) == [
        "cut.nii",
        "cutgz.nii.gz",
        "readme.txt",
        "rgb.nii",
        "text.nii",
    ]


def test_gzip_in_several_members_is_whole(tmp_path):
    save(tmp_path / "a.nii")
    data = (tmp_path / "a.nii").read_bytes()
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(data[:200]) + gzip.compress(data[200:]))
    assert count_slices(tmp_path / "b.nii.gz") == 6
