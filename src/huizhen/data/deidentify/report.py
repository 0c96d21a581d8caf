"""The report of a preparation: JSON for programs, a page for people, and evidence for a dossier.

It names tags, actions, rules and counts. No value, path or name of a file is in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydicom.datadict import keyword_for_tag

from huizhen.core.evidence import Evidence
from huizhen.core.files import write_json, write_text
from huizhen.core.words import Language, load_words
from huizhen.data.deidentify.outcome import Fate
from huizhen.data.deidentify.prepare import Prepared

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
        "held": [
            {"fate": fate.value, "reason": reason.value, "files": n}
            for (fate, reason), n in sorted(prepared.reasons.items())
        ],
        "actions": _by_tag(prepared.actions),
    }


def _by_tag(actions: Mapping[tuple[str, str, str], int]) -> list[dict[str, Any]]:
    """Return counts by tag, action and rule."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for (path, action, rule), n in actions.items():
        counts[path.rpartition(".")[2], action, rule] += n
    return [
        {"tag": f"({tag[:4]},{tag[4:]})", "name": _name(tag), "action": action, "rule": rule, "elements": n}
        for (tag, action, rule), n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
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
    )


def write_report(prepared: Prepared, out: Path, language: Language) -> Path:
    """Write `report.json`, `evidence.json` and `report.html` below `out`; return the page."""
    write_json(out / "report.json", report_of(prepared))
    write_json(out / "evidence.json", [one.to_json() for one in evidence_of(prepared)])
    write_text(out / "report.html", _page(report_of(prepared), language))
    return out / "report.html"


def _page(report: Mapping[str, Any], language: Language) -> str:
    """Return the report as one page without scripts or anything from elsewhere."""
    from jinja2 import Environment, StrictUndefined

    text = (files(_ROOM) / "report.html").read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    words = load_words(_ROOM, language)
    return environment.from_string(text).render(report=report, w=words, language=language.value) + "\n"
