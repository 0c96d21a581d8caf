"""Private rounds at a site: budget is set aside before a round is trained, and no answer is paid for twice.

In this order: reserve in the site's spend ledger, train, keep the change on disk, settle, answer. So:

- asked again for what was answered, the site gives the kept change, and nothing more is spent;
- killed before the change was kept, nothing had left, and the same reservation is used again;
- asked for the same round from other weights, or with the kept change lost, it is a new attempt that counts;
- a round whose training failed counts whole: that it failed may tell something.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from huizhen.core.digests import Digest
from huizhen.core.files import write_bytes
from huizhen.errors import PrivacyError
from huizhen.federate.site.spend_witness import SpendWitness
from huizhen.federate.strategies.interface import Weights
from huizhen.privacy.accounting import account
from huizhen.privacy.plan import PrivatePlan
from huizhen.privacy.spend_ledger import Cap, SpendLedger
from huizhen.privacy.spend_records import Reservation, within

__all__ = ["GROUP", "PrivateRounds"]

GROUP: Final = "patients"
"""All patients of a site are one group: those of different studies may be the same people."""
DIGEST_BYTES: Final = 32
KEPT_ROUNDS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A round's change that was kept, and the line of the ledger that it was paid with."""

    reservation: int
    change: Mapping[str, NDArray[np.float32]]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateRounds:
    """The rounds of one study at one site: `ledger` is the site's folder of spends, `folder` keeps changes.

    `cap`: what any patient may lose over all studies, by the site's policy.
    """

    study: Digest
    plan: PrivatePlan
    ledger: Path
    cap: Cap
    folder: Path
    witness: SpendWitness | None = None
    """Where the ledger's heads are noted too."""

    def answer(self, number: int, question: Digest, train: Callable[[int], Weights]) -> Weights:
        """Return the change of round `number` (counted over all models) for `question`.

        `train` makes it; its argument names the draw of noise, one a reservation. Raises `PrivacyError` when
        the study's or the site's budget would be passed, and what `train` raises.
        """
        with SpendLedger.open(self.ledger, {GROUP: self.cap}, witness=self.witness) as ledger:
            kept = self._kept(number, question)
            if kept is not None and self._paid(ledger, number, kept):
                return kept.change
            reservation = self._again(ledger, number) or self._reserve(ledger, number)
            try:
                change = train(reservation.number)
            except Exception:
                ledger.settle(reservation, reservation.spends)
                raise
            self._keep(number, question, reservation, change)
            ledger.settle(reservation, reservation.spends)
            return change

    def _mine(self, reservation: Reservation, number: int) -> bool:
        """Tell whether a reservation is for the round `number` of this study by this plan."""
        return (reservation.study, reservation.round_number, reservation.group, reservation.spends) == (
            self.study,
            number,
            GROUP,
            (self.plan.round_spend,),
        )

    def _paid(self, ledger: SpendLedger, number: int, kept: _Kept) -> bool:
        """Tell whether a kept change is in the ledger, settling it if the site was killed in between."""
        for reservation in ledger.reserved(study=self.study, round_number=number, group=GROUP):
            if reservation.number == kept.reservation:
                if reservation in ledger.unsettled():
                    ledger.settle(reservation, reservation.spends)
                return True
        return False

    def _again(self, ledger: SpendLedger, number: int) -> Reservation | None:
        """Return the round's reservation of a process that was killed before anything left, or None."""
        return next((r for r in ledger.unsettled() if self._mine(r, number)), None)

    def _reserve(self, ledger: SpendLedger, number: int) -> Reservation:
        """Set a round's budget aside. Raises `PrivacyError` when a budget would be passed."""
        spend = self.plan.round_spend
        would_be = [*ledger.spends(GROUP, study=self.study), spend]
        privacy = self.plan.privacy
        if (
            not within(would_be, [self.plan.whole_spend])
            and account(would_be, delta=privacy.delta).epsilon > privacy.epsilon
        ):
            raise PrivacyError(
                f"the study's epsilon of {privacy.epsilon:g} is spent here: repeated rounds count",
                remedy="end the study with the sites that can go on, or start a new one",
                field="privacy.epsilon",
            )
        return ledger.reserve(
            study=self.study,
            round_number=number,
            attempt=len(ledger.reserved(study=self.study, round_number=number, group=GROUP)),
            group=GROUP,
            spends=[spend],
        )

    def _file(self, number: int) -> Path:
        return self.folder / f"change-{number:06d}.safetensors"

    def _keep(self, number: int, question: Digest, paid: Reservation, change: Weights) -> None:
        """Keep a change durably; that of the round before stays too, for a lead that was set back."""
        arrays = {name: np.asarray(value, order="C") for name, value in change.items()}  # keeps shape ()
        data = save(arrays, {"question": question, "reservation": str(paid.number)})
        write_bytes(self._file(number), hashlib.sha256(data).digest() + data)
        self._file(number - KEPT_ROUNDS).unlink(missing_ok=True)

    def _kept(self, number: int, question: Digest) -> _Kept | None:
        """Return the change kept for a question; None without one, or when its file is damaged."""
        if not self._file(number).exists():
            return None
        content = self._file(number).read_bytes()
        stated, data = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
        if hashlib.sha256(data).digest() != stated:
            return None
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
        if header["question"] != question:
            return None
        return _Kept(reservation=int(header["reservation"]), change=load(data))
