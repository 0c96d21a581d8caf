"""DP-SGD at a site: random patients, each patient's gradient clipped, noise on the sum.

    check_network(network)                                     # no statistics over the batch
    optimiser = private_optimiser(torch.optim.AdamW(...), settings, generator=noise_generator(secret, ...))
    for rows in poisson_samples(patients, settings.sampling_rate, steps, rng):
        private_step(network, optimiser, data.batch(rows, names), loss)

What is spent is `Spend(sampling_rate, noise_multiplier, steps)`. Sampling and noise must be secret: who knows
which patients were drawn gets no amplification by sampling, and who knows the noise takes it away. They are
drawn from a secret of the site (`SigningKey.derive_secret`), never from the study's seed, which is public.

Limits: torch's generator on the CPU is no cryptographic one, and noise in floating point can leak by its low
bits (Mironov, CCS 2012). Weights that a study keeps by looking at tuning patients leak about those; epsilon
holds for training patients.

Reference: Abadi et al., Deep learning with differential privacy, CCS 2016, algorithm 1; Opacus' DPOptimizer.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from huizhen.errors import InvalidInputError, PrivacyError
from huizhen.models.batch import CaseBatch
from huizhen.privacy.dp_settings import DpSettings
from huizhen.privacy.patient_gradients import Loss, groups_of_equal_shape, patient_gradients

__all__ = [
    "check_network",
    "noise_generator",
    "poisson_samples",
    "private_optimiser",
    "private_step",
    "sample_generator",
]


def check_network(network: nn.Module) -> None:
    """Refuse a network in which patients of a batch see each other. Raises `PrivacyError`.

    Batch normalisation, and instance normalisation that keeps running statistics, mix patients: then no
    gradient is of one patient alone, and the running statistics themselves leave without noise.
    """
    wrong = [name for name, module in network.named_modules() if _mixes_patients(module)]
    if wrong:
        raise PrivacyError(
            f"{len(wrong)} layers normalise over the batch, the first is {wrong[0]}",
            remedy='use GroupNorm: norm = "group" for each image modality in a new study, or frozen features',
            field="modality.norm",
        )


def _mixes_patients(module: nn.Module) -> bool:
    """Tell whether a layer computes, or keeps, statistics over the patients of a batch."""
    if isinstance(module, nn.modules.instancenorm._InstanceNorm):
        return module.track_running_stats
    return isinstance(module, nn.modules.batchnorm._BatchNorm)


def noise_generator(secret: bytes, *names: str | int) -> torch.Generator:
    """Return a generator of noise for one use (`names`: study, round, attempt), from a site's `secret`.

    The same secret and names give the same noise, so that a resumed step doesn't show a second draw; a round
    that is repeated is a new attempt, and has other noise.
    """
    return torch.Generator().manual_seed(_secret_seed(secret, "noise", *names))


def sample_generator(secret: bytes, *names: str | int) -> np.random.Generator:
    """Return a generator that draws patients for one use, from a site's `secret`."""
    return np.random.Generator(np.random.Philox(_secret_seed(secret, "sample", *names)))


def _secret_seed(secret: bytes, *names: str | int) -> int:
    """Return a 63-bit seed that nobody without the secret can compute."""
    if len(secret) < 32:
        raise InvalidInputError("a secret of less than 32 bytes", remedy="use SigningKey.derive_secret")
    text = "\x1f".join(map(str, names)).encode()
    return int.from_bytes(hmac.digest(secret, text, hashlib.sha256)[:8], "big") >> 1


def poisson_samples(
    patients: NDArray[np.int64], sampling_rate: float, steps: int, rng: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Yield the patients of each step: each with probability `sampling_rate`, independently; maybe none."""
    for _ in range(steps):
        yield patients[rng.random(len(patients)) < sampling_rate]


def private_optimiser(
    optimiser: torch.optim.Optimizer, settings: DpSettings, *, generator: torch.Generator
) -> Any:
    """Return Opacus' DPOptimizer around `optimiser`: it clips, sums, adds noise and divides."""
    from opacus.optimizers import DPOptimizer

    return DPOptimizer(
        optimiser,
        noise_multiplier=settings.noise_multiplier,
        max_grad_norm=settings.clip_norm,
        expected_batch_size=settings.expected_batch,
        loss_reduction="mean",
        generator=generator,
    )


def private_step(
    network: nn.Module, optimiser: Any, batch: CaseBatch | None, loss: Loss, *, group: int = 8
) -> float:
    """Take one step of DP-SGD on `batch` (None when no patient was drawn) and return the mean loss.

    `group`: how many patients' gradients are held at a time; it changes memory, not the result. The mean loss
    is for the site's own eyes: it is not private. Raises `PrivacyError` when a gradient isn't finite.
    """
    optimiser.zero_grad(set_to_none=True)
    groups = list(groups_of_equal_shape(batch, group)) if batch is not None and len(batch) else []
    losses: list[Tensor] = []
    for place, members in enumerate(groups):
        assert batch is not None
        gradients, values = patient_gradients(network, batch, members, loss)
        losses.append(values)
        try:
            _put(network, gradients)
        except PrivacyError:
            _forget(network)
            raise
        optimiser.signal_skip_step(do_skip=place < len(groups) - 1)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    if not groups:
        empty = {n: p.new_zeros(0, *p.shape) for n, p in network.named_parameters() if p.requires_grad}
        _put(network, empty)
        optimiser.step()  # noise only: that nobody was drawn must not show
        optimiser.zero_grad(set_to_none=True)
    return float(torch.cat(losses).mean()) if losses else 0.0


def _forget(network: nn.Module) -> None:
    """Drop what earlier groups of a step that failed have added up."""
    for parameter in network.parameters():
        parameter.summed_grad = None  # type: ignore[attr-defined]  # Opacus' own attribute


def _put(network: nn.Module, gradients: dict[str, Tensor]) -> None:
    """Hand each patient's gradient to the optimiser, where it looks for them."""
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            if not bool(torch.isfinite(gradients[name]).all()):
                raise PrivacyError(
                    "a patient's gradient is not finite", remedy="lower the learning rate", field=name
                )
            parameter.grad_sample = gradients[name]  # type: ignore[attr-defined]  # Opacus' own attribute
