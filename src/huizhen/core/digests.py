"""Content digests: SHA-256 of bytes, files and plain values in one canonical form."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any, NewType

from huizhen.errors import InvalidInputError, UnreadableFileError

Digest = NewType("Digest", str)
"""A SHA-256 in 64 lower-case hexadecimal digits."""


def canonical_json(value: Any) -> bytes:
    """Return `value` (dicts, lists, strings, finite numbers, booleans, None) as its one canonical UTF-8 form.

    Keys are sorted, no white space, non-ASCII kept. Raises `InvalidInputError` on NaN, infinity, a type that
    JSON lacks, text that UTF-8 lacks (a lone surrogate), or lists and dicts too deep or within themselves.

    >>> canonical_json({"b": 1, "a": [True, None, 0.5]})
    b'{"a":[true,null,0.5],"b":1}'
    """
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode()
    except UnicodeEncodeError as error:  # its own text would quote the value
        raise InvalidInputError(
            "a text has no canonical JSON form (a lone surrogate, which UTF-8 lacks)",
            remedy="decode file names and tables as UTF-8 before",
        ) from error
    except RecursionError as error:
        raise InvalidInputError(
            "a value has no canonical JSON form (nested too deeply)", remedy="use flatter lists and dicts"
        ) from error
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"a value has no canonical JSON form ({error})", remedy="use finite numbers and plain JSON types"
        ) from error


def plain(value: float) -> float | None:
    """Return a finite float as it is and anything else as None, for JSON.

    >>> plain(0.5), plain(math.nan)
    (0.5, None)
    """
    return float(value) if math.isfinite(value) else None


def digest_bytes(data: bytes) -> Digest:
    """Return the SHA-256 of `data`.

    >>> digest_bytes(b"")[:8]
    'e3b0c442'
    """
    return Digest(hashlib.sha256(data).hexdigest())


def digest_value(value: Any) -> Digest:
    """Return the SHA-256 of `value` in its canonical JSON form."""
    return digest_bytes(canonical_json(value))


def digest_file(path: Path) -> Digest:
    """Return the SHA-256 of a file's content. Raises `UnreadableFileError` if it can't be read."""
    try:
        with path.open("rb") as stream:
            return Digest(hashlib.file_digest(stream, "sha256").hexdigest())
    except OSError as error:
        raise UnreadableFileError(
            f"can't be read ({error.strerror})", remedy="check that it exists and may be read", file=str(path)
        ) from error
