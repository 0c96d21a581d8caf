"""The linear floor of a network's tables: penalised regression on training patients, before the network.

From a few hundred patients gradient steps rarely find what regression with a well-chosen penalty finds at
once. So that is given to the network: the tables' part of the log-odds is fitted first and held, and the
network learns what it leaves. Every network of a study stands on the same kind of floor, so that differences
between them are the fusion's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from huizhen.models.network import Network
from huizhen.models.tokens import TableTokenizer, floor_features
from huizhen.train.arrays import CaseData
from huizhen.train.table_regression import INNER_FOLDS, TableRegression, penalised_regression


def lay_floor(network: Network, data: CaseData, train: NDArray[np.int64], seed: int) -> None:
    """Fit the floor of `network`'s tables on the rows `train` of `data`, all tables together.

    Every other answer of the network then starts at 0: before its first step it is the regression.
    Without tables, or with fewer training patients of a class than the inner folds need, the floor stays 0.
    """
    outcome = data.outcome[train].astype(int)
    if not network.tables or np.bincount(outcome, minlength=2).min() < INNER_FOLDS:
        return
    set_floor(network, penalised_regression(floor_design(data, network.tables, train), outcome, seed))


def floor_design(data: CaseData, tables: Sequence[str], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return what the floor of `tables` weighs (n, p) for the cases `rows`, table after table."""
    batch = data.batch(rows, tuple(tables))
    blocks = [
        floor_features(batch.rows[name].values, batch.rows[name].there, batch.present[:, place])
        for place, name in enumerate(tables)
    ]
    found: NDArray[np.float64] = torch.cat(blocks, 1).double().numpy()
    return found


def set_floor(network: Network, fitted: TableRegression) -> None:
    """Put a regression on the columns of `floor_design` under `network`, whose other answers start at 0."""
    network.intercept.fill_(fitted.intercept)
    weights, start = torch.from_numpy(fitted.weights).float(), 0
    found = [network.tokenizers[name] for name in network.tables]
    for tokenizer in (one for one in found if isinstance(one, TableTokenizer)):
        tokenizer.floor.copy_(weights[start : start + len(tokenizer.floor)])
        start += len(tokenizer.floor)
    for module in network.modules():
        if isinstance(module, nn.Linear) and module.out_features == 1:
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
