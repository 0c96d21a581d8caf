"""Noise on the aggregate: what hides whether a whole hospital took part, not one patient.

Each site clips its update to a norm and adds its share of the noise before masking, so that neither the lead
nor any site ever sees a sum with less noise. Shares are as large as if only the threshold of sites stayed to
the end: with more of them the sum has more noise than was promised, never less.

One aggregate costs `Spend(sampling_rate=1, noise_multiplier=..., steps=1)`, with a hospital in place of a
patient. Sites that collude know their own shares: of n sites, c that do leave (n - c) / threshold of the
variance at most. Reference: McMahan et al., Learning differentially private recurrent language models, ICLR
2018 (client level); Kairouz et al., The distributed discrete Gaussian mechanism, ICML 2021 (shares).
"""

from __future__ import annotations

import hashlib
import hmac
import math

import numpy as np
from numpy.typing import NDArray

from huizhen.errors import InvalidInputError

__all__ = ["clipped_update", "noise_share", "secret_noise"]


def clipped_update(update: NDArray[np.float32], *, clip_norm: float) -> NDArray[np.float32]:
    """Return `update` (n,) scaled down to a norm of at most `clip_norm`.

    Raises `InvalidInputError` when it isn't finite or `clip_norm` isn't above 0.

    >>> clipped_update(np.array([3.0, 4.0], np.float32), clip_norm=1.0).round(3).tolist() == \\
    ...     np.array([0.6, 0.8], np.float32).round(3).tolist()
    True
    """
    if not 0 < clip_norm < math.inf or not np.isfinite(update).all():
        raise InvalidInputError("an update or its clip is not finite", remedy="find where training diverged")
    norm = float(np.linalg.norm(update.astype(np.float64)))
    if norm <= clip_norm:
        return update
    return (update * (clip_norm / norm * (1 - 2**-20))).astype(np.float32)


def secret_noise(secret: bytes, *names: str) -> np.random.Generator:
    """Return the numbers of one update's noise: the same for the same secret and names, unknown without it.

    So a site that was killed sends what it had sent. `secret`: the site's own, of 32 bytes or more; `names`:
    study, model, round and the digest of the question. Raises `InvalidInputError` on a shorter secret.

    >>> a, b = (secret_noise(bytes(32), "study", "1").standard_normal() for _ in range(2))
    >>> a == b, a == secret_noise(bytes(32), "study", "2").standard_normal()
    (True, False)
    """
    if len(secret) < 32:
        raise InvalidInputError("a secret of less than 32 bytes", remedy="use SigningKey.derive_secret")
    key = hmac.new(secret, "\x1f".join(("client-noise", *names)).encode(), hashlib.sha256).digest()
    return np.random.Generator(np.random.Philox(int.from_bytes(key, "big")))


def noise_share(
    length: int, *, noise_multiplier: float, clip_norm: float, least_sites: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return one site's noise (length,): `least_sites` of them have a deviation of multiplier times clip.

    `rng` must be secret: from the site's own entropy, not the study's seed. Raises `InvalidInputError` on
    values that aren't above 0.
    """
    if not (noise_multiplier > 0 and clip_norm > 0 and least_sites >= 1):
        raise InvalidInputError("noise of nothing, or for no site", remedy="give values above 0")
    deviation = noise_multiplier * clip_norm / math.sqrt(least_sites)
    return (rng.standard_normal(length, np.float32) * np.float32(deviation)).astype(np.float32)
