"""What training has cost each site's patients, asked of the sites and written down by the lead."""

from __future__ import annotations

from pathlib import Path

from huizhen.core.evidence import Evidence
from huizhen.errors import HuizhenError, MessageError
from huizhen.federate.lead import Lead
from huizhen.federate.statistics.runner import conduct
from huizhen.federate.statistics.spending import Spending, Spent
from huizhen.pipeline.stage import Made, Run, Stage
from huizhen.privacy.accounting import account
from huizhen.privacy.events import Spend

SUBJECT = "privacy"
FAMILY = "differential_privacy"
APART = 1e-3
"""How far a site's epsilon may be from what the lead reckons from its steps, as a share."""


def privacy_stage(run: Run, lead: Lead, sites: tuple[str, ...], fits: list[Stage]) -> Stage:
    """Return the stage that holds each site's spend as evidence; a site that gives none says why."""

    def body(_folder: Path) -> Made:
        return Made(evidence=[_evidence(run, lead, site) for site in sites])

    inputs = [[fit.digest for fit in fits], list(sites), run.study.digest]
    return run.stage("privacy", inputs, body, made_from={fit.name: fit.digest for fit in fits})


def _evidence(run: Run, lead: Lead, site: str) -> Evidence:
    """Return one site's spend, or why it isn't known."""
    key = f"{FAMILY}/{site}"
    try:
        spent = conduct(Spending(), lead.exchange(SUBJECT, secure=False, sites=(site,))).result
        check_spent(spent)
    except HuizhenError as error:
        return Evidence.not_assessed(
            key=key, metric="epsilon", stage="privacy", reason=error.message, phantom=run.study.phantom
        )
    return Evidence(
        key=key,
        metric="epsilon",
        stage="privacy",
        estimate=spent.epsilon,
        n=spent.n,
        unit="patient",
        descriptive=True,
        phantom=run.study.phantom,
        detail=spent.to_json() | {"asked": run.study.privacy.epsilon if run.study.privacy else None},
    )


def check_spent(spent: Spent) -> None:
    """Check that a site's epsilon follows from its steps, by the lead's own accountants.

    Raises `MessageError` when it doesn't, `PrivacyError` when the accountants disagree.
    """
    spends = (
        [
            Spend(
                sampling_rate=spent.sampling_rate,
                noise_multiplier=spent.noise_multiplier,
                steps=int(spent.steps),
            )
        ]
        if spent.steps
        else []
    )
    epsilon = account(spends, delta=spent.delta).epsilon
    if abs(epsilon - spent.epsilon) > APART * max(epsilon, 1e-3):
        raise MessageError(
            f"a site states epsilon {spent.epsilon:.4g}, its steps cost {epsilon:.4g}",
            remedy="run the same version of huizhen at the site",
            field="epsilon",
        )
