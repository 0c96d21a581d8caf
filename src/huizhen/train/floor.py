"""The linear floor of a network's tables: penalised regression on training patients, before the network.

From a few hundred patients gradient steps rarely find what regression with a well-chosen penalty finds at
once. So that is given to the network: the tables' part of the log-odds is fitted first and held, and the
network learns what it leaves. Every network of a study stands on the same kind of floor, so that differences
between them are the fusion's.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from huizhen.models.network import Network
from huizhen.models.tokens import TableTokenizer, floor_features
from huizhen.train.arrays import CaseData
from huizhen.train.table_regression import INNER_FOLDS, penalised_regression


def lay_floor(network: Network, data: CaseData, train: NDArray[np.int64], seed: int) -> None:
    """Fit the floor of `network`'s tables on the rows `train` of `data`, all tables together.

    Every other answer of the network then starts at 0: before its first step it is the regression.
    Without tables, or with fewer training patients of a class than the inner folds need, the floor stays 0.
    """
    found = {name: network.tokenizers[name] for name in network.names}
    tables = {name: one for name, one in found.items() if isinstance(one, TableTokenizer)}
    outcome = data.outcome[train].astype(int)
    if not tables or np.bincount(outcome, minlength=2).min() < INNER_FOLDS:
        return
    batch = data.batch(train, tuple(tables))
    blocks = [
        floor_features(batch.rows[name].values, batch.rows[name].there, batch.present[:, place])
        for place, name in enumerate(tables)
    ]
    fitted = penalised_regression(torch.cat(blocks, 1).double().numpy(), outcome, seed)
    network.intercept.fill_(fitted.intercept)
    weights, start = torch.from_numpy(fitted.weights).float(), 0
    for tokenizer, block in zip(tables.values(), blocks, strict=True):
        tokenizer.floor.copy_(weights[start : start + block.shape[1]])
        start += block.shape[1]
    for module in network.modules():
        if isinstance(module, nn.Linear) and module.out_features == 1:
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
