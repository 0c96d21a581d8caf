"""The lead: who counts, who is left out and why, one sum of a thing, sites that fall out and come back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from toy_federation import SITES, WEIGHTS, Toy, toy

from huizhen.core.digests import digest_bytes
from huizhen.errors import FederationError, PolicyError
from huizhen.federate import messages as wire
from huizhen.federate.engines.in_process import InProcess
from huizhen.federate.frames import seal, unseal
from huizhen.federate.journal import Journal
from huizhen.federate.lead import Lead
from huizhen.federate.quorum import enough_of
from huizhen.federate.rounds import Training
from huizhen.federate.site.worker import Worker
from huizhen.federate.statistics.delong import DeLong
from huizhen.federate.statistics.runner import conduct
from huizhen.ledger.signing import SigningKey

MODEL = "cman/member0"
OPEN = {"plain_updates": True}


def training(one: Toy, tmp_path: Path, patients: int = 120) -> Training:
    return Training(
        lead=one.lead,
        federation=one.study.federation,
        model=MODEL,
        folder=tmp_path / "rounds",
        sites=one.lead.invite(),
        patients=patients,
    )


class Faulty:
    """An engine whose answers `alter` may change, drop (None) or make; it sees the question's message."""

    def __init__(self, one: Toy, alter: Callable[[str, wire.Inbound, bytes], bytes | None]) -> None:
        self._inner, self._alter = InProcess({n: w.answer for n, w in one.workers.items()}), alter
        self._peers = {wire.LEAD: [one.lead.key.public]}
        self.asked: list[tuple[str, str]] = []
        one.lead.engine = self

    @property
    def sites(self) -> list[str]:
        return list(self._inner.sites)

    def ask(self, frames: Mapping[str, bytes], *, timeout_s: float) -> dict[str, bytes]:
        found = {}
        for site, frame in frames.items():
            message = unseal(frame, self._peers).message
            self.asked.append((site, message.kind))
            reply = self._alter(site, message, frame)
            if reply == b"":
                reply = self._inner.ask({site: frame}, timeout_s=timeout_s)[site]
            if reply is not None:
                found[site] = reply
        return found

    def close(self) -> None:
        pass


def test_a_share_stated_in_hundredths_is_read_as_meant():
    assert [enough_of(3, q) for q in (0.67, 0.66, 0.33, 1.0)] == [2, 2, 1, 3]
    assert enough_of(1, 0.01) == 1


def test_two_sites_with_one_key_are_refused(tmp_path):
    one = toy(tmp_path)
    twin = {**one.lead.peers, "north": one.lead.peers["east"]}
    with pytest.raises(FederationError, match="east and north have one key"):
        Lead(study=one.study, engine=one.lead.engine, key=one.lead.key, peers=twin, journal=one.lead.journal)


def test_answers_of_another_key_or_another_site_are_left_out(tmp_path):
    stranger = SigningKey.generate()

    def forge(site: str, message: wire.Inbound, frame: bytes) -> bytes:
        if site == "west":
            return seal(wire.Done(study=message.study, sender="west"), stranger)
        if site == "east":
            return seal(wire.Done(study=message.study, sender="north"), one.folders["east"].key)
        return b""

    one = toy(tmp_path)
    Faulty(one, forge)
    hold = wire.Hold(study=one.study.digest, sender=wire.LEAD, model=MODEL)
    one.lead.journal.note("start")
    assert set(one.lead.ask(dict.fromkeys(SITES, hold), 5.0, WEIGHTS)) == {"north"}
    assert one.lead.journal.events()["refused"] == 2


def test_an_answer_about_another_study_is_left_out(tmp_path):
    one = toy(tmp_path)
    Faulty(one, lambda s, m, f: seal(wire.Done(study="f" * 64, sender=s), one.folders[s].key))
    hold = wire.Hold(study=one.study.digest, sender=wire.LEAD, model=MODEL)
    assert one.lead.ask(dict.fromkeys(SITES, hold), 5.0, WEIGHTS) == {}


def test_a_replayed_update_of_an_earlier_round_is_left_out(tmp_path):
    one = toy(tmp_path, {"secure": False, "quorum": 0.6}, policy=OPEN)
    kept: list[bytes] = []

    def replay(site: str, message: wire.Inbound, frame: bytes) -> bytes:
        if site != "west" or not isinstance(message, wire.Train):
            return b""
        kept.append(one.workers["west"].answer(frame))
        return kept[0]

    Faulty(one, replay)
    done = training(one, tmp_path).run(WEIGHTS)
    assert done.sites == (SITES, ("east", "north"), ("east", "north"))
    assert "another question" in one.lead.journal.refusals()


@pytest.mark.parametrize(("secure", "said"), [(False, 70), (True, 70), (False, 10**9), (True, 10**6)])
def test_a_site_that_claims_too_many_patients_stops_the_round_or_is_left_out(tmp_path, secure, said):
    """East has 30 patients: more than the cohort is its own fault; within it, the sum gives it away."""
    one = toy(tmp_path, {"secure": secure, "rounds": 1, "quorum": 1.0}, policy=OPEN)
    one.learners["east"].patients = lambda model: said
    with pytest.raises(FederationError, match=r"patients|quorum|no secure sum"):
        training(one, tmp_path).run(WEIGHTS)
    assert not list((tmp_path / "rounds").glob("*"))


def test_a_replayed_aggregate_of_another_question_is_left_out(tmp_path):
    one = toy(tmp_path, policy={"smallest_count": 1})
    one.lead.invite()
    old = wire.Aggregate(study=one.study.digest, sender="west", subject="scores", query="delong", step=7)

    def replay(site: str, message: wire.Inbound, frame: bytes) -> bytes:
        if site == "west" and isinstance(message, wire.Ask):
            return seal(old, one.folders["west"].key, {"words": np.zeros(5, np.uint32)})
        return b""

    Faulty(one, replay)
    one.lead.quorum = 1.0
    with pytest.raises(FederationError, match="missing: west"):
        conduct(DeLong(models=1), one.lead.exchange("scores", secure=False))
    assert "another question" in one.lead.journal.refusals()


def test_aggregates_of_another_length_are_left_out_one_by_one(tmp_path):
    one = toy(tmp_path, policy={"smallest_count": 1})
    one.lead.invite()

    def short(site: str, message: wire.Inbound, frame: bytes) -> bytes:
        if site == "west" and isinstance(message, wire.Ask):
            answer = wire.Aggregate(
                study=message.study,
                sender=site,
                subject=message.subject,
                query=message.query,
                step=message.step,
                answers=digest_bytes(frame),
            )
            return seal(answer, one.folders["west"].key, {"words": np.zeros((2, 2), np.uint32)})
        return b""

    Faulty(one, short)
    found = conduct(DeLong(models=1), one.lead.exchange("scores", secure=False))
    assert found.n == 30 + 40
    assert "4 words instead of" in one.lead.journal.refusals()


def test_updates_of_another_length_never_reach_a_secure_sum(tmp_path):
    one = toy(tmp_path, {"rounds": 1}, policy=OPEN)
    for name in ("west", "north"):  # the many don't outvote the shapes that were sent
        grown = one.learners[name].train

        def train(model, number, weights, grown=grown):
            found = grown(model, number, weights)
            found.change["more"] = np.zeros(3, np.float32)
            return found

        one.learners[name].train = train
    with pytest.raises(FederationError, match="1 of 3 sites answered"):
        training(one, tmp_path).run(WEIGHTS)
    assert "9 numbers instead of 6" in one.lead.journal.refusals()


def test_when_all_that_are_missing_refuse_for_good_it_is_the_policy(tmp_path):
    one = toy(tmp_path, {"rounds": 1}, policy={"minimum_cohort": 45})
    with pytest.raises(PolicyError, match="minimum_cohort: the site has too few"):
        training(one, tmp_path).run(WEIGHTS)
    two = toy(tmp_path / "two", {"rounds": 1})
    Faulty(two, lambda s, m, f: b"" if s == "east" or m.kind == "invitation" else None)
    with pytest.raises(FederationError, match="fewer than the quorum") as caught:
        training(two, tmp_path / "two").run(WEIGHTS)
    assert not isinstance(caught.value, PolicyError)


def test_one_refusing_site_does_not_stop_the_others(tmp_path):
    one = toy(tmp_path)
    (one.folders["east"].path / "policy.toml").write_text(
        f'signers = ["{one.lead.key.public.hex}"]\nminimum_cohort = 31\n', encoding="utf-8"
    )
    done = training(one, tmp_path).run(WEIGHTS)
    assert done.sites == (("north", "west"),) * 3
    assert "minimum_cohort" in one.lead.journal.refusals()


# --- sites that fall out of secure sums ---------------------------------------------------------------


PHASES = ["advertise", "share", "deliver", "endorse"]


@pytest.mark.parametrize("phase", [*PHASES, "unmask"])
def test_a_site_killed_in_any_phase_and_back_is_in_the_sum(tmp_path, phase):
    """A worker that is killed loses its open sum; begun anew, the sum is over all sites again."""
    whole = training(toy(tmp_path / "a"), tmp_path / "a").run(WEIGHTS)
    one = toy(tmp_path / "b")
    killed = []

    def kill_once(site: str, message: wire.Inbound, frame: bytes) -> bytes:
        if site == "west" and message.kind == phase and not killed:
            killed.append(phase)
            one.workers["west"] = Worker(one.folders["west"], lambda *_: one.learners["west"])
            engine._inner = InProcess({n: w.answer for n, w in one.workers.items()})
        return b""

    engine = Faulty(one, kill_once)
    done = training(one, tmp_path / "b").run(WEIGHTS)
    assert killed
    assert done.sites == whole.sites == (SITES,) * 3
    for name in WEIGHTS:
        np.testing.assert_array_equal(done.weights[name], whole.weights[name])


@pytest.mark.parametrize("phase", PHASES)
def test_a_site_that_dies_in_any_phase_is_dropped(tmp_path, phase):
    one = toy(tmp_path)
    dead = []

    def die(site: str, message: wire.Inbound, frame: bytes) -> bytes | None:
        if site == "west" and (dead or message.kind == phase):
            dead.append(message.kind)
            return None
        return b""

    Faulty(one, die)
    done = training(one, tmp_path).run(WEIGHTS)
    first = SITES if phase == "endorse" else ("east", "north")  # its masked input had arrived
    assert done.sites == (first, ("east", "north"), ("east", "north"))


def test_a_site_that_was_away_is_given_the_plan_before_it_is_asked_again(tmp_path):
    one = toy(tmp_path, {"rounds": 4})
    one.lead.invite()
    gone: list[str] = []

    def away(site: str, message: wire.Inbound, frame: bytes) -> bytes | None:
        if site != "west":
            return b""
        if message.kind == "plan" and not gone:
            gone.append("west")
            return None
        return b""

    Faulty(one, away)
    one.lead.plan = wire.Plan(study=one.study.digest, sender=wire.LEAD, definition="{}")
    answers = one.lead.ask(dict.fromkeys(SITES, one.lead.plan), 5.0)
    assert set(answers) == {"east", "north"}
    assert not hasattr(one.learners["west"], "planned")
    done = training(one, tmp_path).run(WEIGHTS)
    assert one.learners["west"].planned == "{}"
    assert done.sites[-1] == SITES


@pytest.mark.parametrize("phase", ["train", "deliver"])
def test_a_dead_site_is_taken_back_when_it_returns(tmp_path, phase):
    one = toy(tmp_path, {"rounds": 5})
    invitations: list[str] = []
    gone: list[str] = []

    def away(site: str, message: wire.Inbound, frame: bytes) -> bytes | None:
        if site != "west":
            return b""
        if message.kind == "invitation":
            invitations.append(site)
        if message.kind == phase and engine.asked.count(("west", phase)) == 2:
            gone.append(phase)
        return None if gone and len(invitations) < 4 else b""

    engine = Faulty(one, away)
    done = training(one, tmp_path).run(WEIGHTS)
    without = ("east", "north")
    assert done.sites[:2] == (SITES, without)
    assert done.sites[-1] == SITES
    assert without in done.sites[1:3]
    assert one.lead.journal.events()["back"] == 1


def test_a_sum_that_began_with_three_sites_does_not_end_with_two(tmp_path):
    """A site that falls out only while sums are open, each time, could so have a sum of two made."""
    one = toy(tmp_path, policy={"minimum_sites": 2})
    Faulty(one, lambda s, m, f: None if s == "west" and m.kind == "deliver" else b"")
    with pytest.raises(FederationError, match="no secure sum came together"):
        training(one, tmp_path).run(WEIGHTS)


def test_of_one_round_no_two_sums_over_different_sites_are_unmasked(tmp_path):
    """Their difference would be the missing site's own update."""
    one = toy(tmp_path, {"rounds": 1})
    unmasked: list[set[str]] = []

    def flicker(site: str, message: wire.Inbound, frame: bytes) -> bytes | None:
        if message.kind == "unmask":
            if not unmasked or site == SITES[0]:
                unmasked.append(set())
            unmasked[-1].add(site)
        return None if site == "west" and message.kind == "deliver" and len(engine.asked) < 20 else b""

    engine = Faulty(one, flicker)
    done = training(one, tmp_path).run(WEIGHTS)
    assert len(unmasked) == 1
    assert unmasked == [set(done.sites[0])]


def test_a_lead_killed_while_unmasking_asks_for_the_same_sites_again(tmp_path):
    one = toy(tmp_path, {"rounds": 1})
    expected = training(toy(tmp_path / "whole", {"rounds": 1}), tmp_path / "whole").run(WEIGHTS)

    class KilledError(Exception):
        pass

    def kill(site: str, message: wire.Inbound, frame: bytes) -> bytes:
        if message.kind == "unmask" and site == "west":
            raise KilledError
        return b""

    Faulty(one, kill)
    with pytest.raises(KilledError):
        training(one, tmp_path).run(WEIGHTS)
    again = Lead(
        study=one.study,
        engine=one.lead.engine,
        key=one.lead.key,
        peers=one.lead.peers,
        journal=Journal(tmp_path / "lead"),
        patience_s=5.0,
        quorum=0.67,
    )
    one.lead = again
    Faulty(one, lambda s, m, f: None if s == "west" and m.kind != "invitation" else b"")
    with pytest.raises(FederationError, match="without west the same sum again"):
        training(one, tmp_path).run(WEIGHTS)
    Faulty(one, lambda s, m, f: b"")
    done = training(one, tmp_path).run(WEIGHTS)
    for name in WEIGHTS:
        np.testing.assert_array_equal(done.weights[name], expected.weights[name])


def test_a_lead_that_lost_its_folder_is_not_given_a_second_sum_over_others(tmp_path):
    one = toy(tmp_path, {"rounds": 1})
    training(one, tmp_path).run(WEIGHTS)
    one.lead.journal = Journal(tmp_path / "other")
    Faulty(one, lambda s, m, f: None if s == "west" and m.kind != "invitation" else b"")
    with pytest.raises(FederationError, match="unmasked over east, north, west before"):
        training(one, tmp_path / "other").run(WEIGHTS)


def test_sums_of_a_lead_that_lost_its_folder_go_on_over_the_same_sites(tmp_path):
    one = toy(tmp_path, {"rounds": 1})
    first = training(one, tmp_path).run(WEIGHTS)
    one.lead.journal = Journal(tmp_path / "other")
    again = training(one, tmp_path / "other").run(WEIGHTS)
    for name in WEIGHTS:
        np.testing.assert_array_equal(first.weights[name], again.weights[name])
