"""A study's training patients with risks from models that did not see them: by folds, before the lock.

Only training patients take part: tuning, tested and external patients are put aside by the study's own split
before an outcome is looked at here. The model is small on purpose, so that an audit takes minutes: features
of the study's encoders, frozen, averaged over a patient's images and reduced to principal components; the
encoded tables; penalised regression. Linked patients (a shared image) stay in one fold.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from huizhen.core.cohort import Case, Part
from huizhen.core.digests import digest_value
from huizhen.core.progress import Progress
from huizhen.core.streams import stream, stream_seed
from huizhen.core.study import ImageModality, Role, Study, TableModality
from huizhen.core.study_file import load_study, study_roots
from huizhen.data.cache import Cache
from huizhen.data.intake import Intake, intake
from huizhen.data.linkage import Groups
from huizhen.data.pack import images_of, pack_images
from huizhen.data.splits import split_cohort
from huizhen.data.tables import TableEncoding
from huizhen.errors import DataError, StudyError
from huizhen.pipeline.consent_lists import barred_at
from huizhen.pipeline.labels.table import AuditInput
from huizhen.train.features import cached_features
from huizhen.train.table_regression import INNER_FOLDS, penalised_regression

if TYPE_CHECKING:
    from huizhen.federate.site.folder import SiteFolder

__all__ = [
    "FOLDS",
    "REPEATS",
    "AuditMaterial",
    "audit_material",
    "grouped_folds",
    "linked_groups",
    "out_of_sample_risks",
    "study_risks",
    "training_cases",
]

FOLDS = 5
REPEATS = 3
COMPONENTS = 48
"""Principal components of a modality's features at most."""

ROWS = 256
"""Images whose features are averaged at a time."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditMaterial:
    """What is known of the training cases: image features by modality (n, D), NaN where absent; tables."""

    cases: tuple[Case, ...]
    outcome: Ints
    images: dict[str, Floats]
    tables: tuple[TableModality, ...]


def study_risks(
    study_file: Path,
    *,
    site: SiteFolder | None,
    data_root: Path | None,
    cache: Path,
    progress: Progress,
    seed: int,
    home: Path | None = None,
) -> AuditInput:
    """Return the training patients of a study with their labels and out-of-sample risks.

    With `site`, only that site's sources are read, from its data folder: in a federation each hospital
    audits its own. Who withdrew is left out, by the site's list or that in `home`. Raises `StudyError` for a
    study of a table or one that doesn't name the site, `DataError` with too few patients of a class, and what
    intake raises.
    """
    whole = load_study(study_file)
    study, roots = _own_part(whole, study_file, site, data_root)
    held = Cache(cache)
    taken = intake(
        study,
        roots=roots,
        pseudonym_secret=secrets.token_bytes(32),
        cache=held,
        progress=progress,
        barred=barred_at(site, home),
        asked=whole,
    )
    cases = training_cases(taken, study)
    _check_classes(cases)
    material = audit_material(cases, taken, study, held, progress)
    groups = linked_groups(cases, taken.links)
    risk = out_of_sample_risks(material, groups, seed, progress)
    names = [each[0] if len(each) == 1 else word for each, word in _named(study)]
    sites = {case.site for case in cases}
    named = tuple(f"{c.site}/{c.patient_id}" if len(sites) > 1 else c.patient_id for c in cases)
    return AuditInput(
        name=study.name,
        unit="patient",
        case=named,
        patient=tuple(f"group {k}" for k in groups),
        classes=(names[0], names[1]),
        label=material.outcome,
        probability=np.column_stack([1 - risk, risk]),
        read=None,
        readers=(),
        left_out={},
        digest=digest_value([study.digest, sorted([c.site, c.patient_id, c.outcome] for c in cases)]),
        origin={
            "kind": "study",
            "study": study.digest,
            "patients": len(cases),
            "folds": FOLDS,
            "repeats": REPEATS,
            "tested_in_turn": study.split.method == "folds",
        },
    )


def _own_part(
    study: Study, file: Path, site: SiteFolder | None, data_root: Path | None
) -> tuple[Study, list[Path]]:
    """Return the study and where its data lies; with a site, the part of it that is that site's."""
    if study.is_given:
        raise StudyError(
            "judges a table of somebody else's model",
            remedy="audit the table itself: huizhen data audit-labels predictions.csv",
            file=str(file),
        )
    if site is None:
        if study.federation is not None:
            raise StudyError(
                "its sites keep their data to themselves",
                remedy="audit at each hospital, with --site and its folder",
                field="federation",
                file=str(file),
            )
        inside = [one for one in study.site if one.role is Role.DEVELOPMENT]
        return study.model_copy(update={"site": inside}), study_roots(file, data_root)
    own = [one for one in study.site if one.name == site.name and one.role is Role.DEVELOPMENT]
    if not own:
        raise StudyError(
            f"has no development site {site.name}",
            remedy="name a study that this hospital trains in: one that only tests has nothing to audit",
            file=str(file),
        )
    return study.model_copy(update={"site": own}), [site.data, file.parent]


def training_cases(taken: Intake, study: Study) -> tuple[Case, ...]:
    """Return the cases that stand in training alone by the study's first division, with an outcome.

    Nothing else of the cohort is given on, so that no later step can read another patient's outcome.
    """
    first = split_cohort(taken.cohort, study, taken.links)[0]
    return tuple(
        case
        for case in taken.cohort.cases
        if first.parts[case.pseudonym] is Part.TRAIN and case.outcome is not None
    )


def _check_classes(cases: Sequence[Case]) -> None:
    counts = np.bincount([int(case.outcome == 1) for case in cases], minlength=2)
    if counts.min() < FOLDS * INNER_FOLDS:
        raise DataError(
            f"{counts[1]} positive and {counts[0]} negative training patients are too few for folds",
            remedy=f"gather at least {FOLDS * INNER_FOLDS} of each, or audit a table of probabilities",
            field="task",
        )


def _named(study: Study) -> tuple[tuple[tuple[str, ...], str], tuple[tuple[str, ...], str]]:
    """Return what the negative and the positive class are called, and words where that is several values."""
    return (study.task.negative, "negative"), (study.task.positive, "positive")


def audit_material(
    cases: tuple[Case, ...], taken: Intake, study: Study, cache: Cache, progress: Progress
) -> AuditMaterial:
    """Return the features of the cases, their images encoded by the study's frozen encoders."""
    images = {
        modality.name: _pooled(cases, taken, modality, study.seed, cache, progress)
        for modality in study.image_modalities
        if images_of(cases, modality.name)
    }
    outcome = np.array([int(case.outcome == 1) for case in cases], dtype=np.int64)
    return AuditMaterial(cases=cases, outcome=outcome, images=images, tables=tuple(study.table_modalities))


def _pooled(
    cases: Sequence[Case], taken: Intake, modality: ImageModality, seed: int, cache: Cache, progress: Progress
) -> Floats:
    """Return each case's mean feature vector (n, D) over its images, NaN where it has none."""
    located = images_of(cases, modality.name)
    pack = pack_images(located, taken.readers, modality, cache, progress)
    features = cached_features(pack, modality, cache, copies=1, seed=seed, progress=progress)
    blocks = [
        features[k : k + ROWS, 0].astype(np.float32).mean(axis=1) for k in range(0, len(features), ROWS)
    ]
    means = np.concatenate(blocks).astype(np.float64)  # (images, D)
    found = np.full((len(cases), means.shape[1]), np.nan)
    for row, case in enumerate(cases):
        if bag := case.images.get(modality.name):
            found[row] = means[pack.rows(bag)].mean(axis=0)
    return found


def linked_groups(cases: Sequence[Case], links: Groups) -> Ints:
    """Return the group (n,) of each case: linked patients share one."""
    leader = {name: group[0] for group in links for name in group}
    names = [leader.get(case.pseudonym, case.pseudonym) for case in cases]
    place = {name: k for k, name in enumerate(dict.fromkeys(names))}
    return np.array([place[name] for name in names], dtype=np.int64)


def grouped_folds(outcome: Ints, group: Ints, folds: int, draw: np.random.Generator) -> Ints:
    """Return the fold (n,) of each case: groups whole, those with the event dealt out first.

    >>> fold = grouped_folds(np.array([0, 0, 1, 1]), np.array([0, 1, 2, 2]), 2, np.random.default_rng(1))
    >>> bool(fold[2] == fold[3] and fold[0] != fold[1])
    True
    """
    names = draw.permutation(np.unique(group))
    events = np.array([outcome[group == name].max() for name in names])
    order = names[np.argsort(-events, kind="stable")]
    fold_of = {int(name): k % folds for k, name in enumerate(order)}
    return np.array([fold_of[int(name)] for name in group], dtype=np.int64)


def out_of_sample_risks(
    material: AuditMaterial, group: Ints, seed: int, progress: Progress, *, repeats: int = REPEATS
) -> Floats:
    """Return each case's risk (n,) by models that did not see its group, the mean over the repeats."""
    n = len(material.cases)
    total = np.zeros(n)
    with progress.track("audit_folds", FOLDS * repeats) as advance:
        for repeat in range(repeats):
            fold = grouped_folds(material.outcome, group, FOLDS, stream(seed, "label audit", repeat))
            for k in range(FOLDS):
                train, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
                design = _design(material, train)
                fitted = penalised_regression(
                    design[train], material.outcome[train], stream_seed(seed, "label audit", repeat, k)
                )
                total[test] += expit(fitted.logits(design[test]))
                advance(1)
    return total / repeats


def _design(material: AuditMaterial, train: Ints) -> Floats:
    """Return the columns (n, p) of all cases, scales and components learned from the rows `train` alone."""
    parts: list[Floats] = []
    for block in material.images.values():
        there = ~np.isnan(block[:, 0])
        learned = train[there[train]]
        parts.append((~there).astype(np.float64)[:, None])
        if learned.size > 1:
            parts.append(_components(block, there, learned))
    for modality in material.tables:
        empty = dict.fromkeys((*modality.numeric, *modality.categorical))
        rows = [case.covariates.get(modality.name, empty) for case in material.cases]
        encoding = TableEncoding.fit([rows[k] for k in train], modality)
        values, present = encoding.apply_all(rows)
        parts += [values.astype(np.float64), (~present).astype(np.float64)]
    return np.concatenate(parts, axis=1)


def _components(block: Floats, there: NDArray[np.bool_], learned: Ints) -> Floats:
    """Return the first principal components (n, c) of standardised features, 0 where they are absent."""
    mean, spread = block[learned].mean(axis=0), block[learned].std(axis=0)
    scaled = np.where(there[:, None], (block - mean) / np.maximum(spread, 1e-9), 0.0)
    _, size, axes = np.linalg.svd(scaled[learned], full_matrices=False)
    count = min(COMPONENTS, learned.size // 8 + 1, len(size))
    return np.asarray(scaled @ axes[:count].T / np.maximum(size[:count] / np.sqrt(learned.size), 1e-9))
