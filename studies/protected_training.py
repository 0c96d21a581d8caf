"""What each protection of updates costs in accuracy, bytes and seconds: one network trained under each.

    nice python studies/protected_training.py OUT --data DATA

The network and images of studies/gradient_inversion.py; BUS-BRA's four scanners are the sites. Each round
every site sends the gradient of all its training patients, weighted by how many they are, under the scheme;
whoever the scheme allows opens the sum, and all take one step of Adam. Five folds by patient: each patient is
scored by a network that never saw it. AUC by DeLong, differences from the plain sum paired over patients.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gradient_inversion import (
    CLIP,
    FAS_NOISE,
    SHARE,
    Floats,
    gradient_of,
    load_images,
    make_network,
    masked_s,
    private,
    sensitive_places,
)
from numpy.typing import NDArray
from real_patients import first_images, study_parser
from torch import nn

from huizhen.core.files import write_json, write_text
from huizhen.core.streams import stream
from huizhen.privacy.fas import FasPlan, add_fas, open_fas, protect
from huizhen.privacy.homomorphic import CkksKeys, add, decrypt, encrypt, make_keys
from huizhen.privacy.secure_aggregation.coding import FixedPoint
from huizhen.privacy.sensitivity import largest_elements
from huizhen.validate.discrimination import auc_interval, paired_difference

ROUNDS, FOLDS, RATE = 150, 5, 3e-3
SCHEMES = ("plain", "secure sum", "CKKS, whole", "CKKS, most sensitive layers", "FAS", "DP 0.01", "DP 1")
Sum = Callable[[list[Floats], int], Floats]


def main() -> None:
    """Train under every scheme, then write the table."""
    parser = study_parser(__doc__)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    images, labels = load_images(asked.data)
    sites, keys = scanners(asked.data), make_keys()
    for scheme in SCHEMES:
        file = asked.out / "schemes" / f"{SCHEMES.index(scheme)}.json"
        if not file.exists():
            write_json(file, trained(scheme, keys, images, labels, sites))
    found = {
        row["scheme"]: row
        for row in (json.loads(p.read_text(encoding="utf-8")) for p in (asked.out / "schemes").iterdir())
    }
    write_text(asked.out / "protected_training.md", "\n".join(lines(found, labels)) + "\n")
    print("\n".join(lines(found, labels)))


def scanners(data: Path) -> NDArray[np.str_]:
    """Return the scanner of each patient's first image (n,), in the order of `load_images`."""
    return np.array([row["Device"] for row in first_images(data)[1]])


def trained(
    scheme: str, keys: CkksKeys, images: Floats, labels: NDArray[np.int64], sites: NDArray[np.str_]
) -> dict[str, Any]:
    """Return the scores of all patients by networks that never saw them, and what a site's round cost."""
    fold = stream(6, "protected").permutation(len(labels)) % FOLDS
    scores, started, cost = np.zeros(len(labels)), time.perf_counter(), Cost()
    for k in range(FOLDS):
        network = make_network()
        own = [np.flatnonzero((fold != k) & (sites == name)) for name in np.unique(sites)]
        known = gradient_of(network, *batch(images, labels, own[0][:8])).numpy()
        total = summing(scheme, keys, network, known, sites=len(own), cost=cost)
        optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
        for number in range(ROUNDS):
            parts = [
                update(network, scheme, images, labels, rows, sum(map(len, own)), number) for rows in own
            ]
            step(network, optimiser, total(parts, number))
        with torch.no_grad():
            held = np.flatnonzero(fold == k)
            scores[held] = network(torch.from_numpy(images[held])).softmax(1)[:, 1].numpy()
    return {
        "scheme": scheme,
        "scores": scores.tolist(),
        "site_s": float(np.median(cost.seconds)) if cost.seconds else 0.0,
        "bytes": cost.bytes,
        "wall_s": time.perf_counter() - started,
    }


def batch(images: Floats, labels: NDArray[np.int64], rows: NDArray[np.int64]) -> tuple[Any, Any]:
    """Return images (b, 1, 32, 32) and labels (b,) of some patients."""
    return torch.from_numpy(images[rows]), torch.from_numpy(labels[rows])


def update(
    network: nn.Module,
    scheme: str,
    images: Floats,
    labels: NDArray[np.int64],
    rows: NDArray[np.int64],
    everyone: int,
    number: int,
) -> Floats:
    """Return a site's part (P,) of the mean gradient over `everyone` patients."""
    chosen = batch(images, labels, rows)
    if scheme.startswith("DP"):
        multiplier = float(scheme.split()[-1])
        mean = private(network, *chosen, multiplier=multiplier, step=f"{number}/{rows[0]}")
    else:
        mean = gradient_of(network, *chosen)
    return (mean * (len(rows) / everyone)).numpy()


def step(network: nn.Module, optimiser: torch.optim.Optimizer, gradient: Floats) -> None:
    """Take one step along the summed gradient (P,)."""
    place = 0
    for weight in network.parameters():
        part = gradient[place : place + weight.numel()]
        weight.grad = torch.from_numpy(np.ascontiguousarray(part)).reshape(weight.shape)
        place += weight.numel()
    optimiser.step()


class Cost:
    """What a site's protection took: seconds of each round, bytes of the last."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.bytes = 0


def summing(scheme: str, keys: CkksKeys, network: nn.Module, known: Floats, *, sites: int, cost: Cost) -> Sum:
    """Return the function from the sites' parts and the round's number to their sum under `scheme`."""

    def timed(work: Callable[[Floats], Any], parts: list[Floats], size: Callable[[Any], int]) -> list[Any]:
        made = []
        for part in parts:
            started = time.perf_counter()
            made.append(work(part))
            cost.seconds.append(time.perf_counter() - started)
        cost.bytes = size(made[-1])
        return made

    def plain(parts: list[Floats], number: int) -> Floats:
        cost.bytes = parts[0].nbytes
        return np.sum(parts, axis=0, dtype=np.float32)

    def coded(parts: list[Floats], number: int) -> Floats:
        coding = FixedPoint.finest(sites=sites, clip=CLIP)
        made = timed(lambda part: coding.encoded([part]).whole(), parts, lambda words: words.nbytes)
        cost.seconds = [masked_s(part) for part in parts]  # masks take each other away in the sum
        mean, count = coding.decode(np.sum(made, axis=0, dtype=np.uint32))
        return mean * np.float32(count)

    def encrypted(parts: list[Floats], number: int) -> Floats:
        hidden = np.arange(len(known)) if "whole" in scheme else sensitive_places(network, known)
        boxes = timed(
            lambda part: encrypt(keys, part[hidden], sites=sites),
            parts,
            lambda box: box.size + 4 * (len(known) - len(hidden)),
        )
        total = np.sum(parts, axis=0, dtype=np.float32)
        total[hidden] = decrypt(keys, add(keys.public, boxes))
        return total

    def scrambled(parts: list[Floats], number: int) -> Floats:
        plan = FasPlan(
            length=len(known),
            encrypted=largest_elements(known, share=SHARE),
            noise_scale=FAS_NOISE,
            sites=sites,
            study="protected",
            round_number=number,
        )
        secret, rng = bytes(range(32)), stream(7, "protected", number)
        messages = timed(
            lambda part: protect(plan, keys, secret, part, rng),
            parts,
            lambda message: message.box.size + message.scrambled.nbytes,
        )
        return open_fas(plan, keys, secret, add_fas(plan, keys.public, messages))

    if scheme.startswith("CKKS"):
        return encrypted
    return {"secure sum": coded, "FAS": scrambled}.get(scheme, plain)


def lines(found: dict[str, dict[str, Any]], labels: NDArray[np.int64]) -> Iterator[str]:
    """Yield the table as Markdown."""
    yield "| what is sent | AUC (95 %) | less plain (95 %) | bytes a site and round | seconds of a site |"
    yield "|---|---|---|---|---|"
    event, plain = labels == 1, np.array(found["plain"]["scores"])
    for scheme in SCHEMES:
        if (row := found.get(scheme)) is None:
            continue
        scores = np.array(row["scores"])
        auc, less = auc_interval(event, scores), paired_difference(event, scores, plain)
        lead = (
            ""
            if scheme == "plain" or less.interval is None
            else (f"{less.estimate:+.3f} ({less.interval.low:+.3f} to {less.interval.high:+.3f})")
        )
        yield (
            f"| {scheme} | {auc.value:.3f} ({auc.interval.low:.3f} to {auc.interval.high:.3f}) | {lead} "
            f"| {row['bytes']:,} | {row['site_s']:.4f} |"
        )


if __name__ == "__main__":
    main()
