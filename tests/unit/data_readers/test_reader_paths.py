"""Paths stay inside their roots."""

from __future__ import annotations

import os

import pytest

from huizhen.core.study import ImageModality, Source, TableModality
from huizhen.data.readers.open import open_source
from huizhen.data.readers.paths import find_path, list_files, walk_folder
from huizhen.errors import DataError, InvalidInputError, visible


@pytest.fixture
def roots(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two/sub").mkdir(parents=True)
    (tmp_path / "secret.csv").write_text("x")
    return [tmp_path / "one", tmp_path / "two"]


def test_the_first_root_that_has_it_wins(roots):
    assert find_path("sub", roots, field="f") == (roots[1] / "sub").resolve()
    (roots[0] / "sub").mkdir()
    assert find_path("sub", roots, field="f") == (roots[0] / "sub").resolve()
    assert find_path("sub/../sub", roots, field="f") == (roots[0] / "sub").resolve()


@pytest.mark.parametrize("path", ["../secret.csv", "sub/../../secret.csv", "/etc/hosts", ".."])
def test_a_path_that_leads_out_is_refused(roots, path):
    with pytest.raises(DataError, match="outside the data root") as caught:
        find_path(path, roots, field="site.source.path")
    assert caught.value.field == "site.source.path"


def test_a_link_that_leads_out_is_refused(roots, tmp_path):
    os.symlink(tmp_path / "secret.csv", roots[0] / "link.csv")
    with pytest.raises(DataError, match="outside the data root"):
        find_path("link.csv", roots, field="f")


@pytest.mark.parametrize("path", ["absent", "absent/deeper", "a\x00b", "x" * 5000])
def test_an_absent_path_says_what_to_do(roots, path):
    with pytest.raises(DataError, match="no such file") as caught:
        find_path(path, roots, field="site.source.path")
    assert caught.value.file == visible(path)
    assert caught.value.remedy


def test_a_root_that_is_a_link_is_fine(roots, tmp_path):
    os.symlink(roots[1], tmp_path / "data")
    assert find_path("sub", [tmp_path / "data"], field="f") == (roots[1] / "sub").resolve()


def test_walking_order_and_what_is_passed_over(tmp_path):
    root = tmp_path.resolve() / "d"
    for name in ("b/10.dcm", "b/9.dcm", "a.dcm", ".hidden/x", "b/.DS_Store", "Thumbs.db", "masks/m.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    (tmp_path / "outside").write_text("x")
    os.symlink(tmp_path / "outside", root / "b/stray")
    os.symlink(root / "a.dcm", root / "b/inside.dcm")
    os.symlink(root, root / "b/loop")
    os.symlink(tmp_path, root / "b/up")
    files, strays = walk_folder(root, skip=[root / "masks"])
    assert files == ["a.dcm", "b/9.dcm", "b/10.dcm", "b/inside.dcm"]
    assert strays == ["b/stray", "b/up"]


def test_a_file_or_an_empty_folder_is_refused(tmp_path):
    (tmp_path / "f").write_text("x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="not a folder"):
        list_files(tmp_path / "f")
    with pytest.raises(DataError, match="no file"):
        list_files(tmp_path / "empty")


def test_a_reader_that_cannot_give_the_modality(tmp_path):
    (tmp_path / "d").mkdir()
    table = TableModality(name="T", kind="table", numeric=("x",))
    with pytest.raises(InvalidInputError, match="reader dicom"):
        open_source(
            Source(reader="dicom", modality="T", path="d"),
            roots=[tmp_path],
            site="s",
            index=0,
            modality=table,
        )
    source = Source(reader="table", modality="I", path="d", columns={"patient": "p"})
    with pytest.raises(InvalidInputError, match="reader table"):
        open_source(source, roots=[tmp_path], site="s", index=0, modality=ImageModality(name="I"))


def test_a_folder_that_may_not_be_read_is_counted(tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir()
    (tmp_path / "open.dcm").write_text("x")
    scandir = os.scandir

    def guarded(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    assert walk_folder(tmp_path) == (["open.dcm"], ["closed"])
