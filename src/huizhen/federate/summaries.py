"""A site's summary as it is signed: whoever holds the lead's ledger can hold it against the site's key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from huizhen.core.digests import canonical_json
from huizhen.errors import MessageError
from huizhen.federate.messages import Summary, TableRisk
from huizhen.ledger.signing import PublicKey, SigningKey

__all__ = ["SUMMARY_DOMAIN", "Said", "check_summary", "signed_summary"]

SUMMARY_DOMAIN = "site_summary"
Standing = Literal["assessed", "no_policy", "no_table", "too_few"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a site says of itself: its tables or why there are none, and the facts that it checked."""

    standing: Standing
    tables: tuple[TableRisk, ...] = ()
    checked: tuple[str, ...] = ()


def signed_summary(said: Said, *, study: str, site: str, key: SigningKey) -> Summary:
    """Return the summary as a message, signed by the site."""
    payload = _payload(study, site, said.standing, said.tables, said.checked)
    return Summary(
        study=study,
        sender=site,
        standing=said.standing,
        tables=said.tables,
        checked=said.checked,
        signature=key.sign(SUMMARY_DOMAIN, payload),
    )


def check_summary(summary: Summary, key: PublicKey) -> None:
    """Check the signature of a summary: `VerificationError`; and that it can be: `MessageError`."""
    payload = _payload(summary.study, summary.sender, summary.standing, summary.tables, summary.checked)
    key.verify(SUMMARY_DOMAIN, payload, summary.signature)
    if (summary.standing == "assessed") is not bool(summary.tables):
        raise _refused("tells of tables and that there are none, or the other way round")
    if len({one.table for one in summary.tables}) < len(summary.tables):
        raise _refused("tells of one table twice")
    if not all(map(_can_be, summary.tables)):
        raise _refused("tells of a table with more patients in a part of it than in the whole")


def _can_be(one: TableRisk) -> bool:
    """Tell whether a table's numbers go together: every class has patients, and each is among all."""
    classes = [one.smallest_class, *([] if one.recoded_class is None else [one.recoded_class])]
    return one.smallest_class >= 1 and max(*classes, one.unique or 0) <= one.patients


def _refused(why: str) -> MessageError:
    return MessageError(f"a summary {why}", remedy="run the same version of huizhen everywhere")


def _payload(
    study: str, site: str, standing: str, tables: Sequence[TableRisk], checked: Sequence[str]
) -> bytes:
    return canonical_json([study, site, standing, [one.model_dump() for one in tables], list(checked)])
