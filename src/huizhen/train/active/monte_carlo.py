"""Monte-Carlo dropout: a network asked several times with its dropout left on, for BALD.

Gal & Ghahramani, Dropout as a Bayesian Approximation, ICML 2016; Gal et al., ICML 2017.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from huizhen.core.streams import stream_seed
from huizhen.errors import InvalidInputError
from huizhen.models.network import Network
from huizhen.train.arrays import CaseData

__all__ = ["dropout_samples"]


@torch.no_grad()
def dropout_samples(
    network: Network,
    data: CaseData,
    rows: NDArray[np.int64],
    names: Sequence[str],
    *,
    draws: int,
    seed: int,
    batch_size: int = 64,
) -> NDArray[np.float64]:
    """Return probabilities (draws, n) of `rows` with only dropout in training mode; norms stay as they are.

    A case with none of the modalities `names` gets one half in every draw. Raises `InvalidInputError` when
    the network has no dropout, so that all draws would be alike.
    """
    layers = [m for m in network.modules() if isinstance(m, nn.Dropout) and m.p > 0]
    if not layers:
        raise InvalidInputError(
            "the network has no dropout",
            remedy="set network.dropout above 0 or use another rule",
            field="rule",
        )
    network.eval()
    found = np.full((draws, len(rows)), 0.5)
    with torch.random.fork_rng(devices=[]):
        for layer in layers:
            layer.train()
        for start in range(0, len(rows), batch_size):
            part = slice(start, start + batch_size)
            batch = data.batch(rows[part], names)
            there = batch.present.any(1).numpy()
            for draw in range(draws):
                torch.manual_seed(stream_seed(seed, "monte-carlo-dropout", draw, start))
                answer = torch.sigmoid(network(batch).logit.double()).numpy()
                found[draw, part] = np.where(there, answer, 0.5)
    network.eval()
    return found
