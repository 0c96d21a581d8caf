"""The report of a preparation of texts: JSON for programs, a page for people, and evidence for a dossier.

It names kinds, recognisers and counts. No value, and no name of a file, is in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huizhen.core.evidence import Evidence
from huizhen.core.files import write_json, write_text
from huizhen.core.words import Language
from huizhen.data import report_page
from huizhen.data.deidentify.outcome import Fate
from huizhen.data.deidentify_text.prepare import PreparedTexts

__all__ = ["evidence_of_texts", "page_of", "report_of_texts", "write_text_report"]

_ROOM = "huizhen.data.deidentify_text"


def report_of_texts(prepared: PreparedTexts) -> dict[str, Any]:
    """Return a preparation as plain JSON: replacements by kind and recogniser, most frequent first."""
    return {
        "policy": prepared.policy,
        "documents": {fate.value: prepared.counts.get(fate, 0) for fate in Fate},
        "patients": prepared.patients,
        "patients_listed": prepared.listed,
        "characters": prepared.characters,
        "held": [
            {"fate": fate.value, "reason": reason.value, "documents": n}
            for (fate, reason), n in sorted(prepared.reasons.items())
        ],
        "kinds": _by_kind(prepared.kinds),
    }


def _by_kind(kinds: Mapping[tuple[str, str], int]) -> list[dict[str, Any]]:
    """Return counts by kind, each with its recognisers."""
    sums: Counter[str] = Counter()
    for (kind, _), n in kinds.items():
        sums[kind] += n
    return [
        {
            "kind": kind,
            "replaced": total,
            "by": [
                {"recogniser": name, "replaced": n}
                for (other, name), n in sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
                if other == kind
            ],
        }
        for kind, total in sorted(sums.items(), key=lambda item: (-item[1], item[0]))
    ]


def evidence_of_texts(prepared: PreparedTexts) -> tuple[Evidence, ...]:
    """Return what a dossier may say of a preparation: how many documents left, and what was replaced."""
    report = report_of_texts(prepared)
    return (
        Evidence(
            key="deidentification/texts",
            metric="deidentified_texts",
            stage="deidentify",
            estimate=float(prepared.counts.get(Fate.RELEASED, 0)),
            n=prepared.documents,
            unit="document",
            descriptive=True,
            inputs=(prepared.policy,),
            detail={
                "patients": prepared.patients,
                "held": report["held"],
                "replaced": {row["kind"]: row["replaced"] for row in report["kinds"]},
            },
        ),
    )


def write_text_report(prepared: PreparedTexts, out: Path, language: Language) -> Path:
    """Write `report.json`, `evidence.json` and `report.html` below `out`; return the page."""
    report = report_of_texts(prepared)
    write_json(out / "report.json", report)
    write_json(out / "evidence.json", [one.to_json() for one in evidence_of_texts(prepared)])
    write_text(out / "report.html", page_of("report.html", language, report=report))
    return out / "report.html"


def page_of(name: str, language: Language, **values: Any) -> str:
    """Return a page of this room without scripts or anything from elsewhere."""
    return report_page.page_of(_ROOM, name, language, **values)
