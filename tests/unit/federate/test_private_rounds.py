"""Private rounds: reserved before they are trained, answered from what was kept, never paid for twice."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from toy_federation import toy

from huizhen.core.digests import Digest
from huizhen.core.study_privacy import Privacy
from huizhen.errors import FederationError, ModelError, PolicyError, PrivacyError
from huizhen.federate.policy import SitePolicy
from huizhen.federate.site.private_rounds import GROUP, PrivateRounds
from huizhen.federate.site.questions import question_of
from huizhen.privacy.accounting import Account, rdp_epsilon
from huizhen.privacy.plan import PrivatePlan
from huizhen.privacy.spend_ledger import Cap, SpendLedger

STUDY, OTHER = Digest("1" * 64), Digest("2" * 64)
ASKED = question_of("cman", {"w": np.zeros(3, np.float32)})


@pytest.fixture
def plan() -> PrivatePlan:
    """Return a plan of three rounds of five steps; nothing here asks the accountants for its epsilon."""
    return PrivatePlan(
        privacy=Privacy(epsilon=2.0, delta=1e-4, sampling=20),
        patients=100,
        steps=5,
        rounds=3,
        epochs=1,
        noise_multiplier=1.7,
        account=Account(spends=(), delta=1e-4, epsilon=2.0, prv=2.0, pld=2.0, rdp=2.2),
    )


class Site:
    """A site's folders; `train` counts how often it was asked."""

    def __init__(self, path: Path, plan: PrivatePlan, epsilon: float = 1e6) -> None:
        self.path, self.plan, self.cap, self.trained = path, plan, Cap(epsilon=epsilon, delta=1e-4), 0

    def rounds(self, study: Digest = STUDY) -> PrivateRounds:
        return PrivateRounds(
            study=study,
            plan=self.plan,
            ledger=self.path / "privacy",
            cap=self.cap,
            folder=self.path / study[:4],
        )

    def train(self, draw: int) -> dict[str, np.ndarray]:
        self.trained += 1
        return {"w": np.full(3, draw, np.float32)}

    def answer(self, number: int, question: Digest = ASKED, study: Digest = STUDY) -> np.ndarray:
        return np.asarray(self.rounds(study).answer(number, question, self.train)["w"])

    def steps(self) -> int:
        with SpendLedger.open(self.path / "privacy", {GROUP: self.cap}) as ledger:
            return sum(spend.steps for spend in ledger.spends(GROUP))


@pytest.fixture
def site(tmp_path: Path, plan: PrivatePlan) -> Site:
    return Site(tmp_path, plan)


class Killed(BaseException):
    """The process is gone: nothing after it is done."""


def killed(_draw: int) -> dict[str, np.ndarray]:
    raise Killed


def test_a_repeated_question_gets_the_same_answer_and_spends_nothing(site):
    first = site.answer(0)
    assert np.array_equal(site.answer(0), first)
    assert (site.trained, site.steps()) == (1, 5)


def test_the_same_round_from_other_weights_is_another_attempt_that_counts(site):
    first = site.answer(0)
    other = site.answer(0, question_of("cman", {"w": np.ones(3, np.float32)}))
    assert not np.array_equal(first, other)  # another draw of noise
    assert (site.trained, site.steps()) == (2, 10)


def test_killed_while_training_the_reservation_is_used_again(site):
    with pytest.raises(Killed):
        site.rounds().answer(0, ASKED, killed)
    assert site.steps() == 5  # set aside, and never forgotten
    site.answer(0)
    assert (site.trained, site.steps()) == (1, 5)


def test_killed_before_the_settlement_the_kept_change_is_given(site, monkeypatch):
    def gone(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(SpendLedger, "settle", gone)
        with pytest.raises(Killed):
            site.answer(0)
    assert (site.answer(0)[0], site.trained, site.steps()) == (0, 1, 5)
    with SpendLedger.open(site.path / "privacy", {GROUP: site.cap}) as ledger:
        assert not ledger.unsettled()


def test_a_lost_change_is_trained_anew_and_counts(site):
    site.answer(0)
    next((site.path / STUDY[:4]).iterdir()).unlink()
    site.answer(0)
    assert (site.trained, site.steps()) == (2, 10)


def test_a_change_whose_payment_is_not_in_the_ledger_is_not_given(site):
    site.answer(0)
    for file in (site.path / "privacy").iterdir():
        file.unlink()
    site.answer(0)
    assert (site.trained, site.steps()) == (2, 5)


def test_a_damaged_change_is_trained_anew(site):
    site.answer(0)
    file = next((site.path / STUDY[:4]).iterdir())
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert (site.answer(0)[0], site.steps()) == (2, 10)


def test_a_round_that_failed_counts_whole(site):
    def fails(_: int) -> dict[str, np.ndarray]:
        raise ModelError("diverged", remedy="lower the rate")

    with pytest.raises(ModelError):
        site.rounds().answer(0, ASKED, fails)
    site.answer(0)
    assert site.steps() == 10


def test_the_studys_own_epsilon_is_not_passed_by_repetitions(site):
    for number in range(3):
        site.answer(number)
    with pytest.raises(PrivacyError, match="the study's epsilon of 2 is spent") as refused:
        site.answer(2, question_of("cman", {"w": np.ones(3, np.float32)}))
    assert refused.value.field == "privacy.epsilon"
    assert (site.trained, site.steps()) == (3, 15)
    site.answer(2)  # what was answered is given again


def test_the_sites_cap_holds_over_all_studies(tmp_path, plan):
    site = Site(tmp_path, plan, epsilon=rdp_epsilon([plan.round_spend], delta=1e-4) * 1.01)
    site.answer(0)
    with pytest.raises(PrivacyError, match="group patients would spend epsilon") as refused:
        site.answer(0, study=OTHER)
    assert refused.value.code == "HZ93"
    assert (site.trained, site.steps()) == (1, 5)


@pytest.mark.parametrize("after", range(3))
@pytest.mark.parametrize("written", [True, False])
def test_killed_at_any_write_a_round_is_paid_once(site, monkeypatch, after, written):
    """Killed just before or just after each durable write: the reservation, the change, the settlement."""
    count = 0

    def dying(write):
        def until(*given: object) -> None:
            nonlocal count
            count += 1
            if count == after + 1 and not written:
                raise Killed
            write(*given)
            if count == after + 1:
                raise Killed

        return until

    with monkeypatch.context() as patch:
        patch.setattr(SpendLedger, "_append", dying(SpendLedger._append))
        patch.setattr(PrivateRounds, "_keep", dying(PrivateRounds._keep))
        with pytest.raises(Killed):
            site.answer(0)
    assert (site.answer(0)[0], site.steps()) == (0, 5)
    assert site.trained <= 2


def test_a_site_with_a_cap_takes_no_part_without_privacy(tmp_path):
    one = toy(tmp_path, policy={"maximum_epsilon": 8.0})
    with pytest.raises(FederationError, match="this site demands differential privacy"):
        one.lead.invite()


@pytest.mark.parametrize(
    ("epsilon", "delta", "field"), [(9.0, 1e-5, "maximum_epsilon"), (8.0, 1e-4, "maximum_delta")]
)
def test_a_policy_refuses_more_than_it_allows(epsilon, delta, field):
    with pytest.raises(PolicyError) as refused:
        SitePolicy(maximum_epsilon=8.0).spend(epsilon, delta)
    assert refused.value.field == field
