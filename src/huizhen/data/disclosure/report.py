"""The report of an assessment: JSON for programs, a page for people, evidence for a dossier, the recoding.

It names columns, levels, counts and risks. No value of a cell is in it, and no count of fewer patients than
the policy's `smallest`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from huizhen.core.evidence import Evidence, Verdict
from huizhen.core.files import write_json, write_text
from huizhen.core.words import Language, load_words
from huizhen.data.disclosure.assess import Assessment
from huizhen.data.disclosure.measures import SIZES, Measures
from huizhen.data.disclosure.policy import Bounds
from huizhen.data.disclosure.recoding import recoding_toml
from huizhen.data.report_page import page_of

__all__ = ["disclosure_evidence", "report_of", "shown_count", "shown_counts", "write_report"]

_ROOM = "huizhen.data.disclosure"
RECODING = "recoding.toml"
PARTS = ("special", "rare_values", "population", "rare_disease", "genotypes", "model")
"""Parts of a report that are there where the policy asks for them (`beyond`)."""

Of = Callable[[Measures], float]


def shown_count(count: int, smallest: int) -> int | str:
    """Return a count as it may be shown: one of fewer patients than `smallest` only as that.

    >>> shown_count(0, 10), shown_count(4, 10), shown_count(12, 10)
    (0, '<10', 12)
    """
    return f"<{smallest}" if 0 < count < smallest else count


def shown_counts(counts: Sequence[int], smallest: int) -> list[int | str]:
    """Return counts that add up to a known sum as they may be shown: never a single one hidden.

    Else the sum would tell it; the smallest of the others is hidden with it, and said to be hidden.

    >>> shown_counts([4, 0, 30, 12], 10), shown_counts([4, 3, 30], 10)
    (['<10', 0, 30, '…'], ['<10', '<10', 30])
    """
    shown = [shown_count(count, smallest) for count in counts]
    others = [k for k, count in enumerate(counts) if count >= smallest]
    if sum(isinstance(one, str) for one in shown) == 1 and others:
        shown[min(others, key=lambda k: counts[k])] = "…"
    return shown


def report_of(found: Assessment) -> dict[str, Any]:
    """Return an assessment as plain JSON."""
    policy, smallest = found.policy, found.policy.smallest
    return {
        "table": found.digest,
        "policy": policy.digest,
        "patients": found.data.people,
        "rows": found.data.rows,
        "held_back": found.held_back,
        "smallest": smallest,
        "threshold": policy.bounds.threshold,
        "quasi": [
            {"column": one.column, "kind": one.kind, "values": len(one.levels[0].labels)}
            for one in found.ground.hierarchies
        ],
        "bounds": _bounds(found),
        "before": _measures(found.before, smallest),
        "holds": found.holds,
        "search": {
            "nodes": found.chosen.nodes,
            "weighed": found.chosen.weighed,
            "optimal": found.chosen.optimal,
            "loss": policy.search.loss,
        },
        "after": _measures(found.after, smallest) if found.after else None,
        "recoding": _recoding(found) if found.released else None,
    }


def _measures(one: Measures, smallest: int) -> dict[str, Any]:
    risk = one.prosecutor
    return {
        "patients": one.patients,
        "classes": one.classes,
        "k": one.k,
        "unique": shown_count(one.unique, smallest),
        "max_risk": risk.most,
        "average_risk": risk.average,
        "share_above": risk.share_above,
        "marketer_risk": one.marketer,
        "sizes": [
            {"from": low, "to": high, "patients": shown}
            for (low, high), shown in zip(SIZES, shown_counts(one.sizes, smallest), strict=True)
        ],
        "mixed": [
            {
                "column": mixed.column,
                "distinct": mixed.distinct,
                "entropy": mixed.entropy,
                "recursive": mixed.recursive if math.isfinite(mixed.recursive) else None,
                "l": mixed.ranks,
                "t": mixed.t,
                "distance": mixed.distance,
            }
            for mixed in one.mixed
        ],
    }


def _bounds(found: Assessment) -> list[dict[str, Any]]:
    """Return each bound of the policy with what the table has of it, as it is and recoded."""
    bounds, rows = found.policy.bounds, list[dict[str, Any]]()
    whole: list[tuple[str, float | None, Of]] = [
        ("k", bounds.k, lambda one: one.k),
        ("max_risk", bounds.max_risk, lambda one: one.prosecutor.most),
        ("average_risk", bounds.average_risk, lambda one: one.prosecutor.average),
        ("share_above", bounds.share_above, lambda one: one.prosecutor.share_above),
    ]
    for name, value, of in whole:
        rows += [_row(name, value, found, of)] if value is not None else []
    for k, (column, rule) in enumerate(found.policy.sensitive.items()):
        asked = {"distinct": rule.distinct, "entropy": rule.entropy, "t": rule.t}
        asked |= {"recursive": rule.recursive[0] if rule.recursive else None}
        rows += [
            _row(name, value, found, _worst(k, name), column)
            for name, value in asked.items()
            if value is not None
        ]
    return rows


def _worst(index: int, name: str) -> Of:
    """Return what takes a sensitive column's worst value of a measure."""
    return lambda one: float(getattr(one.mixed[index], name))


def _row(bound: str, value: float, found: Assessment, of: Of, column: str = "") -> dict[str, Any]:
    least = bound in ("k", "distinct", "entropy")

    def held(one: Measures | None) -> tuple[float | None, bool | None]:
        if one is None:
            return None, None
        number = float(of(one))
        inside = number >= value - 1e-9 if least else number <= value + 1e-9
        if bound == "recursive":  # the commonest value's count must be below c times the rest's
            inside = number < value
        return (number if math.isfinite(number) else None), inside

    before, before_holds = held(found.before)
    after, after_holds = held(found.after)
    return {
        "bound": bound,
        "column": column,
        "least": least,
        "value": value,
        "before": before,
        "before_holds": before_holds,
        "after": after,
        "after_holds": after_holds,
    }


def _recoding(found: Assessment) -> dict[str, Any]:
    released, best = found.released, found.chosen.best
    assert released is not None  # asked only where there is a recoding
    assert best is not None
    return {
        "levels": [
            {
                "column": one.column,
                "level": level,
                "of": len(one.levels) - 1,
                "name": one.levels[level].name,
                "values": len(one.levels[level].labels),
            }
            for one, level in zip(found.ground.hierarchies, best.node, strict=True)
        ],
        "suppressed": shown_count(released.suppressed, found.policy.smallest),
        "suppressed_share": released.suppressed / found.ground.people,
        "how": found.policy.search.suppress,
        "hidden_cells": int((released.hidden * found.ground.counts[:, None]).sum()),
        "entropy": released.entropy,
        "discernibility": best.discernibility,
    }


def disclosure_evidence(found: Assessment, *, name: str, phantom: bool = False) -> Evidence:
    """Return what a dossier says of a table `name`: its smallest class and risks against the policy's bounds.

    They are facts about the patients of the table, so that they have no interval.
    """
    failed = [row for row in report_of(found)["bounds"] if not row["before_holds"]]
    risk, bounds = found.before.prosecutor, found.policy.bounds
    return Evidence(
        key=f"disclosure/{name}",
        metric="disclosure",
        stage="data",
        estimate=float(found.before.k),
        n=found.before.patients,
        descriptive=True,
        phantom=phantom,
        verdict=Verdict.FAIL if failed else Verdict.PASS,
        reason="the bounds of the site's policy " + ("don't hold" if failed else "hold"),
        inputs=tuple(one for one in (found.digest, found.policy.digest) if one),
        detail={
            "smallest_class": found.before.k,
            "max_risk": risk.most,
            "average_risk": risk.average,
            "share_above": risk.share_above,
            "unique": shown_count(found.before.unique, found.policy.smallest),
            "quasi_identifiers": len(found.ground.hierarchies),
            "asked": _asked(bounds),
            "smallest": found.policy.smallest,
            "bounds_failed": len(failed),
            "recoding_found": found.after is not None,
            **({"recoded_class": found.after.k} if found.after else {}),
        },
    )


def _asked(bounds: Bounds) -> dict[str, float]:
    said = {"k": bounds.k, "max_risk": bounds.max_risk, "average_risk": bounds.average_risk}
    return {name: float(value) for name, value in said.items() if value is not None}


def write_report(
    found: Assessment, out: Path, language: Language, more: Mapping[str, Any] | None = None
) -> Path:
    """Write report, evidence and, where one was found, the recoding below `out`; return the page."""
    silent: dict[str, Any] = dict.fromkeys(PARTS)
    report = report_of(found) | dict(more or {})
    write_json(out / "report.json", report)
    named = disclosure_evidence(found, name=f"table-{found.digest[:8]}")
    write_json(out / "evidence.json", [named.to_json()])
    if found.levels:
        write_text(out / RECODING, recoding_toml(found.policy, found.levels, made_from=found.digest))
    else:
        (out / RECODING).unlink(missing_ok=True)  # of an earlier assessment, which doesn't hold any more
    write_text(out / "report.html", _page(found, silent | report, language))
    return out / "report.html"


def _page(found: Assessment, report: Mapping[str, Any], language: Language) -> str:
    """Return the report as one page without scripts or anything from elsewhere."""
    from huizhen.data.disclosure.figures import loss_figure, sizes_figure

    words = load_words(_ROOM, language)
    figures = {"sizes": sizes_figure(report, words), "loss": loss_figure(found, words)}
    return page_of(_ROOM, "report.html", language, report=report, figures=figures)
