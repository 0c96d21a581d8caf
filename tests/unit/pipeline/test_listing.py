"""The listing's digest: any change of a source's files is seen, and nothing else is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from huizhen.core.study import Study
from huizhen.errors import DataError
from huizhen.pipeline.listing import listing_digest


@pytest.fixture
def study(make_study: Callable[..., Study]) -> Study:
    """A study of one folder of images with labels and masks."""
    source = {
        "modality": "US",
        "reader": "images",
        "path": "us",
        "labels": "labels.csv",
        "masks": "masks",
        "columns": {"patient": "p", "outcome": "o"},
    }
    return make_study({"name": "US"}, site=[{"name": "a", "source": [source]}])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Its files."""
    for name in ("us/a.png", "us/deep/b.png", "labels.csv", "masks/a.png", "else/c.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"0123")
    return tmp_path


def test_nothing_changed_nothing_seen(study: Study, root: Path) -> None:
    first = listing_digest(study, [root])
    (root / "us/a.png").read_bytes()
    (root / "else/c.png").write_bytes(b"not a source's file")
    (root / "us/.DS_Store").write_bytes(b"hidden")
    assert listing_digest(study, [root]) == first


@pytest.mark.parametrize("name", ["us/a.png", "us/deep/b.png", "labels.csv", "masks/a.png"])
@pytest.mark.parametrize("change", ["longer", "later", "gone", "renamed"])
def test_a_changed_file_is_seen(study: Study, root: Path, name: str, change: str) -> None:
    path, first = root / name, listing_digest(study, [root])
    if change == "longer":
        path.write_bytes(b"01234")
    elif change == "later":
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    elif name == "labels.csv":
        return  # then the source is not whole: see below
    elif change == "gone":
        path.unlink()
    else:
        path.rename(path.with_name("z.png"))
    assert listing_digest(study, [root]) != first


def test_a_new_file_is_seen(study: Study, root: Path) -> None:
    first = listing_digest(study, [root])
    (root / "us/new.png").write_bytes(b"")
    assert listing_digest(study, [root]) != first


@pytest.mark.parametrize(("name", "field"), [("us", "path"), ("labels.csv", "labels"), ("masks", "masks")])
def test_an_absent_source_is_named(study: Study, root: Path, name: str, field: str) -> None:
    (root / name).rename(root / "away")
    with pytest.raises(DataError) as caught:
        listing_digest(study, [root])
    assert (caught.value.file, caught.value.field) == (name, f"site.source.{field}")


def test_masks_inside_an_npz_file_are_no_path(make_study: Callable[..., Study], root: Path) -> None:
    source = {"modality": "US", "reader": "npz", "path": "us/a.png", "masks": "masks_of_lesions"}
    outcome = {"labels": "labels.csv", "columns": {"patient": "p", "outcome": "o"}}
    study = make_study({"name": "US"}, site=[{"name": "a", "source": [{**source, **outcome}]}])
    assert len(listing_digest(study, [root])) == 64
