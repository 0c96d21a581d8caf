"""The worker at a site: what it refuses, by its policy as it stands now, and what its refusals may say."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from toy_federation import SITES, WEIGHTS, Toy, study, toy

from huizhen.core.digests import canonical_json
from huizhen.core.study import Role
from huizhen.errors import LedgerError, UnreadableFileError
from huizhen.federate import messages as wire
from huizhen.federate.frames import seal, unseal
from huizhen.federate.outbox import OUTBOX, read_outbox
from huizhen.federate.policy import POLICY, Hours, SitePolicy
from huizhen.federate.site.checks import check_finite, check_round, shortened
from huizhen.federate.site.folder import policy_toml
from huizhen.federate.site.worker import Worker
from huizhen.ledger.signing import SigningKey

MODEL = "cman/member0"


@pytest.fixture
def one(tmp_path: Path) -> Toy:
    return toy(tmp_path)


def ask(one: Toy, message: wire.Inbound, arrays=None, *, site: str = "east", key: SigningKey | None = None):
    """Return the site's checked answer to a message."""
    frame = one.workers[site].answer(seal(message, key or one.lead.key, arrays))
    return unseal(frame, {site: [one.folders[site].key.public]}).message


def refused(one: Toy, message: wire.Inbound, arrays=None, **more) -> str:
    answer = ask(one, message, arrays, **more)
    assert isinstance(answer, wire.Refusal), answer.kind
    return f"{answer.code} {answer.reason}"


def rules(one: Toy, site: str = "east", **changes: object) -> None:
    """Have the officer of a site change its policy."""
    policy = SitePolicy(**{"signers": (one.lead.key.public.hex,), **changes})
    (one.folders[site].path / POLICY).write_text(policy_toml(policy), encoding="utf-8")


def train(one: Toy, **changes: object) -> wire.Train:
    base = {"study": one.study.digest, "sender": wire.LEAD, "model": MODEL, "round": 0, "secure": True}
    return wire.Train(**{**base, **changes})


def invitation(one: Toy, key: SigningKey | None = None, **changes: object) -> wire.Invitation:
    key = key or one.lead.key
    base = {
        "study": one.study.digest,
        "sender": wire.LEAD,
        "definition": canonical_json(one.study.model_dump(mode="json")).decode(),
        "signature": key.sign(wire.STUDY_DOMAIN, bytes.fromhex(one.study.digest)),
        "purpose": "research",
        "sites": {name: peer.hex for name, peer in one.lead.peers.items()},
    }
    return wire.Invitation(**{**base, **changes})


# --- who may ask, and about what -----------------------------------------------------------------------


def test_an_unknown_lead_is_refused(one):
    assert "HZ91 lead: a message was refused" in refused(one, invitation(one), key=SigningKey.generate())


def test_an_unknown_study_is_refused(one):
    assert "not invited to the study" in refused(one, train(one, study="e" * 64), WEIGHTS)


def test_a_study_changed_after_it_was_signed_is_refused(one):
    other = study({"rounds": 4})
    changed = canonical_json(other.model_dump(mode="json")).decode()
    assert "isn't the one that its digest names" in refused(one, invitation(one, definition=changed))
    unsigned = invitation(one, definition=changed, study=other.digest)
    answer = refused(one, unsigned)
    assert answer.startswith(("HZ51", "HZ91")), answer


@pytest.mark.parametrize("definition", ["{}", "null", "[]", '{"name": 1}', "\x00"])
def test_a_definition_that_is_no_study_is_refused(one, definition):
    assert "can't be read by this version" in refused(one, invitation(one, definition=definition))


def test_a_study_without_this_site_is_refused(tmp_path):
    one = toy(tmp_path)
    other = study(sites=("north", "west"))
    changed = invitation(
        one,
        definition=canonical_json(other.model_dump(mode="json")).decode(),
        study=other.digest,
        signature=one.lead.key.sign(wire.STUDY_DOMAIN, bytes.fromhex(other.digest)),
    )
    assert "has no site east" in refused(one, changed)


def test_another_accepted_lead_may_not_ask_about_this_leads_study(one):
    second = SigningKey.generate()
    rules(one, signers=(one.lead.key.public.hex, second.public.hex))
    assert ask(one, invitation(one)).kind == "accepted"
    assert "another lead asks" in refused(one, train(one), WEIGHTS, key=second)
    assert ask(one, train(one), WEIGHTS).kind == "ready"


@pytest.mark.parametrize("answer", [wire.Done, wire.Refusal])
def test_an_answer_is_no_question(one, answer):
    more = {"code": "HZ92", "reason": "no"} if answer is wire.Refusal else {}
    assert ask(one, invitation(one)).kind == "accepted"
    assert "is no question" in refused(one, answer(study=one.study.digest, sender=wire.LEAD, **more))


@pytest.mark.parametrize("frame", [b"", b"HZF1" + b"\xff" * 100, b"x" * 1000])
def test_rubbish_is_answered_by_a_refusal(one, frame):
    answer = unseal(one.workers["east"].answer(frame), {"east": [one.folders["east"].key.public]})
    assert answer.message.kind == "refusal"
    assert answer.message.code == "HZ91"


# --- the policy, as it stands now -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"signers": ("f" * 64,)}, "signature"),
        ({"studies": ("other",)}, "studies"),
        ({"purposes": ("audit",)}, "purposes"),
        ({"approval": True}, "approval"),
        ({"minimum_cohort": 31}, "minimum_cohort"),
        ({"messages": ("refusal", "accepted")}, "messages"),
        ({"layers": ("bias",)}, "layers"),
        ({"hours": Hours(days=(2,))}, "hours"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_policy_changed_in_the_middle_holds_at_once(tmp_path, changes, field):
    one = toy(tmp_path)
    monday = datetime(2024, 1, 1, 12)
    one.workers["east"] = Worker(one.folders["east"], lambda *_: one.learners["east"], now=lambda: monday)
    assert ask(one, invitation(one)).kind == "accepted"
    rules(one, **changes)
    assert field in refused(one, train(one), WEIGHTS)
    if field != "layers":  # known only after training
        assert one.learners["east"].trained == (1 if field == "messages" else 0)
    rules(one)
    assert ask(one, train(one), WEIGHTS).kind == "ready"


def test_approval_by_a_person_lets_a_study_in(one):
    rules(one, approval=True)
    assert "approval" in refused(one, invitation(one))
    one.folders["east"].approve(one.study.digest, by="officer")
    assert ask(one, invitation(one)).kind == "accepted"


def test_plain_aggregates_can_be_forbidden(one):
    assert ask(one, invitation(one)).kind == "accepted"
    rules(one, plain_aggregates=False)
    about = {
        "study": one.study.digest,
        "sender": wire.LEAD,
        "subject": "scores",
        "query": "delong",
        "step": 0,
    }
    assert "plain_aggregates" in refused(one, wire.Ask(**about, secure=False))


def test_a_policy_that_cannot_be_read_refuses_without_a_path(one):
    (one.folders["east"].path / POLICY).unlink()
    answer = refused(one, invitation(one))
    assert "policy can't be read" in answer
    assert str(one.folders["east"].path) not in answer


# --- rounds ----------------------------------------------------------------------------------------------


def test_a_round_that_the_study_does_not_plan_is_refused(one):
    ask(one, invitation(one))
    assert "plans no round 3" in refused(one, train(one, round=3), WEIGHTS)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_change_that_is_not_finite_is_never_ready(one, value):
    ask(one, invitation(one))
    one.learners["east"].broken = "nan"
    assert "NaN or infinity" in refused(one, train(one), WEIGHTS)
    with pytest.raises(Exception, match="NaN or infinity"):
        check_finite({"w": np.float32([value])})


def test_the_same_question_is_answered_from_what_is_ready_and_other_weights_anew(one):
    ask(one, invitation(one))
    for _ in range(3):
        assert ask(one, train(one), WEIGHTS).kind == "ready"
    assert one.learners["east"].trained == 1
    other = {name: value + 1 for name, value in WEIGHTS.items()}
    assert ask(one, train(one), other).kind == "ready"
    assert one.learners["east"].trained == 2


def test_an_invitation_sent_again_loses_nothing(one):
    ask(one, invitation(one))
    ask(one, train(one), WEIGHTS)
    ask(one, invitation(one))
    ask(one, train(one), WEIGHTS)
    assert one.learners["east"].trained == 1


@pytest.mark.parametrize(
    ("changes", "alone"),
    [({}, True), ({"score_histograms": False}, False), ({"plain_aggregates": False}, False)],
)
def test_a_site_says_whether_its_own_distribution_may_leave(one, changes, alone):
    """Before anybody else's is asked for: of a sum and all others' own, the one that refuses would follow."""
    rules(one, **changes)
    assert ask(one, invitation(one)).alone is alone


def test_weights_of_another_shape_are_refused(one):
    ask(one, invitation(one))
    assert "weights" in refused(one, train(one), {**WEIGHTS, "slope": np.zeros((3, 2), np.float32)})


def test_shortening_keeps_shapes_and_holds_the_norm(one):
    change = {"b": np.float32([3.0]), "a": np.float32([[0.0], [4.0]])}
    found = shortened(change, study({"maximum_norm": 1.0}))
    np.testing.assert_allclose(found["a"], [[0], [0.8]], atol=1e-6)
    np.testing.assert_allclose(found["b"], [0.6], atol=1e-6)
    assert shortened(change, study()) is change
    with pytest.raises(Exception, match="plans no round"):
        check_round(
            wire.Train(study="0" * 64, sender="lead", model="m", round=3, secure=True),
            study(),
            Role.DEVELOPMENT,
            one.folders["east"],
        )


# --- what a refusal may say -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        UnreadableFileError("Zhang-San-1961.dcm is broken", remedy="look", file="/data/Zhang-San-1961.dcm"),
        RuntimeError("patient Zhang-San-1961"),
        KeyError("Zhang-San-1961"),
        MemoryError("Zhang-San-1961"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_at_the_data_is_told_by_its_kind_alone(one, error):
    ask(one, invitation(one))

    def fail(*_: object) -> None:
        raise error

    one.learners["east"].train = fail
    answer = refused(one, train(one), WEIGHTS)
    assert "Zhang" not in answer
    assert "/data" not in answer


# --- the outbox ------------------------------------------------------------------------------------------


def test_every_answer_is_noted_before_it_leaves(one):
    ask(one, invitation(one))
    refused(one, train(one, round=9), WEIGHTS)
    sent = list(read_outbox(one.folders["east"].path))
    assert [item.kind for item in sent] == ["accepted", "refusal"]


def test_what_cannot_be_noted_does_not_leave(one, monkeypatch):
    monkeypatch.setattr(
        one.workers["east"]._outbox, "note", lambda **_: (_ for _ in ()).throw(OSError("full"))
    )
    with pytest.raises(OSError, match="full"):
        ask(one, invitation(one))


def test_a_site_whose_outbox_was_edited_does_not_start(one):
    ask(one, invitation(one))
    ask(one, train(one), WEIGHTS)
    path = one.folders["east"].path / OUTBOX
    path.write_bytes(path.read_bytes().replace(b'"accepted"', b'"refusal"'))
    with pytest.raises(LedgerError, match="doesn't follow"):
        Worker(one.folders["east"], lambda *_: one.learners["east"])


def test_a_site_restarted_needs_no_new_invitation(one):
    ask(one, invitation(one))
    one.workers["east"] = Worker(one.folders["east"], lambda *_: one.learners["east"])
    assert ask(one, train(one), WEIGHTS).kind == "ready"
    assert set(SITES) == set(one.workers)
