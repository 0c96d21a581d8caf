"""The section on triage, of evidence as validation makes it: tables, figure, terms, and why there is none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from huizhen.core.cohort import Part
from huizhen.core.digests import digest_value
from huizhen.core.evidence import Evidence
from huizhen.core.predictions import Predictions
from huizhen.core.study import Study
from huizhen.dossier.blocks import Block, Figures, Heading, Mark, Paragraph, Phrase, Table
from huizhen.dossier.citations import Cited, decimal
from huizhen.dossier.figures.triage import PolicyPoint, draw_policies
from huizhen.dossier.labels import label_of
from huizhen.dossier.record import Record
from huizhen.dossier.sections.triage import policy_text, triage
from huizhen.ledger.records import Entry
from huizhen.validate.assess import assess

N = 200
DRAW = np.random.default_rng(2)
OUTCOME = np.arange(N) < 60
RISK = 1 / (1 + np.exp(-(DRAW.normal(size=N) + 1.5 * OUTCOME)))
ACCURACY = {"sensitivity": 0.8, "specificity": 0.9}
SIGNED = {"name": "s", "title": "S", "phantom": False}


def evidence(**more: Any) -> list[Evidence]:
    plan = {
        "policy": [
            {"kind": "double"},
            {"kind": "ai_triage", "top": "read", "from_level": 4},
            {"kind": "rule_out", "name": "low", "from_level": 2, "readers": 1, "referral": "discordant"},
        ],
        "readers": {"first": ACCURACY},
        "cuts": (0.3, 0.5, 0.8),
        "margin": 0.1,
        "prevalence": 0.01,
        **more,
    }
    study = Study.model_validate(
        {
            "name": "small",
            "title": "t",
            "question": "q",
            "seed": 1,
            "task": {"outcome": "y", "positive": ("1",), "negative": ("0",)},
            "predictions": {"table": "t.csv", "outcome": "y", "score": "s"},
            "evaluation": {"resamples": 200},
            "triage": plan,
        }
    )
    level = 1 + sum((cut <= RISK).astype(int) for cut in (0.3, 0.5, 0.8))
    predictions = Predictions(
        patient=np.arange(N).astype(str),
        site=np.full(N, "all"),
        part=Part.EXTERNAL,
        outcome=OUTCOME,
        risk={"model": RISK},
        level={} if more.get("draws") == 1 else {"model": level},
    )
    return [e for e in assess(predictions, study, phantom=False) if e.key.startswith("triage")]


def recorded(found: list[Evidence]) -> Record:
    bodies = [("study", {"study": SIGNED, "digest": digest_value(SIGNED), "signed_by": "0" * 16})]
    bodies += [("evidence", item.to_json()) for item in found]
    entries = [
        Entry(index=k, kind=kind, time="2026-01-02T03:04:05Z", version="0.1.0", body=body)
        for k, (kind, body) in enumerate(bodies)
    ]
    return Record.of(entries, ["00"] * len(entries))


@pytest.fixture(scope="module")
def found() -> list[Evidence]:
    return evidence()


def said(piece: Any) -> str:
    if isinstance(piece, Phrase):
        return "".join(said(part) for part in piece.en)
    return str(piece.text.en if isinstance(piece, Cited | Mark) else getattr(piece, "en", ""))


def rows(blocks: list[Block], name: str) -> list[list[str]]:
    [table] = [b for b in blocks if isinstance(b, Table) and b.id == name]
    assert all(len(row.cells) == len(table.head) for row in table.rows)
    return [[" ".join(map(said, cell)) for cell in row.cells] for row in table.rows]


def test_tables_hold_the_numbers_of_the_entries(found: list[Evidence]) -> None:
    blocks = triage(recorded(found))
    by = {e.key: e for e in found}
    first, second, third = rows(blocks, "table-triage-external")
    detection = by["triage/ai_triage/detection/external"]
    assert detection.estimate is not None
    assert first[0] == "1 · Double reading"
    assert second[0] == "2 · AI triage, level 4 and up read twice, others once; top share read as others"
    assert third[0] == "3 · low: Levels below 2 read by nobody, one reader, consensus only on disagreement"
    assert second[1].startswith(decimal(detection.estimate))
    assert first[2] == "reference"
    test = by["triage/ai_triage/non_inferiority/external"]
    assert test.estimate is not None
    assert second[2].startswith(decimal(test.estimate))
    assert second[3] == {"pass": "met", "fail": "not met"}[test.verdict.value]
    rate = detection.detail["measures"]["detection_rate"]["estimate"]
    assert second[4].startswith(decimal(1000 * rate, 1))
    work = rows(blocks, "table-triage-work-external")
    load = by["triage/ai_triage/workload/external"]
    assert load.estimate is not None
    assert work[1][4].startswith(decimal(load.estimate))
    assert [row[1] for row in work[:2]] == ["1.000", "1.000"]
    assert work[0][5] == "reference"
    wait = by["triage/ai_triage/time_to_read/external"]
    assert wait.estimate is not None
    assert work[1][7].startswith(decimal(wait.estimate, 1))
    levels = rows(blocks, "table-triage-levels-external")
    assert [row[0] for row in levels] == ["1", "2", "3", "4"]
    assert sum(int(row[1]) for row in levels) == N


def test_terms_say_who_read_and_for_which_prevalence(found: list[Evidence]) -> None:
    [note] = [b for b in triage(recorded(found)) if isinstance(b, Paragraph)]
    text = " ".join(map(said, note.content))
    assert "prevalence of 0.010" in text
    assert "sensitivity 0.800, specificity 0.900 (from: the study)" in text
    assert "(from: taken as the first reader's)" in text
    assert "under 24 months" in text
    assert "n=200 patients (60 events)" in text
    followed = triage(recorded(evidence(follow_up_months=24)))
    [other] = [b for b in followed if isinstance(b, Paragraph)]
    assert "under 24 months" not in " ".join(map(said, other.content))


def test_the_figure_puts_each_policy_where_its_numbers_are(found: list[Evidence]) -> None:
    [figures] = [b for b in triage(recorded(found)) if isinstance(b, Figures)]
    [figure] = figures.figures
    assert len(figure.legend) == 3
    assert len(figure.sources) == 6
    drawn = ElementTree.fromstring(str(figure.svg))
    assert len(list(drawn.iter("circle"))) == 3
    one = PolicyPoint(number=1, style=0, readings=(2, 2, 2), found=(0.8, 0.7, 0.9))
    two = PolicyPoint(number=2, style=1, readings=(1, 1, 1), found=(0.7, 0.6, 0.8))
    chart = ElementTree.fromstring(str(draw_policies([one, two])))
    left, right = sorted(float(e.get("cx", "0")) for e in chart.iter("circle"))
    assert left < right
    same = ElementTree.fromstring(str(draw_policies([one, replace(one, number=4), two])))
    assert "1, 4" in [e.text for e in same.iter("text")]
    heights = {e.get("cx"): float(e.get("cy", "0")) for e in chart.iter("circle")}
    assert heights[f"{right:g}"] < heights[f"{left:g}"]  # more is found by the policy with more readings


def test_what_was_not_simulated_says_why_and_nothing_is_nothing() -> None:
    blocks = triage(recorded(evidence(draws=1)))
    assert [type(b) for b in blocks] == [Heading, Paragraph]
    assert isinstance(blocks[1], Paragraph)
    assert said(blocks[1].content[0]) == "no risk levels were locked"
    assert triage(recorded([])) == []


def test_broken_details_leave_dashes(found: list[Evidence]) -> None:
    bare = [
        Evidence.from_json({**e.to_json(), "detail": {"policy": {"kind": "other"}, "prevalence": 0.1}})
        for e in found
        if e.key.startswith("triage/double/")
    ]
    blocks = triage(recorded(bare))
    [row] = rows(blocks, "table-triage-external")
    assert row[0] == "1 · other"
    assert row[4:] == ["–", "–"]


def test_labels_name_policies_not_keys(found: list[Evidence]) -> None:
    labels = {m.evidence.key: label_of(m) for m in recorded(found).family("triage")}
    label = labels["triage/ai_triage/detection/external"]
    assert label.en == "Events found by a reading policy, AI triage, external test set"
    assert "AI 分诊" in label.zh
    assert ", low, " in labels["triage/low/workload/external"].en
    assert policy_text({"kind": "prioritised", "readers": 2}).en == "As without AI, highest levels first"
