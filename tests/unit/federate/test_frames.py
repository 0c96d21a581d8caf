"""Frames: signed, sized, typed; what is altered, of another sender or not finite is refused."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from huizhen.errors import MessageError
from huizhen.federate import messages as wire
from huizhen.federate.frames import MAGIC, seal, unseal
from huizhen.ledger.signing import SigningKey

STUDY = "a" * 64
KEY, OTHER = SigningKey.generate(), SigningKey.generate()
UPDATE = wire.Update(study=STUDY, sender="north", model="cman/member0", round=3, patients=40, loss=0.5)
PEERS = {"north": [KEY.public], "west": [OTHER.public]}


def arrays(**more: np.ndarray) -> dict[str, np.ndarray]:
    return {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.float32([-1.5]), **more}


def frame_of(header: bytes, payload: bytes = b"", key: SigningKey = KEY) -> bytes:
    """Return a well signed frame of any header and payload."""
    from huizhen.core.digests import digest_bytes

    body = struct.pack("<I", len(header)) + header + payload
    signature = key.sign("frame", bytes.fromhex(digest_bytes(body)))
    return MAGIC + struct.pack("<Q", len(body)) + body + bytes.fromhex(signature)


def header_of(message=UPDATE) -> bytes:
    return json.dumps(message.model_dump(mode="json")).encode()


def tensors(entries: dict[str, object], data: bytes) -> bytes:
    header = json.dumps(entries).encode()
    return struct.pack("<Q", len(header)) + header + data


def test_a_message_with_arrays_comes_through():
    found = unseal(seal(UPDATE, KEY, arrays()), PEERS)
    assert found.message == UPDATE
    assert found.key == KEY.public
    for name, value in arrays().items():
        np.testing.assert_array_equal(found.arrays[name], value)
        assert found.arrays[name].dtype == value.dtype


def test_the_same_message_gives_the_same_bytes():
    assert seal(UPDATE, KEY, arrays()) == seal(UPDATE, KEY, dict(reversed(arrays().items())))


@pytest.mark.parametrize("signer", [OTHER, SigningKey.generate()], ids=["another_sites", "nobodys"])
def test_another_key_than_the_senders_is_refused(signer):
    with pytest.raises(MessageError, match="north: a message was refused: its signature doesn't hold"):
        unseal(seal(UPDATE, signer, arrays()), PEERS)


def test_an_unknown_sender_is_refused():
    with pytest.raises(MessageError, match="nobody of this name takes part"):
        unseal(seal(UPDATE, KEY), {"west": [KEY.public]})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_neither_leave_nor_arrive(value):
    wrong = arrays(w=np.float32([[value]]))
    with pytest.raises(MessageError, match="NaN or infinity"):
        seal(UPDATE, KEY, wrong)
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    payload = tensors({"w": entry}, np.float32([value]).tobytes())
    with pytest.raises(MessageError, match="NaN or infinity"):
        unseal(frame_of(header_of(), payload), PEERS)


@pytest.mark.parametrize(
    ("message", "array"),
    [
        (UPDATE, np.float64([1])),
        (UPDATE, np.uint32([1])),
        (UPDATE, np.array(["P-1"])),
        (UPDATE, np.array([object()])),
        (wire.Done(study=STUDY, sender="north"), np.float32([1])),
        (wire.Masked(study=STUDY, sender="north", terms=STUDY), np.float32([1])),
        (wire.Aggregate(study=STUDY, sender="north", subject="s", query="q", step=0), np.float64([1])),
    ],
    ids=["f64", "u32", "text", "object", "done", "masked", "aggregate"],
)
def test_arrays_of_a_type_that_the_kind_does_not_carry_are_refused(message, array):
    with pytest.raises(MessageError, match="can't go with"):
        seal(message, KEY, {"w": array})


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("entries", "data"),
    [
        ({"w": {**ENTRY, "dtype": "F16"}}, b"\0" * 8),
        ({"w": {**ENTRY, "shape": [3]}}, b"\0" * 8),
        ({"w": {**ENTRY, "shape": [-2]}}, b"\0" * 8),
        ({"w": {**ENTRY, "shape": [2**40, 2**40]}}, b"\0" * 8),
        ({"w": {**ENTRY, "shape": ["2"]}}, b"\0" * 8),
        ({"w": {**ENTRY, "data_offsets": [4, 12]}}, b"\0" * 12),
        ({"w": ENTRY}, b"\0" * 4),
        ({"w": ENTRY}, b"\0" * 16),
        ({"w": ENTRY, "v": ENTRY}, b"\0" * 8),
        ({"__metadata__": {"a": "b"}, "w": ENTRY}, b"\0" * 8),
        (["w"], b""),
        ("x", b""),
    ],
    ids=str,
)
def test_arrays_of_another_form_are_refused(entries, data):
    with pytest.raises(MessageError, match="no safetensors of the allowed types"):
        unseal(frame_of(header_of(), tensors(entries, data)), PEERS)


@pytest.mark.parametrize("payload", [b"\x80\x04\x95", struct.pack("<Q", 2**63) + b"{}", b"\0" * 7])
def test_a_pickle_or_rubbish_as_payload_is_refused(payload):
    with pytest.raises(MessageError, match="no safetensors"):
        unseal(frame_of(header_of(), payload), PEERS)


@pytest.mark.parametrize(
    "header",
    [
        b"null",
        b"[" * 3000,
        b"{}",
        b'{"kind": "case", "patient_id": "P-1"}',
        header_of().replace(b'"round"', b'"rounds"'),
        header_of().replace(b"0.5", b"NaN"),
        header_of().replace(b'"patients": 40', b'"patients": "40"'),
        b"\xff\xfe",
    ],
)
def test_a_signed_header_that_is_no_known_message_is_refused(header):
    with pytest.raises(MessageError, match="no known message"):
        unseal(frame_of(header), PEERS)


def test_a_refused_header_is_not_quoted():
    header = header_of().replace(b'"loss": 0.5', b'"loss": "Zhang San, born 1961"')
    with pytest.raises(MessageError) as caught:
        unseal(frame_of(header), PEERS)
    assert "Zhang" not in str(caught.value)


@pytest.mark.parametrize("frame", [b"", b"HZF1", b"HZF2" + b"\0" * 200, MAGIC + b"\xff" * 200, b"\0" * 100])
def test_rubbish_is_no_frame(frame):
    with pytest.raises(MessageError, match="a message was refused"):
        unseal(frame, PEERS)


def test_what_follows_a_frame_is_refused():
    with pytest.raises(MessageError, match="stated size is wrong"):
        unseal(seal(UPDATE, KEY) + b"\0", PEERS)


def test_a_header_longer_than_the_frame_is_refused():
    frame = bytearray(seal(UPDATE, KEY))
    frame[12:16] = struct.pack("<I", 2**31)
    with pytest.raises(MessageError, match="header's length"):
        unseal(bytes(frame), PEERS)


def test_a_header_that_is_too_long_does_not_leave():
    huge = wire.Deliver(
        study=STUDY, sender="lead", terms=STUDY, boxes={f"s{i}": "ab" * 4096 for i in range(600)}
    )
    with pytest.raises(MessageError, match="a header of"):
        seal(huge, KEY)
