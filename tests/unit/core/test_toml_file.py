"""A TOML file as a closed type: what is wrong, unreadable or absent is told apart."""

from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from huizhen.core.toml_file import place_of, read_toml, refused
from huizhen.errors import HuizhenError, InvalidInputError, PolicyError


class Bounds(BaseModel):
    model_config = ConfigDict(extra="forbid")
    k: int


class Policy(BaseModel):
    model_config = ConfigDict(extra="forbid")
    bounds: Bounds


def wrong(error: ValidationError) -> HuizhenError:
    return InvalidInputError("is none", remedy="mend it", field=place_of(error))


def test_a_file_that_fits_is_the_type(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text("[bounds]\nk = 5\n")
    assert read_toml(tmp_path / "p.toml", Policy, wrong=wrong) == Policy(bounds=Bounds(k=5))


@pytest.mark.parametrize(
    ("text", "field"), [('[bounds]\nk = "x"\n', "bounds.k"), ("[bounds]\nk = 1\nz = 2\n", "bounds.z")]
)
def test_a_wrong_field_is_named(tmp_path: Path, text: str, field: str) -> None:
    (tmp_path / "p.toml").write_text(text)
    with pytest.raises(InvalidInputError, match="is none") as told:
        read_toml(tmp_path / "p.toml", Policy, wrong=wrong)
    assert told.value.field == field


@pytest.mark.parametrize("content", [b"k = = 1", b"\xff\xfe", None], ids=["no TOML", "no text", "absent"])
def test_what_cannot_be_read_names_the_file(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "p.toml").write_bytes(content)
    with pytest.raises(PolicyError, match="can't be read as TOML") as told:
        read_toml(tmp_path / "p.toml", Policy, wrong=wrong)
    assert told.value.file == "p.toml"
    with pytest.raises(InvalidInputError, match="can't be read as TOML"):
        read_toml(tmp_path / "p.toml", Policy, wrong=wrong, unreadable=InvalidInputError)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_bytes(b"\xef\xbb\xbf[bounds]\r\nk = 5\r\n")
    assert read_toml(tmp_path / "p.toml", Policy, wrong=wrong) == Policy(bounds=Bounds(k=5))


def test_text_of_another_encoding_is_to_be_saved_as_utf_8(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_bytes("[bounds] # 界限\nk = 5\n".encode("gb18030"))
    with pytest.raises(PolicyError, match="its text isn't UTF-8") as told:
        read_toml(tmp_path / "p.toml", Policy, wrong=wrong)
    assert told.value.remedy == "save it as UTF-8"


def test_an_absent_file_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="No such file or directory"):
        read_toml(tmp_path / "p.toml", Policy, wrong=wrong)


class Boxes(BaseModel, extra="forbid"):
    boxes: tuple[Literal["red", "blue"], ...] = Field(min_length=1)


@pytest.mark.parametrize(
    ("given", "field", "reason"),
    [
        ({"boxes": ["rde"]}, "boxes.0", "can't be 'rde'"),
        (
            {"boxes": ["rde", "bleu"]},
            None,
            "2 problems:\n  boxes.0: can't be 'rde' (did you mean red?)\n  boxes.1: ",
        ),
        ({"boxes": []}, "boxes", "needs at least 1"),
    ],
    ids=["one", "several", "empty"],
)
def test_a_file_is_refused_by_all_its_problems(given: Any, field: str | None, reason: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Boxes.model_validate(given)
    error = refused(caught.value, Boxes, InvalidInputError, remedy="look it up", file="b.toml")
    assert isinstance(error, InvalidInputError)
    assert (error.field, error.file) == (field, "b.toml")
    assert error.message.startswith(reason)
