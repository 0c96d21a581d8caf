"""One worker at a time in a site's folder: two would break the chain of its outbox."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path
from typing import IO

from huizhen.core.files import open_private, storage_error
from huizhen.errors import FederationError

LOCK = "worker.lock"
LOCK_S = 60.0
TRY_S = 0.1


def alone(folder: Path, *, patience_s: float = LOCK_S) -> IO[bytes]:
    """Lock a site's folder for this process, waiting for one before it to end; close what is returned after.

    The lock goes with the process, however that ends. Raises `FederationError` when another keeps it.
    """
    try:
        stream = open_private(folder / LOCK)
    except OSError as error:
        raise storage_error(folder / LOCK, error) from error
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return stream
        except OSError as error:
            if time.monotonic() > deadline:
                stream.close()
                raise FederationError(
                    "another worker is at work in the site's folder",
                    remedy="let one process at a time serve a site",
                    file=str(folder),
                ) from error
            time.sleep(TRY_S)
