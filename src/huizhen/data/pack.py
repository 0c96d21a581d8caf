"""Packs: all preprocessed images of one modality in one memory-mapped array, larger than memory if need be.

A pack is built in shards that are kept in the cache, so that a killed run goes on where it stood, and is then
joined into plain `.npy` files whose digests are checked when it is opened, once a process. Identical images
are packed once.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import astuple, dataclass, fields
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

import huizhen
from huizhen.core.cohort import Case, ImageRecord
from huizhen.core.digests import Digest, canonical_json, digest_file, digest_value
from huizhen.core.files import whole_folder, write_bytes
from huizhen.core.progress import Progress
from huizhen.core.study import ImageModality
from huizhen.data.cache import Cache, DamagedEntryError
from huizhen.data.harmonise.chain import Picture, harmonised_picture, picture_of
from huizhen.data.preprocess import PREPROCESSING_VERSION, Frame, Letterbox, letterbox, letterbox_mask
from huizhen.data.readers.interface import Reader
from huizhen.errors import DataError, InvalidInputError, StorageError

PACK_VERSION = "pack-1"
HARMONISE_VERSION = "harmonise-1"
SHARD_IMAGES = 256
SHARD_BYTES = 16 * 2**20
"""A shard holds up to `SHARD_IMAGES` images and about this many bytes: what a build needs at a time."""

Located = tuple[str, ImageRecord]
"""An image and the site whose reader gives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """The N different images of one modality, C channels of S x S pixels each.

    `pixels` (N, C, S, S) uint8 and `masks` (N, S, S) bool, None when no image has one, are memory-mapped and
    read-only; `has_mask` (N,); `native` (N, 2) heights and widths before preprocessing; `index` an image's
    digest -> its row; `digest` of the whole content, for the ledger.
    """

    modality: str
    pixels: NDArray[np.uint8]
    masks: NDArray[np.bool_] | None
    has_mask: NDArray[np.bool_]
    native: NDArray[np.int32]
    index: Mapping[Digest, int]
    digest: Digest
    frame: NDArray[np.int32] | None = None
    """(N, 6) where harmonised images lie in those that were read, as the fields of `Frame`."""

    def __len__(self) -> int:
        return len(self.pixels)

    def rows(self, records: Iterable[ImageRecord]) -> NDArray[np.int64]:
        """Return the rows of `records`. Raises `InvalidInputError` for an image that isn't in the pack."""
        try:
            return np.array([self.index[record.digest] for record in records], dtype=np.int64)
        except KeyError as error:
            raise InvalidInputError(
                f"an image is not in the pack of {self.modality}", remedy="pack the images of all cases"
            ) from error

    def geometry(self, row: int) -> Letterbox:
        """Return where the image of `row` lies in its square, to bring a heatmap back."""
        height, width = self.native[row].tolist()
        names = [field.name for field in fields(Frame)]
        frame = (
            None if self.frame is None else Frame(**dict(zip(names, self.frame[row].tolist(), strict=True)))
        )
        return Letterbox(height=height, width=width, size=self.pixels.shape[-1], frame=frame)


def images_of(cases: Iterable[Case], modality: str) -> list[Located]:
    """Return the images of `modality` of all `cases`, in order, each with its site."""
    return [(case.site, record) for case in cases for record in case.images.get(modality, ())]


def pack_images(
    records: Sequence[Located],
    readers: Mapping[tuple[str, int], Reader],
    modality: ImageModality,
    cache: Cache,
    progress: Progress,
) -> Pack:
    """Return the pack of `records`, from the cache where it is there and whole.

    Raises `DataError` without images, `StorageError` when the cache can't be read or written, and what the
    readers raise.
    """
    if not records:
        raise DataError("no image to pack", remedy="check the sources of this modality", field=modality.name)
    unique = _each_once(records)
    settings = [huizhen.__version__, PACK_VERSION, PREPROCESSING_VERSION, modality.size, modality.channels]
    settings += [modality.phases.value, SHARD_IMAGES, SHARD_BYTES]
    if modality.harmonise:
        settings += [HARMONISE_VERSION, *(step.value for step in modality.harmonise), modality.spacing_mm]
    key = digest_value([*settings, _contents(unique)])
    folder = cache.place(key, ".pack")
    opened = cache.held(folder, lambda: _open(folder, cache, modality, unique))
    if opened is None:
        _build(folder, settings, unique, readers, modality, cache, progress)
        opened = _open(folder, cache, modality, unique)
    return opened


def shards(count: int, modality: ImageModality) -> list[slice]:
    """Return how `count` images are divided into shards.

    >>> shards(600, ImageModality(name="US", size=128))
    [slice(0, 256, None), slice(256, 512, None), slice(512, 600, None)]
    >>> len(shards(600, ImageModality(name="MG", size=1024, channels=3)))
    120
    """
    each = modality.channels * modality.size**2
    step = max(1, min(SHARD_IMAGES, SHARD_BYTES // each))
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


def _each_once(records: Sequence[Located]) -> list[Located]:
    first: dict[Digest, Located] = {}
    for site, record in records:
        first.setdefault(record.digest, (site, record))
    return list(first.values())


def _contents(records: Sequence[Located]) -> list[list[Any]]:
    return [[record.digest, record.has_mask] for _, record in records]


def _build(
    folder: Path,
    settings: Sequence[Any],
    records: Sequence[Located],
    readers: Mapping[tuple[str, int], Reader],
    modality: ImageModality,
    cache: Cache,
    progress: Progress,
) -> None:
    """Make the shards that the cache lacks, join them, and let them go."""
    cache.sweep()
    pieces = [records[part] for part in shards(len(records), modality)]
    keys = [
        digest_value([*settings, "shard", [[r.digest, r.has_mask] for _, r in piece]]) for piece in pieces
    ]
    with progress.track("pack", len(records), about=modality.name) as advance:

        def made() -> Iterator[Mapping[str, NDArray[Any]]]:
            for key, piece in zip(keys, pieces, strict=True):
                yield cache.arrays(key, partial(_shard, piece, readers, modality))
                advance(len(piece))

        try:
            with whole_folder(folder) as scratch:
                _join(scratch, made(), records, modality)
        except StorageError:
            if not (folder / "manifest.json").exists():  # else another process was first
                raise
    for key in keys:
        cache.drop(key)


def _shard(
    piece: Sequence[Located], readers: Mapping[tuple[str, int], Reader], modality: ImageModality
) -> dict[str, NDArray[Any]]:
    """Return the arrays of a few images: pixels, masks (only of images that have one), native sizes."""
    pixels = np.zeros((len(piece), modality.channels, modality.size, modality.size), dtype=np.uint8)
    masks = np.zeros((len(piece), modality.size, modality.size), dtype=np.bool_)
    native = np.zeros((len(piece), 2), dtype=np.int32)
    has_mask = np.zeros(len(piece), dtype=np.bool_)
    frame = np.zeros((len(piece), 6), dtype=np.int32)
    for i, (site, record) in enumerate(piece):
        reader = readers[site, record.source]
        image = reader.pixels(record)
        mask = reader.mask(record) if record.has_mask else None
        if mask is not None:
            _check_mask(mask, image, record)
        shown = shown_picture(reader, record, image, mask, modality)
        pixels[i] = letterbox(
            shown.pixels, size=modality.size, channels=modality.channels, phases=modality.phases
        )
        native[i], frame[i] = shown.pixels.shape[1:], astuple(shown.frame)
        if shown.mask is not None:
            masks[i], has_mask[i] = letterbox_mask(shown.mask, size=modality.size), True
    found = {"pixels": pixels, "masks": masks, "native": native, "has_mask": has_mask}
    return {**found, "frame": frame} if modality.harmonise else found


def shown_picture(
    reader: Reader,
    record: ImageRecord,
    image: NDArray[np.float32],
    mask: NDArray[np.bool_] | None,
    modality: ImageModality,
) -> Picture:
    """Return an image after the modality's steps. Raises as `harmonised_picture`, naming the file."""
    spacing = reader.spacing_mm(record) if modality.spacing_mm else None
    try:
        return harmonised_picture(picture_of(image, mask, spacing), modality)
    except DataError as error:
        error.file = error.file or record.key
        raise


def _check_mask(mask: NDArray[np.bool_], image: NDArray[np.float32], record: ImageRecord) -> None:
    if mask.shape != image.shape[1:]:
        raise DataError(
            f"the mask is {mask.shape}, its image {image.shape[1:]}",
            remedy="give a mask of its image's size, or leave the masks out of the source",
            file=record.key,
        )


def _join(
    scratch: Path,
    made: Iterator[Mapping[str, NDArray[Any]]],
    records: Sequence[Located],
    modality: ImageModality,
) -> None:
    """Write the shards one after another into one `.npy` file per array, and the manifest of their digests.

    Plain appending, not a writable memory map: on a full disk that would kill the process.
    """
    shape = (len(records), modality.size, modality.size)
    arrays: dict[str, tuple[tuple[int, ...], str]] = {
        "pixels": ((shape[0], modality.channels, *shape[1:]), "|u1"),
        "native": ((shape[0], 2), "<i4"),
        "has_mask": (shape[:1], "|b1"),
    }
    if any(record.has_mask for _, record in records):
        arrays["masks"] = (shape, "|b1")
    if modality.harmonise:
        arrays["frame"] = ((shape[0], 6), "<i4")
    with ExitStack() as stack:
        files = {name: stack.enter_context((scratch / f"{name}.npy").open("wb")) for name in arrays}
        hashes = {name: hashlib.sha256() for name in arrays}
        writers = {name: _Hashed(files[name], hashes[name]) for name in arrays}
        for name, (whole, dtype) in arrays.items():
            header = {"descr": dtype, "fortran_order": False, "shape": whole}
            np.lib.format.write_array_header_1_0(writers[name], header)
        for shard in made:
            for name in arrays:
                writers[name].write(shard[name].tobytes())
        for file in files.values():
            file.flush()
            os.fsync(file.fileno())
    digests = {name: digest.hexdigest() for name, digest in hashes.items()}
    write_bytes(scratch / "manifest.json", canonical_json(digests))


class _Hashed:
    """A file that is hashed while it is written."""

    def __init__(self, file: IO[bytes], digest: Any) -> None:
        self._file, self._digest = file, digest

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        return self._file.write(data)


def _open(folder: Path, cache: Cache, modality: ImageModality, records: Sequence[Located]) -> Pack:
    """Map a pack's files. Raises `DamagedEntryError` when one isn't what the manifest says."""
    try:
        manifest: dict[str, str] = json.loads((folder / "manifest.json").read_bytes())
        if str(folder) not in cache.verified:
            _verify(folder, manifest)
            cache.verified.add(str(folder))
        arrays = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in manifest
        }
        return Pack(
            modality=modality.name,
            pixels=arrays["pixels"],
            masks=arrays.get("masks"),
            has_mask=np.array(arrays["has_mask"]),
            native=np.array(arrays["native"]),
            index={record.digest: row for row, (_, record) in enumerate(records)},
            digest=digest_value(manifest),
            frame=arrays.get("frame"),
        )
    except (FileNotFoundError, KeyError, ValueError, AttributeError) as error:
        raise DamagedEntryError(folder, "a part is missing or of another form") from error


def _verify(folder: Path, manifest: Mapping[str, str]) -> None:
    for name, stated in manifest.items():
        path = folder / f"{name}.npy"
        if not path.is_file() or digest_file(path) != stated:
            raise DamagedEntryError(folder, f"{name} has another digest")
