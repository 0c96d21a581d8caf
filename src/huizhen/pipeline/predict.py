"""Prediction with a locked model: risks for new patients, streamed, from the bundle alone."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit, logit

from huizhen.core.cohort import Case, Exclusion, ImageRecord
from huizhen.core.digests import Digest
from huizhen.core.files import write_text
from huizhen.core.progress import Progress
from huizhen.core.study import ImageModality, Study, TableModality, Variant
from huizhen.core.study_unlabelled import load_unlabelled
from huizhen.core.table_cells import csv_text
from huizhen.data.cache import Cache
from huizhen.data.pack import shown_picture
from huizhen.data.preprocess import PREPROCESSING_VERSION, letterbox
from huizhen.data.readers.interface import Reader
from huizhen.data.tables import TableEncoding
from huizhen.data.unlabelled import Unlabelled, unlabelled_cases
from huizhen.errors import InvalidInputError, ModelError, StorageError
from huizhen.models.build import build_network
from huizhen.models.bundle import Bundle, load_bundle
from huizhen.models.bundle_members import check_preprocessing, load_weights, weights_of_members
from huizhen.models.encoders.choose import make_encoder
from huizhen.models.encoders.interface import Encoder
from huizhen.models.network import Network
from huizhen.pipeline.covariates import covariates_of
from huizhen.pipeline.material import slices_of
from huizhen.pipeline.predict_harmony import (
    Chunk,
    Harmonies,
    bundled_harmonies,
    data_of,
    kept_in,
    plan_of,
    site_harmonies,
)
from huizhen.train.arrays import ImageColumn
from huizhen.train.features import encode_images
from huizhen.train.fit import predict_logits
from huizhen.train.harmony import harmonised

CHUNK = 64
"""Cases predicted at a time: what is in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One network of the model, of one fold, with that fold's table encodings."""

    fold: int
    network: Network
    encodings: Mapping[str, TableEncoding]


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """What was written: the table, by which model, how many patients are in it, and what was left out.

    `model` is the bundle's digest. A patient left out is named by its own id: show counts, not subjects.
    """

    table: Path
    model: Digest
    patients: int
    left_out: tuple[Exclusion, ...]


def predict(
    model: Path,
    sources: Path,
    *,
    out: Path,
    progress: Progress,
    roots: Sequence[Path] = (),
    expected: Digest | None = None,
) -> Predicted:
    """Write the risks of all patients at the sites of the study file `sources` to the CSV `out`.

    `expected` is the digest that the model must have: anybody can make a bundle that is whole in itself.
    Columns: patient, site, present:<modality>, risk, decision. Outcomes are not read and need not be there.
    The patients' own ids are in the table, so it stays at the hospital. An existing `out` is not overwritten.
    Raises `ModelError` when the bundle is not whole or doesn't fit the sources, and what the readers raise.
    """
    if out.exists():
        raise StorageError("exists already", remedy="choose another --out", file=str(out))
    bundle = load_bundle(model, expected=expected)
    study = _study_of(bundle, load_unlabelled(sources))
    members, encoders = _members(bundle, study), _encoders(bundle, study)
    with tempfile.TemporaryDirectory(prefix="huizhen-") as scratch:
        found = unlabelled_cases(
            study,
            roots=[*roots, sources.parent.resolve()],
            cache=Cache(Path(scratch)),
            progress=progress,
        )
        chunks = _chunks(found, study, encoders, progress)
        harmonies: Harmonies = {}
        if study.harmonisation is not None:
            held = [kept_in(Path(scratch), number, chunk) for number, chunk in enumerate(chunks)]
            encodings = {member.fold: member.encodings for member in members}
            harmonies = site_harmonies(study, bundled_harmonies(bundle), encodings, held)
            chunks = iter(held)
        rows = [row for chunk in chunks for row in _rows(study, bundle, members, chunk, harmonies)]
    names = [f"present:{m.name}" for m in study.modality]
    write_text(out, csv_text([["patient", "site", *names, "risk", "decision"], *rows]))
    return Predicted(table=out, model=bundle.digest, patients=len(rows), left_out=found.exclusions)


def _study_of(bundle: Bundle, sources: Study) -> Study:
    """Return the sources' study with everything scientific taken from the model's card.

    A hospital need not have all of the model's modalities.
    """
    card = bundle.card
    check_preprocessing(bundle)
    if not {m.name for m in sources.modality} <= {m.name for m in card.modalities}:
        raise ModelError(
            "the study file names other modalities than the model",
            remedy=f"use {', '.join(m.name for m in card.modalities)}",
            field="modality",
        )
    stated = {p["version"] for p in card.preprocessing.values() if "version" in p}
    if stated - {PREPROCESSING_VERSION}:
        raise ModelError(
            "was made with another version of preprocessing", remedy="use the huizhen version that made it"
        )
    modes = {str(p["mode"]) for p in card.preprocessing.values() if "mode" in p}
    mode = modes.pop() if modes else "frozen"
    training = sources.training.model_copy(update={"mode": mode, "lesion_weight": 0.0})
    return sources.model_copy(
        update={
            "modality": list(card.modalities),
            "network": card.network,
            "task": card.task,
            "training": training,
            "harmonisation": plan_of(bundle),
        }
    )


def _members(bundle: Bundle, study: Study) -> list[Member]:
    """Return the model's networks with their weights."""
    names = [m.name for m in study.modality]
    members: list[Member] = []
    for (fold, member), weights in weights_of_members(bundle).items():
        encodings = {m.name: _encoding(bundle, m, fold) for m in study.table_modalities}
        network = build_network(
            study,
            Variant.CMAN,
            names,
            slices_of(encodings),
            frozen=study.training.mode == "frozen",
            seed=0,
        )
        load_weights(network, weights, field=f"fold{fold}/{member}")
        members.append(Member(fold=fold, network=network.eval(), encodings=encodings))
    return members


def _encoding(bundle: Bundle, modality: TableModality, fold: int) -> TableEncoding:
    """Return a table modality's encoding in one fold, as the card holds it. Raises `ModelError`."""
    record = bundle.card.preprocessing[modality.name].get(f"fold{fold}")
    try:
        if not isinstance(record, dict):
            raise InvalidInputError("lacks a table encoding", remedy="save the model again")
        return TableEncoding.from_json(record)
    except InvalidInputError as error:
        raise ModelError(error.message, remedy=error.remedy, field=modality.name) from error


def _encoders(bundle: Bundle, study: Study) -> dict[str, Encoder]:
    """Return the frozen encoders that the bundle carries; none for a fine-tuned model."""
    if study.training.mode != "frozen":
        return {}
    found: dict[str, Encoder] = {}
    for modality in study.image_modalities:
        encoder = make_encoder(modality.model_copy(update={"pretrained": False}))
        prefix = f"encoder/{modality.name}/"
        own = {n.removeprefix(prefix): value for n, value in bundle.weights.items() if n.startswith(prefix)}
        load_weights(encoder, own, field=prefix)
        found[modality.name] = encoder.eval().requires_grad_(False)
    return found


def _chunks(
    found: Unlabelled, study: Study, encoders: Mapping[str, Encoder], progress: Progress
) -> Iterator[Chunk]:
    """Yield some cases at a time, with their images."""
    with progress.track("predict", len(found.cases)) as advance:
        for start in range(0, len(found.cases), CHUNK):
            cases = found.cases[start : start + CHUNK]
            images = {m.name: _images(m, cases, found.readers, encoders) for m in study.image_modalities}
            yield Chunk(cases=tuple(cases), images=images)
            advance(len(cases))


def _rows(
    study: Study, bundle: Bundle, members: Sequence[Member], chunk: Chunk, harmonies: Harmonies
) -> list[list[object]]:
    """Return the rows of the table of a few cases."""
    risk, decision = _risk(study, bundle, members, chunk, harmonies)
    return [
        [
            c.patient_id,
            c.site,
            *(int(m.name in c.modalities) for m in study.modality),
            repr(float(r)),
            int(d),
        ]
        for c, r, d in zip(chunk.cases, risk, decision, strict=True)
    ]


def _images(
    modality: ImageModality,
    cases: Sequence[Case],
    readers: Mapping[tuple[str, int], Reader],
    encoders: Mapping[str, Encoder],
) -> ImageColumn:
    """Return one modality's images of some cases, as pixels or as features."""
    bags = [case.images.get(modality.name, ()) for case in cases]
    shape = (modality.channels, modality.size, modality.size)
    pixels = [
        _square(readers[case.site, r.source], r, modality)
        for case, bag in zip(cases, bags, strict=True)
        for r in bag
    ]
    payload: NDArray[Any] = np.stack(pixels) if pixels else np.zeros((0, *shape), np.uint8)
    frozen = modality.name in encoders
    if frozen and pixels:
        payload = encode_images(encoders[modality.name], payload, copies=1, generator=torch.Generator())
    elif frozen:
        side = modality.size // encoders[modality.name].stride
        payload = np.zeros((0, 1, side * side, encoders[modality.name].channels), np.float16)
    return ImageColumn(
        payload=payload,
        where=np.arange(len(payload), dtype=np.int64),
        offsets=np.concatenate([[0], np.cumsum([len(bag) for bag in bags])]).astype(np.int64),
        features=frozen,
    )


def _square(reader: Reader, record: ImageRecord, modality: ImageModality) -> NDArray[np.uint8]:
    """Return an image as the network's square (C, S, S)."""
    shown = shown_picture(reader, record, reader.pixels(record), None, modality)
    return letterbox(shown.pixels, size=modality.size, channels=modality.channels, phases=modality.phases)


def _risk(
    study: Study,
    bundle: Bundle,
    members: Sequence[Member],
    chunk: Chunk,
    harmonies: Harmonies,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return risks and decisions: members averaged within a fold, calibrated folds averaged on log-odds."""
    names, cases = tuple(m.name for m in study.modality), chunk.cases
    by_fold: dict[int, list[NDArray[np.float64]]] = {}
    for member in members:
        data = data_of(study, chunk, member.encodings)
        if study.harmonisation is not None:
            kept = covariates_of(study, data, member.encodings).values
            data = harmonised(data, harmonies.get(member.fold, {}), [case.site for case in cases], kept)
        rows = np.arange(len(cases))
        by_fold.setdefault(member.fold, []).append(predict_logits(member.network, data, rows, names))
    odds, cut = np.zeros(len(cases)), 0.0
    for fold, logits in by_fold.items():
        how = bundle.card.calibration[f"cman/fold{fold}"]
        odds += how.intercept + how.slope * np.mean(logits, axis=0)
        cut += float(logit(np.clip(bundle.card.thresholds[f"cman/fold{fold}"], 1e-12, 1 - 1e-12)))
    return expit(odds / len(by_fold)), odds / len(by_fold) >= cut / len(by_fold)
