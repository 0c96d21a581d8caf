"""Cases to predict for: intake without labels, of patients whose outcome nobody knows yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from huizhen.core.cohort import Case, Exclusion
from huizhen.core.progress import Progress
from huizhen.core.study import Study
from huizhen.data.assembly import spread, usable_cases
from huizhen.data.cache import Cache
from huizhen.data.consent.screening import today
from huizhen.data.readers.interface import Reader
from huizhen.data.readers.open import open_source
from huizhen.data.survey import survey_site
from huizhen.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlabelled:
    """Cases without an outcome, the readers that give their pixels, and what was left out."""

    cases: tuple[Case, ...]
    readers: Mapping[tuple[str, int], Reader]
    exclusions: tuple[Exclusion, ...]


def unlabelled_cases(study: Study, *, roots: Sequence[Path], cache: Cache, progress: Progress) -> Unlabelled:
    """Return every patient at the study's sites of whom something usable is left; labels are not read.

    A case's pseudonym is its patient id: the table of predictions stays where the images are. Raises
    `DataError` when nobody is left, and what the readers raise.
    """
    most = {modality.name: modality.max_images for modality in study.image_modalities}
    cases: list[Case] = []
    readers: dict[tuple[str, int], Reader] = {}
    exclusions: list[Exclusion] = []
    for site in study.site:
        survey = survey_site(
            site, study, roots=roots, cache=cache, progress=progress, open_reader=open_source, day=today()
        )
        found, left_out = usable_cases(survey.findings, study, pseudonym=str, tallies=Counter())
        readers |= survey.readers
        exclusions += left_out
        for case in found:
            bags = {name: spread(bag, most[name]) for name, bag in case.images.items()}
            cases.append(replace(case, images=bags))
    if not cases:
        raise DataError(
            "no patient has anything to predict from", remedy="check the sites' paths", field="site"
        )
    return Unlabelled(cases=tuple(cases), readers=readers, exclusions=tuple(exclusions))
