"""A local epoch of DP-SGD: random patients, clipped gradients of each, noise on their sum.

It takes the place of `Fit.epoch` in a local round (`train/local.py`). What the strategy adds to a step
(FedProx, SCAFFOLD) is added after the noise: it is reckoned from noisy weights and no patient.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from huizhen.errors import ModelError
from huizhen.models.batch import CaseBatch
from huizhen.models.network import Network, Output
from huizhen.privacy.dp_settings import DpSettings
from huizhen.privacy.dp_training import (
    check_network,
    noise_generator,
    poisson_samples,
    private_optimiser,
    private_step,
    sample_generator,
)
from huizhen.tasks.binary import total_loss
from huizhen.train.fit import Fit, set_rate

__all__ = ["PrivateEpochs"]

GROUP = 16
"""Patients whose gradients are held at a time."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PrivateEpochs:
    """Epochs of `steps` private steps; `secret` (32 bytes or more) is the site's, `names` are of one use."""

    settings: DpSettings
    steps: int
    secret: bytes
    names: tuple[str | int, ...]

    def epoch(
        self,
        fit: Fit,
        network: Network,
        optimiser: torch.optim.Optimizer,
        epoch: int,
        *,
        correct: Callable[[Network], None] | None = None,
    ) -> float:
        """Run one epoch of `fit` and return its mean loss, which is for the site's own eyes.

        Raises `PrivacyError` on a network that mixes patients or a gradient that isn't finite, `ModelError`
        when the weights are no longer finite.
        """
        check_network(network)
        names = (*self.names, epoch)
        rng = sample_generator(self.secret, *names)
        draws = sample_generator(self.secret, "training", *names)
        generator = torch.Generator().manual_seed(int(draws.integers(2**62)))
        private = private_optimiser(optimiser, self.settings, generator=noise_generator(self.secret, *names))
        if correct is not None:
            private.attach_step_hook(lambda _: correct(network))

        def loss(output: Output, batch: CaseBatch) -> Tensor:
            return total_loss(output, batch, fit.study.network)

        losses: list[float] = []
        network.train()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(draws.integers(2**62)))
            samples = poisson_samples(fit.train, self.settings.sampling_rate, self.steps, rng)
            for place, rows in enumerate(samples):
                set_rate(optimiser, (epoch + place / self.steps) / fit.planned_epochs)
                batch = fit.drawn(rows, draws, generator) if len(rows) else None
                losses.append(private_step(network, private, batch, loss, group=GROUP))
        if not all(bool(torch.isfinite(p).all()) for p in network.parameters()):
            raise ModelError(
                "training diverged: weights are not finite",
                remedy="lower training.learning_rate in a new study",
                field="training.learning_rate",
            )
        return float(np.mean(losses))
