"""The study lead's run of a federated study: rounds, the lock, validation from secure sums, the dossier.

The lead is given no path to any site's data. What it knows of patients are counts and distributions of
scores; what it writes down is in its ledger, like everything of a run on one machine.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from huizhen.core.progress import Progress
from huizhen.core.study import Study
from huizhen.core.study_federation import Federation
from huizhen.core.study_file import load_study
from huizhen.core.words import Language
from huizhen.data.cache import Cache
from huizhen.errors import FederationError, StudyError
from huizhen.federate.engines.interface import Engine
from huizhen.federate.journal import Journal
from huizhen.federate.lead import Lead
from huizhen.ledger.log import Log
from huizhen.ledger.signing import PublicKey, SigningKey
from huizhen.pipeline.decisions import read_decisions
from huizhen.pipeline.federated_assess import assess_federated
from huizhen.pipeline.federated_cohort import federated_cohort
from huizhen.pipeline.federated_consents import consents_stage
from huizhen.pipeline.federated_explain import explain_federated
from huizhen.pipeline.federated_fit import Ground, federated_fit
from huizhen.pipeline.federated_lock import federated_lock
from huizhen.pipeline.federated_plan import (
    federated_models,
)
from huizhen.pipeline.federated_privacy import client_stage, privacy_stage
from huizhen.pipeline.federated_summaries import summaries_stage
from huizhen.pipeline.federated_tables import tables_stage
from huizhen.pipeline.finish import RunResult, default_home, finished
from huizhen.pipeline.given_evidence import check_signers
from huizhen.pipeline.model_bundle import MODEL
from huizhen.pipeline.protocol import protocol_stage
from huizhen.pipeline.reporting import NOTHING, Reporting, added_entries
from huizhen.pipeline.stage import Run, Stage
from huizhen.pipeline.transfer_stage import permitted_flows, transfer_stage


def run_federated(
    study_file: Path,
    *,
    out: Path,
    engine: Engine,
    peers: Mapping[str, PublicKey],
    home: Path | None,
    progress: Progress,
    language: Language,
    reporting: Reporting = NOTHING,
) -> RunResult:
    """Run a federated study over `engine` to a verified dossier in `out`; goes on where it stood.

    `peers`: every site's public key. Raises `StudyError`, `FederationError` and what the stages raise.
    """
    started = time.monotonic()
    study = load_study(study_file)
    federation = federation_of(study)
    added = added_entries(study, study_file, reporting)
    if missing := sorted({site.name for site in study.site} - set(peers)):
        raise FederationError(
            f"no public key is known of: {', '.join(missing)}",
            remedy="let each site join with: huizhen site join",
            field="site",
        )
    check_signers(added, peers)
    key = SigningKey.create_or_load((home or default_home()) / "signing_key.pem")
    with Log.open(out / "ledger", key) as log:
        run = Run(
            study=study, folder=out, roots=(), key=key, log=log, cache=Cache(out / "cache"), progress=progress
        )
        lead = Lead(
            study=study,
            engine=engine,
            key=key,
            peers=peers,
            journal=Journal(out / "federation"),
            patience_s=federation.round_timeout_s,
            quorum=federation.quorum,
        )
        stages, model = _stages(run, lead, federation, study_file)
        return finished(run, stages, model=model, language=language, started=started, added=added)


def federation_of(study: Study) -> Federation:
    """Return the study's [federation]. Raises `StudyError` without one."""
    if study.federation is None:
        raise StudyError(
            "the study has no [federation]", remedy="add the section to the study file", field="federation"
        )
    return study.federation


def _stages(run: Run, lead: Lead, federation: Federation, study_file: Path) -> tuple[list[Stage], Path]:
    """Run all stages; return those with files for the dossier, and the model's folder."""
    permitted = permitted_flows(run, study_file)
    protocol = protocol_stage(run, study_file)
    transfer_stage(run, permitted)
    sites, cohort = federated_cohort(run, lead)
    summaries_stage(run, lead, (*sites.development, *sites.external), cohort)
    plan, tables = tables_stage(run, lead, sites.development, cohort)
    models = federated_models(run.study)
    ground = Ground(sites=sites, plan=plan, made_from=tuple(s for s in (cohort, tables) if s is not None))
    fits = [federated_fit(run, lead, federation, model, ground) for model in models]
    private = [privacy_stage(run, lead, sites.development, fits)] if run.study.privacy else []
    private += [client_stage(run, fits)] if federation.client_noise is not None else []
    locked = federated_lock(run, lead, models, fits, ground)
    decisions = read_decisions(locked)
    assessed = assess_federated(run, lead, decisions, sites.development, sites.external, locked)
    explained = explain_federated(run, lead, decisions, sites.development, sites.external, locked)
    consents = consents_stage(run, lead, (*sites.development, *sites.external), locked)
    found = [protocol, cohort, tables, *private, locked, assessed, explained, consents]
    return [stage for stage in found if stage is not None], locked.folder / MODEL
