"""A site's own ledger against the heads in a dossier: what the site had committed to, and what it opened.

Run at the site, by its officer or an auditor: the ledger names no patient but stays there. It shows that
split and sealed outcomes are those that were fixed before training, that they were opened only after the lock
that the dossier is about, and that what was opened is what had been committed to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huizhen.dossier.openings import check_openings, openings
from huizhen.dossier.verification import verify_dossier
from huizhen.errors import VerificationError
from huizhen.federate.site.folder import SiteFolder
from huizhen.ledger.merkle import root
from huizhen.ledger.reading import VerifiedLog, read_log
from huizhen.ledger.records import Entry

REMEDY = "trust no result of this site until it is explained"


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """What was found in order: the study's digest, the site's entries, and the sizes that heads had fixed."""

    study: str
    entries: int
    fixed: Mapping[str, int]
    opened: int
    """How often sealed outcomes were opened: 0 when nothing was scored here."""


def audit_site(folder: Path, dossier: Path, *, key_id: str | None = None) -> Audited:
    """Check the ledger in the site's `folder` against `dossier`, which is verified first, signed by `key_id`.

    Raises `VerificationError` when the dossier doesn't hold, knows no head of this site, or anything here
    differs from what its heads had fixed.
    """
    verified = verify_dossier(dossier, expected_key_id=key_id)
    lead = read_log(dossier / "ledger", expected_key_id=verified.key_id)
    site = SiteFolder.open(folder)
    study = next(str(e.body.get("digest")) for e in lead.entries if e.kind == "study")
    fixed = dict(heads_of(lead.entries, site.name))
    if "cohort" not in fixed:
        raise _wrong(f"the dossier holds no head of {site.name}'s ledger from before training")
    own = read_log(site.study(study) / "ledger", expected_key_id=site.key.key_id)
    for moment, head in fixed.items():
        _check_head(own, moment, head)
    sizes = {moment: int(head["size"]) for moment, head in fixed.items()}
    stages = [e.body for e in lead.entries if e.kind == "stage"]
    locks = {str(body.get("digest")) for body in stages if body.get("stage") == "lock"}
    _check_order(own.entries, sizes, locks)
    check_openings(own.entries)
    opened = len(list(openings(own.entries)))
    return Audited(study=study, entries=len(own.entries), fixed=sizes, opened=opened)


def heads_of(entries: Sequence[Entry], site: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Return each moment with the head that the lead's ledger holds of `site` then."""
    found = []
    for entry in entries:
        heads = entry.body.get("heads") if entry.kind == "site_heads" else None
        if isinstance(heads, Mapping) and isinstance(heads.get(site), Mapping):
            found.append((str(entry.body.get("moment")), heads[site]))
    return found


def _check_head(own: VerifiedLog, moment: str, head: Mapping[str, Any]) -> None:
    size = head.get("size")
    if type(size) is not int or not 1 <= size <= len(own.leaves):
        raise _wrong(f"the site's ledger has fewer entries than its head of {moment} had")
    if root(own.leaves[:size]).hex() != head.get("root"):
        raise _wrong(f"the site's ledger is not the one whose head of {moment} the dossier holds")


def _check_order(own: Sequence[Entry], sizes: Mapping[str, int], locks: set[str]) -> None:
    """Check that the commitment is older than the first head, and each opening younger than its lock."""
    if not any(e.kind == "commit" and e.index < sizes["cohort"] for e in own):
        raise _wrong("the site's ledger holds no commitment from before training")
    for unseal in (e for e in own if e.kind == "unseal"):
        index = unseal.body.get("lock_entry")
        lock = own[index] if type(index) is int and 0 <= index < unseal.index else None
        if lock is None or lock.kind != "lock" or lock.body.get("lead_digest") not in locks:
            raise _wrong("outcomes were opened for another lock than the dossier's")
        if unseal.index < sizes.get("locked", 0):
            raise _wrong("outcomes were opened before the lead had the head of the locked ledger")


def _wrong(why: str) -> VerificationError:
    return VerificationError(why, remedy=REMEDY)
