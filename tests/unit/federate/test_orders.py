"""Orders: every site carries them out, and the lead goes on with a quorum."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from toy_federation import SITES, toy

from huizhen.errors import FederationError
from huizhen.federate import messages as wire
from huizhen.federate.orders import done_at, order


def test_every_site_carries_an_order_out(tmp_path):
    one = toy(tmp_path)
    one.lead.invite()
    lock = wire.Lock(study=one.study.digest, sender=wire.LEAD, digest="a" * 64)
    order(one.lead, lock, one.lead.taking_part)
    assert {learner.locked for learner in one.learners.values()} == {"a" * 64}
    answers = one.lead.ask(dict.fromkeys(SITES, lock), 5.0)
    assert done_at(answers) == sorted(SITES)


def test_below_the_quorum_an_order_fails(tmp_path, monkeypatch):
    one = toy(tmp_path, {"quorum": 1.0})
    one.lead.invite()

    def refuse(digest: str) -> None:
        raise FederationError("not now", remedy="later", field="lock")

    monkeypatch.setattr(one.learners["north"], "lock", refuse)
    lock = wire.Lock(study=one.study.digest, sender=wire.LEAD, digest="a" * 64)
    with pytest.raises(FederationError, match="2 of 3 sites answered, fewer than the quorum; missing: north"):
        order(one.lead, lock, one.lead.taking_part)
