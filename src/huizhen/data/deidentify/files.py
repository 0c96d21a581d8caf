"""One file, from the hospital's disk to a released copy, or to a reason why there is none.

::

    outcome = deidentify_file(source, out, policy=policy, who=Pseudonymiser(secret=open_secret(site)))
    outcome.fate, outcome.place          # released, "P-5b1e.../2.25.../2.25.../2.25....dcm"
"""

from __future__ import annotations

import os
import tempfile
import zlib
from io import BytesIO
from pathlib import Path
from typing import IO, BinaryIO

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from huizhen import __version__
from huizhen.core.files import private_folder, storage_error
from huizhen.data.deidentify.context import Context, Rule
from huizhen.data.deidentify.decisions import UNSAID, ByPerson, Said
from huizhen.data.deidentify.elements import texts_of
from huizhen.data.deidentify.fragments import copy_pixels
from huizhen.data.deidentify.heads import check_head
from huizhen.data.deidentify.identifiers import identifiers_of
from huizhen.data.deidentify.inspecting import inspect_pixels
from huizhen.data.deidentify.key import Pseudonymiser
from huizhen.data.deidentify.marks import mark
from huizhen.data.deidentify.opening import Opened, opened
from huizhen.data.deidentify.outcome import Fate, Outcome, Reason, Refused
from huizhen.data.deidentify.pixels import PixelInspector, check_pixels, is_risky
from huizhen.data.deidentify.policy import DeidPolicy
from huizhen.data.deidentify.profile import Action, object_of
from huizhen.data.deidentify.walk import clean_dataset
from huizhen.errors import HuizhenError

__all__ = ["IMPLEMENTATION", "deidentify_dataset", "deidentify_file"]

IMPLEMENTATION = "2.25.147290537240538262410423867102957610734"
"""Implementation Class UID (0002,0012) of what writes these files."""

_NO_PICTURES = frozenset({"segmentation", "parametric-map", "rt-dose"})
"""Kinds of objects whose pixels are numbers or masks that a program made: nothing is blackened in them."""
_STUDY, _SERIES, _INSTANCE = 0x0020000D, 0x0020000E, 0x00080018


def deidentify_dataset(dataset: Dataset, *, policy: DeidPolicy, who: Pseudonymiser) -> Context:
    """De-identify a dataset in place and return what was done. Its pixels and file meta are no part of this.

    Patients are told apart by Patient ID (0010,0020); where there is none, a study stands for its patient.
    """
    context = Context(
        policy=policy,
        who=who,
        patient=_patient_of(dataset),
        identifiers=identifiers_of(dataset),
        iod=object_of(_text(dataset, 0x00080016)),
    )
    clean_dataset(dataset, context)
    mark(dataset, policy.options)
    return context


def deidentify_file(
    source: Path,
    out: Path,
    *,
    policy: DeidPolicy,
    who: Pseudonymiser,
    inspector: PixelInspector | None = None,
    said: Said = UNSAID,
) -> Outcome:
    """Write the de-identified copy of `source` below `out`, or nothing; never a part of one.

    Its path is the patient's pseudonym and the new UIDs. Pixels are copied as they are stored unless an
    inspector, or a person (`said`), finds something in them. Raises
    `StorageError` when `out` can't be written.
    """
    if said.outcome is not None:
        return said.outcome
    try:
        with opened(source, most_bytes=policy.largest_mib << 20) as found:
            return _release(found, out, policy, who, inspector, said)
    except Refused as refused:
        return refused.outcome
    except HuizhenError:
        raise
    except Exception:  # a value that is decoded late may be damaged in as many ways as a file
        return Outcome(fate=Fate.REFUSED, reason=Reason.UNREADABLE)


def _looker(
    dataset: Dataset, policy: DeidPolicy, inspector: PixelInspector | None, said: Said
) -> PixelInspector | None:
    """Return who looks at an image: a person did, the inspector, or nobody. Raises `Refused` on a head."""
    if not said.head:
        check_head(dataset, policy.pixels)
    if said.pixels is not None:
        return ByPerson(seen=said.pixels)
    if object_of(_text(dataset, 0x00080016)) in _NO_PICTURES:
        return None
    return None if policy.pixels.look_at == "risky" and not is_risky(dataset) else inspector


def _release(
    found: Opened,
    out: Path,
    policy: DeidPolicy,
    who: Pseudonymiser,
    inspector: PixelInspector | None,
    said: Said,
) -> Outcome:
    """Clean an opened file and write its copy."""
    dataset = found.dataset
    if not all(_text(dataset, tag) for tag in (0x00080016, _STUDY, _SERIES, _INSTANCE)):
        raise Refused(Reason.MISSING_UID)
    _check_whole(found)
    if not _text(dataset, 0x00100020):
        raise Refused(Reason.MISSING_PATIENT, queued=True)
    inspector = _looker(dataset, policy, inspector, said)
    check_pixels(dataset, policy.pixels, inspected=inspector is not None)
    context = deidentify_dataset(dataset, policy=policy, who=who)
    pseudonym = who.patient(context.patient)
    names = [_text(dataset, tag) for tag in (_STUDY, _SERIES, _INSTANCE)]
    place = Path(pseudonym, *names[:2], f"{names[2]}.dcm")
    stream, syntax = inspect_pixels(found, context, inspector)
    dataset.file_meta = _meta(dataset, syntax)
    _write(out / place, dataset, stream, syntax, context)
    return Outcome(
        fate=Fate.RELEASED,
        place=place.as_posix(),
        patient=pseudonym,
        done=tuple(context.done),
        kept=context.kept,
        how=context.seen.how if context.seen else "unseen" if "Rows" in dataset else "",
        regions=context.seen.regions if context.seen else (),
    )


def _check_whole(found: Opened) -> None:
    """Raise `Refused` for an image without pixels, and for pixels without an image."""
    here = found.stream.tell()
    has_pixels = len(found.stream.read(8)) == 8
    found.stream.seek(here)
    sized = "Rows" in found.dataset and "Columns" in found.dataset
    if has_pixels != sized or ("Image Storage" in UID(_text(found.dataset, 0x00080016)).name and not sized):
        raise Refused(Reason.UNREADABLE)


def _patient_of(dataset: Dataset) -> str:
    return _text(dataset, 0x00100020) or f"study\x1f{_text(dataset, _STUDY)}"


def _text(dataset: Dataset, tag: int) -> str:
    return "".join(texts_of(dataset, tag)).strip("\0 ") if tag in dataset else ""


def _meta(dataset: Dataset, syntax: UID) -> FileMetaDataset:
    """Return new file meta information: nothing of the old is taken over but the transfer syntax."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(_text(dataset, 0x00080016))
    meta.MediaStorageSOPInstanceUID = UID(_text(dataset, _INSTANCE))
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = UID(IMPLEMENTATION)
    meta.ImplementationVersionName = f"HUIZHEN {__version__}"[:16]
    return meta


def _write(path: Path, dataset: Dataset, pixels: BinaryIO, syntax: UID, context: Context) -> None:
    """Write a file whole or not at all; the pixels are copied chunk by chunk."""
    name = ""
    try:
        private_folder(path.parent)
        handle, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
        with os.fdopen(handle, "w+b") as target:
            _write_content(target, dataset, pixels, syntax, context)
            target.flush()
            os.fsync(target.fileno())
        os.replace(name, path)
        name = ""
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        if name:
            Path(name).unlink(missing_ok=True)


def _write_content(
    target: IO[bytes], dataset: Dataset, pixels: BinaryIO, syntax: UID, context: Context
) -> None:
    """Write preamble, file meta information, dataset and pixels."""
    target.write(b"\0" * 128 + b"DICM")
    write_file_meta_info(DicomIO(target), dataset.file_meta, enforce_standard=True)
    body: IO[bytes] = BytesIO() if syntax == DeflatedExplicitVRLittleEndian else target
    start = DicomIO(body)
    start.is_implicit_VR, start.is_little_endian = syntax.is_implicit_VR, syntax.is_little_endian
    write_dataset(start, dataset)
    left = copy_pixels(pixels, body, dataset, syntax)  # type: ignore[arg-type]  # a binary stream of either kind
    if left:
        context.note("7FE00010", Action.CLEAN, Rule.EMBEDDED)
    if isinstance(body, BytesIO):
        machine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data = machine.compress(body.getvalue()) + machine.flush()
        target.write(data + b"\0" * (len(data) % 2))
