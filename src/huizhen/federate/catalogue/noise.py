"""Noise on counts, the same for the same question, paid for in the site's ledger of spent privacy.

A count of subjects changes by one with one patient: Gaussian noise of standard deviation s on it is the
Gaussian mechanism with noise multiplier s over all patients, which is what the ledger composes for training
too. So patients' budgets hold over trained models and told counts together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from huizhen.core.digests import Digest, digest_value
from huizhen.core.streams import stream
from huizhen.errors import PrivacyError
from huizhen.federate.site.folder import SiteFolder
from huizhen.federate.site.private_rounds import GROUP
from huizhen.federate.site.spend_witness import SpendWitness
from huizhen.privacy.events import Spend
from huizhen.privacy.spend_ledger import Cap, SpendLedger

__all__ = ["Noise", "PaidNoise"]

LEDGER = "privacy"
"""The folder of spends in a site's folder, one for all studies and for the catalogue."""
UNBOUNDED = 1e6
"""The cap of a site whose policy sets none: spends are written down all the same."""


class Noise(Protocol):
    """Draws what is added to the count of a question."""

    def of(self, question: Digest) -> float:
        """Return the noise of a question, paid for. Raises `PrivacyError` when that can't be."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidNoise:
    """Gaussian noise, keyed by the site's key, the `index`, the question and the `deviation`."""

    site: SiteFolder
    index: Digest
    deviation: float

    def of(self, question: Digest) -> float:
        """Return the noise of a question. Raises `PrivacyError` when the patients' budget is spent."""
        policy = self.site.policy()
        cap = Cap(epsilon=policy.maximum_epsilon or UNBOUNDED, delta=policy.maximum_delta)
        spend = Spend(sampling_rate=1.0, noise_multiplier=self.deviation, steps=1)
        with SpendLedger.open(
            self.site.path / LEDGER, {GROUP: cap}, witness=SpendWitness(self.site.path)
        ) as ledger:
            asked = digest_value([self.index, question, self.deviation])
            if not ledger.reserved(study=asked, round_number=0, group=GROUP):
                try:
                    ledger.spend(study=asked, round_number=0, group=GROUP, spends=[spend])
                except PrivacyError as error:
                    raise PrivacyError(
                        "the patients' privacy budget leaves no further count",
                        remedy="ask what was asked before",
                        field="noise",
                    ) from error
        secret = int.from_bytes(self.site.key.derive_secret("catalogue-noise")[:8], "big")
        # The deviation is in the key: two scales of one draw would tell the count without noise.
        return float(stream(secret, self.index, question, self.deviation.hex()).normal(0.0, self.deviation))
