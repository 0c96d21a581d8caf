"""A site's spend as an aggregate: every number arrives, and what is no spend is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from huizhen.errors import MessageError
from huizhen.federate.statistics.runner import run, run_visible
from huizhen.federate.statistics.spending import Spending, Spent
from huizhen.pipeline.federated_privacy import check_spent
from huizhen.privacy.accounting import account
from huizhen.privacy.events import Spend

SPENT = Spent(
    n=120,
    epsilon=7.987,
    delta=1e-5,
    prv=7.986,
    pld=7.987,
    rdp=8.862,
    noise_multiplier=1.45,
    sampling_rate=0.2,
    steps=100,
    clip_norm=1.0,
    head="0123456789abcdef" * 4,
)


def test_every_number_arrives():
    found = run_visible(Spending(), [SPENT], smallest_count=5).result
    assert (found.n, found.head, found.steps) == (120, SPENT.head, 100)
    for name in ("epsilon", "delta", "prv", "pld", "rdp", "noise_multiplier", "sampling_rate", "clip_norm"):
        assert getattr(found, name) == pytest.approx(getattr(SPENT, name), rel=1e-9)


@pytest.mark.parametrize("change", [{"epsilon": 1.0}, {"delta": 0.0}, {"steps": -1.0}, {"rdp": -1.0}])
def test_what_is_no_spend_is_refused(change):
    with pytest.raises(MessageError, match="no spend"):
        run(Spending(), [replace(SPENT, **change)])


def test_a_site_that_understates_its_epsilon_is_found():
    spend = Spend(sampling_rate=0.2, noise_multiplier=1.45, steps=100)
    true = replace(SPENT, epsilon=account([spend], delta=1e-5).epsilon)
    check_spent(true)
    with pytest.raises(MessageError, match="states epsilon 4, its steps cost"):
        check_spent(replace(true, epsilon=4.0))


def test_a_site_that_took_no_step_spent_nothing():
    check_spent(replace(SPENT, epsilon=0.0, prv=0.0, pld=0.0, rdp=0.0, steps=0))
