"""Digests: one canonical form, the same for equal values, refused for what JSON lacks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huizhen.core.digests import canonical_json, digest_bytes, digest_file, digest_value, plain
from huizhen.errors import InvalidInputError, UnreadableFileError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@settings(deadline=None)  # a busy machine is no fault
@given(VALUES)
def test_the_canonical_form_means_the_same_and_is_stable(value: object) -> None:
    try:
        data = canonical_json(value)
    except InvalidInputError:
        assert "\\ud" in ascii(value)  # only a lone surrogate has no canonical form
        return
    assert json.loads(data) == value
    assert canonical_json(json.loads(data)) == data


def test_key_order_does_not_matter_but_list_order_does() -> None:
    assert digest_value({"a": 1, "b": 2}) == digest_value({"b": 2, "a": 1})
    assert digest_value([1, 2]) != digest_value([2, 1])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, np.float32(1), object()])
def test_what_json_lacks_is_refused(value: object) -> None:
    with pytest.raises(InvalidInputError, match="canonical JSON"):
        canonical_json(value)


@pytest.mark.parametrize("value", ["\ud800", {"\udfff": 1}, [{"name": "a\udc80b"}]])
def test_text_that_utf8_lacks_is_refused_without_quoting_it(value: object) -> None:
    with pytest.raises(InvalidInputError, match="lone surrogate") as caught:
        canonical_json(value)
    assert "\\u" not in ascii(str(caught.value))
    assert isinstance(caught.value.__cause__, UnicodeEncodeError)


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"in": inner}])
def test_what_is_nested_too_deeply_is_refused(wrap: Callable[[object], object]) -> None:
    value: object = 1
    for _ in range(20_000):
        value = wrap(value)
    with pytest.raises(InvalidInputError, match="nested too deeply") as caught:
        canonical_json(value)
    assert "flatter" in caught.value.remedy


def test_what_holds_itself_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(InvalidInputError, match="canonical JSON"):
        canonical_json(value)


def test_files_are_digested_by_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100_000)
    assert digest_file(tmp_path / "a") == hashlib.sha256(b"x" * 100_000).hexdigest()
    assert digest_bytes(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(UnreadableFileError):
        digest_file(tmp_path / "none")


def test_plain_keeps_finite_numbers_only() -> None:
    assert [plain(value) for value in (1.5, float("nan"), float("-inf"))] == [1.5, None, None]
