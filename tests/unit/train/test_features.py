"""Cached features: encoded once, checked on opening, made again when they were tampered with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from huizhen.core.digests import digest_value
from huizhen.core.progress import Silent
from huizhen.core.study import ImageModality
from huizhen.data.cache import Cache
from huizhen.data.pack import Pack
from huizhen.models.encoders.interface import tokens_of
from huizhen.train import features
from huizhen.train.features import cached_features, encode_images, frozen_encoder

MODALITY = ImageModality.model_validate(
    {"name": "US", "encoder": "resnet18", "pretrained": False, "size": 32, "channels": 1}
)


@pytest.fixture
def pack() -> Pack:
    """Forty random images, more than one batch."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 1, 32, 32)).astype(np.uint8)
    return Pack(
        modality="US",
        pixels=pixels,
        masks=None,
        has_mask=np.zeros(40, bool),
        native=np.full((40, 2), 32, np.int32),
        index={},
        digest=digest_value("forty images"),
    )


def taken(
    pack: Pack, folder: Path, *, copies: int = 1, seed: int = 7, cache: Cache | None = None
) -> NDArray[np.float16]:
    return cached_features(
        pack, MODALITY, cache or Cache(folder), copies=copies, seed=seed, progress=Silent()
    )


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("it was encoded again")

    monkeypatch.setattr(features, "encode_images", refuse)


def entry(folder: Path) -> Path:
    [found] = folder.glob("*/*.features")
    return found


def test_features_are_the_encoders_tokens(pack: Pack, tmp_path: Path) -> None:
    found = taken(pack, tmp_path)
    encoder = frozen_encoder(MODALITY, 7)
    with torch.no_grad():
        image = (torch.from_numpy(pack.pixels[35:36]).float() / 255 - 0.498) / 0.502
        tokens = tokens_of(encoder(image))
    assert found.shape == (40, 1, 1, 512)
    assert found.dtype == np.float16
    assert not found.flags.writeable
    np.testing.assert_allclose(found[35, 0], tokens[0].numpy(), rtol=2e-3, atol=2e-3)


def test_the_second_call_does_not_encode(pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = taken(pack, tmp_path)
    forbid(monkeypatch)
    assert np.array_equal(taken(pack, tmp_path), first)  # another process: a new cache over the folder


def test_copies_and_seeds_have_entries_of_their_own(pack: Pack, tmp_path: Path) -> None:
    plain, copies = taken(pack, tmp_path), taken(pack, tmp_path, copies=3)
    other = taken(pack, tmp_path, seed=8)
    assert copies.shape == (40, 3, 1, 512)
    assert np.array_equal(copies[:, 0], plain[:, 0])
    assert not np.array_equal(copies[:, 1], copies[:, 2])
    assert not np.array_equal(plain, other)
    assert len(list(tmp_path.glob("*/*.features"))) == 3


def test_the_same_seed_gives_the_same_copies(pack: Pack, tmp_path: Path) -> None:
    assert np.array_equal(taken(pack, tmp_path / "a", copies=2), taken(pack, tmp_path / "b", copies=2))


def tamper(folder: Path, how: str) -> None:
    array, stated = folder / features.ARRAY, folder / features.STATED
    if how == "a bit":
        content = bytearray(array.read_bytes())
        content[-1] ^= 1
        array.write_bytes(content)
    elif how == "cut":
        array.write_bytes(array.read_bytes()[:-10])
    elif how == "no features":
        array.unlink()
    elif how == "no digest":
        stated.unlink()
    elif how == "another digest":
        stated.write_text("0" * 64)
    else:
        array.unlink()
        stated.unlink()


@pytest.mark.parametrize("how", ["a bit", "cut", "no features", "no digest", "another digest", "empty"])
def test_a_tampered_entry_is_set_aside_and_made_again(pack: Pack, tmp_path: Path, how: str) -> None:
    first = np.array(taken(pack, tmp_path))
    tamper(entry(tmp_path), how)
    cache = Cache(tmp_path)
    assert np.array_equal(taken(pack, tmp_path, cache=cache), first)
    [damaged] = cache.damaged
    assert damaged.endswith(".features")
    assert len(list(tmp_path.glob("*/*.damaged"))) == 1


def test_a_killed_encoding_leaves_no_entry(
    pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter([True, False])

    def second_fails(*args: object, **kwargs: object) -> object:
        if not next(calls):
            raise KeyboardInterrupt
        return encode_images(*args, **kwargs)  # type: ignore[arg-type]  # passed on as they came

    with monkeypatch.context() as patch:
        patch.setattr(features, "encode_images", second_fails)
        with pytest.raises(KeyboardInterrupt):
            taken(pack, tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert taken(pack, tmp_path).shape == (40, 1, 1, 512)


def test_an_untrained_encoder_is_drawn_from_the_studys_seed_alone() -> None:
    before = torch.random.get_rng_state()
    first, same, other = (frozen_encoder(MODALITY, seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
    encoder = frozen_encoder(MODALITY, 1)
    assert not encoder.training
    assert not any(p.requires_grad for p in encoder.parameters())
