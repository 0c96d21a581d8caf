"""Image keys: which files and frames an image is made of, in one line of text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote, unquote

from huizhen.core.digests import Digest, digest_value
from huizhen.errors import InvalidInputError

__all__ = ["Plane", "join_key", "natural_order", "planes_digest", "split_key"]

Plane = tuple[str, int | None]
"""A relative path and a frame (from 0), or None for a file that is one image."""

_KEPT = "".join(chr(code) for code in range(32, 127) if chr(code) not in "%#|")


def join_key(planes: Sequence[Plane]) -> str:
    """Return the key of an image made of `planes`, one per phase: "a.dcm|b.dcm#3".

    Characters that the key itself uses are escaped in paths.

    >>> join_key([("1/pre.dcm", None), ("1/post #2.dcm", 3)])
    '1/pre.dcm|1/post %232.dcm#3'
    """
    return "|".join(
        quote(path, safe=_KEPT, errors="surrogateescape") + ("" if frame is None else f"#{frame}")
        for path, frame in planes
    )


def split_key(key: str) -> tuple[Plane, ...]:
    """Return the planes that `join_key` joined. Raises `InvalidInputError` on anything else.

    >>> split_key("1/pre.dcm|1/post %232.dcm#3")
    (('1/pre.dcm', None), ('1/post #2.dcm', 3))
    """
    try:
        parts = [part.split("#") for part in key.split("|")]
        return tuple(
            (unquote(path, errors="surrogateescape"), int(frame[0]) if frame else None)
            for path, *frame in parts
        )
    except ValueError as error:
        raise InvalidInputError("not an image key", remedy="take the key from a scan's record") from error


def natural_order(text: str) -> tuple[str | int, ...]:
    """Return a sort key under which numbers inside a name go by value.

    >>> sorted(["s10.dcm", "s9.dcm"], key=natural_order)
    ['s9.dcm', 's10.dcm']
    """
    return tuple(int(part) if i % 2 else part for i, part in enumerate(re.split("([0-9]+)", text)))


def planes_digest(digests: Sequence[Digest], frames: Sequence[int | None]) -> Digest:
    """Return the digest of an image made of files with `digests`, of which `frames` are taken.

    One whole file keeps its own digest; anything else is the digest of the pairs in order.
    """
    if len(digests) == 1 and frames[0] is None:
        return digests[0]
    return digest_value([[digest, frame] for digest, frame in zip(digests, frames, strict=True)])
