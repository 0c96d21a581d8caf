"""A site's pool as its current model sees it: features of its cases, and the order in which a rule asks.

Features are the encoders' own, one part a modality: the mean over a case's images, scaled, and reduced within
the site; a modality that a case lacks is missing there, never zero. Nothing of this leaves the site.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit

from huizhen.core.streams import stream, stream_seed
from huizhen.core.study_active import QueryRule
from huizhen.errors import NotEstimableError
from huizhen.models.network import Network
from huizhen.train.active.allocation import strict
from huizhen.train.active.features import capped, principal, scaled
from huizhen.train.active.interface import Asked, Pool
from huizhen.train.active.last_layer import fit_last_layer
from huizhen.train.active.monte_carlo import dropout_samples
from huizhen.train.active.query import ask
from huizhen.train.active.rules.fahl import Information, labelled_information, pool_information, uncertainty
from huizhen.train.arrays import CaseData
from huizhen.train.fit import predict_logits

__all__ = ["Order", "first_order", "next_order", "pool_features"]

DIMS = 32
"""Columns that a modality is reduced to."""
LONGEST = 1.25
"""Features longer than so many times the median length are shortened to that (see `features.capped`)."""
DRAWS = 20
FIRST_PENALTY = 10.0
"""The ridge before there are labels of both classes."""
BATCH = 64
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The rows (k,) of a pool in the order in which they are asked, their falling scores, and why."""

    rows: NDArray[np.int64]
    score: Floats
    reason: tuple[str, ...]

    def __len__(self) -> int:
        """Return k."""
        return len(self.rows)


def pool_features(
    network: Network, data: CaseData, rows: NDArray[np.int64], names: Sequence[str], *, seed: int
) -> Floats:
    """Return the features (n, d) of `rows`; NaN where a case lacks a modality."""
    found = _images(network, data, rows, names)
    for name in (n for n in names if n in data.tables):
        values = data.tables[name].values[rows].astype(np.float64)
        absent = ~data.present[rows, data.names.index(name)]
        values[absent] = np.nan
        found[name] = values
    return np.hstack([_reduced(found[name], stream_seed(seed, "pool", name)) for name in names])


@torch.no_grad()
def _images(
    network: Network, data: CaseData, rows: NDArray[np.int64], names: Sequence[str]
) -> dict[str, Floats]:
    """Return each image modality's mean encoder tokens (n, D); NaN where a case has no image."""
    network.eval()
    found: dict[str, list[Floats]] = {name: [] for name in names if name in data.images}
    for start in range(0, len(rows), BATCH):
        batch = data.batch(rows[start : start + BATCH], names)
        for name, tokens in network.encode(batch).items():
            case = batch.bags[name].case
            total = torch.zeros(len(batch), tokens.shape[-1], dtype=torch.float64)
            total.index_add_(0, case, tokens.double().mean(1))
            count = torch.bincount(case, minlength=len(batch))[:, None]
            found[name].append((total / count).numpy())  # no image: 0 / 0 is NaN
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _reduced(features: Floats, seed: int) -> Floats:
    """Return a modality's columns scaled, in at most `DIMS` dimensions; rows without it stay NaN."""
    there = ~np.isnan(features).all(1)
    if not there.any():
        return np.full((len(features), 1), np.nan)
    kept = scaled(features[there])
    if not np.isnan(kept).any():
        kept = principal(kept, DIMS, seed=seed)
        length = float(np.median(np.linalg.norm(kept, axis=1)))
        kept = capped(kept, longest=LONGEST * length) if length > 0 else kept
    found = np.full((len(features), kept.shape[1]), np.nan)
    found[there] = kept
    return found


def first_order(features: Floats, closed: NDArray[np.bool_], count: int, *, seed: int) -> Order:
    """Return up to `count` open cases of a cold start: the most typical case of each cluster."""
    pool = Pool(
        features=features,
        labelled=closed,
        pending=np.zeros(len(features), bool),
        group=np.arange(len(features)),
    )
    return _order(ask(QueryRule.TYPICLUST, pool, count, seed=seed), 1.0, 0.0)


def next_order(
    network: Network,
    data: CaseData,
    rows: NDArray[np.int64],
    names: Sequence[str],
    rule: QueryRule,
    *,
    labelled: NDArray[np.bool_],
    closed: NDArray[np.bool_],
    budget: int,
    seed: int,
) -> Order:
    """Return up to `budget` open cases of `rows` as `rule` asks for them, by the model as it stands.

    `labelled` (n,): rows with a label, which `data` holds. `closed` (n,): rows that are never asked again.
    The scores of FAHL are the uncertainty that a label takes from this site's own pool: the sums of other
    sites aren't asked for.
    """
    features = pool_features(network, data, rows, names, seed=seed)
    pool = Pool(
        features=features,
        labelled=labelled,
        pending=closed & ~labelled,
        group=np.arange(len(rows)),
        probability=expit(predict_logits(network, data, rows, names)),
        penalty=_penalty(features[labelled], data.outcome[rows[labelled]] == 1),
    )
    if rule is QueryRule.BALD:
        drawn = dropout_samples(network, data, rows, names, draws=DRAWS, seed=stream_seed(seed, "bald"))
        pool = replace(pool, samples=drawn)
    known, unit = None, 1.0
    if rule is QueryRule.FAHL:
        precision = labelled_information(pool)
        known = Information(labelled=precision, pool=pool_information(pool, precision))
        unit = uncertainty(known, pool.penalty)
    shift = float(stream(seed, "shift").random())
    return _order(ask(rule, pool, budget, seed=seed, known=known), unit, shift)


def _order(asked: Asked, unit: float, shift: float) -> Order:
    score = strict(asked.score * unit, shift=shift)
    return Order(rows=asked.rows, score=score, reason=asked.reason)


def _penalty(features: Floats, outcome: NDArray[np.bool_]) -> float:
    """Return the ridge of highest evidence on the labelled cases, a usual one with labels of one class."""
    try:
        return fit_last_layer(features, outcome).penalty
    except NotEstimableError:
        return FIRST_PENALTY
