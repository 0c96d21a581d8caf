"""Memory that training gives back and takes again at every step, kept by the process in between."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4


@cache
def keep_freed_memory() -> bool:
    """Tell the C library to keep freed blocks instead of returning them to the kernel; once a process.

    Activations of one step are large, and glibc maps and unmaps each of them anew: page faults then take up
    to half of a training step on a CPU. Returns whether it was done (glibc only; elsewhere nothing happens).
    Source: mallopt(3).
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
