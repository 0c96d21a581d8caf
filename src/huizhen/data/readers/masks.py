"""Lesion masks in files of their own: PNG, or npz with an array "mask"."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from huizhen.data.readers.image_files import read_mask_image
from huizhen.data.readers.npz_members import load_member
from huizhen.errors import UnreadableFileError

__all__ = ["MASK_SUFFIXES", "read_mask_file"]

MASK_SUFFIXES = (".png", ".npz")


def read_mask_file(path: Path, frame: int | None = None) -> NDArray[np.bool_]:
    """Return a mask (H, W). An npz may hold (F, H, W), of which `frame` is taken.

    Raises `UnreadableFileError` when the file is broken or has no such frame.
    """
    if path.suffix.lower() == ".png":
        return read_mask_image(path)
    mask = np.asarray(load_member(path, "mask", field="site.source.masks")) > 0
    if mask.ndim == 3 and frame is not None and frame < len(mask):
        return np.asarray(mask[frame])
    if mask.ndim == 2:
        return mask
    raise UnreadableFileError(
        f"a mask of shape {mask.shape}", remedy="give (H, W), or (F, H, W) for a clip", file=path.name
    )
