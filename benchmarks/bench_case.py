"""Time one three-modality case with heatmaps, beside eager PyTorch encoders alone, in one interleaved run.

    OMP_NUM_THREADS=1 python benchmarks/bench_case.py

The case is random pixels in memory: views of a mammogram, MRI slices of three phases and ultrasound frames,
each through a ResNet-50 of its modality; weights are random, which changes no timing. Prints medians in
milliseconds and their ratio to the encoders alone (same weights, PyTorch's own memory layout, no gradients),
by the clock and by processor time, which other work on the machine changes less. The published claim to beat
is 0.8 s a case.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from huizhen.core.study import EncoderKind, ImageModality, Study, Variant
from huizhen.explain.heatmaps import heatmaps, upsample
from huizhen.models.batch import Bag, CaseBatch
from huizhen.models.build import build_network
from huizhen.models.encoders.choose import make_encoder
from huizhen.models.encoders.interface import normalise
from huizhen.models.network import Network
from huizhen.train.memory import keep_freed_memory
from huizhen.train.views import mirrored

CHANNELS = {"MG": 1, "MRI": 3, "US": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How many images a modality has, and their side in pixels."""

    name: str
    images: dict[str, int]
    size: int

    @property
    def modalities(self) -> list[ImageModality]:
        """The three modalities."""
        return [
            ImageModality(
                name=name, encoder=EncoderKind.RESNET50, pretrained=False, size=self.size, channels=channels
            )
            for name, channels in CHANNELS.items()
        ]


SETTINGS = (
    Setting(name="1 + 1 + 1 images, 224 px", images={"MG": 1, "MRI": 1, "US": 1}, size=224),
    Setting(name="2 + 3 + 2 images, 224 px", images={"MG": 2, "MRI": 3, "US": 2}, size=224),
    Setting(name="2 + 3 + 2 images, 128 px", images={"MG": 2, "MRI": 3, "US": 2}, size=128),
)


def network_of(setting: Setting) -> Network:
    """Return a CMAN over three ResNet-50."""
    source = {"reader": "images", "path": "x", "labels": "x", "columns": {"patient": "p", "outcome": "o"}}
    study = Study.model_validate(
        {
            "name": "bench",
            "title": "One case",
            "question": "How long does a case take?",
            "seed": 1,
            "task": {"outcome": "none", "positive": ["1"], "negative": ["0"]},
            "modality": [m.model_dump() for m in setting.modalities],
            "site": [{"name": "here", "source": [{**source, "modality": name} for name in CHANNELS]}],
        }
    )
    return build_network(study, Variant.CMAN, tuple(CHANNELS), {}, frozen=False, seed=1).eval()


def case_of(setting: Setting) -> CaseBatch:
    """Return one case of random pixels."""
    generator = torch.Generator().manual_seed(1)
    bags = {}
    for name, n in setting.images.items():
        shape = (n, CHANNELS[name], setting.size, setting.size)
        pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
        bags[name] = Bag(payload=pixels, case=torch.zeros(n, dtype=torch.long), slot=torch.arange(n), width=n)
    return CaseBatch(
        bags=bags, rows={}, present=torch.ones(1, len(bags), dtype=torch.bool), outcome=torch.zeros(1)
    )


def with_heatmaps(network: Network, case: CaseBatch, size: int) -> dict[str, Tensor]:
    """Return every image's heatmap at the network's resolution; the log-odds come from the same pass."""
    return {name: upsample(grid, size) for name, grid in heatmaps(network, case).items()}


@torch.no_grad()
def log_odds(network: Network, case: CaseBatch) -> Tensor:
    """Return the log-odds as a run gives them: averaged with those of the mirrored case."""
    return (network(case).logit + network(mirrored(case)).logit) / 2


@torch.no_grad()
def encoders_alone(encoders: dict[str, torch.nn.Module], case: CaseBatch) -> list[Tensor]:
    """Return the token maps only."""
    return [encoder(normalise(case.bags[name].payload)) for name, encoder in encoders.items()]


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return the milliseconds that `work` takes, by the clock and of processor time."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return 1000 * (time.perf_counter() - clock), 1000 * (time.process_time() - processor)


def compare(setting: Setting, *, repeats: int) -> dict[str, tuple[float, float, float, float]]:
    """Return each work's median milliseconds and ratio, by the clock and by processor; taken in turns."""
    network, case = network_of(setting), case_of(setting)
    eager = {
        m.name: make_encoder(m).eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # torch's stub lacks this form
        for m in setting.modalities
    }
    works: dict[str, Callable[[], object]] = {
        "encoders alone": lambda: encoders_alone(eager, case),
        "case with heatmaps": lambda: with_heatmaps(network, case, setting.size),
        "and mirrored log-odds": lambda: (
            log_odds(network, case),
            with_heatmaps(network, case, setting.size),
        ),
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for turn in range(repeats + 1):
        for name, work in works.items():
            spent = timed(work)
            if turn > 0:
                taken[name].append(spent)
    return {name: (*summary(spent, taken, 0), *summary(spent, taken, 1)) for name, spent in taken.items()}


def summary(
    spent: list[tuple[float, float]], taken: dict[str, list[tuple[float, float]]], which: int
) -> tuple[float, float]:
    """Return the median milliseconds, and the median ratio to the encoders alone of the same turn."""
    base = taken["encoders alone"]
    ratios = [own[which] / reference[which] for own, reference in zip(spent, base, strict=True)]
    return statistics.median(own[which] for own in spent), statistics.median(ratios)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    keep_freed_memory()
    print(f"{torch.get_num_threads()} thread(s), median of {arguments.repeats} turns")
    print(f"{'':26s} {'clock':>10s} {'ratio':>6s}   {'processor':>10s} {'ratio':>6s}")
    for setting in SETTINGS:
        print(f"{setting.name}:")
        for name, (ms, ratio, own_ms, own_ratio) in compare(setting, repeats=arguments.repeats).items():
            print(f"  {name:24s} {ms:7.0f} ms {ratio:6.2f}   {own_ms:7.0f} ms {own_ratio:6.2f}")


if __name__ == "__main__":
    main()
