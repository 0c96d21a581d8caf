"""What a study plans to spend at one site: steps, sampling, and the noise that keeps them within its epsilon.

All models of a study train on the same patients, so that their steps are one sequence: each patient is drawn
with one probability in every step of every model, and one noise multiplier serves them all.

>>> from huizhen.core.study_privacy import Privacy
>>> plan = make_plan(Privacy(epsilon=3.0, sampling=50), patients=500, rounds=4, epochs=1)
>>> plan.steps, plan.sampling_rate, plan.round_spend.steps, plan.account.epsilon <= 3.0
(10, 0.1, 10, True)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from huizhen.core.study_privacy import Privacy
from huizhen.errors import PrivacyError
from huizhen.privacy.accounting import Account, account, calibrate_noise
from huizhen.privacy.dp_settings import DpSettings
from huizhen.privacy.events import Spend

__all__ = ["PrivatePlan", "make_plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivatePlan:
    """The plan of one study at one site with `patients` training patients.

    `steps`: of one local epoch of one model. `rounds`: over all models together. `epochs`: local epochs of a
    round. `account`: what all of it costs, by both accountants.
    """

    privacy: Privacy
    patients: int
    steps: int
    rounds: int
    epochs: int
    noise_multiplier: float
    account: Account

    @property
    def sampling_rate(self) -> float:
        """The probability with which each patient is in a step."""
        return min(1.0, self.privacy.sampling / self.patients)

    @property
    def round_spend(self) -> Spend:
        """What one round of one model spends."""
        return self._spend(self.steps * self.epochs)

    @property
    def whole_spend(self) -> Spend:
        """What all rounds of all models spend."""
        return self._spend(self.steps * self.epochs * self.rounds)

    def _spend(self, steps: int) -> Spend:
        return Spend(sampling_rate=self.sampling_rate, noise_multiplier=self.noise_multiplier, steps=steps)

    def settings(self, patients: int) -> DpSettings:
        """Return how a model is trained that `patients` of the site's patients can train."""
        return DpSettings(
            noise_multiplier=self.noise_multiplier,
            clip_norm=self.privacy.clip_norm,
            sampling_rate=self.sampling_rate,
            patients=patients,
        )


@lru_cache(maxsize=64)
def make_plan(privacy: Privacy, *, patients: int, rounds: int, epochs: int) -> PrivatePlan:
    """Return the plan for `patients` over `rounds` (of all models) of `epochs` local epochs.

    An epoch has as many steps as draw each patient once on average. Raises `PrivacyError` when the study's
    delta would let a patient be published whole, when no noise suffices, or the accountants disagree.
    """
    if patients < 1 or privacy.delta * patients >= 1:
        raise PrivacyError(
            f"a delta of {privacy.delta:g} promises nothing to {patients} patients",
            remedy="set a delta well below one by the patients",
            field="privacy.delta",
        )
    rate = min(1.0, privacy.sampling / patients)
    steps = max(1, round(1 / rate))
    total = steps * epochs * rounds
    noise = calibrate_noise(epsilon=privacy.epsilon, delta=privacy.delta, sampling_rate=rate, steps=total)
    whole = Spend(sampling_rate=rate, noise_multiplier=noise, steps=total)
    return PrivatePlan(
        privacy=privacy,
        patients=patients,
        steps=steps,
        rounds=rounds,
        epochs=epochs,
        noise_multiplier=noise,
        account=account([whole], delta=privacy.delta),
    )
