"""What one network says of cases when only some of their modalities are shown: images are encoded once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from huizhen.models.batch import CaseBatch
from huizhen.models.network import Network
from huizhen.train.arrays import CaseData
from huizhen.train.views import mean_logit, views

__all__ = ["subset_logits"]


@torch.no_grad()
def subset_logits(
    network: Network,
    data: CaseData,
    rows: NDArray[np.int64],
    names: Sequence[str],
    keeps: Mapping[str, Sequence[str] | None],
    *,
    batch_size: int = 64,
) -> dict[str, NDArray[np.float64]]:
    """Return the log-odds (n,) of `rows` for each of `keeps`: by name, the modalities shown (None: all).

    The same numbers as `predict_logits` with each `keep`, which would encode every image anew each time.
    """
    network.eval()
    found = {name: np.full(len(rows), np.nan) for name in keeps}
    for start in range(0, len(rows), batch_size):
        part = slice(start, start + batch_size)
        batch = data.batch(rows[part], names)
        sides = [(view, network.encode(view)) for view in views(batch, network.zooms)]
        for name, keep in keeps.items():
            shown = torch.tensor([keep is None or one in keep for one in names])
            found[name][part] = _answer(network, sides, shown)
    return found


def _answer(
    network: Network, sides: Sequence[tuple[CaseBatch, Mapping[str, Tensor]]], shown: Tensor
) -> NDArray[np.float64]:
    """Return the log-odds (B,), the mean over `sides` (a batch and its tokens); NaN if nothing is shown."""
    logit = mean_logit([network(batch.restricted(shown), tokens).logit for batch, tokens in sides])
    answer: NDArray[np.float64] = logit.double().numpy()
    answer[~sides[0][0].restricted(shown).present.any(1).numpy()] = np.nan
    return answer
