"""Fitting one network: shuffled cases, modality dropout, averaged weights, checkpoints between epochs.

Every draw is from a stream named by the epoch, so a fit that was killed goes on to the same weights, bit for
bit, on the same machine and thread count.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from huizhen.core.progress import Progress, Silent
from huizhen.core.streams import stream, stream_seed
from huizhen.core.study import Study
from huizhen.errors import DataError, ModelError
from huizhen.models.batch import CaseBatch
from huizhen.models.network import Network
from huizhen.tasks.binary import total_loss
from huizhen.train.arrays import CaseData
from huizhen.train.augment import augmented
from huizhen.train.checkpoints import History, load_checkpoint, save_checkpoint
from huizhen.train.lesion_loss import lesion_loss
from huizhen.train.memory import keep_freed_memory
from huizhen.train.views import mean_logit, views

WARM_UP_SHARE = 0.1
CLIP_NORM = 5.0
CHECKPOINT_EVERY_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A fitted network's weights by name, and how the fit went."""

    weights: Mapping[str, Tensor]
    history: History


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """One fit: which rows of `data` train and tune, over which modalities, from which seed."""

    study: Study
    data: CaseData
    names: tuple[str, ...]
    train: NDArray[np.int64]
    tune: NDArray[np.int64]
    seed: int
    epochs: int | None = None
    """How many epochs the learning rate is planned over, if not the study's."""

    @property
    def planned_epochs(self) -> int:
        """The epochs that the learning rate is planned over."""
        return self.epochs or self.study.training.epochs

    def run(
        self, network: Network, checkpoint: Path, *, progress: Progress | None = None, about: str = ""
    ) -> Fitted:
        """Fit `network` and return its weights; goes on from `checkpoint` when that is there.

        Raises `DataError` when a class has no training patient with any of the modalities, `ModelError` when
        the loss is no longer finite.
        """
        self._check_classes(about)
        keep_freed_memory()
        training = self.study.training
        average = _clone(network) if training.average_weights else None
        best = _clone(network) if training.keep == "best" and len(self.tune) else None
        optimiser = make_optimiser(network, self.study)
        history = load_checkpoint(checkpoint, network, average, optimiser, best)
        if best is not None and not history.tune_loss:
            history.tune_loss.append(self._tuned(network, average)[1])
        saved = time.monotonic()
        with (progress or Silent()).track("fit", self.planned_epochs, about=about) as advance:
            advance(len(history.loss))
            for epoch in range(len(history.loss), self.planned_epochs):
                history.loss.append(self.epoch(network, optimiser, epoch, average=average))
                self._look(network, average, best, history)
                if time.monotonic() - saved > CHECKPOINT_EVERY_S:
                    save_checkpoint(checkpoint, network, average, optimiser, history, best)
                    saved = time.monotonic()
                advance(1)
        weights = best or average or network.state_dict()
        return Fitted(
            weights={name: value.detach().clone() for name, value in weights.items()}, history=history
        )

    def _look(
        self,
        network: Network,
        average: dict[str, Tensor] | None,
        best: dict[str, Tensor] | None,
        history: History,
    ) -> None:
        """Look at the tuning patients after an epoch, and note in `best` the weights if they are the best."""
        score, loss = self._tuned(network, average)
        history.tune_auc.append(score)
        if best is None:
            return
        history.tune_loss.append(loss)
        if history.kept_epoch == len(history.loss):
            _copy(average or network.state_dict(), best)

    def epoch(
        self,
        network: Network,
        optimiser: torch.optim.Optimizer,
        epoch: int,
        *,
        average: dict[str, Tensor] | None = None,
        correct: Callable[[Network], None] | None = None,
    ) -> float:
        """Run one epoch and return its mean loss; `correct` may alter the gradients before each step.

        Raises `ModelError` when the loss is no longer finite.
        """
        rng = stream(self.seed, "epoch", epoch)
        generator = torch.Generator().manual_seed(stream_seed(self.seed, "augment", epoch))
        batches = self._batches(rng)
        losses: list[float] = []
        network.train()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed(self.seed, "dropout", epoch))
            for place, rows in enumerate(batches):
                step = epoch * len(batches) + place
                set_rate(optimiser, step / (len(batches) * self.planned_epochs))
                batch = self.drawn(rows, rng, generator)
                loss = self._loss(network, batch)
                optimiser.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
                if correct is not None:
                    correct(network)
                nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
                optimiser.step()
                update_average(average, network, self.study.training.average_weights, step)
                losses.append(float(loss.detach()))
        if not np.isfinite(losses).all():
            raise ModelError(
                f"training diverged: the loss of epoch {epoch + 1} is not finite",
                remedy="lower training.learning_rate or training.encoder_learning_rate in a new study",
                field="training.learning_rate",
            )
        return float(np.mean(losses))

    def _loss(self, network: Network, batch: CaseBatch) -> Tensor:
        """Return the loss of one step: of the answer, and of finding lesions where the study asks for it."""
        output = network(batch)
        loss = total_loss(output, batch, self.study.network)
        if weight := self.study.training.lesion_weight:
            loss = loss + weight * lesion_loss(output, batch)
        return loss

    def _check_classes(self, about: str) -> None:
        """Refuse to learn from one class. Raises `DataError`."""
        positive = int(self.data.outcome[self.train].sum())
        if 0 < positive < len(self.train):
            return
        raise DataError(
            f"{about or 'a model'}: {positive} positive and {len(self.train) - positive} negative training "
            f"patients have any of {', '.join(self.names)}; it needs both",
            remedy="add patients who have it, or take the modality or this variant out of a new study",
            field="network.variants",
        )

    def _batches(self, rng: np.random.Generator) -> list[NDArray[np.int64]]:
        """Return the shuffled training rows in batches; a last batch of one joins the one before."""
        rows = rng.permutation(self.train)
        size = self.study.training.batch_size
        batches = [rows[start : start + size] for start in range(0, len(rows), size)]
        if len(batches) > 1 and len(batches[-1]) == 1:
            batches[-2:] = [np.concatenate(batches[-2:])]
        return batches

    def drawn(
        self, rows: NDArray[np.int64], rng: np.random.Generator, generator: torch.Generator
    ) -> CaseBatch:
        """Return the training batch of `rows`: augmented, with modalities dropped at random."""
        batch = self.data.batch(rows, self.names, rng)
        if rate := self.study.training.view_dropout:
            thinned = {
                n: bag.thinned(kept_views(bag.case.numpy(), rate, rng)) for n, bag in batch.bags.items()
            }
            batch = replace(batch, bags=thinned)
        if self.study.training.augment and self.study.training.mode == "finetune":
            batch = replace(batch, bags={n: augmented(bag, generator) for n, bag in batch.bags.items()})
        return batch.restricted(
            kept_modalities(batch.present.numpy(), self.study.network.modality_dropout, rng)
        )

    def _tuned(self, network: Network, average: dict[str, Tensor] | None) -> tuple[float | None, float]:
        """Return AUC and mean log-loss on tuning patients of the weights that would be kept now.

        The AUC is None when a class is missing, the loss infinite when there is no tuning patient.
        """
        rows = self.tune[self.data.answerable(self.names)[self.tune]]
        if not len(rows):
            return None, math.inf
        outcome = self.data.outcome[rows] == 1
        with _weights(network, average):
            logits = predict_logits(network, self.data, rows, self.names)
        loss = float(np.logaddexp(0, np.where(outcome, -logits, logits)).mean())
        return (None if outcome.all() or not outcome.any() else rank_auc(outcome, logits)), loss


def _clone(network: Network) -> dict[str, Tensor]:
    """Return a copy of the network's weights by name."""
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


@contextmanager
def _weights(network: Network, average: dict[str, Tensor] | None) -> Iterator[None]:
    """Let `network` have the weights of `average` for a while; its own without one."""
    if average is None:
        yield
        return
    live = network.state_dict()
    own = {name: value.clone() for name, value in live.items()}
    _copy(average, live)
    try:
        yield
    finally:
        _copy(own, live)


@torch.no_grad()
def _copy(weights: Mapping[str, Tensor], into: Mapping[str, Tensor]) -> None:
    """Copy `weights` into the tensors of the same names."""
    for name, value in weights.items():
        into[name].copy_(value)


def rank_auc(outcome: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    """Return the area under the ROC curve of `score` (n,) for `outcome` (n,), which holds both classes.

    For the history of a fit; what a study reports is measured, with its interval, by `huizhen.validate`.

    >>> rank_auc(np.array([True, True, False, False]), np.array([0.9, 0.4, 0.4, 0.1]))
    0.875
    """
    events, others = score[outcome], np.sort(score[~outcome])
    below, upto = (int(others.searchsorted(events, side).sum()) for side in ("left", "right"))
    return (below + upto) / (2 * len(events) * len(others))


def make_optimiser(network: Network, study: Study) -> torch.optim.Optimizer:
    """Return the study's optimiser, with the encoders at their own, lower rate."""
    training = study.training
    encoder = [p for name, p in network.named_parameters() if ".encoder." in name]
    rest = [p for name, p in network.named_parameters() if ".encoder." not in name]
    groups = [{"params": rest, "lr": training.learning_rate, "top": training.learning_rate}]
    if encoder:
        groups.append(
            {"params": encoder, "lr": training.encoder_learning_rate, "top": training.encoder_learning_rate}
        )
    if training.optimiser == "sgd":
        return torch.optim.SGD(groups, weight_decay=training.weight_decay)
    return torch.optim.AdamW(groups, weight_decay=training.weight_decay)


def set_rate(optimiser: torch.optim.Optimizer, done: float) -> None:
    """Set the rates for `done` in [0, 1) of the steps: linear warm-up, then a half cosine to a hundredth."""
    share = min(1.0, (done + 1e-3) / WARM_UP_SHARE) * (0.495 * (1 + math.cos(math.pi * done)) + 0.01)
    for group in optimiser.param_groups:
        group["lr"] = group["top"] * share


def update_average(average: dict[str, Tensor] | None, network: Network, decay: float, step: int) -> None:
    """Move `average` towards the network's weights; the decay grows from 0 so that the start is forgotten."""
    if average is None:
        return
    decay = min(decay, (1 + step) / (10 + step))
    own = network.state_dict()
    counts = {name: value for name, value in own.items() if not value.dtype.is_floating_point}
    real = [name for name in own if name not in counts]
    kept = [average[name] for name in real]
    with torch.no_grad():
        torch._foreach_mul_(kept, decay)  # all tensors in one call, as torch's own optimisers do
        torch._foreach_add_(kept, [own[name] for name in real], alpha=1 - decay)
    _copy(counts, average)


def kept_modalities(present: NDArray[np.bool_], rate: float, rng: np.random.Generator) -> Tensor:
    """Return which present modalities (n, M) are kept: each dropped with `rate`, never a case's last one."""
    kept = present & (rng.random(present.shape) >= rate)
    spare = np.where(present, rng.random(present.shape), -1.0).argmax(1)
    empty = ~kept.any(1)
    kept[empty, spare[empty]] = True
    return torch.from_numpy(kept)


def kept_views(case: NDArray[np.int64], rate: float, rng: np.random.Generator) -> Tensor:
    """Return which images (n,) of cases are kept: each dropped with `rate`, never a case's last one.

    `case` (n,) ascending. A network that is shown one view of a patient at a time, now and then, learns from
    each of them.
    """
    drawn = rng.random(len(case))
    first = np.searchsorted(case, case)
    best = np.zeros(len(case))
    np.maximum.at(best, first, drawn)
    return torch.from_numpy((drawn >= rate) | (drawn == best[first]))


@torch.no_grad()
def predict_logits(
    network: Network,
    data: CaseData,
    rows: NDArray[np.int64],
    names: Sequence[str],
    *,
    keep: Sequence[str] | None = None,
    batch_size: int = 64,
) -> NDArray[np.float64]:
    """Return the log-odds (n,) of `rows`; only modalities in `keep` are shown when given.

    Pixels are shown in each of the network's views, the log-odds averaged. A case with none of them gets NaN.
    """
    network.eval()
    found = np.full(len(rows), np.nan)
    shown = torch.tensor([keep is None or name in keep for name in names])
    for start in range(0, len(rows), batch_size):
        part = slice(start, start + batch_size)
        batch = data.batch(rows[part], names).restricted(shown)
        answer = mean_logit([network(view).logit for view in views(batch, network.zooms)]).double().numpy()
        answer[~batch.present.any(1).numpy()] = np.nan
        found[part] = answer
    return found
