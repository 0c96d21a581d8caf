"""The report of a preparation: JSON for programs, a page for people, and evidence for a dossier.

It names tags, actions, rules and counts. No value, path or name of a file is in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydicom.datadict import keyword_for_tag

from huizhen.core.evidence import Evidence, Interval
from huizhen.core.files import write_json, write_text
from huizhen.core.words import Language
from huizhen.data.deidentify.audits import Audit
from huizhen.data.deidentify.context import Rule
from huizhen.data.deidentify.outcome import Fate
from huizhen.data.deidentify.tally import Prepared
from huizhen.data.report_page import page_of

__all__ = ["evidence_of", "report_of", "write_report"]

_ROOM = "huizhen.data.deidentify"


def report_of(prepared: Prepared) -> dict[str, Any]:
    """Return a preparation as plain JSON: actions by tag, wherever it stands, most frequent first."""
    return {
        "standard": prepared.standard,
        "options": list(prepared.options),
        "policy": prepared.policy,
        "files": {fate.value: prepared.counts.get(fate, 0) for fate in Fate},
        "patients": prepared.patients,
        "elements_kept": prepared.kept,
        "pixels": prepared.pixels.to_json(),
        "audit": _audit(prepared.audit),
        "held": [
            {"fate": fate.value, "reason": reason.value, "files": n}
            for (fate, reason), n in sorted(prepared.reasons.items())
        ],
        "actions": _by_tag(prepared.actions),
        "private": _by_creator(prepared.actions),
    }


def _audit(audit: Audit | None) -> dict[str, Any] | None:
    """Return an audit's counts and bound; who looked stays at the site."""
    if audit is None:
        return None
    found = {name: value for name, value in audit.to_json().items() if name not in ("reader", "journal")}
    return found | {"upper": round(audit.upper, 6)}


def _by_tag(actions: Mapping[tuple[str, str, str, str], int]) -> list[dict[str, Any]]:
    """Return counts by tag, action and rule, private ones left out."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for (path, action, rule, _), n in actions.items():
        if rule != Rule.PRIVATE.value:
            counts[path.rpartition(".")[2], action, rule] += n
    return [
        {"tag": f"({tag[:4]},{tag[4:]})", "name": _name(tag), "action": action, "rule": rule, "elements": n}
        for (tag, action, rule), n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]


def _by_creator(actions: Mapping[tuple[str, str, str, str], int]) -> list[dict[str, Any]]:
    """Return counts of private elements by creator and action: how many attributes, and elements in all."""
    counts: Counter[tuple[str, str]] = Counter()
    tags: dict[tuple[str, str], set[str]] = {}
    for (path, action, rule, creator), n in actions.items():
        if rule == Rule.PRIVATE.value:
            counts[creator, action] += n
            tags.setdefault((creator, action), set()).add(path.rpartition(".")[2])
    return [
        {"creator": creator, "action": action, "attributes": len(tags[creator, action]), "elements": n}
        for (creator, action), n in sorted(
            counts.items(), key=lambda item: (not item[0][0], -item[1], item[0])
        )
    ]


def _name(tag: str) -> str:
    """Return an attribute's keyword, "" for one that the standard hasn't.

    >>> _name("00100010"), _name("0029xx10")
    ('PatientName', '')
    """
    return "" if "x" in tag else keyword_for_tag(int(tag, 16))


def evidence_of(prepared: Prepared) -> tuple[Evidence, ...]:
    """Return what a dossier may say of a preparation: how many files left, and by which profile."""
    report = report_of(prepared)
    pixels = report["pixels"]
    described = {name: report[name] for name in ("standard", "options", "policy", "held")}
    return (
        Evidence(
            key="deidentification/files",
            metric="deidentified_files",
            stage="deidentify",
            estimate=float(prepared.counts.get(Fate.RELEASED, 0)),
            n=prepared.files,
            unit="file",
            descriptive=True,
            inputs=(prepared.policy,),
            detail={**described, "patients": prepared.patients, "actions": len(report["actions"])},
        ),
        Evidence(
            key="deidentification/pixels",
            metric="deidentification_pixels",
            stage="deidentify",
            estimate=float(pixels["by_ocr"] + pixels["by_person"]),
            n=prepared.files,
            unit="file",
            descriptive=True,
            inputs=(prepared.policy,),
            detail=pixels,
        ),
        _audited(prepared),
    )


def _audited(prepared: Prepared) -> Evidence:
    """Return what the last audit says: the share of its sample that still had text, with its upper bound."""
    audit, key, metric = prepared.audit, "deidentification/audit", "deidentification_audit"
    if audit is None:
        return Evidence.not_assessed(
            key=key,
            metric=metric,
            stage="deidentify",
            reason="no random sample of the released images was looked at by a person",
            inputs=(prepared.policy,),
        )
    return Evidence(
        key=key,
        metric=metric,
        stage="deidentify",
        estimate=audit.missed / audit.looked_at,
        interval=Interval(low=0.0, high=audit.upper, method="rule of three, or Clopper-Pearson, one-sided"),
        n=audit.looked_at,
        n_events=audit.missed,
        unit="image",
        inputs=(prepared.policy,),
        detail={"population": audit.population, "time": audit.time},
    )


def write_report(prepared: Prepared, out: Path, language: Language) -> Path:
    """Write `report.json`, `evidence.json` and `report.html` below `out`; return the page."""
    write_json(out / "report.json", report_of(prepared))
    write_json(out / "evidence.json", [one.to_json() for one in evidence_of(prepared)])
    write_text(out / "report.html", page_of(_ROOM, "report.html", language, report=report_of(prepared)))
    return out / "report.html"
