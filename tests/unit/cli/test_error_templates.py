"""What errors may say is read from the source, however it is put together there."""

from __future__ import annotations

from pathlib import Path

import pytest

from huizhen.cli.error_templates import Said, faults, read_said

SOURCE = """
from huizhen.errors import DataError
from pydantic import model_validator

WORDS = {"missing": ("is missing", "add {what}")}
LONG = "see the manual"


class Gone(DataError):
    def __init__(self, why):
        super().__init__(f"is gone ({why})", remedy=LONG)

    def __str__(self):
        return f"gone, it seems: {self.message}"


class Model:
    @model_validator(mode="after")
    def _check(self):
        problems = []
        if self.a:
            problems.append("a and b don't fit")
        problems += list(others(self))
        raise ValueError("; ".join(problems))


def others(model):
    yield f"field | {model.a!r} is too much | take less"


def _refuse(what, why="not here"):
    raise DataError(f"the {what} {why}.", remedy="ask " + what)


def read(path, names, many):
    reason, remedy = (text.format(**path) for text in WORDS["missing"])
    if many:
        message, fix = "too many", f"use {', '.join(names)}"
    else:
        message, fix = f"{len(names)} only", "use more" if path else LONG
    listed = ", ".join(names) or "none at all"
    _refuse("table")
    _refuse("head", why="is cut off")
    raise DataError(reason, remedy=remedy) from Gone("no such thing")


def write(message, fix, listed):
    message, fix = ("a", "bb cc") if listed else ("dd ee", "f")
    raise DataError(message, remedy=fix)


def more(names, many):
    message = f"{len(names)} only" if many else "too many"
    listed = ", ".join(names) or "none at all"
    raise DataError(message, remedy=f"choose {listed}")
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Said:
    """What the source above says."""
    folder = tmp_path_factory.mktemp("package")
    (folder / "room").mkdir()
    (folder / "room" / "part.py").write_text(SOURCE, encoding="utf-8")
    return read_said(folder)


@pytest.mark.parametrize(
    "template",
    [
        "is gone ({})",
        "is gone (no such thing)",
        "see the manual",
        "gone, it seems: {}",
        "a and b don't fit",
        "{} is too much",
        "take less",
        "the table not here",
        "the head is cut off",
        "ask table",
        "is missing",
        "add {}",
        "dd ee",
        "bb cc",
        "{} only",
        "too many",
        "choose {}",
        "none at all",
    ],
)
def test_a_template_is_found(said: Said, template: str) -> None:
    fragments = {"is gone (no such thing)": "no such thing", "is gone ({})": "is gone (no such thing)"}
    assert template in said.templates or fragments.get(template) in said.templates


def test_nothing_else_is_found(said: Said) -> None:
    assert [text for text in said.templates if "use" in text or text.startswith("field")] == []
    assert set(said.templates.values()) == {"huizhen.room.part"}


def test_faults_are_named_by_room(tmp_path: Path) -> None:
    said = Said(
        templates={'say "{}"': "huizhen.core.a", "is {}": "huizhen.data.b"}, words={"mask": "huizhen.data.b"}
    )
    catalogue = {"data": {"is {}": "为 {1}", "mask": "掩码", "old": "旧"}, "outside": {"Gone": "没有了"}}
    assert faults(said, catalogue) == {
        "core": ['"say \\"{}\\"" = ""'],
        "data": ['"is {}": values differ in 为 {1}', '"old": no error says this any more'],
    }
