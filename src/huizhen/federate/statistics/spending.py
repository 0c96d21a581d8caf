"""What training has spent at one site, as an aggregate that the site's policy may let leave.

It goes over one site at a time: epsilons of different hospitals' patients don't add up. The numbers follow
from the study's plan and how many patients train, and hold nothing of any patient.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from huizhen.errors import MessageError
from huizhen.federate.statistics.aggregate import Aggregate, Layout, count, real
from huizhen.federate.statistics.interface import Ask, Done, Query

__all__ = ["Spending", "Spent"]

HEAD_WORDS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """The spend of one study at one site, over its `n` training patients.

    `epsilon` at `delta` is the larger of `prv` and `pld`; `rdp` bounds it from above. `steps` is over all
    rounds and models. `head`: the digest of the spend ledger's last line, which shows that nothing was lost.
    """

    n: int
    epsilon: float
    delta: float
    prv: float
    pld: float
    rdp: float
    noise_multiplier: float
    sampling_rate: float
    steps: float
    clip_norm: float
    head: str

    def to_json(self) -> dict[str, Any]:
        """Return what stands beside epsilon and n, for evidence."""
        return {
            "delta": self.delta,
            "prv": self.prv,
            "pld": self.pld,
            "rdp_upper_bound": self.rdp,
            "noise_multiplier": self.noise_multiplier,
            "sampling_rate": self.sampling_rate,
            "steps": int(self.steps),
            "clip_norm": self.clip_norm,
            "head": self.head,
        }


NUMBERS = tuple(field.name for field in fields(Spent) if field.name not in ("n", "head"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """Asks one site what it has spent."""

    name: str = "spending"

    def start(self) -> Ask:
        """Ask for the numbers."""
        return Ask(query=Query(name=self.name))

    def layout(self, query: Query) -> Layout:
        """n, the numbers, and the ledger's head in words of 16 bits."""
        return {"n": count(), "numbers": real(len(NUMBERS)), "head": count(HEAD_WORDS)}

    def answer(self, query: Query, data: Spent) -> Mapping[str, ArrayLike]:
        """Return a site's numbers."""
        head = np.frombuffer(bytes.fromhex(data.head), ">u2").astype(np.float64)
        return {"n": data.n, "numbers": [float(getattr(data, name)) for name in NUMBERS], "head": head}

    def check(self, query: Query, total: Aggregate) -> None:
        """Raise unless the numbers are those of a spend."""
        found = dict(zip(NUMBERS, total["numbers"].tolist(), strict=True))
        fits = found["epsilon"] >= max(found["prv"], found["pld"]) - 1e-9 and 0 < found["delta"] < 1
        if not fits or min(found.values()) < 0 or (total["head"] >= 2**16).any():
            raise MessageError("numbers that are no spend", remedy="ask one site at a time", field="numbers")

    def update(self, ask: Ask, total: Aggregate) -> Ask | Done[Spent]:
        """Return the spend."""
        found = dict(zip(NUMBERS, total["numbers"].tolist(), strict=True))
        return Done(Spent(n=total.n, head=total["head"].astype(">u2").tobytes().hex(), **found))
