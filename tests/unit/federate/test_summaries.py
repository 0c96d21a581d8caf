"""A site's summary is signed by its own key, over every word of it."""

from __future__ import annotations

import pytest

from huizhen.errors import MessageError, VerificationError
from huizhen.federate.messages import TableRisk
from huizhen.federate.summaries import Said, check_summary, signed_summary
from huizhen.ledger.signing import SigningKey

RISK = TableRisk(
    table=0, patients=40, smallest_class=2, average_risk=0.2, quasi_identifiers=3, bounds_failed=1
)


def test_a_summary_holds_only_under_its_sites_key() -> None:
    key, other = SigningKey.generate(), SigningKey.generate()
    said = Said(standing="assessed", tables=(RISK,), checked=("jurisdiction",))
    found = signed_summary(said, study="a" * 64, site="north", key=key)
    check_summary(found, key.public)
    with pytest.raises(VerificationError):
        check_summary(found, other.public)


@pytest.mark.parametrize(
    "change",
    [
        {"standing": "no_table"},
        {"checked": ()},
        {"tables": (RISK.model_copy(update={"smallest_class": 20}),)},
        {"sender": "south"},
        {"study": "b" * 64},
    ],
    ids=["standing", "checked", "tables", "sender", "study"],
)
def test_a_changed_summary_does_not_hold(change: dict[str, object]) -> None:
    key = SigningKey.generate()
    said = Said(standing="assessed", tables=(RISK,), checked=("jurisdiction",))
    found = signed_summary(said, study="a" * 64, site="north", key=key).model_copy(update=change)
    with pytest.raises(VerificationError):
        check_summary(found, key.public)


@pytest.mark.parametrize(
    "said",
    [
        Said(standing="assessed"),
        Said(standing="no_policy", tables=(RISK,)),
        Said(standing="assessed", tables=(RISK, RISK)),
        Said(standing="assessed", tables=(RISK.model_copy(update={"smallest_class": 41}),)),
        Said(standing="assessed", tables=(RISK.model_copy(update={"smallest_class": 0}),)),
        Said(standing="assessed", tables=(RISK.model_copy(update={"unique": 41}),)),
        Said(standing="assessed", tables=(RISK.model_copy(update={"recoded_class": 2**31}),)),
    ],
    ids=["no table", "a table", "twice", "class", "no class", "unique", "recoded"],
)
def test_a_signed_summary_that_cannot_be_is_refused(said: Said) -> None:
    key = SigningKey.generate()
    with pytest.raises(MessageError, match="a summary tells"):
        check_summary(signed_summary(said, study="a" * 64, site="north", key=key), key.public)
