"""A study opened at one site: its own cohort, its own cache and ledger, and what it answers the lead.

Everything here runs in the site's process and reads the site's folder of data. What it returns is a change of
weights or an aggregate.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import Case, Part
from huizhen.core.digests import digest_value
from huizhen.core.progress import Silent
from huizhen.core.streams import stream_seed
from huizhen.core.study import Study
from huizhen.core.study_active import Active
from huizhen.data.cache import Cache
from huizhen.errors import FederationError
from huizhen.federate.site.folder import SiteFolder
from huizhen.federate.site.learner import Asked, Labelling, Trained
from huizhen.federate.site.questions import question_of
from huizhen.federate.statistics.counts import Categories
from huizhen.federate.statistics.delong import DeLong
from huizhen.federate.statistics.fixed_point import encode
from huizhen.federate.statistics.grouped import ScoresByGroup
from huizhen.federate.statistics.interface import Sized, Statistic
from huizhen.federate.statistics.localisation import Localisation
from huizhen.federate.statistics.release import check_at_site
from huizhen.federate.statistics.runner import respond
from huizhen.federate.statistics.scores import Scores
from huizhen.federate.statistics.spending import Spending
from huizhen.federate.strategies.interface import Weights
from huizhen.federate.summaries import Said
from huizhen.ledger.log import Log
from huizhen.models.network import Network
from huizhen.pipeline.cohort_stage import OpenCohort, read_cohort
from huizhen.pipeline.federated_consents import CONSENT, STATISTIC
from huizhen.pipeline.federated_explain import EXPLAIN
from huizhen.pipeline.federated_groups import counted_groups
from huizhen.pipeline.federated_harmony import COMBAT
from huizhen.pipeline.federated_plan import CELLS, FederatedModel, federated_models
from huizhen.pipeline.federated_regression import REGRESSION, regression_shapes
from huizhen.pipeline.federated_tables import LEVELS, MOMENTS
from huizhen.pipeline.fit_stage import Development, network_of
from huizhen.pipeline.learned_from import How, learned_by
from huizhen.pipeline.site_alone import SCORES, check_alone, check_paid
from huizhen.pipeline.site_consents import consents_of
from huizhen.pipeline.site_counts import cells_of, left_in, trained_on
from huizhen.pipeline.site_harmony import SiteHarmony
from huizhen.pipeline.site_heatmaps import SiteHeatmaps
from huizhen.pipeline.site_labelling import KINDS, SiteLabelling
from huizhen.pipeline.site_ledger import enter_lock, enter_unseal, head_of
from huizhen.pipeline.site_models import SiteModels, holds_of
from huizhen.pipeline.site_privacy import SitePrivacy
from huizhen.pipeline.site_scores import SiteScores
from huizhen.pipeline.site_summary import checked_cohort, site_summary
from huizhen.pipeline.site_tables import SiteTables
from huizhen.pipeline.stage import Run
from huizhen.train.arrays import CaseData
from huizhen.train.fit import Fit
from huizhen.train.local import LocalFit, own_weights


def open_learner(study: Study, folder: SiteFolder, home: Path) -> SiteLearner:
    """Open `study` at the site in `folder`, keeping what it makes in `home`.

    Raises what reading the site's data raises.
    """
    own = study.model_copy(
        update={"site": [s for s in study.site if s.name == folder.name], "phantom_truth": None}
    )
    own.__dict__.pop("digest", None)  # a copy takes the cached digest of the whole study along
    log = Log.open(home / "ledger", folder.key).__enter__()
    run = Run(
        study=own,
        folder=home,
        roots=(folder.data,),
        key=folder.key,
        log=log,
        cache=Cache(home / "cache"),
        progress=Silent(),
        kept=folder.path,
        whole=study,
    )
    return SiteLearner(study=study, run=run, site=folder)


@final
class SiteLearner:
    """One study at one site."""

    def __init__(self, *, study: Study, run: Run, site: SiteFolder) -> None:
        self._study, self._run, self._site = study, run, site
        self._models = {model.name: model for model in federated_models(study)}
        self._encoded: dict[int, CaseData] = {}
        self._consents = consents_of(self._run, site, lambda: self.cohort)
        self._learned = learned_by(self._run)
        self._out: frozenset[str] = frozenset()
        self._asking: dict[frozenset[str], SiteLabelling] = {}

    @cached_property
    def cohort(self) -> OpenCohort:
        """The site's own cohort and split; outcomes of test patients are sealed."""
        return checked_cohort(self._run, self._study, self._site)

    @cached_property
    def _unsealed(self) -> OpenCohort:
        """The cohort with every outcome, read when the lead asks about the locked model."""
        enter_unseal(self._run, self.cohort)
        return read_cohort(self.cohort.stage, unsealed=True)

    @cached_property
    def _development(self) -> Development:
        return Development(self._run, self.cohort)

    @cached_property
    def _tables(self) -> SiteTables:
        return SiteTables(study=self._study, site=self._run.study.site[0].name, folder=self._run.folder)

    @cached_property
    def _harmony(self) -> SiteHarmony:
        return SiteHarmony(
            study=self._study,
            tables=self._tables,
            development=lambda: self._development.material,
            cohort=lambda: self.cohort,
            out=lambda: self._out,
            note=self._learned.note,
        )

    def plan(self, definition: str) -> None:
        """Fix how columns of tables become numbers, from now on."""
        self._tables.fix(definition)

    def _data(self, fold: int) -> CaseData:
        """Return the development patients, tables as a fold's plan encodes them."""
        if fold not in self._encoded:
            material, plan = self._development.material, self._tables.encodings(fold)
            self._encoded[fold] = material.data(plan, self._harmony.harmonies(fold, material))
        return self._encoded[fold]

    def _model(self, name: str) -> FederatedModel:
        if name not in self._models:
            raise FederationError(
                f"the study plans no model {name}", remedy="run the same version everywhere", field="model"
            )
        return self._models[name]

    def _rows(self, model: FederatedModel, part: Part) -> NDArray[np.int64]:
        """Return the rows of one part that have any of the model's modalities."""
        if not self.cohort.within(Part.TRAIN, Part.TUNE):
            return np.zeros(0, np.int64)
        fold, data = self.cohort.folds[model.fold], self._data(model.fold)
        rows = self._development.rows(fold, part, data, model.planned.modalities)
        return left_in(rows, self._development.material.cases, self._out)

    def patients(self, model: str, round_number: int, weights: Weights) -> int:
        """Return how many patients train `model` here in a round, of those who still permit it."""
        self._out = self._consents.at_round(model, round_number, question_of(model, weights))
        return len(self._training(self._model(model), round_number)[1])

    def _training(self, model: FederatedModel, round_number: int) -> tuple[CaseData, NDArray[np.int64]]:
        """Return what a round of `model` learns from: the data, and the rows of its training patients."""
        rows = self._rows(model, Part.TRAIN)
        if self._labelling is None:
            return self._data(model.fold), rows
        return self._labelling.training(self._labelling.queries_for(model.name, round_number), rows)

    def _note(self, how: How, model: str, rows: NDArray[np.int64], *, number: int | None = None) -> None:
        """Note, before it happens, which development patients are used for a model."""
        self._learned.note(how, model, [self._development.material.cases[row] for row in rows], number=number)

    @property
    def _labelling(self) -> SiteLabelling | None:
        """How labels are asked for here; None in a study without [active], and at an external site."""
        if self._study.active is None or not self.cohort.within(Part.TRAIN, Part.TUNE):
            return None
        if self._out not in self._asking:
            self._asking = {self._out: self._labelling_of(self._study.active)}
        return self._asking[self._out]

    def _labelling_of(self, active: Active) -> SiteLabelling:
        """Return how labels are asked for of those who still permit it."""
        first = next(iter(self._models.values()))
        return SiteLabelling(
            study=self._study,
            active=active,
            site=self._run.study.site[0].name,
            folder=self._run.folder / "labels",
            cases=self._development.material.cases,
            train=self._rows(first, Part.TRAIN),
            tune=self._rows(first, Part.TUNE),
            data=self._data(first.fold),
            fresh=lambda: self._network(first),
            held=lambda: self.models.held(first.name),
            most=lambda: self._site.policy().maximum_labels,
            out=self._out,
            note=lambda rows: self._note(How.ASKED, first.name, rows),
            pool=lambda rows: self._note(How.POOLED, first.name, rows),
        )

    def label(self, asked: Labelling) -> None:
        """Have the annotators asked for a query round."""
        self._out = self._consents.now()
        if self._labelling is None or self.models.locked():
            raise FederationError(
                "no labels are asked for here",
                remedy="ask before the lock, sites with [active]",
                field="active",
            )
        self._labelling.label(asked)

    def train(self, model: str, round_number: int, weights: Weights) -> Trained:
        """Train `model` for one round from `weights`."""
        planned = self._model(model)
        if planned.regression:
            raise FederationError(
                f"{model} is a regression and takes no rounds",
                remedy="run the same version of huizhen everywhere",
                field="model",
            )
        if self.models.locked():
            raise FederationError(
                "the models are locked, and nothing is trained again",
                remedy="a changed model is another study: sign a new one",
                field="lock",
            )
        federation = self._study.federation
        if federation is None:
            raise FederationError("the study has no [federation]", remedy="add it to the study")
        self._out = self._consents.at_round(model, round_number, question_of(model, weights))
        data, train = self._training(planned, round_number)
        self._note(How.TRAINED, model, train, number=round_number)
        fit = Fit(
            study=self._study,
            data=data,
            names=planned.planned.modalities,
            train=train,
            tune=self._rows(planned, Part.TUNE),
            seed=stream_seed(self._study.seed, "fit", model, self._run.study.site[0].name),
            epochs=federation.rounds * federation.local_epochs,
        )
        local = LocalFit(fit=fit, federation=federation, folder=self._rounds(model))
        if self._privacy is not None:
            private = self._privacy.train(model, round_number, weights, local, lambda: self._network(planned))
            return Trained(change=private, loss=0.0)  # the mean loss would be without noise
        change, loss = local.round(self._network(planned), round_number, weights)
        return Trained(change=change, loss=loss)

    @cached_property
    def _privacy(self) -> SitePrivacy | None:
        """The study's differential privacy here; None when it asks for none."""
        if self._study.privacy is None or self._study.federation is None:
            return None
        names = tuple(modality.name for modality in self._study.modality)
        return SitePrivacy(
            study=self._study,
            privacy=self._study.privacy,
            federation=self._study.federation,
            site=self._site,
            home=self._run.folder,
            patients=len(self._development.rows(self.cohort.folds[0], Part.TRAIN, self._data(0), names)),
        )

    def _rounds(self, model: str) -> Path:
        """Return where the rounds of a model keep what lasts."""
        return self._run.folder / "rounds" / digest_value(model)[:16]

    def _network(self, model: FederatedModel) -> Network:
        encodings = self._tables.encodings(model.fold)
        return network_of(self._run, model.planned, encodings, model.seed(self._study))

    @cached_property
    def models(self) -> SiteModels:
        """The weights that the lead gave this site."""
        return SiteModels(
            folder=self._run.folder,
            models=self._models,
            fresh=self._network,
            own=lambda model: own_weights(self._rounds(model)),
            shapes=lambda model: regression_shapes(model, self._tables.encodings(model.fold)),
            planned=lambda model: holds_of(self._study, self._models, model),
        )

    @cached_property
    def _scores(self) -> SiteScores:
        """What the held models say of this site's patients."""
        return SiteScores(
            study=self._study,
            run=self._run,
            models=self.models,
            development=lambda: self._development.material,
            cohort=lambda: self.cohort,
            unsealed=lambda: self._unsealed,
            encodings=self._tables.encodings,
            harmonies=self._harmony.harmonies,
            out=lambda: self._out,
            note=self._learned.note,
        )

    @cached_property
    def _heatmaps(self) -> SiteHeatmaps:
        """The heatmaps of this site's own tested patients."""
        return SiteHeatmaps(
            run=self._run, models=self.models, scores=self._scores, unsealed=lambda: self._unsealed
        )

    def lock(self, digest: str) -> None:
        """Fix the held models; from now on test patients may be scored, and no weight changes."""
        self.models.lock(digest)
        enter_lock(self._run, self._study.digest, digest, self.models.locked())

    def hold(self, model: str, weights: Weights) -> None:
        """Keep the weights of `model`, also for a process after this one."""
        self.models.hold(self._model(model), weights)
        self._scores.forget()

    def head(self) -> tuple[str, int]:
        """Return root and size of the study's ledger here, with the commitment to its cohort in it."""
        if not self.cohort.folds:
            raise FederationError("there is no cohort here", remedy="look at the site's data", field="site")
        return head_of(self._run)

    def summary(self) -> Said:
        """Return how the site's tables stand against its policy, and which facts were checked here."""
        return site_summary(self._run, self._study, self._site, self.cohort.cases)

    def close(self) -> None:
        """Close the study's ledger here, so that it can be opened again."""
        self._run.log.close()

    def answer(self, asked: Asked) -> NDArray[np.uint32]:
        """Return the words of an aggregate about the cohort or the scores of the models that are held."""
        self._out = self._consents.at_question(asked)
        statistic, data = self._about(asked)
        found = respond(statistic, asked.query, data)
        check_at_site(found, smallest=asked.smallest, masked=asked.smallest == 1)
        return encode(found, sites=asked.sites)

    def _about(self, asked: Asked) -> tuple[Statistic[Any, Any], Sized]:
        """Return the statistic that a query is a step of, and the site's data for it."""
        kind, _, rest = asked.subject.partition("/")
        check_alone(asked, self._site.policy())
        if self._study.privacy is not None:
            check_paid(asked)
        found: tuple[Statistic[Any, Any], Sized] | None = None
        if (kind, asked.query.name) == ("cohort", "categories"):
            counted = cells_of(self._model(rest), self.cohort, self._present, self._study)
            found = Categories(column="cell", codes=CELLS), counted
        elif (kind, asked.query.name) == (CONSENT, "categories"):
            found = STATISTIC, self._consents.standing()
        elif (kind, asked.query.name) == ("privacy", "spending") and self._privacy is not None:
            found = Spending(), self._privacy.spent()
        elif (kind, asked.query.name) == (SCORES, "scores"):
            found = Scores(), self._scores.about(rest, asked.query, hidden=asked.hidden)
        elif (kind, asked.query.name) == (SCORES, "delong"):
            data = self._scores.about(rest, asked.query, hidden=asked.hidden)
            found = DeLong(models=len(data.scores)), data
        elif (kind, asked.query.name) == (SCORES, "scores_by_group"):
            divisions = tuple(one.division for one in counted_groups(self._study)[0])
            least = self._site.policy().smallest_count
            found = (
                ScoresByGroup(divisions=divisions),
                self._scores.by_group(rest, asked.query, hidden=asked.hidden, smallest=least),
            )
        elif (kind, asked.query.name) == (EXPLAIN, "localisation"):
            found = Localisation(), self._heatmaps.about(rest, asked.query)
            self._site.policy().tell_heat()  # only now: the site's own heatmaps are made whatever may leave
        elif kind in (MOMENTS, LEVELS):
            number, _, table = rest.partition("/")
            trained = trained_on(self.cohort, self._present, number)
            self._learned.note(How.TRAINED, table.partition("/")[0], trained)
            found = self._tables.columns(kind, table, trained, self._site.policy())
        elif kind == REGRESSION and self._study.active is None:
            what, _, name = rest.partition("/")
            model = self._model(name)
            rows = self._rows(model, Part.TRAIN)
            self._note(How.TRAINED, name, rows)
            found = self._tables.regression(what, model, self._data(model.fold), rows)
        elif kind == COMBAT:
            found = self._harmony.features(rest, hidden=asked.hidden)
        elif kind in KINDS and self._labelling is not None:
            found = self._labelling.about(asked.subject)
        if found is None:
            raise FederationError(
                f"nothing is known here of {asked.query.name} of {asked.subject[:80]}",
                remedy="run the same version of huizhen everywhere",
                field="subject",
            )
        return found

    @property
    def _present(self) -> tuple[Case, ...]:
        """The cohort's patients without those who are left out."""
        return tuple(case for case in self.cohort.cases if case.pseudonym not in self._out)
