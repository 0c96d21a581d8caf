"""Query rounds as evidence: the labels spent and by whose word, and what the model reached with how many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from huizhen.core.evidence import Evidence, Interval
from huizhen.core.study import Study
from huizhen.core.study_active import Annotator

__all__ = ["SIMULATED", "labelling_evidence"]

SIMULATED = "labels were read from the tables by an oracle: a simulation, in which nobody read a case"


def labelling_evidence(
    study: Study, records: Sequence[Mapping[str, Any]], last: Mapping[str, Any]
) -> list[Evidence]:
    """Return the evidence of the query rounds' `records`, and of the model after the `last` round.

    The first record says how many were labelled `before`, by the sites' tables.
    """
    labels = int(records[0]["before"])
    found: list[Evidence] = []
    for record in records:
        if "reached" in record:
            found.append(_reached(study, record["reached"], labels=labels, query=record["query"]))
        labels += record["spent"]
        found.append(_asked(study, record, labels=labels))
    found.append(_reached(study, last["reached"], labels=labels, query=len(records)))
    if "agreement" in last:
        found.append(_agreement(study, last["agreement"]))
    return found


def _agreement(study: Study, agreement: Mapping[str, Any]) -> Evidence:
    """Return the readers' agreement over all sites, or why it isn't known."""
    key = "label_agreement/all"
    if "kappa" not in agreement:
        return Evidence.not_assessed(
            key=key, metric="label_agreement", stage="fit", reason=agreement["reason"], phantom=study.phantom
        )
    return Evidence(
        key=key,
        metric="label_agreement",
        stage="fit",
        estimate=agreement["kappa"],
        interval=Interval(**agreement["interval"]),
        n=agreement["n"],
        phantom=study.phantom,
    )


def _asked(study: Study, record: Mapping[str, Any], *, labels: int) -> Evidence:
    """Return what one query round spent; `labels` are all that there are after it."""
    oracle = study.active is not None and study.active.annotator is Annotator.ORACLE
    names = ("rule", "budget", "at", "open", "floors", "before")
    detail = {name: record[name] for name in names if name in record}
    return Evidence(
        key=f"labels/query{record['query']}",
        metric="labels",
        stage="fit",
        estimate=float(record["spent"]),
        n=labels,
        descriptive=True,
        reason=SIMULATED if oracle else "",
        phantom=study.phantom,
        seed=study.seed,
        detail={
            **detail,
            "annotator": study.active.annotator.value if study.active else "",
            "sites": [{"site": site, "labels": count} for site, count in record["sites"].items()],
        },
    )


def _reached(study: Study, reached: Mapping[str, Any], *, labels: int, query: int) -> Evidence:
    """Return a point of the label-cost curve: the AUC on tuning patients with so many labels."""
    key = f"label_cost/query{query}"
    if "auc" not in reached:
        return Evidence.not_assessed(
            key=key, metric="label_cost", stage="fit", reason=reached["reason"], phantom=study.phantom
        )
    return Evidence(
        key=key,
        metric="label_cost",
        stage="fit",
        estimate=reached["auc"],
        interval=Interval(**reached["interval"]),
        n=reached["n"],
        n_events=reached["n_events"],
        phantom=study.phantom,
        detail={"labels": labels, "from": "exact federated sums of 16-bit scores of tuning patients"},
    )
