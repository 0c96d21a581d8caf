"""Cached features of frozen encoders: each image goes through its encoder once, or once an augmented copy."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from huizhen.core.digests import digest_file, digest_value
from huizhen.core.files import whole_folder, write_text
from huizhen.core.progress import Progress
from huizhen.core.streams import stream_seed
from huizhen.core.study import ImageModality
from huizhen.data.cache import Cache, DamagedEntryError
from huizhen.data.pack import Pack
from huizhen.models.encoders.choose import make_encoder
from huizhen.models.encoders.interface import Encoder, normalise, tokens_of
from huizhen.train.augment import augment
from huizhen.train.memory import keep_freed_memory

FEATURES_VERSION = "4"
BATCH = 32
ARRAY, STATED = "features.npy", "digest.txt"


def frozen_encoder(modality: ImageModality, seed: int) -> Encoder:
    """Return the modality's encoder in evaluation mode; if not pretrained, drawn from `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(seed, "encoder", modality.name))
        encoder = make_encoder(modality)
    return encoder.eval().requires_grad_(False)


@torch.inference_mode()
def encode_images(
    encoder: Encoder, pixels: NDArray[np.uint8], *, copies: int, generator: torch.Generator
) -> NDArray[np.float16]:
    """Return features (N, copies, T, D) of `pixels` (N, C, S, S); copy 0 is plain, the others augmented."""
    plain = torch.from_numpy(np.array(pixels)).float() / 255
    shown = [plain, *(augment(plain, generator)[0] for _ in range(copies - 1))]
    grids = [tokens_of(encoder(normalise(x))) for x in shown]
    return torch.stack(grids, 1).to(torch.float16).numpy()


def cached_features(
    pack: Pack, modality: ImageModality, cache: Cache, *, copies: int, seed: int, progress: Progress
) -> NDArray[np.float16]:
    """Return features (N, copies, T, D) of a pack's images as a read-only memory map, from the cache or made.

    The entry's key holds the pack's digest, the encoder's settings, the copies and the seed; its content is
    checked against its digest once a process.
    """
    settings = [FEATURES_VERSION, modality.model_dump(mode="json"), copies, seed, pack.digest]
    folder = cache.place(digest_value(["features", *settings]), ".features")
    found = cache.held(folder, lambda: _open(folder, cache))
    if found is None:
        with whole_folder(folder) as scratch:
            _make(scratch / ARRAY, pack, modality, copies=copies, seed=seed, progress=progress)
            write_text(scratch / STATED, digest_file(scratch / ARRAY))
        found = _open(folder, cache)
    return found


def _open(folder: Path, cache: Cache) -> NDArray[np.float16]:
    """Map a features file. Raises `DamagedEntryError` when it isn't what its digest says."""
    if str(folder) not in cache.verified:
        if not ((folder / ARRAY).is_file() and (folder / STATED).is_file()):
            raise DamagedEntryError(folder, "a part is missing")
        if digest_file(folder / ARRAY) != (folder / STATED).read_text(encoding="utf-8"):
            raise DamagedEntryError(folder, "the features have another digest")
        cache.verified.add(str(folder))
    mapped: NDArray[np.float16] = np.load(folder / ARRAY, mmap_mode="r", allow_pickle=False)
    return mapped


def _make(
    path: Path, pack: Pack, modality: ImageModality, *, copies: int, seed: int, progress: Progress
) -> None:
    """Encode a pack's images batch by batch into a `.npy` file, so that none but a batch is in memory."""
    keep_freed_memory()
    encoder = frozen_encoder(modality, seed)
    with path.open("wb") as file, progress.track("encode", len(pack), about=modality.name) as advance:
        for start in range(0, len(pack), BATCH):
            generator = torch.Generator().manual_seed(stream_seed(seed, "copies", modality.name, start))
            block = encode_images(
                encoder, pack.pixels[start : start + BATCH], copies=copies, generator=generator
            )
            if start == 0:
                header: dict[str, Any] = {"descr": "<f2", "fortran_order": False}
                np.lib.format.write_array_header_1_0(file, {**header, "shape": (len(pack), *block.shape[1:])})
            file.write(block.astype("<f2").tobytes())
            advance(len(block))
        file.flush()
        os.fsync(file.fileno())
