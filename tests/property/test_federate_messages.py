"""A frame of which any byte was changed, cut off or added is refused, whatever it holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from huizhen.errors import MessageError
from huizhen.federate import messages as wire
from huizhen.federate.frames import NAME, seal, unseal
from huizhen.ledger.signing import SigningKey

KEY = SigningKey.generate()
PEERS = {"north": [KEY.public]}
floats = st.floats(-64, 64, width=32)
weights = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4), elements=floats
)
updates = st.builds(
    wire.Update,
    study=st.just("b" * 64),
    sender=st.just("north"),
    model=st.from_regex(r"[A-Za-z0-9_.:|+/-]{1,20}", fullmatch=True),
    round=st.integers(0, 10**6),
    patients=st.integers(0, 10**9),
    loss=st.floats(allow_nan=False, allow_infinity=False),
)
named = st.dictionaries(st.from_regex(NAME, fullmatch=True).filter(lambda n: len(n) < 9), weights, max_size=3)
WHOLE = seal(
    wire.Update(study="b" * 64, sender="north", model="cman", round=1, patients=9, loss=0.25),
    KEY,
    {"w": np.arange(4, dtype=np.float32)},
)


@given(updates, named)
@settings(max_examples=60, deadline=None)
def test_what_is_sealed_comes_through_as_it_was(message, arrays):
    found = unseal(seal(message, KEY, arrays), PEERS)
    assert found.message == message
    assert set(found.arrays) == set(arrays)
    for name, value in arrays.items():
        np.testing.assert_array_equal(found.arrays[name], value)


@pytest.mark.parametrize("place", range(len(WHOLE)))
def test_any_flipped_byte_is_refused(place):
    for flip in (1, 0x80, 0xFF):
        frame = bytearray(WHOLE)
        frame[place] ^= flip
        with pytest.raises(MessageError):
            unseal(bytes(frame), PEERS)


@given(updates, named, st.data())
@settings(max_examples=60, deadline=None)
def test_any_change_of_any_frame_is_refused(message, arrays, data):
    frame = bytearray(seal(message, KEY, arrays))
    place = data.draw(st.integers(0, len(frame) - 1))
    change = data.draw(st.sampled_from(["flip", "cut", "insert"]))
    if change == "flip":
        frame[place] ^= data.draw(st.integers(1, 255))
    elif change == "cut":
        del frame[place]
    else:
        frame.insert(place, data.draw(st.integers(0, 255)))
    if bytes(frame) == seal(message, KEY, arrays):  # a byte put beside one of its own kind and cut elsewhere
        return
    with pytest.raises(MessageError):
        unseal(bytes(frame), PEERS)


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_refused_by_one_kind_of_error(content):
    with pytest.raises(MessageError):
        unseal(content, PEERS)
    with pytest.raises(MessageError):
        unseal(b"HZF1" + len(content).to_bytes(8, "little") + content + b"\0" * 64, PEERS)
