"""`huizhen site audit`: what it passes on and says."""

from __future__ import annotations

from pathlib import Path

from huizhen.cli.commands import site_audit as command
from huizhen.pipeline import site_audit


def test_audit_says_what_the_heads_had_fixed(invoke, as_json, monkeypatch):
    seen = []
    found = site_audit.Audited(study="ab", entries=20, fixed={"cohort": 9, "locked": 12}, opened=1)
    monkeypatch.setattr(site_audit, "audit_site", lambda *a, **k: seen.append((a, k)) or found)
    result = invoke("site", "audit", "east", "d", "--key", "k")
    assert command.__doc__
    assert seen == [((Path("east"), Path("d")), {"key_id": "k"})]
    assert "cohort 9, locked 12" in result.output
    record = as_json(invoke("site", "audit", "east", "d", "--json"))
    assert record["fixed"] == {"cohort": 9, "locked": 12}
