"""Consents held again in a run over all sites: right before training, and before the test set is opened.

A run takes hours. Who withdrew meanwhile is found here, and the run makes its cohort and fits anew without
them: until outcomes of the test set are opened, nothing that learned from them is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from huizhen.core.evidence import Evidence
from huizhen.core.study import Study
from huizhen.data.consent.decide import Reason
from huizhen.data.consent.screening import site_screening, today
from huizhen.errors import StageError
from huizhen.ledger.log import Log
from huizhen.pipeline.cohort_stage import OpenCohort
from huizhen.pipeline.consent_lists import barred_of
from huizhen.pipeline.stage import Run

__all__ = ["MOST_TRIES", "check_clock", "ended", "held_again"]

MOST_TRIES = 5
"""How often a run begins again before it says that consents keep changing."""
ENTRY = "consents"


def held_again(run: Run, cohort: OpenCohort, moment: str) -> bool:
    """Tell whether everybody in the cohort still permits what they are used for; if not, note how many don't.

    `moment`: "training" or "test". Raises `DataError` for a register that can't be read any more,
    `StageError` when the clock stands before the ledger's last entry.
    """
    check_clock(run.log)
    found = ended(run, cohort)
    if found:
        run.log.append(ENTRY, {"before": moment, "ended": dict(found), "day": today().isoformat()})
        for site, reasons in found.items():
            run.log.append("evidence", _evidence(run, cohort, site, reasons).to_json())
        run.log.commit()
    return not found


def ended(run: Run, cohort: OpenCohort) -> Mapping[str, Mapping[str, int]]:
    """Return, by site, how many of the cohort's patients permit no more what they are used for, by reason."""
    barred, day = barred_of(run), today()
    asked: Study = run.whole or run.study
    found: dict[str, dict[str, int]] = {}
    for site in run.study.site:
        cases = [case for case in cohort.cases if case.site == site.name]
        patients = [case.patient_id for case in cases]
        screening = site_screening(site, asked, patients, roots=run.roots, day=day, barred=barred)
        if screening is None:
            continue
        answers = [(case, screening.answers[case.patient_id]) for case in cases]
        reasons = Counter(
            str(Reason.MODALITY if answer.permitted else answer.reason)
            for case, answer in answers
            if not case.modalities <= answer.modalities
        )
        if reasons:
            found[site.name] = dict(sorted(reasons.items()))
    return found


def _evidence(run: Run, cohort: OpenCohort, site: str, reasons: Mapping[str, int]) -> Evidence:
    """Return how many patients of a site were left out since its cohort was built."""
    return Evidence(
        key=f"consent_rounds/{site}",
        metric="consent_rounds",
        stage="data",
        n=sum(case.site == site for case in cohort.cases),
        descriptive=True,
        phantom=run.study.phantom,
        detail={"left_out": sum(reasons.values()), **reasons, "day": today().isoformat()},
    )


def check_clock(log: Log) -> None:
    """Refuse to judge consents on a day before the log's last entry: what had run out would hold again.

    Raises `StageError`.
    """
    entries = log.entries
    if entries and today().isoformat() < entries[-1].time[:10]:
        raise StageError(
            "the clock stands before the ledger's last entry",
            remedy="set the clock: consents are held against its day",
            field="use",
        )
