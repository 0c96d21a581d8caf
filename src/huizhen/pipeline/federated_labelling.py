"""Query rounds at the study lead: between rounds of training, labels are shared out over the sites.

The lead sends the model as it stands, settles by secure sums from which score on cases are asked, and has
each site ask its own annotators. It knows sums over sites; of one site a count only where that site shows it.
Each query round leaves a record, so that a run that was killed, or that waits for annotators, goes on there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huizhen.core.evidence import Evidence, Interval
from huizhen.core.files import write_json
from huizhen.core.study_active import Active
from huizhen.errors import FederationError, NotEstimableError, PolicyError
from huizhen.federate import messages as wire
from huizhen.federate.lead import Lead
from huizhen.federate.orders import done_at, order
from huizhen.federate.site.learner import STILL_ASKED
from huizhen.federate.statistics.agreement import Kappa
from huizhen.federate.statistics.asking import Share
from huizhen.federate.statistics.counts import Categories
from huizhen.federate.statistics.delong import DeLong
from huizhen.federate.statistics.runner import conduct
from huizhen.federate.strategies.interface import Weights
from huizhen.pipeline.federated_plan import FederatedModel
from huizhen.pipeline.labelling_evidence import labelling_evidence
from huizhen.pipeline.labelling_plan import FIRST, GIVEN, LABELLED, asking_model, asking_of
from huizhen.pipeline.site_models import digest_weights
from huizhen.pipeline.stage import Run, Stage

__all__ = ["FederatedLabelling", "asking_rounds", "labelled", "learnt_from"]

LAST, LEARNT = "last", "learnt.json"
FEWEST = 5
"""Agreement over fewer cases isn't told."""
Record = dict[str, Any]


def asking_rounds(
    run: Run, lead: Lead, model: FederatedModel, sites: tuple[str, ...], cohort: Stage
) -> FederatedLabelling | None:
    """Return the query rounds that `model` is trained with; None unless it is the one that asks."""
    active = run.study.active
    if active is None or model.name != asking_model(run.study).name:
        return None
    return FederatedLabelling(
        run=run, lead=lead, active=active, model=model.name, sites=sites, folder=_folder(run, cohort)
    )


def _folder(run: Run, cohort: Stage) -> Path:
    return run.folder / "queries" / cohort.digest[:16]


def labelled(run: Run, cohort: Stage) -> int:
    """Return how many training patients have a label when all query rounds are over; 0 without any."""
    file = _folder(run, cohort) / f"query-{LAST}.json"
    return sum(json.loads(file.read_text(encoding="utf-8"))["counts"]) if file.exists() else 0


def learnt_from(folder: Path) -> dict[str, int]:
    """Return by outcome how many labelled patients a model learnt from, as `end` wrote it; else nothing."""
    file = folder / LEARNT
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class FederatedLabelling:
    """The query rounds of `model` over the development `sites`; their records are kept in `folder`."""

    run: Run
    lead: Lead
    active: Active
    model: str
    sites: tuple[str, ...]
    folder: Path

    def before(self, number: int, weights: Weights) -> None:
        """Hold the query rounds that come before the training round `number` and weren't held yet.

        Raises `FederationError` while a site waits for its annotators, or below the quorum.
        """
        for query in range(self.active.queries_before(number)):
            if not self._file(str(query)).exists():
                record = self._first() if query == 0 else self._next(query, weights)
                write_json(self._file(str(query)), record)

    def end(self, folder: Path, weights: Weights) -> list[Evidence]:
        """Return the evidence of all query rounds; writes into `folder` how many were learnt from."""
        if not self._file(LAST).exists():
            digest = self._hold(weights)
            counts = self._count("labelled", len(self.active.budgets) + 1, LABELLED)
            record = {"counts": counts, "reached": self._reached(len(self.active.budgets) + 1, digest)}
            if self.active.readers > 1:
                record["agreement"] = self._agreement()
            write_json(self._file(LAST), record)
        others, events = self._read(LAST)["counts"]
        write_json(folder / LEARNT, {"train/0": others, "train/1": events})
        rounds = [self._read(str(query)) for query in range(len(self.active.budgets) + 1)]
        return labelling_evidence(self.run.study, rounds, self._read(LAST))

    def _first(self) -> Record:
        """Have each site begin with its first labels; there is no model, and nothing to share out."""
        before = sum(self._count("labelled", 0, LABELLED))
        self._ask(0, None)
        return {"query": 0, "rule": FIRST.value, "before": before, **self._given(0)}

    def _next(self, query: int, weights: Weights) -> Record:
        """Hold one query round with the model as it stands."""
        digest = self._hold(weights)
        reached = self._reached(query, digest)
        share = self._share(query, digest)
        if share is not None:
            self._ask(query, share)
        settled = {} if share is None else {"at": share.at, "open": share.open, "floors": share.floors}
        return {
            "query": query,
            "rule": self.active.rule.value,
            "budget": self.active.budgets[query - 1],
            "reached": reached,
            **settled,
            **self._given(query),
        }

    # --- what the sites are asked ---

    def _hold(self, weights: Weights) -> str:
        """Send the model as it stands, and return the beginning of its weights' digest."""
        hold = wire.Hold(study=self.lead.study.digest, sender=wire.LEAD, model=self.model)
        order(self.lead, hold, self.sites, weights)
        return digest_weights(weights)[:16]

    def _share(self, query: int, digest: str) -> Share | None:
        """Return from which score on cases are asked; None when no open case is left anywhere."""
        statistic = asking_of(self.run.study, self.active, query)
        subject = f"asking/{query}/{digest}/{self.model}"
        try:
            return conduct(statistic, self.lead.exchange(subject, secure=True, sites=self.sites)).result
        except NotEstimableError:
            return None

    def _ask(self, query: int, share: Share | None) -> None:
        """Have the sites ask their annotators. Raises `FederationError` while any of them waits."""
        message = wire.Label(
            study=self.lead.study.digest,
            sender=wire.LEAD,
            model=self.model,
            query=query,
            at=share.at if share else 0.0,
            labelled=share.labelled if share else 0,
        )
        answers = self.lead.ask(dict.fromkeys(self.sites, message), self.lead.patience_s)
        waiting = [site for site, answer in answers.items() if _waits(answer.message)]
        if waiting:
            raise FederationError(
                f"{STILL_ASKED} at: {', '.join(sorted(waiting))}",
                remedy="have their open cases labelled (huizhen site queue, huizhen site label), then run "
                "again: it goes on here",
                field="active",
            )
        self.lead.enough(done_at(answers), self.sites)

    def _given(self, query: int) -> Record:
        """Return the labels of a query round: over all sites, and of each where it shows them."""
        whole = self._count("given", query, GIVEN)
        return {"spent": whole[0], "sites": {s: self._shown(query, s) for s in self.sites}}

    def _shown(self, query: int, site: str) -> int | None:
        """Return one site's labels of a query round; None where it doesn't show them."""
        exchange = self.lead.exchange(f"given/{query}", secure=False, sites=(site,))
        try:
            return conduct(GIVEN, exchange).n
        except NotEstimableError:
            return 0
        except FederationError:  # its policy shows no count so small, or it is away: the run goes on without
            return None

    def _count(self, kind: str, query: int, statistic: Categories) -> list[int]:
        """Return counts over all sites by code; zeros when there is nobody."""
        codes = statistic.codes
        exchange = self.lead.exchange(f"{kind}/{query}", secure=True, sites=self.sites)
        try:
            return [int(n) for n in conduct(statistic, exchange).result.counts[: len(codes)]]
        except NotEstimableError:
            return [0] * len(codes)

    def _agreement(self) -> Record:
        """Return the agreement of readers over all sites, or why it isn't told."""
        exchange = self.lead.exchange("agreement", secure=True, sites=self.sites)
        try:
            found = conduct(Kappa(), exchange, smallest_count=FEWEST).result
        except (NotEstimableError, PolicyError) as error:
            return {"reason": error.message}
        return {"kappa": found.kappa, "interval": _plain(found.interval), "n": found.n}

    def _reached(self, query: int, digest: str) -> Record:
        """Return the model's AUC on tuning patients, from exact sums, or why there is none."""
        exchange = self.lead.exchange(f"curve/{query}/{digest}", secure=True, sites=self.sites)
        try:
            found = conduct(DeLong(models=1), exchange).result
        except (NotEstimableError, PolicyError) as error:
            return {"reason": error.message}
        return {
            "auc": float(found.aucs[0]),
            "interval": _plain(found.interval(0)),
            "n": found.n_pos + found.n_neg,
            "n_events": found.n_pos,
        }

    # --- what is written down ---

    def _read(self, name: str) -> Record:
        return dict(json.loads(self._file(name).read_text(encoding="utf-8")))

    def _file(self, name: str) -> Path:
        return self.folder / f"query-{name}.json"


def _plain(interval: Interval) -> Record:
    return {"low": interval.low, "high": interval.high, "method": interval.method}


def _waits(message: object) -> bool:
    """Tell whether an answer says that the site's annotators aren't done."""
    return isinstance(message, wire.Refusal) and message.reason.endswith(STILL_ASKED)
