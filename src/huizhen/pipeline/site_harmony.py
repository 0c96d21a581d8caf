"""Harmonised features at one site of a federation: sums for the pooled part, and the shift that stays here.

The pooled part comes with the plan that the site fixes before the first round. The site's own shift is found
once, from the training patients of the fold, or at an external site from all its patients, without outcomes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from huizhen.core.cohort import Case, Part
from huizhen.core.study import Study
from huizhen.core.study_harmonisation import Harmonisation
from huizhen.errors import FederationError
from huizhen.federate.statistics.combat import Combat, Features, features_of
from huizhen.federate.statistics.components import Components
from huizhen.pipeline.cohort_stage import OpenCohort
from huizhen.pipeline.federated_harmony import combat_of
from huizhen.pipeline.harmonise_fit import prior_of
from huizhen.pipeline.learned_from import How
from huizhen.pipeline.material import Material
from huizhen.pipeline.site_tables import SiteTables
from huizhen.train.harmony import Harmony, patient_means, with_found_site

__all__ = ["SiteHarmony"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class SiteHarmony:
    """The harmonisation of `study` at one site.

    `development` and `cohort` give the site's patients when they are needed, `out` who permits the use no
    more; `note` is told whose features are summed.
    """

    study: Study
    tables: SiteTables
    development: Callable[[], Material]
    cohort: Callable[[], OpenCohort]
    out: Callable[[], frozenset[str]]
    note: Callable[[How, str, Sequence[Case]], None]
    _found: dict[int, dict[str, Harmony]] = field(default_factory=dict)

    def features(self, subject: str, *, hidden: bool) -> tuple[Combat | Components, Features]:
        """Return the statistic of "FOLD/MODALITY" and the training patients' features.

        `hidden`: for a secure sum; otherwise `FederationError`, since these would be the site's own means,
        and for a fold or modality that there isn't.
        """
        number, _, name = subject.partition("/")
        known = name in {m.name for m in self.study.image_modalities}
        known = known and number.isdecimal() and int(number) < len(self.cohort().folds)
        if self.study.harmonisation is None or not known:
            raise FederationError(
                f"no features of {subject[:80]} are harmonised",
                remedy="run the same version of huizhen everywhere",
                field="subject",
            )
        if not hidden:
            raise FederationError(
                "means of a site's features leave it in a secure sum only",
                remedy="harmonise over two or more development sites",
                field="harmonisation",
            )
        material = self.development()
        rows = self._trained(material, int(number), name)
        self.note(How.TRAINED, name, [material.cases[row] for row in rows])
        outcome = self._outcome(material, rows)
        return combat_of(self.study, name), features_of(*self._of(material, name, rows), outcome=outcome)

    def _outcome(self, material: Material, rows: NDArray[np.int64]) -> Floats:
        """Return the outcome (n,) of some patients, NaN where it isn't known."""
        known = [material.cases[row].outcome for row in rows]
        return np.array([np.nan if outcome is None else float(outcome) for outcome in known], np.float64)

    def _trained(self, material: Material, fold: int, modality: str) -> NDArray[np.int64]:
        """Return the rows of a fold's training patients who have a modality and may be used."""
        parts, out = self.cohort().folds[fold].parts, self.out()
        wanted = [
            parts[case.pseudonym] is Part.TRAIN and case.pseudonym not in out and modality in case.images
            for case in material.cases
        ]
        return np.flatnonzero(wanted)

    def _of(self, material: Material, modality: str, rows: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Return features (n, D) and covariates (n, q) of some patients; an unknown outcome is NaN."""
        keep = (self.study.harmonisation or Harmonisation()).keep
        column, _ = material.columns.made[modality]
        covariates = self._outcome(material, rows).reshape(-1, 1) if keep else np.zeros((len(rows), 0))
        return patient_means(column, rows), covariates

    def harmonies(self, fold: int, material: Material) -> dict[str, Harmony]:
        """Return each modality's harmony in a fold with this site's shift; none without harmonisation.

        `material` holds the patients in question: an external site's shift is found from them.
        Raises `DataError` where there are too few.
        """
        if self.study.harmonisation is None:
            return {}
        if fold not in self._found:
            found = self.tables.harmonies(fold)
            self._found[fold] = {name: self._here(name, h, fold, material) for name, h in found.items()}
        return self._found[fold]

    def _here(self, modality: str, harmony: Harmony, fold: int, material: Material) -> Harmony:
        """Return a harmony with this site's shift, if it has any patient with the modality."""
        plan = self.study.harmonisation or Harmonisation()
        training = bool(self.cohort().within(Part.TRAIN, Part.TUNE))
        if training:
            material = self.development()
            rows = self._trained(material, fold, modality)
        else:
            rows = np.flatnonzero([modality in case.images for case in material.cases])
        if not rows.size:
            return harmony
        y, c = self._of(material, modality, rows)
        return with_found_site(
            y,
            harmony,
            c,
            prior=prior_of(plan),
            mean_only=plan.mean_only,
            site=self.tables.site,
            training=training,
        )
