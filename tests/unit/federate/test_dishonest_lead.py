"""A lead that lies: sums to be subtracted, invented sites, a study under two names, old policies."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from dishonest import ask_one, sum_over
from toy_federation import SITES, WEIGHTS, Toy, study, toy

from huizhen.errors import MessageError
from huizhen.federate import messages as wire
from huizhen.federate.policy import POLICY
from huizhen.federate.secure_wire import place_of
from huizhen.federate.site.folder import policy_toml
from huizhen.federate.site.worker import Worker
from huizhen.federate.statistics.counts import Categories
from huizhen.federate.statistics.data import table_of
from huizhen.federate.statistics.delong import DeLong
from huizhen.federate.statistics.fixed_point import MOST_SITES, encode
from huizhen.federate.statistics.interface import Query
from huizhen.federate.statistics.runner import respond
from huizhen.ledger.signing import SigningKey
from huizhen.privacy.secure_aggregation.coding import FixedPoint, Residues

TWO = SITES[:2]
CHANGES = FixedPoint.finest(sites=3, clip=64.0, max_weight=200)
COUNTS = Residues(sites=MOST_SITES)


@pytest.fixture
def one(tmp_path: Path) -> Toy:
    made = toy(tmp_path)
    made.lead.invite()
    return made


def train(one: Toy, number: int, model: str = "cman") -> wire.Train:
    return wire.Train(study=one.study.digest, sender=wire.LEAD, model=model, round=number, secure=True)


def ask(one: Toy, step: int = 0, subject: str = "scores", query: str = "delong") -> wire.Ask:
    return wire.Ask(
        study=one.study.digest, sender=wire.LEAD, subject=subject, query=query, step=step, secure=True
    )


def refused(found: Any) -> str:
    assert isinstance(found, list), f"a sum over {getattr(found, 'survivors', '?')} was unmasked"
    return "; ".join(found)


@pytest.mark.parametrize("policy", [{}, {"score_histograms": False}, {"plain_aggregates": False}])
@pytest.mark.parametrize("step", [0, 1])
def test_two_sums_of_an_answer_are_never_to_be_subtracted(tmp_path, policy, step):
    """Whatever may leave alone by the policy: what leaves in a sum was not checked to leave alone."""
    one = toy(tmp_path, policy=policy)
    one.lead.invite()
    values = DeLong(models=1).start().query.values
    assert sum_over(one, ask(one), SITES, COUNTS, 1, values).survivors == SITES
    if step:
        values = {side: np.zeros((1, 2**16)) for side in ("pos", "neg")}
    assert "unmasked over east, north, west before" in refused(
        sum_over(one, ask(one, step), TWO, COUNTS, 2, values)
    )


def test_the_same_counts_under_another_subject_stay_with_the_same_sites(one):
    def answer(asked):
        statistic = Categories(column="cell", codes=(0.0, 1.0))
        found = respond(statistic, asked.query, table_of(("cell",), np.array([[0.0], [1.0], [1.0]])))
        return encode(found, sites=asked.sites)

    for learner in one.learners.values():
        learner.answer = answer
    first = ask(one, subject="cohort/cman", query="categories")
    assert sum_over(one, first, SITES, COUNTS, 1).survivors == SITES
    other = ask(one, 0, subject="cohort/single:US", query="categories")
    assert "unmasked over" in refused(sum_over(one, other, TWO, COUNTS, 2))


def test_nearly_the_same_question_under_another_subject_stays_with_the_same_sites():
    """A calibration moved by a hair puts nearly all patients into the same bins."""

    def place(name: str) -> str:
        return place_of(wire.Task(kind="ask", name=name, step=0))

    assert place("scores/tune/0/cman/scores") == place("scores/tune/all/cman/cman/delong")
    assert place("cohort/cman/member0/categories") == place("cohort/single:US/member0/categories")
    assert place("regression/fit/cman/logistic") == place("regression/choose/table_lr/batch")
    assert place("scores/tune/0/cman/scores") != place("scores/test/0/cman/scores")
    assert place("curve/1/ab/delong") != place("curve/2/cd/delong")


def test_two_rounds_from_the_same_weights_go_over_the_same_sites(one):
    assert sum_over(one, train(one, 0), SITES, CHANGES, 1, WEIGHTS).survivors == SITES
    assert "unmasked over" in refused(sum_over(one, train(one, 1), TWO, CHANGES, 2, WEIGHTS))
    signs = {name: -value for name, value in WEIGHTS.items()}  # negative zeros are zeros
    assert "unmasked over" in refused(sum_over(one, train(one, 1), TWO, CHANGES, 3, signs))


def test_a_site_may_be_absent_in_a_round_from_other_weights(one):
    assert sum_over(one, train(one, 0), SITES, CHANGES, 1, WEIGHTS).survivors == SITES
    moved = {name: value + np.float32(0.1) for name, value in WEIGHTS.items()}
    assert sum_over(one, train(one, 1), TWO, CHANGES, 2, moved).survivors == TWO


@pytest.mark.parametrize("step", [1, 7])
def test_a_step_that_a_statistic_has_not_is_refused(step):
    query = Query(name="categories", step=step)
    with pytest.raises(MessageError, match=f"categories has no step {step}"):
        respond(Categories(column="c", codes=(0.0,)), query, table_of(("c",), np.zeros((3, 1))))


# --- invitations -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("field", ["sites", "purpose"])
def test_a_study_that_was_accepted_can_not_be_given_other_sites_or_purpose(one, restarted, field):
    """Else a lead gives its own keys the partners' names, and is alone with the site in its sum."""
    invented = {name: SigningKey.generate().public.hex for name in ("north", "west")}
    changes = {"sites": {**one.lead._invitation.sites, **invented}, "purpose": "audit"}
    if restarted:
        one.workers["east"] = Worker(one.folders["east"], lambda *_: one.learners["east"])
    rules = one.folders["east"].policy().model_copy(update={"purposes": ("research", "audit")})
    (one.folders["east"].path / POLICY).write_text(policy_toml(rules), encoding="utf-8")
    again = one.lead._invitation.model_copy(update={field: changes[field]})
    assert f"accepted here with another {field}" in ask_one(one, "east", again).message.reason
    assert ask_one(one, "east", one.lead._invitation).message.kind == "accepted"


@pytest.mark.parametrize("how", ["more", "fewer", "own"])
def test_an_invitation_names_the_sites_of_the_study_and_this_ones_key(tmp_path, how):
    one = toy(tmp_path)
    one.lead.invite()
    fresh = Worker(toy(tmp_path / "b").folders["east"], lambda *_: one.learners["east"])
    assert fresh is not None
    sites = dict(one.lead._invitation.sites)
    if how == "more":
        sites["sybil"] = SigningKey.generate().public.hex
    elif how == "fewer":
        del sites["west"]
    else:
        sites["east"] = SigningKey.generate().public.hex
    other = toy(tmp_path / "c")
    asked = wire.Invitation.model_validate(
        {
            **one.lead._invitation.model_dump(),
            "sites": {**sites, **({} if how == "own" else {"east": other.folders["east"].key.public.hex})},
            "signature": other.lead.key.sign(wire.STUDY_DOMAIN, bytes.fromhex(one.study.digest)),
        }
    )
    answer = ask_one(other, "east", asked).message
    assert answer.kind == "refusal"
    assert ("another key for this site" if how == "own" else "aren't those of the study") in answer.reason


def test_a_study_has_one_name_only(one):
    """A second opening under a digest that begins alike would forget what was unmasked."""
    alias = one.study.digest[:16] + "f" * 48
    asked = train(one, 0).model_copy(update={"study": alias})
    assert "not invited" in ask_one(one, "east", asked, WEIGHTS).message.reason


# --- what is looked at again in every message ------------------------------------------------------------


def test_a_bound_on_privacy_set_after_the_study_began_holds_at_once(one):
    assert ask_one(one, "east", train(one, 0), WEIGHTS).message.kind == "ready"
    rules = one.folders["east"].policy().model_copy(update={"maximum_epsilon": 1.0})
    (one.folders["east"].path / POLICY).write_text(policy_toml(rules), encoding="utf-8")
    answer = ask_one(one, "east", train(one, 1), WEIGHTS).message
    assert "demands differential privacy" in answer.reason


def test_an_external_site_trains_nothing(tmp_path):
    one = toy(tmp_path)
    raw = study().model_dump(mode="json")
    raw["site"][2]["role"] = "external"
    one.lead.study = type(one.study).model_validate(raw)
    one.lead.invite()
    asked = train(one, 0).model_copy(update={"study": one.lead.study.digest})
    assert "an external site trains nothing" in ask_one(one, "west", asked, WEIGHTS).message.reason
    assert ask_one(one, "east", asked, WEIGHTS).message.kind == "ready"
    assert one.learners["west"].trained == 0


def test_when_the_rounds_are_over_the_site_lets_go_of_the_study(one):
    over = wire.Finish(study=one.study.digest, sender=wire.LEAD, model="0" * 64)
    ask_one(one, "east", train(one, 0), WEIGHTS)
    assert ask_one(one, "east", over).message.kind == "done"
    assert one.learners["east"].closed == 1
    assert ask_one(one, "east", train(one, 0), WEIGHTS).message.kind == "ready"


def test_an_answer_says_which_question_it_answers(one):
    from huizhen.core.digests import digest_bytes
    from huizhen.federate.frames import seal

    for message in (one.lead._invitation, train(one, 99)):
        frame = seal(message, one.lead.key)
        assert ask_one(one, "east", message).message.answers == digest_bytes(frame)
