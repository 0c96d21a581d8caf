"""A study's differential privacy at one site: its plan, its private rounds, and what it has spent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from huizhen.core.study import Study
from huizhen.core.study_federation import Federation
from huizhen.core.study_privacy import Privacy
from huizhen.errors import FederationError
from huizhen.federate.site.folder import SiteFolder
from huizhen.federate.site.private_rounds import GROUP, PrivateRounds
from huizhen.federate.site.questions import question_of
from huizhen.federate.site.spend_witness import SpendWitness
from huizhen.federate.statistics.spending import Spent
from huizhen.federate.strategies.interface import Weights
from huizhen.models.network import Network
from huizhen.pipeline.federated_plan import federated_models
from huizhen.privacy.accounting import account
from huizhen.privacy.plan import PrivatePlan, make_plan
from huizhen.privacy.spend_ledger import Cap, SpendLedger
from huizhen.train.local import LocalFit
from huizhen.train.private import PrivateEpochs

LEDGER = "privacy"
"""The folder of spends in a site's folder, one for all studies."""
UNBOUNDED = 1e6
"""The cap of a site whose policy sets none: spends are written down all the same."""


@dataclass(frozen=True, kw_only=True)
class SitePrivacy:
    """`study` at `site`, which keeps its answers in `home`; `patients` train any of its models there."""

    study: Study
    privacy: Privacy
    federation: Federation
    site: SiteFolder
    home: Path
    patients: int

    @cached_property
    def plan(self) -> PrivatePlan:
        """What the study plans to spend here. Raises `PrivacyError`."""
        return make_plan(
            self.privacy,
            patients=self.patients,
            rounds=self.federation.rounds * len(self._models),
            epochs=self.federation.local_epochs,
        )

    @property
    def _models(self) -> list[str]:
        return [model.name for model in federated_models(self.study)]

    def _cap(self) -> Cap:
        """Return what the site's policy allows now."""
        policy = self.site.policy()
        return Cap(epsilon=policy.maximum_epsilon or UNBOUNDED, delta=policy.maximum_delta)

    def train(
        self, model: str, number: int, weights: Weights, local: LocalFit, network: Callable[[], Network]
    ) -> Weights:
        """Return the change of `model` in the round `number`, trained by DP-SGD from `weights` or kept.

        Raises `PrivacyError` when a budget would be passed, `FederationError` on a round that isn't planned.
        """
        if number >= self.federation.rounds:
            raise FederationError(
                f"the study plans {self.federation.rounds} rounds", remedy="ask for no more", field="round"
            )

        def work(draw: int) -> Weights:
            private = PrivateEpochs(
                settings=self.plan.settings(len(local.fit.train)),
                steps=self.plan.steps,
                secret=self.site.key.derive_secret("differential-privacy"),
                names=(self.study.digest, model, number, draw),
            )
            return replace(local, private=private).round(network(), number, weights)[0]

        rounds = PrivateRounds(
            study=self.study.digest,
            plan=self.plan,
            ledger=self.site.path / LEDGER,
            cap=self._cap(),
            folder=self.home / "rounds" / "private",
            witness=SpendWitness(self.site.path),
        )
        place = self._models.index(model) * self.federation.rounds + number
        return rounds.answer(place, question_of(model, weights), work)

    def spent(self) -> Spent:
        """Return what the study has spent here so far. Raises `PrivacyError`."""
        caps, witness = {GROUP: self._cap()}, SpendWitness(self.site.path)
        with SpendLedger.open(self.site.path / LEDGER, caps, witness=witness) as ledger:
            spends, head = ledger.spends(GROUP, study=self.study.digest), ledger.head
        found = account(spends, delta=self.privacy.delta)
        return Spent(
            n=self.patients,
            epsilon=found.epsilon,
            delta=found.delta,
            prv=found.prv,
            pld=found.pld,
            rdp=found.rdp,
            noise_multiplier=self.plan.noise_multiplier,
            sampling_rate=self.plan.sampling_rate,
            steps=sum(spend.steps for spend in spends),
            clip_norm=self.privacy.clip_norm,
            head=head,
        )
