"""The ledger that a site keeps of a study: what was locked, and the opening of what it had committed to.

The lead's ledger holds this one's heads (Merkle root and size), asked before training and again after the
lock. So a site can't change afterwards what it had committed to: its officer, or an auditor at the site,
compares the heads with the ledger, which never leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from huizhen.core.digests import digest_file
from huizhen.errors import FederationError
from huizhen.ledger.records import Entry
from huizhen.pipeline.cohort_stage import SALT, SEALED, OpenCohort, commitments, digests
from huizhen.pipeline.stage import Run


def head_of(run: Run) -> tuple[str, int]:
    """Return root and size of the site's ledger as it stands."""
    head = run.log.commit()
    return head.root, head.size


def enter_lock(run: Run, study_digest: str, lead_digest: str, weights: Mapping[str, str]) -> None:
    """Enter, once, what was locked here: the lead's digest of it, and each model's weights by digest."""
    held = dict(sorted(weights.items()))
    _once(run, "lock", {"study_digest": study_digest, "lead_digest": lead_digest, "weights": held})


def enter_unseal(run: Run, cohort: OpenCohort) -> None:
    """Enter, once, that the sealed outcomes are opened, with what shows that they were committed to.

    Raises `FederationError` when nothing was locked before.
    """
    commits = [e for e in run.log.entries if e.kind == "commit"]
    locks = [e for e in run.log.entries if e.kind == "lock"]
    made = commitments(cohort.stage.folder)
    commit = next((e.index for e in reversed(commits) if e.body.get("commitments") == made), None)
    if not locks or commit is None:
        raise FederationError(
            "outcomes would be opened before a lock, or without what they were committed to",
            remedy="lock the models first, and leave the site's folder as it is",
            field="lock",
        )
    opened = {
        "lock_entry": locks[-1].index,
        "commit_entry": commit,
        "sealed_outcomes": digest_file(cohort.stage.folder / SEALED),
        "salt": cohort.stage.read(SALT)["salt"],
        "opened": digests(cohort.stage.folder),
    }
    _once(run, "unseal", opened)


def _once(run: Run, kind: str, body: Mapping[str, Any]) -> Entry:
    """Return the entry with this body, appended and committed if it isn't there."""
    for entry in run.log.entries:
        if entry.kind == kind and dict(entry.body) == dict(body):
            return entry
    entry = run.log.append(kind, body)
    run.log.commit()
    return entry
