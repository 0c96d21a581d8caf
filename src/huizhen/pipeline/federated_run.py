"""The study lead's run of a federated study: rounds, the lock, validation from secure sums, the dossier.

The lead is given no path to any site's data. What it knows of patients are counts and distributions of
scores; what it writes down is in its ledger, like everything of a run on one machine.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import logit

from huizhen.core.cohort import Part
from huizhen.core.digests import digest_value
from huizhen.core.evidence import Evidence, Verdict
from huizhen.core.files import write_bytes, write_json, write_text
from huizhen.core.progress import Progress
from huizhen.core.study import Role, Study, Variant
from huizhen.core.study_federation import Federation
from huizhen.core.study_file import load_study
from huizhen.core.words import Language
from huizhen.data.cache import Cache
from huizhen.dossier.verification import verify_dossier
from huizhen.errors import FederationError, NotEstimableError, StudyError
from huizhen.federate import messages as wire
from huizhen.federate.engines.interface import Engine
from huizhen.federate.journal import Journal
from huizhen.federate.lead import Lead
from huizhen.federate.rounds import Round, Training
from huizhen.federate.statistics.counts import Categories
from huizhen.federate.statistics.runner import conduct
from huizhen.federate.statistics.scores import ScoreDistribution, Scores
from huizhen.ledger.log import Log
from huizhen.ledger.signing import PublicKey, SigningKey
from huizhen.models.card import model_card_markdown
from huizhen.pipeline.federated_assess import assess_federated
from huizhen.pipeline.federated_labelling import asking_rounds, labelled, learnt_from
from huizhen.pipeline.federated_model import save_model
from huizhen.pipeline.federated_plan import (
    CELLS,
    PARTS,
    FederatedModel,
    federated_models,
    scores_subject,
)
from huizhen.pipeline.federated_privacy import privacy_stage
from huizhen.pipeline.fit_stage import WEIGHTS, network_of
from huizhen.pipeline.lock_stage import MODEL, Decision, decide
from huizhen.pipeline.run import RunResult, default_home, headline, make_dossier, protocol_stage
from huizhen.pipeline.stage import ARTEFACTS, Made, Run, Stage
from huizhen.train.local import shared_weights

FITTED = ("task", "modality", "network", "training", "federation", "privacy", "active", "seed", "split")
"""The parts of the study that a network depends on."""
DECISIONS, BEGUN = "decisions.json", "federation/begun.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sites:
    """The sites that take part, by role, and their patients by part and outcome."""

    development: tuple[str, ...]
    external: tuple[str, ...]
    counts: Mapping[str, dict[str, int]]
    """"development" or an external site's name -> "train/0" and so on -> patients."""

    def patients(self, part: Part) -> int:
        """Return how many patients stand in `part` at all development sites."""
        return sum(self.counts["development"].get(f"{part.value}/{y}", 0) for y in (0, 1))


def run_federated(
    study_file: Path,
    *,
    out: Path,
    engine: Engine,
    peers: Mapping[str, PublicKey],
    home: Path | None,
    progress: Progress,
    language: Language,
) -> RunResult:
    """Run a federated study over `engine` to a verified dossier in `out`; goes on where it stood.

    `peers`: every site's public key. Raises `StudyError`, `FederationError` and what the stages raise.
    """
    started = time.monotonic()
    study = load_study(study_file)
    federation = federation_of(study)
    if missing := sorted({site.name for site in study.site} - set(peers)):
        raise FederationError(
            f"no public key is known of: {', '.join(missing)}",
            remedy="let each site join with: huizhen site join",
            field="site",
        )
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
        dossier = make_dossier(run, stages, language)
        verified = verify_dossier(dossier, expected_key_id=key.key_id)
        return RunResult(
            dossier=dossier,
            run_folder=out,
            model=model,
            key_id=key.key_id,
            entries=verified.entries,
            seconds=time.monotonic() - started,
            headline=headline(log),
        )


def federation_of(study: Study) -> Federation:
    """Return the study's [federation]. Raises `StudyError` without one."""
    if study.federation is None:
        raise StudyError(
            "the study has no [federation]", remedy="add the section to the study file", field="federation"
        )
    if study.table_modalities:
        names = ", ".join(modality.name for modality in study.table_modalities)
        raise StudyError(
            f"tables are not trained in a federation in this version: {names}",
            remedy="take the tables out of the study, or pool the sites that may be pooled",
            field="modality",
        )
    return study.federation


def _stages(run: Run, lead: Lead, federation: Federation, study_file: Path) -> tuple[list[Stage], Path]:
    """Run all stages; return those with files for the dossier, and the model's folder."""
    protocol = protocol_stage(run, study_file)
    sites, cohort = _cohort_stage(run, lead)
    models = federated_models(run.study)
    fits = [_fit_stage(run, lead, federation, model, sites, cohort) for model in models]
    private = [privacy_stage(run, lead, sites.development, fits)] if run.study.privacy else []
    locked = _lock_stage(run, lead, models, fits, sites)
    decisions = {name: Decision.from_json(record) for name, record in locked.read(DECISIONS).items()}
    assessed = assess_federated(run, lead, decisions, sites.development, sites.external, locked)
    return [protocol, cohort, *private, locked, assessed], locked.folder / MODEL


def _cohort_stage(run: Run, lead: Lead) -> tuple[Sites, Stage]:
    """Invite the sites, and count their patients by part and outcome."""
    roles = {site.name: site.role for site in run.study.site}
    taking_part = _as_begun(run, lead, lead.invite())
    development = tuple(s for s in taking_part if roles[s] is Role.DEVELOPMENT)
    external = tuple(s for s in taking_part if roles[s] is Role.EXTERNAL)
    if not development:
        raise FederationError(
            "no development site takes part: " + lead.journal.refusals(), remedy="ask the sites' officers"
        )

    def body(folder: Path) -> Made:
        cman = federated_models(run.study)[0].name
        counts = {"development": _counts(lead, cman, development)}
        counts |= {site: _counts(lead, cman, (site,)) for site in external}
        write_json(folder / "sites.json", {"taking_part": list(taking_part), "counts": counts})
        return Made(evidence=[_cohort_evidence(run, counts)])

    made_from = {"study": run.study.digest}
    stage = run.stage("cohort", [run.study.digest, list(taking_part)], body, made_from=made_from)
    counts = stage.read("sites.json")["counts"]
    write_json(run.folder / BEGUN, list(taking_part))
    return Sites(development=development, external=external, counts=counts), stage


def _as_begun(run: Run, lead: Lead, accepted: tuple[str, ...]) -> tuple[str, ...]:
    """Return the sites that the study was begun with, if enough are here: a resumed run keeps to them.

    Rounds over other sites would be another study. Raises `FederationError` below the quorum.
    """
    file = run.folder / BEGUN
    if not file.exists():
        return accepted
    begun = tuple(json.loads(file.read_text(encoding="utf-8")))
    lead.enough(set(accepted) & set(begun), begun)
    for site in sorted(set(accepted) - set(begun)):
        lead.journal.note("late", site=site, reason="it wasn't there when the study began")
    lead.taking_part = begun
    return begun


def _counts(lead: Lead, model: str, sites: tuple[str, ...]) -> dict[str, int]:
    """Return patients by part and outcome over `sites`."""
    statistic = Categories(column="cell", codes=CELLS)
    exchange = lead.exchange(f"cohort/{model}", secure=True, sites=sites)
    cells = conduct(statistic, exchange).result.counts
    names = [f"{part.value}/{outcome}" for part in PARTS for outcome in (0, 1)]
    return {name: int(n) for name, n in zip(names, cells, strict=False)}


def _cohort_evidence(run: Run, counts: Mapping[str, Mapping[str, int]]) -> Evidence:
    """Return the table of the cohort: development sites together, external ones each."""
    asks = run.study.active is not None
    rows = [_cohort_row(name, found, asks=asks and name == "development") for name, found in counts.items()]
    return Evidence(
        key="data/cohort",
        metric="cohort",
        stage="cohort",
        n=sum(row["patients"] for row in rows),
        n_events=None if asks else sum(row["positive"] for row in rows),
        descriptive=True,
        phantom=run.study.phantom,
        detail={"sites": rows},
    )


def _cohort_row(name: str, found: Mapping[str, int], *, asks: bool) -> dict[str, Any]:
    """Return a row of the table; where labels are asked for, training patients' outcomes aren't known yet."""
    row: dict[str, Any] = {"site": name, "patients": sum(found.values()), "modalities": [], "scanners": []}
    if asks:
        return row | {"may_be_asked": sum(n for cell, n in found.items() if cell.startswith("train/"))}
    return row | {"positive": sum(n for cell, n in found.items() if cell.endswith("/1"))}


def _fit_stage(
    run: Run, lead: Lead, federation: Federation, model: FederatedModel, sites: Sites, cohort: Stage
) -> Stage:
    """Return the stage of one network, trained over the development sites."""
    from safetensors.numpy import save

    settings = run.study.model_dump(
        mode="json",
        include={
            "task",
            "modality",
            "network",
            "training",
            "federation",
            "privacy",
            "active",
            "seed",
            "split",
        },
    )

    asking = asking_rounds(run, lead, model, sites.development, cohort)

    def body(folder: Path) -> Made:
        initial = shared_weights(network_of(run, model.planned, {}, model.seed(run.study)))
        training = Training(
            lead=lead,
            federation=federation,
            model=model.name,
            folder=run.folder / "rounds" / f"{digest_value([model.name, cohort.digest])[:16]}",
            sites=sites.development,
            patients=sites.patients(Part.TRAIN),
            before=asking.before if asking else None,
        )
        done = training.run({n: w.numpy() for n, w in initial.items()}, progress=run.progress)
        write_bytes(folder / WEIGHTS, save({n: np.asarray(w) for n, w in done.weights.items()}))
        asked = asking.end(folder, done.weights) if asking else []
        patients = labelled(run, cohort) or sites.patients(Part.TRAIN)
        return Made(evidence=[_rounds_evidence(run, lead, model, done, sites, patients), *asked])

    inputs = [settings, cohort.digest, model.name]
    return run.stage(f"fit/{model.name}", inputs, body, made_from={"cohort": cohort.digest})


def _rounds_evidence(
    run: Run, lead: Lead, model: FederatedModel, done: Round, sites: Sites, patients: int
) -> Evidence:
    """Return how the rounds of one network went, over so many training patients."""
    return Evidence(
        key=f"federation/{model.name}",
        metric="federation",
        stage="fit",
        n=patients,
        descriptive=True,
        phantom=run.study.phantom,
        seed=run.study.seed,
        detail={
            "rounds": done.number + 1,
            "sites_per_round": [len(each) for each in done.sites],
            "sites": list(sites.development),
            "bytes_sent": lead.journal.sent,
            "bytes_received": lead.journal.received,
            "seconds": round(lead.journal.seconds, 3),
            "secure": bool(run.study.federation and run.study.federation.secure),
        },
    )


def _lock_stage(
    run: Run, lead: Lead, models: Sequence[FederatedModel], fits: Sequence[Stage], sites: Sites
) -> Stage:
    """Give the sites the finished weights, and fix calibration and thresholds on tuning patients' scores."""
    from safetensors.numpy import load_file

    weights = {m.name: load_file(f.folder / WEIGHTS) for m, f in zip(models, fits, strict=True)}
    for model, found in weights.items():
        hold = wire.Hold(study=run.study.digest, sender=wire.LEAD, model=model)
        answers = lead.ask(dict.fromkeys(lead.taking_part, hold), lead.patience_s, found)
        lead.enough([s for s, a in answers.items() if isinstance(a.message, wire.Done)], lead.taking_part)

    def body(folder: Path) -> Made:
        decisions: dict[str, Any] = {}
        evidence: list[Evidence] = []
        for name in dict.fromkeys(m.planned.name for m in models):
            found = _decided(run, lead, name, sites)
            evidence.append(found[1])
            if found[0] is not None:
                decisions[name] = found[0].to_json()
        write_json(folder / DECISIONS, decisions)
        digests = {f"{model}": stage.digest for model, stage in zip(weights, fits, strict=True)}
        lock: dict[str, Any] = {
            "study_digest": run.study.digest,
            "models": digests,
            "decisions": decisions,
        }
        entries: list[tuple[str, dict[str, Any]]] = []
        if Variant.CMAN.value in decisions:  # without a threshold there is no model to hand on
            known = {name: Decision.from_json(record) for name, record in decisions.items()}
            by_model = dict(zip(models, fits, strict=True))
            counts = sites.counts["development"] | learnt_from(fits[0].folder)
            digest, card = save_model(run, folder, by_model, known, sites.development, counts)
            write_json(folder / ARTEFACTS / "model_card.json", card.model_dump(mode="json"))
            write_text(folder / ARTEFACTS / "model_card.md", model_card_markdown(card))
            entries.append(("model", {"card": card.model_dump(mode="json"), "digest": digest}))
            lock["model_digest"] = digest
        return Made(evidence=evidence, entries=[*entries, ("lock", lock)])

    inputs = [[f.digest for f in fits], run.study.threshold.model_dump(mode="json"), run.study.digest]
    locked = run.stage("lock", inputs, body, made_from={f.name: f.digest for f in fits})
    lock = wire.Lock(study=run.study.digest, sender=wire.LEAD, digest=locked.digest)
    heard = lead.ask(dict.fromkeys(lead.taking_part, lock), lead.patience_s)
    lead.enough([s for s, a in heard.items() if isinstance(a.message, wire.Done)], lead.taking_part)
    return locked


def _decided(run: Run, lead: Lead, name: str, sites: Sites) -> tuple[Decision | None, Evidence]:
    """Return one model's calibration and threshold, and its evidence."""
    key = f"threshold/{name}/fold0"
    try:
        scores = tuning_scores(lead, name, sites.development)
        decision = decide(run, logit(scores.score), scores.outcome)
    except NotEstimableError as error:
        refused = Evidence(
            key=key, metric="threshold", stage="lock", verdict=Verdict.NOT_ASSESSED, reason=error.message
        )
        return None, refused
    detail = {"rule": run.study.threshold.rule, "target": run.study.threshold.target}
    return decision, Evidence(
        key=key,
        metric="threshold",
        stage="lock",
        estimate=decision.threshold,
        n=len(scores.outcome),
        n_events=int(scores.outcome.sum()),
        descriptive=True,
        phantom=run.study.phantom,
        detail={
            **detail,
            "tuning_n": len(scores.outcome),
            "calibration_intercept": decision.platt.intercept,
            "calibration_slope": decision.platt.slope,
        },
    )


def tuning_scores(lead: Lead, model: str, sites: tuple[str, ...]) -> ScoreDistribution:
    """Return the distribution of a model's uncalibrated risks over the sites' tuning patients."""
    subject = scores_subject(Part.TUNE, [(model, 1.0, 0.0)])
    return conduct(Scores(), lead.exchange(subject, secure=True, sites=sites)).result
