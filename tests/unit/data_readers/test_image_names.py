"""Image columns as other computers write them."""

from __future__ import annotations

import pytest

from huizhen.core.progress import Silent
from huizhen.data.readers.image_names import Spelling

NAMES = frozenset({"a/1.png", "1.png", "b/2.png", "2.png"})


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (["D:\\影像\\img\\1.png", "D:\\影像\\img\\2.png"], ["1.png", "2.png"]),
        (["img\\1.png", "img\\2.png"], ["1.png", "2.png"]),
        (["/export/a/1.png", "/export/b/2.png"], ["a/1.png", "b/2.png"]),
        (["1.PNG", "B/2.Png"], ["1.png", "b/2.png"]),
        (["other/1.png", "b/2.png"], [None, "b/2.png"]),
        (["./a/1.png", " 2.png "], ["a/1.png", "2.png"]),
    ],
)
def test_cells_are_understood(cells: list[str], found: list[str | None]) -> None:
    spelling = Spelling.of(cells)
    assert [spelling.look_up(cell, NAMES, NAMES) for cell in cells] == found


def test_a_named_file_that_is_not_there_is_said_to_be_absent(tmp_path, opened):
    from PIL import Image

    (tmp_path / "d").mkdir()
    for name in ("Eins.png", "zwei.png"):
        Image.new("L", (8, 8), 9).save(tmp_path / "d" / name)
    rows = "p,f,o\n1,C:\\x\\EINS.PNG,m\n2,C:\\x\\zwei.png,b\n3,C:\\x\\drei.png,b\n"
    (tmp_path / "t.csv").write_text(rows)
    scan = opened("images", labels="t.csv", columns={"patient": "p", "image": "f", "outcome": "o"}).scan(
        Silent()
    )
    assert [record.key for record in scan.images] == ["Eins.png", "zwei.png"]
    assert [(one.reason, one.subject) for one in scan.exclusions] == [("absent_file", "t.csv:4")]
