"""The cache under Hypothesis: what goes in comes out, and no altered byte is ever believed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from huizhen.core.digests import digest_value
from huizhen.data.cache import Cache

KEY = digest_value("key")
DTYPES = st.sampled_from(["u1", "<i2", "<i4", "<i8", "<f2", "<f4", "<f8", "?"])
ARRAYS: st.SearchStrategy[dict[str, NDArray[Any]]] = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=5),
    DTYPES.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, max_side=5))),
    max_size=4,
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def fresh(folder: Path) -> Cache:
    return Cache(Path(tempfile.mkdtemp(dir=folder)))


@settings(max_examples=40)
@given(made=ARRAYS)
def test_arrays_survive(folder: Path, made: dict[str, NDArray[Any]]) -> None:
    cache = fresh(folder)
    cache.arrays(KEY, lambda: made)
    again = cache.arrays(KEY, lambda: pytest.fail("found, not made"))
    assert set(again) == set(made)
    for name, array in made.items():
        assert again[name].dtype == array.dtype
        assert again[name].shape == array.shape
        assert again[name].tobytes() == array.tobytes()


@settings(max_examples=40)
@given(made=JSON)
def test_values_survive(folder: Path, made: Any) -> None:
    cache = fresh(folder)
    cache.values(KEY, lambda: made)
    assert cache.values(KEY, lambda: pytest.fail("found, not made")) == made


@settings(max_examples=40)
@given(made=ARRAYS, where=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_no_altered_byte_of_arrays_is_believed(
    folder: Path, made: dict[str, NDArray[Any]], where: float, flip: int
) -> None:
    """Either the change is found, or it is one that says the same, such as white space in the header."""
    cache = fresh(folder)
    cache.arrays(KEY, lambda: made)
    path = cache.place(KEY, ".safetensors")
    data = bytearray(path.read_bytes())
    data[int(where * len(data))] ^= flip
    path.write_bytes(data)
    held = cache.arrays(KEY, lambda: {"made": np.array([1])})
    if cache.damaged:
        assert set(held) == {"made"}
    else:
        assert {n: (a.dtype, a.shape, a.tobytes()) for n, a in held.items()} == {
            n: (a.dtype, a.shape, a.tobytes()) for n, a in made.items()
        }


@settings(max_examples=40)
@given(made=JSON, where=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_no_altered_byte_of_values_is_believed(folder: Path, made: Any, where: float, flip: int) -> None:
    cache = fresh(folder)
    cache.values(KEY, lambda: made)
    path = cache.place(KEY, ".json")
    data = bytearray(path.read_bytes())
    data[int(where * len(data))] ^= flip
    path.write_bytes(data)
    held = cache.values(KEY, lambda: "made again")
    assert held == ("made again" if cache.damaged else made)
