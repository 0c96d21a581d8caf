"""Write a phantom study: every patient from its own named streams, whole or absent, resumable, byte for byte.

A patient counts as whole when its receipt (truth/receipts) lists its files and they still have these digests.
The manifest comes last.
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from huizhen.core.digests import Digest, digest_bytes, digest_file, digest_value
from huizhen.core.files import storage_error, whole_folder, write_bytes, write_json
from huizhen.core.progress import Progress, Silent
from huizhen.core.streams import stream
from huizhen.data.phantom.folder import MANIFEST, PhantomFolder, read_manifest
from huizhen.data.phantom.spec import PhantomSpec
from huizhen.data.phantom.truth import latent_of, write_tables
from huizhen.errors import DataError, InvalidInputError

VERSION = 2
"""Raised whenever the same seed and specification would give other bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One patient to write; `root` is the digest that its identifiers derive from."""

    folder: Path
    spec: PhantomSpec
    hospital: str
    index: int
    seed: int
    root: Digest

    @property
    def patient_id(self) -> str:
        return self.spec.hospital(self.hospital).patient_id(self.index)

    @property
    def receipt(self) -> Path:
        return self.folder / "truth" / "receipts" / f"{self.patient_id}.json"


def generate(
    spec: PhantomSpec, folder: Path, *, seed: int, progress: Progress | None = None, workers: int = 1
) -> PhantomFolder:
    """Write the phantom study of `spec` and `seed` into `folder` and return it.

    A folder that is already whole is returned at once; one that was interrupted goes on where it stood. The
    bytes don't depend on `workers` (processes). Raises `DataError` if the folder holds another phantom study,
    `InvalidInputError` on a negative seed or no worker, `StorageError` if it can't be written.
    """
    if seed < 0 or workers < 1:
        raise InvalidInputError(
            "the seed is negative or there is no worker", remedy="use 0 or more, and 1 or more"
        )
    done = PhantomFolder(root=folder, hospitals=tuple(hospital.name for hospital in spec.hospitals))
    identity = {"version": VERSION, "seed": seed, "spec_digest": spec.digest}
    manifest = read_manifest(folder)
    if manifest is not None:
        _same(folder, {key: manifest.get(key) for key in identity}, identity)
        return done
    _claim(folder, spec, identity)
    files = _write_patients(folder, spec, seed, digest_value(identity), progress or Silent(), workers)
    files |= write_tables(folder, spec, seed)
    names = list(done.hospitals)
    write_json(folder / MANIFEST, {**identity, "phantom": True, "hospitals": names, "files": files})
    return done


def _same(folder: Path, found: object, wanted: object) -> None:
    if found != wanted:
        raise DataError(
            "the folder holds a phantom study of another seed, specification or version",
            remedy="choose an empty folder, or delete this one",
            file=str(folder),
        )


def _claim(folder: Path, spec: PhantomSpec, identity: dict[str, Any]) -> None:
    """Write truth/spec.json, or find the same one there."""
    path = folder / "truth" / "spec.json"
    record = {**identity, "spec": spec.to_json()}
    if path.exists():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            found = None
        _same(folder, found, json.loads(json.dumps(record)))
    elif folder.exists() and any(not entry.name.startswith(".") for entry in folder.iterdir()):
        raise DataError(
            "the folder holds something else", remedy="choose an empty or new folder", file=str(folder)
        )
    write_json(path, record)
    _tidy(folder, spec)


def _tidy(folder: Path, spec: PhantomSpec) -> None:
    """Drop what a killed run left half written, and make the mask folders, even if nobody has a lesion."""
    try:
        for stale in sorted(folder.rglob(".*.part"), reverse=True):
            shutil.rmtree(stale) if stale.is_dir() else stale.unlink()
        for hospital in spec.hospitals:
            (folder / hospital.name / "masks").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(folder, error) from error


def _write_patients(
    folder: Path, spec: PhantomSpec, seed: int, root: Digest, progress: Progress, workers: int
) -> dict[str, str]:
    """Write every patient that is not whole yet and return file -> digest of all of them."""
    jobs = [
        _Job(folder=folder, spec=spec, hospital=hospital.name, index=index, seed=seed, root=root)
        for hospital in spec.hospitals
        for index in range(hospital.patients)
    ]
    files: dict[str, str] = {}
    with progress.track("phantom", len(jobs)) as advance:
        for job, written in zip(jobs, _run(jobs, workers), strict=True):
            files |= written
            files[str(job.receipt.relative_to(folder))] = digest_file(job.receipt)
            advance(1)
    return files


def _run(jobs: list[_Job], workers: int) -> Iterator[dict[str, str]]:
    if workers == 1:
        yield from map(_patient, jobs)
        return
    context = multiprocessing.get_context("spawn")  # torch's threads don't survive a fork
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield from pool.map(_patient, jobs, chunksize=4)


def _patient(job: _Job) -> dict[str, str]:
    """Write one patient unless it is whole, and return its files' digests."""
    whole = _whole(job)
    if whole is not None:
        return whole
    place = job.folder / job.hospital / "dicom" / job.patient_id
    try:
        if place.exists():
            shutil.rmtree(place)
    except OSError as error:
        raise storage_error(place, error) from error
    files: dict[str, str] = {}
    with whole_folder(place) as scratch:
        for path, content in _files(job):
            files[path] = digest_bytes(content)
            if path.endswith(".dcm"):
                (scratch / Path(path).name).write_bytes(content)  # the folder appears as a whole
            else:
                write_bytes(job.folder / path, content)
    write_json(job.receipt, files)
    return files


def _whole(job: _Job) -> dict[str, str] | None:
    """Return the receipt's files if every one of them is there as written, else None."""
    try:
        files: dict[str, str] = json.loads(job.receipt.read_text(encoding="utf-8"))
        whole = all(digest_file(job.folder / path) == digest for path, digest in files.items())
    except (OSError, ValueError, DataError):
        return None
    return files if whole else None


def _files(job: _Job) -> Iterator[tuple[str, bytes]]:
    """Yield the patient's files: path within the study, and content."""
    from huizhen.data.phantom.objects import Exam, encode
    from huizhen.data.phantom.rendering import mask_png, render

    hospital = job.spec.hospital(job.hospital)
    latent = latent_of(job.spec, hospital, job.index, job.seed)

    def named(name: str) -> np.random.Generator:
        return stream(job.seed, "phantom", job.hospital, job.index, name)

    pictures = render(latent, hospital, named)
    for modality, drawn in pictures.items():
        exam = Exam(
            patient_id=job.patient_id,
            modality=modality,
            hospital=job.hospital,
            scanner=hospital.scanners[modality],
            root=job.root,
        )
        for picture, content in encode(drawn, exam):
            yield f"{job.hospital}/dicom/{job.patient_id}/{picture.stem}.dcm", content
            if picture.mask is not None and picture.phase == 1 and picture.mask.any():
                yield f"{job.hospital}/masks/{exam.sop_uid(picture)}.png", mask_png(picture.mask)
