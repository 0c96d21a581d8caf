"""How a message travels: framed, sized, signed; nothing is unpickled or parsed before its size is known.

A frame is `MAGIC`, the length of the body, the body and an Ed25519 signature over it. The body is the length
of the header, the header (canonical JSON of one message) and the message's arrays as safetensors.

    >>> from huizhen.federate.messages import Refusal
    >>> key = SigningKey.generate()
    >>> refusal = Refusal(study="0" * 64, sender="north", code="HZ92", reason="outside working hours")
    >>> unseal(seal(refusal, key), {"north": [key.public]}).message.reason
    'outside working hours'
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from huizhen.core.digests import Digest, canonical_json, digest_bytes
from huizhen.errors import MessageError, VerificationError
from huizhen.federate.messages import MAX_HEADER, Inbound, Message, Outbound
from huizhen.ledger.signing import PublicKey, SigningKey

MAGIC = b"HZF1"
MAX_ARRAYS = 2**30
"""Bytes of a message's arrays."""
SIGNATURE = 64
DOMAIN = "frame"
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./:-]{0,255}")
"""Names of arrays."""

Arrays = Mapping[str, NDArray[Any]]
_ADAPTER: TypeAdapter[Inbound | Outbound] = TypeAdapter(Message)

DTYPES: Mapping[str, frozenset[str]] = {
    "train": frozenset({"F32"}),
    "hold": frozenset({"F32"}),
    "update": frozenset({"F32"}),
    "masked": frozenset({"U32"}),
    "ask": frozenset({"F64"}),
    "aggregate": frozenset({"U32"}),
}
"""Which element types each kind's arrays may have; kinds that aren't named carry none."""
_TYPES = {"F32": np.float32, "F64": np.float64, "U32": np.uint32}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A checked message with its arrays, the key that signed it, and the digest and size of its frame."""

    message: Inbound | Outbound
    key: PublicKey
    arrays: Arrays = field(default_factory=dict)
    digest: Digest
    size: int


def seal(message: Inbound | Outbound, key: SigningKey, arrays: Arrays | None = None) -> bytes:
    """Return the signed frame of `message` and its `arrays`.

    Raises `MessageError` when the arrays are of a type that this kind of message doesn't carry, hold NaN or
    infinity, or are too large.
    """
    arrays = {name: np.asarray(array, order="C") for name, array in (arrays or {}).items()}
    _check_arrays(message.kind, arrays, message.sender)
    header = canonical_json(message.model_dump(mode="json"))
    if len(header) > MAX_HEADER:
        raise _refused(message.sender, f"a header of {len(header)} bytes is over {MAX_HEADER}")
    payload = _packed(arrays)
    body = b"".join([struct.pack("<I", len(header)), header, payload])
    signature = key.sign(DOMAIN, bytes.fromhex(digest_bytes(body)))
    return b"".join([MAGIC, struct.pack("<Q", len(body)), body, bytes.fromhex(signature)])


def unseal(frame: bytes, peers: Mapping[str, Sequence[PublicKey]]) -> Sealed:
    """Return the message of `frame`, checked: size, signature of the sender named, types, finite values.

    `peers` maps each known sender to the public keys that it may sign with. Raises `MessageError` on anything
    else.
    """
    body, signature = _split(frame)
    (length,) = struct.unpack_from("<I", body)
    if not 0 < length <= min(MAX_HEADER, len(body) - 4):
        raise _refused("?", "the header's length doesn't fit the frame")
    message = _parsed(body[4 : 4 + length])
    key = _signer(message.sender, peers.get(message.sender, ()), body, signature)
    arrays = _unpacked(body[4 + length :], message.sender)
    _check_arrays(message.kind, arrays, message.sender)
    return Sealed(message=message, key=key, arrays=arrays, digest=digest_bytes(frame), size=len(frame))


def _split(frame: bytes) -> tuple[memoryview, str]:
    """Return body and signature of a frame of the stated size."""
    start = len(MAGIC) + 8
    if len(frame) < start + 4 + SIGNATURE or frame[: len(MAGIC)] != MAGIC:
        raise _refused("?", "it is no frame of this protocol")
    (size,) = struct.unpack_from("<Q", frame, len(MAGIC))
    if size > MAX_HEADER + MAX_ARRAYS or size != len(frame) - start - SIGNATURE:
        raise _refused("?", "its stated size is wrong")
    return memoryview(frame)[start : start + size], frame[start + size :].hex()


def _parsed(header: memoryview) -> Inbound | Outbound:
    """Return the message of a header."""
    try:
        return _ADAPTER.validate_json(bytes(header))
    except ValidationError as error:
        count = error.error_count()  # where they are is what a stranger wrote
        raise _refused("?", f"its header is no known message ({count} problems)") from None


def _signer(sender: str, keys: Sequence[PublicKey], body: memoryview, signature: str) -> PublicKey:
    """Return the one of the sender's keys that signed the body."""
    if not keys:
        raise _refused(sender, "nobody of this name takes part")
    digest = bytes.fromhex(digest_bytes(bytes(body)))
    for key in keys:
        try:
            key.verify(DOMAIN, digest, signature)
        except VerificationError:
            continue
        return key
    raise _refused(sender, "its signature doesn't hold")


def _check_arrays(kind: str, arrays: Arrays, sender: str) -> None:
    """Check number, type, size and values of a message's arrays."""
    allowed = DTYPES.get(kind, frozenset())
    for name, array in arrays.items():
        if not NAME.fullmatch(name):
            raise _refused(sender, "an array has a name of another form")
        if not any(array.dtype == _TYPES[code] for code in allowed):
            raise _refused(sender, f"array {name[:80]} of type {array.dtype} can't go with {kind}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise _refused(sender, f"array {name[:80]} holds NaN or infinity")
    if (total := sum(a.nbytes for a in arrays.values())) > MAX_ARRAYS:
        raise _refused(sender, f"arrays of {total} bytes are over {MAX_ARRAYS}")


def _packed(arrays: Arrays) -> bytes:
    """Return `arrays` as safetensors, sorted by name; nothing for none."""
    if not arrays:
        return b""
    from safetensors.numpy import save

    return save({name: arrays[name] for name in sorted(arrays)})


def _unpacked(payload: memoryview, sender: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of a payload, as views of it."""
    if not len(payload):
        return {}
    try:
        (length,) = struct.unpack_from("<Q", payload)
        if length > MAX_HEADER:
            raise ValueError("header too long")
        header = json.loads(bytes(payload[8 : 8 + length]), object_pairs_hook=_once)
        return _views(header, payload[8 + length :])
    except Exception as error:  # whatever a stranger's bytes do to a library, they are refused
        raise _refused(sender, "its arrays are no safetensors of the allowed types") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return pairs as a dict. Raises `ValueError` on a key that stands twice."""
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key twice")
    return dict(pairs)


def _views(header: Any, data: memoryview) -> dict[str, NDArray[Any]]:
    """Return the arrays that a safetensors header describes; every byte must belong to exactly one."""
    found: dict[str, NDArray[Any]] = {}
    end = 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        if not NAME.fullmatch(name):
            raise ValueError("name")
        dtype, shape, (start, stop) = _TYPES[entry["dtype"]], entry["shape"], entry["data_offsets"]
        if start != end or not all(type(s) is int and 0 <= s <= MAX_ARRAYS for s in shape):
            raise ValueError("offsets")
        count = int(np.prod(shape, dtype=object)) if shape else 1
        if stop - start != count * np.dtype(dtype).itemsize or stop > len(data):
            raise ValueError("size")
        found[name] = np.frombuffer(data[start:stop], dtype).reshape(shape)
        end = stop
    if end != len(data):
        raise ValueError("left over")
    return found


def _refused(sender: str, reason: str) -> MessageError:
    return MessageError(
        f"a message was refused: {reason}",
        remedy="make sure that both sides run the same version of huizhen and know each other's keys",
        field=sender,
    )
