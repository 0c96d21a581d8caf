"""Query rounds as evidence: what was spent, what was reached with it, and what couldn't be told."""

from __future__ import annotations

from typing import Any

import pytest

from huizhen.core.evidence import Verdict
from huizhen.core.study import Study
from huizhen.pipeline.labelling_evidence import SIMULATED, labelling_evidence

REACHED = {"auc": 0.8, "interval": {"low": 0.7, "high": 0.9, "method": "DeLong"}, "n": 30, "n_events": 12}
SITES = {"north": 7, "south": None}
ROUNDS: list[dict[str, Any]] = [
    {"query": 0, "rule": "typiclust", "before": 40, "spent": 10, "sites": SITES},
    {
        "query": 1,
        "rule": "fahl",
        "budget": 9,
        "at": 0.01,
        "open": 50,
        "floors": 2,
        "spent": 9,
        "sites": SITES,
        "reached": {"reason": "there is no patient"},
    },
]


def study(annotator: str) -> Study:
    source = {"reader": "npz", "modality": "US", "path": "x", "labels": "x"}
    source |= {"columns": {"patient": "p", "outcome": "y"}}  # type: ignore[dict-item]  # a table
    return Study.model_validate(
        {
            "name": "s",
            "title": "S",
            "question": "?",
            "seed": 1,
            "task": {"outcome": "y", "positive": ["1"], "negative": ["0"]},
            "modality": [{"name": "US"}],
            "site": [{"name": name, "source": [source]} for name in ("north", "south")],
            "federation": {"rounds": 20},
            "active": {"budget": 9, "queries": 1, "annotator": annotator},
        }
    )


@pytest.mark.parametrize(("annotator", "reason"), [("queue", ""), ("oracle", SIMULATED)])
def test_labels_add_up_from_those_of_the_tables_and_say_whose_they_are(annotator, reason):
    found = {e.key: e for e in labelling_evidence(study(annotator), ROUNDS, {"reached": REACHED})}
    assert [found[f"labels/query{q}"].n for q in (0, 1)] == [50, 59]
    assert found["label_cost/query2"].detail["labels"] == 59
    assert found["labels/query1"].reason == reason
    assert found["labels/query1"].detail["sites"] == [
        {"site": "north", "labels": 7},
        {"site": "south", "labels": None},
    ]
    assert found["label_cost/query2"].interval is not None
    assert "label_agreement/all" not in found


def test_what_could_not_be_measured_says_why():
    last = {"reached": REACHED, "agreement": {"reason": "a sum over fewer than 5 patients"}}
    found = {e.key: e for e in labelling_evidence(study("queue"), ROUNDS, last)}
    for key, reason in (("label_cost/query1", "no patient"), ("label_agreement/all", "fewer than 5")):
        assert found[key].verdict is Verdict.NOT_ASSESSED
        assert reason in found[key].reason


def test_agreement_of_readers_has_an_interval_and_a_number_of_cases():
    agreement = {"kappa": 0.6, "interval": {"low": 0.4, "high": 0.8, "method": "delta"}, "n": 33}
    (item,) = [
        e
        for e in labelling_evidence(study("queue"), ROUNDS, {"reached": REACHED, "agreement": agreement})
        if e.metric == "label_agreement"
    ]
    assert (item.estimate, item.n) == (0.6, 33)
