"""The privacy ledger and the label-cost curve as the dossier shows them."""

from __future__ import annotations

import re
from typing import Any

from huizhen.core.digests import digest_value
from huizhen.core.evidence import Evidence, Interval
from huizhen.dossier.blocks import Figure, Table
from huizhen.dossier.citations import Cited
from huizhen.dossier.figures.label_cost import draw_label_cost
from huizhen.dossier.record import Record
from huizhen.dossier.sections.labelling import labelling
from huizhen.dossier.sections.privacy import privacy
from huizhen.ledger.records import Entry

STUDY = {"name": "s", "site": [{"name": "east", "title_zh": "东院"}, {"name": "north"}]}


def record(*found: Evidence) -> Record:
    """Return the record of a study with this evidence."""
    bodies: list[tuple[str, dict[str, Any]]] = [("study", {"study": STUDY, "digest": digest_value(STUDY)})]
    bodies += [("evidence", one.to_json()) for one in found]
    entries = [
        Entry(index=k, kind=kind, time="2026-01-02T03:04:05Z", version="0.1.0", body=body)
        for k, (kind, body) in enumerate(bodies)
    ]
    return Record.of(entries, ["00"] * len(entries))


def spent() -> Evidence:
    """Return a site's spend."""
    detail = {"asked": 8.0, "delta": 1e-5, "prv": 7.1, "pld": 7.2, "rdp_upper_bound": 8.0, "steps": 40}
    return Evidence(
        key="differential_privacy/east",
        metric="epsilon",
        stage="privacy",
        estimate=7.2,
        n=120,
        descriptive=True,
        detail={**detail, "noise_multiplier": 1.4, "sampling_rate": 0.2, "clip_norm": 0.5},
    )


def test_spend_is_shown_with_both_accountants_and_what_was_allowed() -> None:
    unknown = Evidence.not_assessed(
        key="differential_privacy/north", metric="epsilon", stage="privacy", reason="the site is away"
    )
    blocks = privacy(record(spent(), unknown))
    (table,) = [b for b in blocks if isinstance(b, Table)]
    east, north = table.rows
    assert [cell.text.en for row in east.cells for cell in row if isinstance(cell, Cited)] == [
        *("120", "7.200", "7.100", "7.200", "8", "1.0e−05", "1.400", "0.200", "40", "0.500")
    ]
    assert east.cells[0][0].zh == "east · 东院"
    assert any(isinstance(c, Cited) and "away" in c.text.en for cell in north.cells for c in cell)
    assert all(len(row.cells) == len(table.head) for row in table.rows)


def test_a_study_without_privacy_has_no_such_section() -> None:
    assert privacy(record()) == []


def reached(query: int, labels: int, auc: float) -> Evidence:
    """Return a point of the label-cost curve."""
    return Evidence(
        key=f"label_cost/query{query}",
        metric="label_cost",
        stage="fit",
        estimate=auc,
        interval=Interval(low=auc - 0.1, high=auc + 0.05, method="DeLong"),
        n=60,
        detail={"labels": labels},
    )


def test_curve_has_a_point_for_every_round_and_names_its_entries() -> None:
    asked = Evidence(
        key="labels/query0",
        metric="labels",
        stage="fit",
        estimate=20.0,
        n=20,
        descriptive=True,
        detail={"rule": "fahl", "budget": 20, "sites": [{"site": "east", "labels": 20}]},
    )
    points = (reached(0, 20, 0.7), reached(1, 40, 0.8))
    (figure,) = [b for b in labelling(record(asked, *points)) if isinstance(b, Figure)]
    assert figure.sources == (2, 3)
    drawn = str(draw_label_cost(points))
    assert len(re.findall("<circle", drawn)) == 2
    xs = [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', drawn)]
    ys = [float(y) for y in re.findall(r'cy="([\d.]+)"', drawn)]
    assert xs[0] < xs[1]
    assert ys[0] > ys[1]
