"""Heatmaps at a site: of its own tested patients, by the locked model, into its own folder.

Overlays and DICOM objects stay there. What may leave are sums of how well heat points at lesions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from huizhen.core.cohort import Part
from huizhen.core.digests import Digest
from huizhen.core.files import write_json
from huizhen.core.predictions import Predictions
from huizhen.core.study import ImageModality, Variant
from huizhen.errors import FederationError
from huizhen.explain.localisation import LocalisationRow, patient_shares
from huizhen.federate.statistics.interface import Query
from huizhen.federate.statistics.localisation import Pointing
from huizhen.pipeline.asked import Asked
from huizhen.pipeline.cohort_stage import OpenCohort
from huizhen.pipeline.explain_stage import Shown, explained
from huizhen.pipeline.federated_plan import CALIBRATION, folds_of
from huizhen.pipeline.material import open_readers
from huizhen.pipeline.site_models import LOCKED, SiteModels
from huizhen.pipeline.site_scores import SiteScores
from huizhen.pipeline.stage import Made, Run, Stage

ROWS = "localisation.json"
CMAN = Variant.CMAN.value


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteHeatmaps:
    """The heatmaps of the locked `models` at one site; `unsealed` gives its patients with all outcomes."""

    run: Run
    models: SiteModels
    scores: SiteScores
    unsealed: Callable[[], OpenCohort]

    def about(self, subject: str, query: Query) -> Pointing:
        """Return how well heat points at lesions ("PART/MODALITY"), making the part's heatmaps if need be.

        The query's calibration (folds, 3) is slope, intercept and threshold (as log-odds) in each fold.
        Raises `FederationError` before the lock, or on a part or modality that there isn't.
        """
        part, _, name = subject.partition("/")
        modality = next((m for m in self.run.study.image_modalities if m.name == name), None)
        if modality is None or part not in (Part.TEST.value, Part.EXTERNAL.value):
            raise FederationError(
                f"no heatmaps are made of {subject[:80]}",
                remedy="run the same version of huizhen everywhere",
                field="subject",
            )
        if not self.models.locked():
            raise FederationError(
                "heatmaps are made only after the models are locked",
                remedy="lock the models first",
                field="lock",
            )
        how = query.array(CALIBRATION, folds_of(self.run.study), 3)
        return _pointing(self._stage(Part(part), how), modality)

    def _stage(self, part: Part, how: NDArray[np.float64]) -> Stage:
        """Return the stage of one part's heatmaps."""
        cohort = self.unsealed()
        locked = self.models.folder / LOCKED
        digests = self.models.locked()

        def body(folder: Path) -> Made:
            shown = Shown(
                run=self.run,
                cohort=cohort,
                predictions={part: self._table(part, how)},
                material=self.scores.material(part),
                readers=open_readers(self.run),
                model_digest=self.models.lock_digest(),
                made_at=datetime.fromtimestamp(int(locked.stat().st_mtime), UTC),
            )
            evidence, rows = explained(shown, self._networks(part), folder)
            plain = {
                modality: [[row.pseudonym, row.hit, row.energy, row.area_share] for row in found]
                for (_, modality), found in rows.items()
            }
            write_json(folder / ROWS, plain)
            return Made(evidence=evidence)

        made_from = {f"weights of {name}": Digest(digest) for name, digest in digests.items()}
        inputs: list[object] = [cohort.stage.digest, digests, part.value, how.tolist()]
        inputs += [sorted(out)] if (out := self.scores.out()) else []
        return self.run.stage(
            f"explain/{part.value}", inputs, body, made_from={"cohort": cohort.stage.digest, **made_from}
        )

    def _networks(self, part: Part) -> Iterator[Asked]:
        """Yield CMAN's networks, one after the other."""
        for name, model in self.models.models.items():
            if model.planned.variant is Variant.CMAN:
                yield Asked(
                    network=self.models.held(name)[0],
                    modalities=model.planned.modalities,
                    fold=model.fold,
                    encodings=self.scores.encodings(model.fold),
                    harmonies=self.scores.harmonies(model.fold, self.scores.material(part)),
                )

    def _table(self, part: Part, how: NDArray[np.float64]) -> Predictions:
        """Return the risks and decisions of one part's patients."""
        cases = self.scores.material(part).cases
        odds = self.scores.odds(part, None, CMAN, how[:, :2])
        standing = np.array([self.scores.standing(part, fold) for fold in range(len(how))])
        cut = (standing * how[:, 2:]).sum(0) / np.maximum(standing.sum(0), 1)
        known = np.flatnonzero(np.isfinite(odds))
        return Predictions(
            patient=np.array([cases[i].pseudonym for i in known]),
            site=np.array([cases[i].site for i in known]),
            part=part,
            outcome=np.array([cases[i].outcome == 1 for i in known]),
            risk={CMAN: expit(odds[known])},
            decision={CMAN: odds[known] >= cut[known]},
        )


def _pointing(stage: Stage, modality: ImageModality) -> Pointing:
    """Return the shares of each patient that a stage keeps."""
    rows = [
        LocalisationRow(pseudonym=name, hit=hit, energy=energy, area_share=area)
        for name, hit, energy, area in stage.read(ROWS).get(modality.name, [])
    ]
    hit, energy, area = patient_shares(rows)
    return Pointing(hit=hit, energy=energy, area=area, images=len(rows))
