"""The section on robustness: figures, first steps, what was not reached, nothing where nothing was tried."""

from __future__ import annotations

import re
from typing import Any

import pytest

from huizhen.core.digests import digest_value
from huizhen.core.evidence import Evidence, Interval
from huizhen.dossier.blocks import Block, Figures, Fold, Table
from huizhen.dossier.citations import Cited
from huizhen.dossier.content import citations
from huizhen.dossier.figures.steps import StepPoint, draw_steps
from huizhen.dossier.record import Record
from huizhen.dossier.sections.robustness import robustness
from huizhen.ledger.records import Entry

STUDY = {"name": "s", "title": "S", "phantom": False}


def measured(key: str, estimate: float, /, **detail: Any) -> Evidence:
    low, high = (estimate - 0.1, estimate + 0.05)
    return Evidence(
        key=key,
        metric="robustness_auc",
        stage="robustness",
        estimate=estimate,
        interval=Interval(low=low, high=high, method="DeLong"),
        n=40,
        n_events=20,
        detail=detail,
    )


def broken(kind: str, **detail: Any) -> Evidence:
    key = f"robustness/{kind}/break"
    return Evidence(
        key=key,
        metric="robustness_break",
        stage="robustness",
        n=40,
        estimate=detail.get("first_broken"),
        descriptive=True,
        detail=detail,
    )


def told(*evidence: Evidence) -> list[Block]:
    bodies = [("study", {"study": STUDY, "digest": digest_value(STUDY), "signed_by": "0" * 16})]
    bodies += [("evidence", item.to_json()) for item in evidence]
    entries = [
        Entry(index=k, kind=kind, time="2026-01-02T03:04:05Z", version="0.1.0", body=body)
        for k, (kind, body) in enumerate(bodies)
    ]
    return robustness(Record.of(entries, ["00"] * len(entries)))


def kind_of(name: str, *values: float, **detail: Any) -> list[Evidence]:
    steps = [
        measured(f"robustness/{name}/{k}/auc", v, step=k, parameter="noise_sd", value=k / 50)
        for k, v in enumerate(values, 1)
    ]
    gaps = [measured(f"robustness/{name}/{k}/auc_difference", v - 0.9) for k, v in enumerate(values, 1)]
    return [*steps, *gaps, broken(name, **detail)]


BASE = measured("robustness/undisturbed/images/auc", 0.9, sampled_from=300, apart=0.0)


def rows(blocks: list[Block]) -> dict[str, list[str]]:
    """Return the summary's rows by kind, as they are shown in English."""
    [table] = [b for b in blocks if isinstance(b, Table) and b.id == "table-robustness"]
    shown = [[" ".join(_said(piece) for piece in cell) for cell in row.cells] for row in table.rows]
    return {row[0]: row[1:] for row in shown}


def _said(piece: Any) -> str:
    return str(piece.text.en if isinstance(piece, Cited) else getattr(piece, "en", ""))


def test_nothing_tried_says_nothing() -> None:
    assert told() == []


def test_each_kind_has_a_figure_and_a_row() -> None:
    blocks = told(
        BASE,
        *kind_of("noise", 0.9, 0.6, at_least=0.7, reached_undisturbed=True, first_loss=2, first_broken=2),
        *kind_of("blur", 0.9, 0.88, at_least=0.7, reached_undisturbed=True),
    )
    [figures] = [b for b in blocks if isinstance(b, Figures)]
    assert [f.id for f in figures.figures] == ["figure-robustness-noise", "figure-robustness-blur"]
    found = rows(blocks)
    assert found["noise"][0] == "2 (standard deviation 0.04)"
    assert found["noise"][3:] == ["2", "2"]
    assert found["blur"][3:] == ["none shown", "not within the steps tried"]


def test_a_sample_that_misses_the_bound_says_so() -> None:
    found = rows(
        told(BASE, *kind_of("noise", 0.8, 0.6, at_least=0.95, reached_undisturbed=False, first_below=1))
    )
    assert "Not reached by these patients undisturbed" in found["noise"][4]
    assert found["noise"][4].endswith("1")
    assert rows(told(BASE, *kind_of("noise", 0.8)))["noise"][4] == "no bound was set"


def test_every_entry_is_cited_so_that_none_is_left_for_the_rest() -> None:
    evidence = [BASE, *kind_of("noise", 0.9, 0.6, at_least=0.7, reached_undisturbed=True, first_broken=2)]
    blocks = told(*evidence)
    drawn = {k for b in blocks if isinstance(b, Figures) for f in b.figures for k in f.sources}
    cited = {c.entry for b in blocks for c in citations(b)} | drawn
    assert cited == set(range(1, len(evidence) + 1))
    assert any(isinstance(b, Fold) for b in blocks)


def test_the_figure_draws_each_step_at_its_place() -> None:
    points = [StepPoint(step=k, estimate=0.9 - k / 10, low=0.5, high=1.0) for k in (0, 1, 2)]
    drawn = str(draw_steps(points, bound=0.8))
    dots = [float(y) for y in re.findall(r'<circle[^>]* cy="([\d.]+)"', drawn)]
    assert len(dots) == 3
    assert dots == sorted(dots)
    assert dots[1] - dots[0] == pytest.approx(dots[2] - dots[1])
    bound = re.search(r'<line [^>]*y1="([\d.]+)"[^>]* class="line s1"', drawn)
    assert bound is not None
    assert float(bound[1]) == dots[1], "0.8 is the bound and the AUC at step 1"
