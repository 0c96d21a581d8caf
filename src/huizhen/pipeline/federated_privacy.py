"""What training has cost each site's patients, asked of the sites and written down by the lead."""

from __future__ import annotations

from pathlib import Path

from huizhen.core.evidence import Evidence
from huizhen.core.study import Role, Study
from huizhen.errors import HuizhenError, MessageError, StudyError
from huizhen.federate.lead import Lead
from huizhen.federate.statistics.runner import conduct
from huizhen.federate.statistics.spending import Spending, Spent
from huizhen.pipeline.stage import Made, Run, Stage
from huizhen.privacy.accounting import account
from huizhen.privacy.events import Spend

SUBJECT = "privacy"
FAMILY = "differential_privacy"
CLIENT_DELTA = 1e-5
"""Of the promise that hides a hospital."""
APART = 1e-3
"""How far a site's epsilon may be from what the lead reckons from its steps, as a share."""


def privacy_stage(run: Run, lead: Lead, sites: tuple[str, ...], fits: list[Stage]) -> Stage:
    """Return the stage that holds each site's spend as evidence; a site that gives none says why."""

    def body(_folder: Path) -> Made:
        return Made(evidence=[_evidence(run, lead, site) for site in sites])

    inputs = [[fit.digest for fit in fits], list(sites), run.study.digest]
    return run.stage("privacy", inputs, body, made_from={fit.name: fit.digest for fit in fits})


def client_stage(run: Run, fits: list[Stage]) -> Stage:
    """Return the stage that says how well it is hidden whether a hospital took part."""
    inputs = [[fit.digest for fit in fits], run.study.digest]
    return run.stage(
        "client privacy",
        inputs,
        lambda _: Made(evidence=[client_evidence(run.study, len(fits))]),
        made_from={fit.name: fit.digest for fit in fits},
    )


def client_evidence(study: Study, models: int) -> Evidence:
    """Return what all rounds of `models` models cost a hospital: one sum a round, every hospital in it."""
    federation = study.federation
    if federation is None or federation.client_noise is None:
        raise StudyError("the study hides no hospital", remedy="set client_noise", field="federation")
    steps = federation.rounds * models
    spend = Spend(sampling_rate=1.0, noise_multiplier=federation.client_noise, steps=steps)
    found = account([spend], delta=CLIENT_DELTA)
    return Evidence(
        key="client_privacy/all",
        metric="epsilon",
        stage="privacy",
        estimate=found.epsilon,
        n=sum(site.role is Role.DEVELOPMENT for site in study.site),
        unit="site",
        descriptive=True,
        phantom=study.phantom,
        detail={
            "delta": CLIENT_DELTA,
            "prv": found.prv,
            "pld": found.pld,
            "rdp_upper_bound": found.rdp,
            "noise_multiplier": federation.client_noise,
            "clip_norm": federation.maximum_norm,
            "steps": steps,
        },
    )


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
