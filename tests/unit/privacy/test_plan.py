"""A study's plan at a site: one noise multiplier for all steps, within epsilon by both accountants."""

from __future__ import annotations

import pytest

from huizhen.core.study_privacy import Privacy
from huizhen.errors import PrivacyError
from huizhen.privacy.plan import make_plan


def test_the_plan_keeps_within_the_studys_epsilon_and_uses_it():
    plan = make_plan(Privacy(epsilon=2.0, delta=1e-4, sampling=20), patients=100, rounds=3, epochs=2)
    assert plan.account.epsilon <= 2.0 <= plan.account.epsilon * 1.02
    assert abs(plan.account.prv - plan.account.pld) <= 0.01 * plan.account.epsilon <= plan.account.rdp
    assert plan.round_spend.steps * 3 == plan.whole_spend.steps == 30
    assert plan.account.spends == (plan.whole_spend,)
    assert plan.settings(60).expected_batch == pytest.approx(12)


def test_fewer_patients_than_a_step_draws_are_drawn_always():
    plan = make_plan(Privacy(epsilon=8.0, sampling=50), patients=20, rounds=2, epochs=1)
    assert (plan.sampling_rate, plan.steps) == (1.0, 1)


@pytest.mark.parametrize("patients", [0, 1000])
def test_a_delta_that_promises_nothing_is_refused(patients):
    with pytest.raises(PrivacyError, match=f"promises nothing to {patients} patients"):
        make_plan(Privacy(epsilon=1.0, delta=1e-3), patients=patients, rounds=1, epochs=1)
