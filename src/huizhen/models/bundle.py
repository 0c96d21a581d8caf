"""A model on disk: weights, preprocessing and thresholds under one digest.

A bundle is a folder of three files and nothing else:

- `weights.safetensors`: dense tensors. Pickles are never opened, because unpickling runs what is inside.
- `card.json`: a `Card` in its one canonical form.
- `digest.txt`: the SHA-256 over the format's name and the digests of the two others.

`digest.txt` alone shows damage; that nobody exchanged all three is shown by passing the `expected` digest,
which the ledger holds signed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as serialise_tensors

from huizhen.core.digests import Digest, digest_bytes, digest_value
from huizhen.core.files import whole_folder, write_bytes
from huizhen.errors import ModelError
from huizhen.models.card import CARD_VERSION, Card, check_card, model_card_markdown

__all__ = ["Bundle", "Card", "bundle_digest", "load_bundle", "model_card_markdown", "save_bundle"]

FORMAT: Final = "huizhen-bundle/1"
WEIGHTS: Final = "weights.safetensors"
CARD: Final = "card.json"
DIGEST: Final = "digest.txt"
PICKLES: Final = frozenset({".pt", ".pth", ".pkl", ".pickle", ".bin", ".ckpt", ".joblib", ".dill", ".npy"})
DTYPES: Final = frozenset({torch.float32, torch.int64})
"""Weights and running statistics are float32; int64 is batch normalisation's counter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A model as it was read: `weights` by parameter name, its `card`, and the `digest` over both."""

    weights: Mapping[str, torch.Tensor]
    card: Card
    digest: Digest


def save_bundle(
    folder: Path, *, weights: Mapping[str, torch.Tensor], card: Mapping[str, Any] | Card
) -> Digest:
    """Write a bundle, whole or not at all, and return its digest.

    The bytes depend on the values alone. Raises `ModelError` when `folder` exists, a weight isn't finite or
    of another dtype than float32 or int64, or the card lacks something; `StorageError` when it can't be
    written.
    """
    if folder.exists() or folder.is_symlink():
        _refuse("exists already", "choose a new folder; a model is never overwritten", file=folder)
    _check_weights(weights, folder)
    card_bytes = check_card(card, file=folder.name).canonical()
    own = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()}
    weight_bytes = serialise_tensors(own)
    digest = bundle_digest(weight_bytes, card_bytes)
    with whole_folder(folder) as scratch:
        write_bytes(scratch / WEIGHTS, weight_bytes)
        write_bytes(scratch / CARD, card_bytes)
        write_bytes(scratch / DIGEST, f"{digest}\n".encode())
    return digest


def load_bundle(folder: Path, *, expected: Digest | None = None) -> Bundle:
    """Read a bundle and return it, or raise `ModelError` on anything that `save_bundle` did not write.

    Refused: extra, missing or linked files, a pickle (named, never opened), a byte changed anywhere, another
    digest than `expected`, a card of another version or with other keys, weights that aren't finite or of
    another dtype. Digests are checked before anything is parsed.
    """
    content = _read_files(folder)
    digest = bundle_digest(content[WEIGHTS], content[CARD])
    if content[DIGEST] != f"{digest}\n".encode():
        _refuse("weights or card are not those of its digest", "fetch the model again", file=folder)
    if expected is not None and digest != expected:
        _refuse(
            "is not the model that was expected", "load the one whose digest the ledger holds", file=folder
        )
    card = _parse_card(content[CARD], folder / CARD)
    weights = _parse_weights(content[WEIGHTS], folder / WEIGHTS)
    return Bundle(weights=weights, card=card, digest=digest)


def bundle_digest(weights: bytes, card: bytes) -> Digest:
    """Return the one digest of a bundle from the bytes of its weights and of its canonical card.

    >>> bundle_digest(b"w", b"c") == bundle_digest(b"wc", b"")
    False
    """
    return digest_value({"format": FORMAT, "weights": digest_bytes(weights), "card": digest_bytes(card)})


def _refuse(message: str, remedy: str, *, file: Path, field: str | None = None) -> NoReturn:
    raise ModelError(message, remedy=remedy, file=file.name, field=field)


def _check_weights(weights: Mapping[str, torch.Tensor], file: Path) -> None:
    if not weights:
        _refuse("holds no weights", "save the model's state_dict", file=file)
    for name, tensor in weights.items():
        if tensor.dtype not in DTYPES or tensor.layout is not torch.strided:
            _refuse(
                f"is {tensor.dtype}, {tensor.layout}",
                "convert it to dense float32",
                file=file,
                field=name,
            )
        if not bool(torch.isfinite(tensor).all()):
            _refuse("holds NaN or infinity", "find where training diverged", file=file, field=name)


def _read_files(folder: Path) -> dict[str, bytes]:
    if folder.suffix.lower() in PICKLES and not folder.is_dir():
        _refuse("is a pickle, which could run code: not opened", "use a bundle folder", file=folder)
    try:
        entries = {entry.name: entry for entry in folder.iterdir()}
        for name, entry in sorted(entries.items()):
            if entry.suffix.lower() in PICKLES:
                _refuse(f"holds a pickle, {name}, which could run code: not opened", "remove it", file=folder)
        if not {WEIGHTS, CARD, DIGEST} & set(entries):
            _refuse("is no model's folder", "name the one that huizhen run printed as the model", file=folder)
        if extra := sorted(set(entries) - {WEIGHTS, CARD, DIGEST}):
            _refuse(f"holds other files: {', '.join(extra)}", "take them out, or fetch it again", file=folder)
        if missing := sorted({WEIGHTS, CARD, DIGEST} - set(entries)):
            _refuse(f"lacks {', '.join(missing)}", "fetch the model again", file=folder)
        if links := sorted(n for n, e in entries.items() if e.is_symlink() or not e.is_file()):
            _refuse(f"not plain files: {', '.join(links)}", "fetch the model again", file=folder)
        return {name: entry.read_bytes() for name, entry in entries.items()}
    except OSError as error:
        raise ModelError(
            f"can't be read ({error.strerror})", remedy="check that the folder exists", file=folder.name
        ) from error


def _parse_card(data: bytes, file: Path) -> Card:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelError("is not JSON", remedy="fetch the model again", file=file.name) from error
    version = value.get("schema_version") if isinstance(value, dict) else None
    if type(version) is not int or version != CARD_VERSION:
        _refuse(f"is not a card of version {CARD_VERSION}", "use the huizhen that wrote it", file=file)
    card = check_card(value, file=file.name)
    if card.canonical() != data:
        _refuse("is not in its canonical form", "write it with save_bundle", file=file)
    return card


def _parse_weights(data: bytes, file: Path) -> dict[str, torch.Tensor]:
    try:
        weights: dict[str, torch.Tensor] = parse_tensors(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise ModelError("is not safetensors", remedy="fetch the model again", file=file.name) from error
    _check_weights(weights, file)
    return dict(sorted(weights.items()))
