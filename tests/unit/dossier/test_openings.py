"""The published tables against what was fixed before outcomes were opened."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from huizhen.core.digests import digest_bytes
from huizhen.dossier.openings import check_openings, check_tables
from huizhen.errors import VerificationError
from huizhen.ledger.commitments import commitment
from huizhen.ledger.records import Entry

SALT = "01" * 32
TABLES = {
    "predictions_test.csv": b"patient,site,outcome,risk:cman\nP-1,north,1,0.75\nP-2,north,0,0.25\n",
    "predictions_external.csv": b"patient,site,outcome,risk:cman\nP-3,far,1,0.5\n",
}
BLIND = {
    "predictions_test.csv": b"patient,site,risk:cman\nP-1,north,0.75\nP-2,north,0.25\n",
    "predictions_external.csv": b"patient,site,risk:cman\nP-3,far,0.5\n",
}


def entries(sealed: dict[str, int], counts: dict[str, tuple[int, int]]) -> list[Entry]:
    """Return a log of a commitment, the answers and their opening."""
    text = json.dumps(sealed, indent=1, sort_keys=True) + "\n"
    digest = digest_bytes(text.encode())
    cohorts = {name: {"patients": n, "sealed": k} for name, (n, k) in counts.items()}
    fixed = {name: digest_bytes(data) for name, data in BLIND.items()}
    bodies: list[tuple[str, dict[str, Any]]] = [
        (
            "commit",
            {"commitments": {"sealed.json": commitment(SALT, "sealed.json", digest)}, "cohorts": cohorts},
        ),
        ("predictions", {"without_outcomes": fixed}),
        (
            "unseal",
            {
                "commit_entry": 0,
                "predictions_entry": 1,
                "salt": SALT,
                "opened": {"sealed.json": digest},
                "sealed_outcomes": digest,
            },
        ),
    ]
    return [
        Entry(index=k, kind=kind, time="2026-01-02T03:04:05Z", version="0.1.0", body=body)
        for k, (kind, body) in enumerate(bodies)
    ]


HELD_OUT = entries({"P-1": 1, "P-2": 0, "P-3": 1}, {"internal": (2, 2), "external": (1, 1)})
FOLDS = entries({"P-3": 1}, {"internal": (2, 0), "external": (1, 1)})


@pytest.mark.parametrize("log", [HELD_OUT, FOLDS], ids=["held out", "folds"])
def test_true_tables_hold(log: list[Entry]) -> None:
    check_openings(log)
    check_tables(log, TABLES.__getitem__)


def test_a_log_without_commitments_has_nothing_to_check() -> None:
    check_openings([])
    check_tables([], TABLES.__getitem__)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda t: t.replace(b"0.25", b"0.26"), "other predictions"),
        (lambda t: t.replace(b"P-2", b"P-9"), "other predictions"),
        (lambda t: t.replace(b"north,1", b"north,0"), "not those that were sealed"),
        (lambda t: t.replace(b"north,1", b"north,2"), "neither 0 nor 1"),
        (lambda t: t.replace(b"outcome", b"outcomes"), "lacks columns"),
        (lambda t: t + b"P-4\n", "lacks columns"),
        (lambda t: b"\xff", "as a table"),
        (lambda t: b"", "lacks columns"),
    ],
    ids=["risk", "patient", "outcome", "strange outcome", "column", "short row", "no text", "empty"],
)
def test_changed_tables_are_refused(change: Callable[[bytes], bytes], why: str) -> None:
    changed = TABLES | {"predictions_test.csv": change(TABLES["predictions_test.csv"])}
    with pytest.raises(VerificationError, match=why):
        check_tables(HELD_OUT, changed.__getitem__)


def test_only_the_tables_known_by_name_are_read() -> None:
    body = {"without_outcomes": {"../secret.csv": "00"}}
    log = [HELD_OUT[0], Entry(index=1, kind="predictions", time=HELD_OUT[1].time, version="0.1.0", body=body)]
    with pytest.raises(VerificationError, match="another name"):
        check_tables([*log, HELD_OUT[2]], TABLES.__getitem__)
