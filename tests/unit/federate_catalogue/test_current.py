"""Which index is answered from, and which ones were."""

from __future__ import annotations

from pathlib import Path

import pytest

from huizhen.errors import StorageError
from huizhen.federate.catalogue.current import answered_from, current_index, make_current


def names(home: Path) -> list[str]:
    """Return the names of all indices answered from."""
    return [path.name for path in answered_from(home)]


def test_what_was_answered_from_is_kept(tmp_path: Path) -> None:
    assert names(tmp_path) == []
    for name in ("index-1", "index-2", "index-1", "index-3"):
        make_current(tmp_path, name)
        assert current_index(tmp_path).name == name
    assert names(tmp_path) == ["index-2", "index-1", "index-3"]


def test_a_site_that_published_before_there_was_a_list(tmp_path: Path) -> None:
    (tmp_path / "catalogue").mkdir()
    (tmp_path / "catalogue/current.json").write_text('{"index": "index-1"}')
    make_current(tmp_path, "index-2")
    assert names(tmp_path) == ["index-1", "index-2"]


@pytest.mark.parametrize(
    "said", ["no json", "[]", '{"index": "../elsewhere"}', '{"index": "index-1", "before": ["../x"]}']
)
def test_a_list_that_cant_be_read_is_no_empty_list(tmp_path: Path, said: str) -> None:
    make_current(tmp_path, "index-1")
    (tmp_path / "catalogue/current.json").write_text(said)
    with pytest.raises(StorageError, match="answered from"):
        answered_from(tmp_path)
    with pytest.raises(StorageError):
        make_current(tmp_path, "index-2")
