"""Active learning at one site: which of its patients have a label by when, and how more are asked for.

A query round leaves two files at the site, each whole or absent: what was asked, then what was answered.
Which labels a round of training uses follows from its number, so that a round asked again is the same.
Nothing of this leaves but counts, and the histogram of scores that the budget is shared out by.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from huizhen.core.cohort import Case
from huizhen.core.files import write_json
from huizhen.core.streams import stream_seed
from huizhen.core.study import Study
from huizhen.core.study_active import Active, Annotator
from huizhen.errors import FederationError
from huizhen.federate.site.learner import STILL_ASKED, Labelling
from huizhen.federate.statistics.agreement import Kappa, Read
from huizhen.federate.statistics.asking import Ranking
from huizhen.federate.statistics.data import Scored, Table, scored, table_of
from huizhen.federate.statistics.delong import DeLong
from huizhen.models.network import Network
from huizhen.pipeline.federated_plan import FederatedModel
from huizhen.pipeline.labelling_plan import FIRST, GIVEN, LABELLED, asking_model, asking_of, development_sites
from huizhen.pipeline.site_annotators import Annotators
from huizhen.pipeline.site_pool import Order, first_order, next_order, pool_features
from huizhen.pipeline.site_questions import QUEUE
from huizhen.train.arrays import CaseData
from huizhen.train.fit import predict_logits

__all__ = ["KINDS", "SiteLabelling"]

KINDS: Final = ("agreement", "asking", "curve", "given", "labelled")
"""The kinds of subject that a site that asks for labels knows."""
Held = Callable[[], tuple[Network, str]]
"""Gives the network that the lead last sent, and the digest of its weights."""


@dataclass(kw_only=True)
class SiteLabelling:
    """The labels of `study` at the site `site`, kept in `folder`.

    `cases` are those that train and tune, as rows of `data` in that order. `fresh` gives a network of first
    weights, `held` the one that the lead sent, `most` how many cases the policy lets a study ask about.
    """

    study: Study
    active: Active
    site: str
    folder: Path
    cases: tuple[Case, ...]
    train: NDArray[np.int64]
    tune: NDArray[np.int64]
    data: CaseData
    fresh: Callable[[], Network]
    held: Held
    most: Callable[[], int | None] = lambda: None
    note: Callable[[NDArray[np.int64]], None] = lambda _: None
    """Is told, before it happens, which rows readers are asked about."""
    pool: Callable[[NDArray[np.int64]], None] = lambda _: None
    """Is told, before it happens, among which rows it is chosen whom readers are asked about."""
    out: frozenset[str] = frozenset()
    """Who permits the use no more: none of `train` and `tune`, and what they were labelled counts no more."""
    _orders: dict[tuple[int, str], Order] = field(default_factory=dict)

    @property
    def model(self) -> FederatedModel:
        """The network that asks."""
        return asking_model(self.study)

    # --- what is labelled by when ---

    def labels(self, queries: int) -> dict[str, int]:
        """Return pseudonym -> outcome of the training patients labelled by the first `queries` query rounds.

        With readers, also of those whom the site's tables give an outcome.
        """
        found: dict[str, int] = {}
        if self.active.annotator is Annotator.QUEUE:
            cases = [self.cases[row] for row in self.train]
            found = {case.pseudonym: case.outcome for case in cases if case.outcome is not None}
        for query in range(queries):
            found |= self.given(query)
        return found

    def given(self, query: int) -> dict[str, int]:
        """Return pseudonym -> outcome of the labels that one query round gave here; none before it ended."""
        file = self._file("labels", query)
        if not file.exists():
            return {}
        found = json.loads(file.read_text(encoding="utf-8"))["labels"]
        return {str(p): int(y) for p, y in found.items() if p not in self.out}

    def queries_for(self, model: str, training_round: int) -> int:
        """Return how many query rounds' labels a model's round of training uses."""
        if model == self.model.name:
            return self.active.queries_before(training_round)
        return len(self.active.budgets) + 1

    def training(self, queries: int, rows: NDArray[np.int64]) -> tuple[CaseData, NDArray[np.int64]]:
        """Return the data with the labels of `queries` query rounds alone, and which `rows` have one."""
        data = self._seen(self.labels(queries))
        return data, rows[np.isfinite(data.outcome[rows])]

    def _seen(self, labels: dict[str, int]) -> CaseData:
        """Return the data as training may see it: the outcome of an unlabelled training patient is NaN."""
        outcome = self.data.outcome.copy()
        own = [labels.get(self.cases[row].pseudonym, np.nan) for row in self.train]
        outcome[self.train] = np.array(own, np.float32)
        return replace(self.data, outcome=outcome)

    # --- asking ---

    def label(self, asked: Labelling) -> None:
        """Ask the annotators for a query round, and keep the labels when all have been given.

        Asked again, also in another way, it stays with what was asked first. Raises `FederationError` while
        labels are missing, and on a query round that the study doesn't plan.
        """
        query = asked.query
        self._check(asked.model, query)
        self._annotators.withdraw(self.out)
        if self._file("labels", query).exists():
            return
        if not self._file("asked", query).exists():
            order = self._first() if query == 0 else self._cut(query, asked)
            self.note(self.train[order.rows])
            write_json(self._file("asked", query), {"query": query, "cases": self._listed(order)})
        cases = json.loads(self._file("asked", query).read_text(encoding="utf-8"))["cases"]
        found = self._annotators.labels(query, cases, rule=self._rule(query))
        if found is None:
            raise FederationError(
                STILL_ASKED, remedy="label the open cases: huizhen site queue", field="active"
            )
        write_json(self._file("labels", query), {"query": query, "labels": found})

    def _cut(self, query: int, asked: Labelling) -> Order:
        """Return the cases that score at least what the lead announced, and those of the site's floor."""
        order = self._order(query, self.held()[1])
        ranking = self._ranking(query, order)
        floor = ranking.floor(
            self._budget(query),
            labelled=asked.labelled,
            sites=development_sites(self.study),
            share=self.active.floor_share,
        )
        count = max(floor, int((order.score >= asked.at).sum()))
        return Order(rows=order.rows[:count], score=order.score[:count], reason=order.reason[:count])

    def _first(self) -> Order:
        """Return the cases of a cold start: as many as the site lacks to its first labels."""
        self.pool(self.train)
        missing = min(max(0, self.active.initial - len(self.labels(0))), self._left(0))
        features = pool_features(
            self.fresh(), self.data, self.train, self.model.planned.modalities, seed=self._seed(0)
        )
        known = self.labels(0)
        closed = np.array([self.cases[row].pseudonym in known for row in self.train], bool)
        return first_order(features, closed, missing, seed=self._seed(0))

    def _order(self, query: int, weights: str) -> Order:
        """Return the order of a query round, made once from what was labelled before it."""
        if (query, weights) not in self._orders:
            self.pool(self.train)
            known = self.labels(query)
            names = [self.cases[row].pseudonym for row in self.train]
            labelled = np.array([name in known for name in names], bool)
            self._orders = {
                (query, weights): next_order(
                    self.held()[0],
                    self._seen(known),
                    self.train,
                    self.model.planned.modalities,
                    self.active.rule,
                    labelled=labelled,
                    closed=labelled | np.isin(names, self._asked_before(query)),
                    budget=min(self._budget(query), self._left(query)),
                    seed=self._seed(query),
                )
            }
        return self._orders[query, weights]

    def _asked_before(self, query: int) -> list[str]:
        """Return whom earlier query rounds asked about, answered or withdrawn."""
        files = [self._file("asked", earlier) for earlier in range(query)]
        found = [json.loads(file.read_text(encoding="utf-8"))["cases"] for file in files if file.exists()]
        return [str(case["case"]) for cases in found for case in cases]

    def _left(self, query: int) -> int:
        """Return how many cases a query round may ask about by the site's policy."""
        most = self.most()
        if most is None:
            return sum(self.active.budgets) + self.active.initial
        return max(0, most - len(self._asked_before(query)))

    def _ranking(self, query: int, order: Order) -> Ranking:
        known = set(self.labels(query)) | set(self._asked_before(query))
        open_ = sum(self.cases[row].pseudonym not in known for row in self.train)
        return Ranking(n=open_, scores=order.score, labelled=len(self.labels(query)))

    def _listed(self, order: Order) -> list[dict[str, Any]]:
        """Return what is asked, with where the site's readers find it; the file stays at the site."""
        cases = [self.cases[self.train[row]] for row in order.rows]
        return [
            {
                "case": case.pseudonym,
                "patient": case.patient_id,
                "images": {name: [record.key for record in bag] for name, bag in case.images.items()},
                "rank": rank,
                "score": float(score),
                "reason": reason,
            }
            for rank, (case, score, reason) in enumerate(
                zip(cases, order.score, order.reason, strict=True), start=1
            )
        ]

    @property
    def _annotators(self) -> Annotators:
        return Annotators(
            path=self.folder / QUEUE,
            site=self.site,
            task=self.study.task,
            active=self.active,
            seed=stream_seed(self.study.seed, "annotators", self.site),
            truth={case.pseudonym: case.outcome for case in self.cases if case.outcome is not None},
        )

    # --- what the lead asks about ---

    def about(self, subject: str) -> tuple[Any, Any]:
        """Return the statistic of a subject of `KINDS`, and the site's data. Raises `FederationError`."""
        kind, _, rest = subject.partition("/")
        number, _, more = rest.partition("/")
        known = number.isdigit() and len(number) < 6 and str(int(number)) == number  # no second name for one
        query = int(number) if known else -1
        if kind == "asking":
            weights, _, model = more.partition("/")
            self._check(model, query)
            asking = asking_of(self.study, self.active, query)
            return asking, self._ranking(query, self._order(query, self._held_as(weights)))
        if kind == "curve":
            return DeLong(models=1), self._tuned(more.partition("/")[0])
        if kind == "agreement":
            self._annotators.withdraw(self.out)
            return Kappa(), Read.of(self._annotators.ratings())
        if kind == "given":
            return GIVEN, _column(GIVEN.column, [0] * len(self.given(query)))
        return LABELLED, _column(LABELLED.column, list(self.labels(query).values()))

    def _tuned(self, weights: str) -> Scored:
        """Return the tuning patients' outcomes and risks by the model that the lead last sent."""
        self._held_as(weights)
        names = self.model.planned.modalities
        logit = predict_logits(self.held()[0], self.data, self.tune, names)
        return scored(self.data.outcome[self.tune] == 1, expit(logit))

    # --- small things ---

    def _held_as(self, weights: str) -> str:
        """Return the digest of the weights held here. Raises `FederationError` when it doesn't begin so."""
        digest = self.held()[1]
        if not weights or not digest.startswith(weights):
            raise FederationError(
                "other weights are held here than the question is about",
                remedy="send the weights first",
                field="weights",
            )
        return digest

    def _check(self, model: str, query: int) -> None:
        """Refuse a query round that the study doesn't plan. Raises `FederationError`."""
        if model != self.model.name or not 0 <= query <= len(self.active.budgets):
            raise FederationError(
                f"the study plans no query round {query} of {model[:80]}",
                remedy="run the same version of huizhen everywhere",
                field="query",
            )

    def _budget(self, query: int) -> int:
        return self.active.budgets[query - 1]

    def _rule(self, query: int) -> str:
        return (self.active.rule if query else FIRST).value

    def _seed(self, query: int) -> int:
        return stream_seed(self.study.seed, "query", query, self.site)

    def _file(self, what: str, query: int) -> Path:
        return self.folder / f"{what}-{query:05d}.json"


def _column(name: str, values: list[int]) -> Table:
    return table_of((name,), np.array(values, np.float64).reshape(-1, 1))
