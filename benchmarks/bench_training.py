"""Time huizhen's fitting loop beside a bare PyTorch loop, in one interleaved run.

    OMP_NUM_THREADS=1 python benchmarks/bench_training.py

Same network, data, batches, augmentation, loss and optimiser on both sides. The bare loop is what one would
write by hand: no modality dropout, rate schedule, gradient clipping, moving average, history or checkpoint.
Prints medians in seconds an epoch, and the median ratio of a turn, by the clock and by processor time, which
other work on the machine changes less. Aim: at most 1.1. The tuning AUC, which a bare loop lacks, is timed
apart. Both loops keep freed memory (see huizhen.train.memory), so that the ratio is of the loops alone.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from huizhen.core.streams import stream
from huizhen.core.study import Study, Variant
from huizhen.models.batch import Bag, CaseBatch
from huizhen.models.build import build_network
from huizhen.models.network import Network
from huizhen.tasks.binary import total_loss
from huizhen.train.arrays import CaseData, ImageColumn
from huizhen.train.augment import augment
from huizhen.train.fit import Fit, predict_logits
from huizhen.train.memory import keep_freed_memory

TOKENS, DEPTH = 16, 1280
"""What EfficientNet-Lite0 makes of 128 x 128 pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One comparison: a study's settings and n cases of random content, `images` a modality and case."""

    name: str
    mode: str
    names: tuple[str, ...]
    images: int
    cases: int
    batch_size: int
    average: float

    @property
    def study(self) -> Study:
        """The study that both loops follow."""
        source = {"reader": "images", "path": "x", "labels": "x", "columns": {"patient": "p", "outcome": "o"}}
        return Study.model_validate(
            {
                "name": "bench",
                "title": self.name,
                "question": "How long does an epoch take?",
                "seed": 1,
                "task": {"outcome": "none", "positive": ["1"], "negative": ["0"]},
                "modality": [{"name": n, "channels": 1, "size": 128} for n in self.names],
                "site": [{"name": "here", "source": [{**source, "modality": n} for n in self.names]}],
                "training": {
                    "mode": self.mode,
                    "epochs": 1,
                    "batch_size": self.batch_size,
                    "average_weights": self.average,
                },
            }
        )

    def data(self) -> CaseData:
        """Return the cases: random pixels, or random features when the encoders are frozen."""
        rng = stream(1, "bench", self.mode)
        n = self.cases * self.images
        frozen = self.mode == "frozen"
        shape = (n, 1, TOKENS, DEPTH) if frozen else (n, 1, 128, 128)
        columns = {
            name: ImageColumn(
                payload=rng.random(shape, np.float32).astype(np.float16)
                if frozen
                else rng.integers(0, 256, shape, np.uint8),
                where=np.arange(n),
                offsets=np.arange(0, n + 1, self.images),
                features=frozen,
            )
            for name in self.names
        }
        return CaseData(
            names=self.names,
            images=columns,
            tables={},
            present=np.ones((self.cases, len(self.names)), bool),
            outcome=(np.arange(self.cases) % 2).astype(np.float32),
        )


TASKS = (
    Task(
        name="fine-tune EfficientNet-Lite0, 128 px",
        mode="finetune",
        names=("US",),
        images=1,
        cases=128,
        batch_size=32,
        average=0.0,
    ),
    Task(
        name="the same, weights averaged",
        mode="finetune",
        names=("US",),
        images=1,
        cases=128,
        batch_size=32,
        average=0.99,
    ),
    Task(
        name="frozen features, one modality",
        mode="frozen",
        names=("US",),
        images=2,
        cases=512,
        batch_size=64,
        average=0.0,
    ),
    Task(
        name="frozen features, three modalities",
        mode="frozen",
        names=("MG", "MRI", "US"),
        images=2,
        cases=512,
        batch_size=64,
        average=0.0,
    ),
    Task(
        name="the same, weights averaged",
        mode="frozen",
        names=("MG", "MRI", "US"),
        images=2,
        cases=512,
        batch_size=64,
        average=0.95,
    ),
)


def network_of(task: Task) -> Network:
    """Return a fresh CMAN for `task`."""
    frozen = task.mode == "frozen"
    return build_network(task.study, Variant.CMAN, task.names, {}, frozen=frozen, seed=1)


def huizhen_epoch(task: Task, data: CaseData, network: Network) -> None:
    """Train one epoch as huizhen does."""
    fit = Fit(
        study=task.study,
        data=data,
        names=task.names,
        train=np.arange(len(data)),
        tune=np.array([], np.int64),
        seed=1,
    )
    with tempfile.TemporaryDirectory() as folder:
        fit.run(network, Path(folder) / "checkpoint.safetensors")


def bare_epoch(task: Task, data: CaseData, network: Network) -> None:
    """Train one epoch as one would by hand."""
    study = task.study
    encoder = [p for name, p in network.named_parameters() if ".encoder." in name]
    rest = [p for name, p in network.named_parameters() if ".encoder." not in name]
    optimiser = torch.optim.AdamW(
        [{"params": rest, "lr": 1e-3}, {"params": encoder, "lr": 3e-4}] if encoder else rest
    )
    generator = torch.Generator().manual_seed(1)
    order = stream(1, "epoch").permutation(len(data))
    network.train()
    for start in range(0, len(order), task.batch_size):
        batch = bare_batch(task, data, order[start : start + task.batch_size], generator)
        optimiser.zero_grad()
        loss = total_loss(network(batch), batch, study.network)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
        optimiser.step()


def bare_batch(task: Task, data: CaseData, cases: NDArray[np.int64], generator: torch.Generator) -> CaseBatch:
    """Return a batch, relying on every case having the same number of images."""
    rows = (cases[:, None] * task.images + np.arange(task.images)).ravel()
    place = torch.arange(len(rows))
    bags = {}
    for name in task.names:
        payload = data.images[name].payload
        if task.mode == "frozen":
            found = torch.from_numpy(payload[rows, 0])
        else:
            found = augment(torch.from_numpy(payload[rows]).float() / 255, generator)[0]
        bags[name] = Bag(
            payload=found, case=place // task.images, slot=place % task.images, width=task.images
        )
    return CaseBatch(
        bags=bags,
        rows={},
        present=torch.ones(len(cases), len(task.names), dtype=torch.bool),
        outcome=torch.from_numpy(data.outcome[cases]),
    )


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds that `work` takes, by the clock and of processor time."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


def compare(task: Task, *, repeats: int) -> dict[str, float]:
    """Return median seconds of processor time, and both ratios; taken in turns after one to warm up."""
    data = task.data()
    ours, bare = network_of(task), network_of(task)
    works: dict[str, Callable[[], object]] = {
        "huizhen": lambda: huizhen_epoch(task, data, ours),
        "bare": lambda: bare_epoch(task, data, bare),
        "tuning": lambda: predict_logits(ours, data, np.arange(len(data) // 4), task.names),
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for turn in range(repeats + 1):
        for name, work in works.items():
            spent = timed(work)
            if turn > 0:
                taken[name].append(spent)
    pairs = list(zip(taken["huizhen"], taken["bare"], strict=True))
    found = {name: statistics.median(processor for _, processor in spent) for name, spent in taken.items()}
    for which, name in enumerate(("clock", "processor")):
        found[name] = statistics.median(own[which] / bare[which] for own, bare in pairs)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    keep_freed_memory()
    print(f"{torch.get_num_threads()} thread(s), median of {arguments.repeats}, processor seconds an epoch")
    print(f"{'':38s} {'huizhen':>8s} {'bare':>8s} {'ratio':>6s} {'clock':>6s}   tuning AUC, 1/4 of the cases")
    for task in TASKS:
        found = compare(task, repeats=arguments.repeats)
        print(
            f"{task.name:38s} {found['huizhen']:8.3f} {found['bare']:8.3f} {found['processor']:6.3f} "
            f"{found['clock']:6.3f}   {found['tuning']:.3f} s"
        )


if __name__ == "__main__":
    main()
