"""A study opened at one site: its own cohort, its own cache and ledger, and what it answers the lead.

Everything here runs in the site's process and reads the site's folder of data. What it returns is a change of
weights or an aggregate.
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from huizhen.core.cohort import Part
from huizhen.core.digests import canonical_json, digest_value
from huizhen.core.files import write_bytes, write_json
from huizhen.core.progress import Silent
from huizhen.core.streams import stream_seed
from huizhen.core.study import Study
from huizhen.data.cache import Cache
from huizhen.errors import FederationError, ModelError
from huizhen.federate.site.folder import SiteFolder
from huizhen.federate.site.learner import Asked, Trained
from huizhen.federate.statistics.counts import Categories
from huizhen.federate.statistics.data import Scored, Table, scored, table_of
from huizhen.federate.statistics.delong import DeLong
from huizhen.federate.statistics.fixed_point import encode
from huizhen.federate.statistics.interface import Sized, Statistic
from huizhen.federate.statistics.release import check_at_site
from huizhen.federate.statistics.runner import respond
from huizhen.federate.statistics.scores import Scores
from huizhen.federate.statistics.spending import Spending
from huizhen.federate.strategies.interface import Weights
from huizhen.ledger.log import Log
from huizhen.models.network import Network
from huizhen.pipeline.cohort_stage import OpenCohort, cohort_stage, read_cohort
from huizhen.pipeline.federated_plan import CELLS, FederatedModel, cell_of, federated_models, scores_of
from huizhen.pipeline.fit_stage import Development, network_of
from huizhen.pipeline.material import Columns, Material
from huizhen.pipeline.site_privacy import SitePrivacy
from huizhen.pipeline.stage import Run
from huizhen.train.arrays import CaseData
from huizhen.train.fit import Fit, predict_logits
from huizhen.train.local import LocalFit, own_weights, shared_weights

LOCKED = "locked.json"


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
    )
    return SiteLearner(study=study, run=run, site=folder)


def digest_weights(weights: Weights) -> str:
    """Return the SHA-256 over names, shapes and bytes of `weights`, in the order of names."""
    found = hashlib.sha256()
    for name in sorted(weights):
        array = np.asarray(weights[name])
        found.update(canonical_json([name, list(array.shape), str(array.dtype)]))
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


@final
class SiteLearner:
    """One study at one site."""

    def __init__(self, *, study: Study, run: Run, site: SiteFolder) -> None:
        self._study, self._run, self._site = study, run, site
        self._models = {model.name: model for model in federated_models(study)}
        self._held: dict[str, Network] = {}
        self._digests: dict[str, str] = {}
        self._scores: dict[tuple[str, ...], NDArray[np.float64]] = {}

    @cached_property
    def cohort(self) -> OpenCohort:
        """The site's own cohort and split; outcomes of test patients are sealed."""
        return cohort_stage(self._run)

    @cached_property
    def _unsealed(self) -> OpenCohort:
        """The cohort with every outcome, read when the lead asks about the locked model."""
        return read_cohort(self.cohort.stage, unsealed=True)

    @cached_property
    def _development(self) -> Development:
        return Development(self._run, self.cohort)

    @cached_property
    def _data(self) -> CaseData:
        return self._development.material.data({})

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
        return self._development.rows(self.cohort.folds[0], part, self._data, model.planned.modalities)

    def patients(self, model: str) -> int:
        """Return how many patients train `model` here."""
        return len(self._rows(self._model(model), Part.TRAIN))

    def train(self, model: str, round_number: int, weights: Weights) -> Trained:
        """Train `model` for one round from `weights`."""
        planned = self._model(model)
        if self._locked():
            raise FederationError(
                "the models are locked, and nothing is trained again",
                remedy="a changed model is another study: sign a new one",
                field="lock",
            )
        federation = self._study.federation
        if federation is None:
            raise FederationError("the study has no [federation]", remedy="add it to the study")
        fit = Fit(
            study=self._study,
            data=self._data,
            names=planned.planned.modalities,
            train=self._rows(planned, Part.TRAIN),
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
            patients=len(self._development.rows(self.cohort.folds[0], Part.TRAIN, self._data, names)),
        )

    def _rounds(self, model: str) -> Path:
        """Return where the rounds of a model keep what lasts."""
        return self._run.folder / "rounds" / digest_value(model)[:16]

    def _network(self, model: FederatedModel) -> Network:
        return network_of(self._run, model.planned, {}, model.seed(self._study))

    @property
    def _lock_file(self) -> Path:
        return self._run.folder / LOCKED

    def _locked(self) -> dict[str, str]:
        """Return what was locked here: model -> digest of its weights; empty before."""
        if not self._lock_file.exists():
            return {}
        return dict(json.loads(self._lock_file.read_text(encoding="utf-8"))["weights"])

    def lock(self, digest: str) -> None:
        """Fix the held models; from now on test patients may be scored, and no weight changes."""
        self._recall()
        record = {"digest": digest, "weights": dict(sorted(self._digests.items()))}
        if self._locked() not in ({}, record["weights"]):
            raise FederationError(
                "other models were locked for this study here",
                remedy="a changed model is another study: sign a new one",
                field="lock",
            )
        if not self._digests:
            raise FederationError(
                "no model is held here", remedy="send the finished weights first", field="lock"
            )
        write_json(self._lock_file, record)

    def hold(self, model: str, weights: Weights) -> None:
        """Keep the finished weights of `model`, also for a process after this one."""
        from safetensors.numpy import save

        digest = digest_weights(weights)
        if (locked := self._locked()) and locked.get(model) != digest:
            raise FederationError(
                "the models are locked, and these are other weights",
                remedy="a changed model is another study: sign a new one",
                field="lock",
            )
        network = self._network(self._model(model))
        expected = {name: tuple(w.shape) for name, w in shared_weights(network).items()}
        if expected != {name: tuple(np.shape(w)) for name, w in weights.items()}:
            raise ModelError(
                "the finished weights are of another network",
                remedy="run the same version of huizhen everywhere",
                field="weights",
            )
        if self._digests.get(model) != digest:
            write_bytes(
                self._held_file(model), save({n: np.asarray(w, order="C") for n, w in weights.items()})
            )
        self._held[model] = self._whole(model, network, weights)
        self._scores = {}

    def _held_file(self, model: str) -> Path:
        return self._run.folder / "held" / f"{digest_value(model)[:16]}.safetensors"

    def _whole(self, model: str, network: Network, weights: Weights) -> Network:
        """Return `network` with the finished weights, and those that never left this site in their places."""
        import torch

        shared = {name: torch.tensor(np.asarray(value)) for name, value in weights.items()}
        own = own_weights(self._rounds(model))
        network.load_state_dict({**network.state_dict(), **shared, **own})
        self._digests[model] = digest_weights(weights)
        return network.eval()

    def _recall(self) -> None:
        """Take up the finished weights that a process before this one was given."""
        from safetensors.numpy import load_file

        for model in self._models:
            if model not in self._held and self._held_file(model).exists():
                weights = load_file(self._held_file(model))
                self._held[model] = self._whole(model, self._network(self._models[model]), weights)

    def answer(self, asked: Asked) -> NDArray[np.uint32]:
        """Return the words of an aggregate about the cohort or the scores of the models that are held."""
        statistic, data = self._about(asked)
        found = respond(statistic, asked.query, data)
        check_at_site(found, smallest=asked.smallest, masked=asked.smallest == 1)
        return encode(found, sites=asked.sites)

    def _about(self, asked: Asked) -> tuple[Statistic[Any, Any], Sized]:
        """Return the statistic that a query is a step of, and the site's data for it."""
        kind, _, rest = asked.subject.partition("/")
        found: tuple[Statistic[Any, Any], Sized] | None = None
        if (kind, asked.query.name) == ("cohort", "categories"):
            found = Categories(column="cell", codes=CELLS), self._cells(rest)
        elif (kind, asked.query.name) == ("privacy", "spending") and self._privacy is not None:
            found = Spending(), self._privacy.spent()
        elif (kind, asked.query.name) == ("scores", "scores"):
            found = Scores(), self._scored(rest)
        elif (kind, asked.query.name) == ("scores", "delong"):
            data = self._scored(rest)
            found = DeLong(models=len(data.scores)), data
        if found is None:
            raise FederationError(
                f"nothing is known here of {asked.query.name} of {asked.subject[:80]}",
                remedy="run the same version of huizhen everywhere",
                field="subject",
            )
        return found

    def _cells(self, model: str) -> Table:
        """Return one number a patient: its part and outcome, of patients whom `model` can answer."""
        names = set(self._model(model).planned.modalities)
        parts = self.cohort.folds[0].parts
        cells = [
            [float(cell_of(parts[case.pseudonym], case.outcome))]
            for case in self._unsealed.cases
            if names & case.modalities
        ]
        return table_of(("cell",), np.array(cells, np.float64).reshape(-1, 1))

    def _scored(self, subject: str) -> Scored:
        """Return outcome and risks of the patients of one part whom all models named can answer."""
        asked = scores_of(subject)
        if asked.part not in (Part.TRAIN, Part.TUNE) and not self._locked():
            raise FederationError(
                "test patients are scored only after the models are locked",
                remedy="lock the models first",
                field="lock",
            )
        cases = [
            case for case in self._unsealed.cases if self.cohort.folds[0].parts[case.pseudonym] is asked.part
        ]
        outcome = np.array([case.outcome == 1 for case in cases], bool)
        odds = np.array([self._odds(asked.part, name) for name in asked.models]).reshape(-1, len(cases))
        known = np.isfinite(odds).all(0)
        return scored(outcome[known], expit(odds[:, known]))

    def _odds(self, part: Part, model: tuple[str, float, float]) -> NDArray[np.float64]:
        """Return the mean log-odds of a model's members for the patients of `part`, calibrated or not."""
        raw, slope, intercept = model
        key = (part.value, raw)
        if key not in self._scores:
            members = [m for m in self._models.values() if m.planned.name == raw]
            self._scores[key] = np.mean([self._logits(part, m) for m in members], axis=0)
        return np.asarray(intercept + slope * self._scores[key])

    def _logits(self, part: Part, model: FederatedModel) -> NDArray[np.float64]:
        """Return one held model's log-odds for the patients of `part`."""
        self._recall()
        if model.name not in self._held:
            raise FederationError(
                f"the weights of {model.name} are not held here",
                remedy="send the finished weights first",
                field="model",
            )
        data = self._material(part).data({})
        rows = np.arange(len(data))
        return predict_logits(self._held[model.name], data, rows, model.planned.modalities)

    def _material(self, part: Part) -> Material:
        """Return the cases of one part with their columns."""
        cases = tuple(c for c in self._unsealed.cases if self.cohort.folds[0].parts[c.pseudonym] is part)
        return Material(run=self._run, cases=cases, columns=Columns(self._run, cases, augmented=False))
