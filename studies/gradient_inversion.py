"""What an attacker rebuilds of ultrasound images from one round's update, under each protection.

    nice python studies/gradient_inversion.py OUT --data DATA

The attacker is the study lead: he knows the network, its weights, the labels and the number of images, and
sees what each protection lets him see of one full-batch gradient. He seeks images whose gradient has the same
direction (cosine similarity), kept smooth by total variation, by Adam from grey. This favours him: real
rounds have many patients and many steps, and labels are not sent. Images are BUS-BRA's, reduced to 32 x 32
pixels, of different patients.

Reference: Geiping et al., Inverting gradients, NeurIPS 2020. SSIM: Wang et al., IEEE TIP 13:600-612 (2004).
"""

from __future__ import annotations

import json
import math
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from real_patients import first_images, study_parser
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from huizhen.core.files import write_json, write_text
from huizhen.core.streams import stream, stream_seed
from huizhen.privacy.fas import FasPlan, protect
from huizhen.privacy.homomorphic import CkksKeys, encrypt, make_keys
from huizhen.privacy.secure_aggregation.coding import FixedPoint
from huizhen.privacy.secure_aggregation.masks import Mask, apply_masks
from huizhen.privacy.sensitivity import largest_elements, layer_sensitivity, most_sensitive_layers

Floats = NDArray[np.float32]
SIDE, SITES, STEPS, RATE, SMOOTH = 32, 3, 1500, 0.05, 1e-3
SHARE, FAS_NOISE = 0.1, 1e-3
CLIP = 1.0
SCHEMES = (
    "plain update",
    "secure sum of 3 sites",
    "CKKS, whole",
    "CKKS, most sensitive layers",
    "FAS",
    "FAS, attacked by sorted sizes",
    "DP, noise multiplier 0.01",
    "DP, noise multiplier 1",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What the lead sees: `seen` (m,), at the places `shown` (m,) of a gradient over `labels`.

    `ordered`: whether he knows which place is which; else he compares sizes in order. Nothing shown: he is
    blind. `seconds` and `bytes` are a site's, for its update.
    """

    seen: Tensor
    shown: Tensor
    labels: Tensor
    ordered: bool = True
    seconds: float = 0.0
    bytes: int = field(default=0)


def make_network() -> nn.Module:
    """Return the network: three convolutions with GroupNorm, smooth activations, one linear layer."""
    torch.manual_seed(stream_seed(1, "inversion", "network"))
    layers: list[nn.Module] = []
    for inside, outside, stride in ((1, 16, 2), (16, 24, 2), (24, 24, 1)):
        layers += [nn.Conv2d(inside, outside, 5, stride, 2), nn.GroupNorm(4, outside), nn.GELU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(24 * (SIDE // 4) ** 2, 2))


def main() -> None:
    """Attack every scheme on every batch, then write the table."""
    parser = study_parser(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--batches", type=int, default=3, help="of each size")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    images, labels = load_images(asked.data)
    network, keys = make_network(), make_keys()
    for size in asked.sizes:
        for number in range(asked.batches):
            for scheme in SCHEMES:
                file = asked.out / "cells" / f"{size}-{number}-{SCHEMES.index(scheme)}.json"
                if not file.exists():
                    write_json(file, attacked(network, keys, images, labels, scheme, size, number))
    found = [json.loads(p.read_text(encoding="utf-8")) for p in sorted((asked.out / "cells").iterdir())]
    write_text(asked.out / "gradient_inversion.md", "\n".join(lines(found)) + "\n")
    print("\n".join(lines(found)))


def load_images(data: Path) -> tuple[Floats, NDArray[np.int64]]:
    """Return one image a patient (n, 1, 32, 32) in [0, 1], and whether it is malignant (n,)."""
    first, rows = first_images(data)
    with np.load(data / "us_busbra/busbra_128.npz") as file:
        pixels = file["images"]
    factor = pixels.shape[1] // SIDE
    small = pixels[first].reshape(-1, SIDE, factor, SIDE, factor).mean((2, 4)) / 255
    label = np.array([row["Pathology"] == "malignant" for row in rows])
    return small[:, None].astype(np.float32), label.astype(np.int64)


# -- what the lead sees ------------------------------------------------------------------------------------


def gradient_of(network: nn.Module, images: Tensor, labels: Tensor, *, attack: bool = False) -> Tensor:
    """Return the mean loss's gradient (P,), differentiable by the images if `attack`."""
    loss = nn.functional.cross_entropy(network(images), labels)
    parts = torch.autograd.grad(loss, list(network.parameters()), create_graph=attack)
    return torch.cat([part.reshape(-1) for part in parts])


def attacked(
    network: nn.Module,
    keys: CkksKeys,
    images: Floats,
    labels: NDArray[np.int64],
    scheme: str,
    size: int,
    number: int,
) -> dict[str, Any]:
    """Return how well one batch is rebuilt under one scheme, and what the scheme costs a site."""
    rows = stream(2, "inversion", size, number).permutation(len(images))[: (SITES + 1) * size]
    batches = [
        (torch.from_numpy(images[part]), torch.from_numpy(labels[part]))
        for part in np.split(rows, SITES + 1)  # the last one is what all know: places are chosen by it
    ]
    view = seen_of(network, keys, batches, scheme)
    started = time.perf_counter()
    rebuilt = rebuild(network, view, stream_seed(3, "inversion", size, number))
    targets = batches[0][0].numpy()
    best = [max(ssim(target[0], made[0]) for made in rebuilt) for target in targets]
    return {
        "scheme": scheme,
        "size": size,
        "number": number,
        "ssim": best,
        "attack_s": time.perf_counter() - started,
        "seconds": view.seconds,
        "bytes": view.bytes,
        "parameters": sum(p.numel() for p in network.parameters()),
    }


def seen_of(network: nn.Module, keys: CkksKeys, batches: list[tuple[Tensor, Tensor]], scheme: str) -> View:
    """Return the lead's view of the first batch's update."""
    images, labels = batches[0]
    update = gradient_of(network, images, labels)
    everything = torch.arange(len(update))
    vector = update.numpy()
    known = gradient_of(network, *batches[-1]).numpy()
    if scheme == "secure sum of 3 sites":
        mean = torch.stack([gradient_of(network, *batch) for batch in batches[:SITES]]).mean(0)
        every = torch.cat([batch[1] for batch in batches[:SITES]])
        seconds = masked_s(vector)
        return View(seen=mean, shown=everything, labels=every, seconds=seconds, bytes=vector.nbytes)
    if scheme.startswith("CKKS"):
        hidden = everything.numpy() if "whole" in scheme else sensitive_places(network, known)
        return ckks_view(keys, update, hidden, labels)
    if scheme.startswith("FAS"):
        return fas_view(keys, vector, known, labels, ordered="sorted" not in scheme)
    if scheme.startswith("DP"):
        noisy = private(network, images, labels, multiplier=float(scheme.split()[-1]))
        return View(seen=noisy, shown=everything, labels=labels, bytes=vector.nbytes)
    return View(seen=update, shown=everything, labels=labels, bytes=vector.nbytes)


def sensitive_places(network: nn.Module, known: Floats) -> NDArray[np.int64]:
    """Return the places (m,) of the layers that are to be encrypted."""
    sizes = {name: p.numel() for name, p in network.named_parameters()}
    ends = np.cumsum(list(sizes.values()))
    parts = dict(zip(sizes, np.split(known, ends[:-1]), strict=True))
    chosen = set(most_sensitive_layers(layer_sensitivity(parts), sizes, share=SHARE))
    return np.concatenate(
        [np.arange(end - sizes[name], end) for name, end in zip(sizes, ends, strict=True) if name in chosen]
    )


def masked_s(vector: Floats) -> float:
    """Return the seconds that a site takes to code its update (P,) and mask it against the other sites."""
    started = time.perf_counter()
    coded = FixedPoint.finest(sites=SITES, clip=CLIP).encoded([vector])
    apply_masks(coded.whole(), [Mask(key=secrets.token_bytes(16)) for _ in range(SITES)])
    return time.perf_counter() - started


def ckks_view(keys: CkksKeys, update: Tensor, hidden: NDArray[np.int64], labels: Tensor) -> View:
    """Return the view of an update of which some places are encrypted."""
    vector = update.numpy()
    started = time.perf_counter()
    box = encrypt(keys, vector[hidden], sites=SITES)
    seconds = time.perf_counter() - started
    free = np.setdiff1d(np.arange(len(vector)), hidden)
    return View(
        seen=update[free],
        shown=torch.from_numpy(free),
        labels=labels,
        seconds=seconds,
        bytes=box.size + 4 * len(free),
    )


def fas_view(keys: CkksKeys, vector: Floats, known: Floats, labels: Tensor, *, ordered: bool) -> View:
    """Return the view under FAS; `ordered`: the attacker takes the scrambled places for the real ones."""
    plan = FasPlan(
        length=len(vector),
        encrypted=largest_elements(known, share=SHARE),
        noise_scale=FAS_NOISE,
        sites=SITES,
        study="inversion",
        round_number=0,
    )
    started = time.perf_counter()
    message = protect(plan, keys, bytes(range(32)), vector, stream(4, "inversion", "fas"))
    seconds = time.perf_counter() - started
    return View(
        seen=torch.from_numpy(message.scrambled),
        shown=torch.from_numpy(plan.open_places()),
        labels=labels,
        ordered=ordered,
        seconds=seconds,
        bytes=message.box.size + message.scrambled.nbytes,
    )


def private(
    network: nn.Module, images: Tensor, labels: Tensor, *, multiplier: float, step: str = "0"
) -> Tensor:
    """Return the mean of clipped gradients of each image with noise on their sum (P,), drawn for `step`."""
    weights = {name: p.detach() for name, p in network.named_parameters()}

    def loss(own: dict[str, Tensor], image: Tensor, label: Tensor) -> Tensor:
        return nn.functional.cross_entropy(functional_call(network, own, (image[None],)), label[None])

    parts = vmap(grad(loss), in_dims=(None, 0, 0))(weights, images, labels)
    each = torch.cat([parts[name].reshape(len(images), -1) for name in weights], 1)  # (B, P)
    each = each * (CLIP / each.norm(dim=1, keepdim=True)).clamp(max=1)
    draw = torch.Generator().manual_seed(stream_seed(5, "inversion", "noise", step))
    noise = torch.randn(each.shape[1], generator=draw) * multiplier * CLIP
    total: Tensor = each.sum(0) + noise
    return total / len(images)


# -- the attack --------------------------------------------------------------------------------------------


def rebuild(network: nn.Module, view: View, seed: int) -> Floats:
    """Return the attacker's images (n, 1, 32, 32): nearest in direction to what he sees, and smooth."""
    draw = torch.Generator().manual_seed(seed)
    start = 0.3 + 0.05 * torch.randn(len(view.labels), 1, SIDE, SIDE, generator=draw)
    images = start.requires_grad_()
    optimiser = torch.optim.Adam([images], lr=RATE)
    compare = distance_to(view)
    for step in range(STEPS):
        for group in optimiser.param_groups:
            group["lr"] = RATE * (0.5 + 0.5 * math.cos(math.pi * step / STEPS))
        loss = SMOOTH * variation(images)
        if len(view.seen):
            loss = loss + compare(gradient_of(network, images, view.labels, attack=True))
        images.grad = torch.autograd.grad(loss, images)[0]
        optimiser.step()
        with torch.no_grad():
            images.clamp_(0, 1)
    return images.detach().numpy()


def distance_to(view: View) -> Callable[[Tensor], Tensor]:
    """Return one less the cosine similarity to what is seen; of sizes in order where places are unknown."""
    seen = view.seen if view.ordered else view.seen.abs().sort().values

    def distance(gradient: Tensor) -> Tensor:
        mine = gradient[view.shown]
        return 1 - nn.functional.cosine_similarity(
            mine if view.ordered else mine.abs().sort().values, seen, 0
        )

    return distance


def variation(images: Tensor) -> Tensor:
    """Return the mean absolute difference of neighbouring pixels."""
    return images.diff(dim=-1).abs().mean() + images.diff(dim=-2).abs().mean()


def ssim(a: Floats, b: Floats) -> float:
    """Return the mean structural similarity of two images (h, w) in [0, 1], Gaussian window of 1.5 pixels."""
    from scipy.ndimage import gaussian_filter

    def local(image: Floats) -> Any:
        return gaussian_filter(image.astype(np.float64), 1.5, truncate=3.5)

    ma, mb = local(a), local(b)
    va, vb, both = local(a * a) - ma**2, local(b * b) - mb**2, local(a * b) - ma * mb
    one, two = 0.01**2, 0.03**2
    found = (2 * ma * mb + one) * (2 * both + two) / ((ma**2 + mb**2 + one) * (va + vb + two))
    return float(found.mean())


def lines(found: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the table as Markdown."""
    yield "| what the lead sees | images a batch | batches | SSIM: mean, largest | a site's seconds | bytes |"
    yield "|---|---|---|---|---|---|"
    for scheme in SCHEMES:
        for size in sorted({row["size"] for row in found}):
            rows = [row for row in found if (row["scheme"], row["size"]) == (scheme, size)]
            if rows:
                each = np.concatenate([row["ssim"] for row in rows])
                seconds = float(np.median([row["seconds"] for row in rows]))
                yield (
                    f"| {scheme} | {size} | {len(rows)} | {each.mean():.2f}, {each.max():.2f} "
                    f"| {seconds:.3f} | {rows[0]['bytes']:,} |"
                )


if __name__ == "__main__":
    main()
