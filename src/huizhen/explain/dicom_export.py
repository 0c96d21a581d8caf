"""Heatmaps as DICOM objects that reference the image they explain.

An image with a place in the patient (MR, CT, tomosynthesis) gets a Parametric Map: the heat itself in 16
bits, on the image's own grid. That object must have a frame of reference (PS3.3, A.75), which mammograms and
most ultrasound lack; they, and sources that aren't DICOM, get a Secondary Capture: the overlay in colours.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from huizhen.core.digests import Digest
from huizhen.errors import DataError, InvalidInputError
from huizhen.explain.dicom_objects import (
    FULL_SCALE,
    Identity,
    Stamp,
    derived_uid,
    finish,
    parametric_map,
    remapped_uid,
    secondary_capture,
)
from huizhen.explain.dicom_source import SourceImage, read_source
from huizhen.explain.overlay import check_unit
from huizhen.explain.panels import marked_overlay

__all__ = ["DESCRIPTION_LENGTH", "Identity", "derived_uid", "heatmap_dicom"]

DESCRIPTION_LENGTH: Final = 56
"""So that "PHANTOM " and the description fit the 64 characters of a long string (PS3.5, 6.2)."""

NAME_LENGTH: Final = 64


def heatmap_dicom(
    source_path: Path | None,
    heat: NDArray[np.floating],
    *,
    image: NDArray[np.floating],
    pseudonym: str,
    description: str,
    study_digest: Digest,
    model_digest: Digest,
    made_at: datetime,
    phantom: bool,
    uid_secret: bytes,
    mask: NDArray[np.bool_] | None = None,
    frame: int | None = None,
    further: Sequence[tuple[Path, int | None]] = (),
    identity: Identity = Identity.PSEUDONYM,
    series_uid: str | None = None,
    instance_number: int = 1,
) -> bytes:
    """Return `heat` as a DICOM file: a Parametric Map where the source has a geometry, else a capture.

    `source_path` is None where the image came from no file of its own (an array, say). `heat` (H, W) in
    [0, 1] on the source's own pixel grid; `image` (H, W) or (H, W, 3) in [0, 1] is what a Secondary Capture
    draws it over, with the outline of `mask` (H, W) and a strip of marks below. `frame` counts from 0;
    `further` are other files and frames that the heat explains too (phases of one slice), of the same study.
    `made_at` is the content's date and time. UIDs follow from the arguments, so that the same arguments give
    the same bytes; without `series_uid`, heatmaps of one source series by one model under one description
    share a series.

    The patient is the pseudonym unless `identity` is SOURCE, which only the hospital that holds the images
    may ask for. With the pseudonym every UID of the source (study, series, instance, frame of reference) is
    replaced under `uid_secret`, the same one by the same one in all objects, so that no archive can put the
    object back to its patient; with SOURCE the references are the real ones. Raises `InvalidInputError`,
    `DataError` and `UnreadableFileError`.
    """
    check_unit(heat, field="heat", dimensions=2)
    _check_text(description, limit=DESCRIPTION_LENGTH, field="description")
    _check_text(pseudonym, limit=NAME_LENGTH, field="pseudonym")
    planes = [(source_path, frame), *further] if source_path else []
    sources = _read_sources(planes, heat.shape)
    if identity is Identity.PSEUDONYM:
        sources = [source.under(partial(remapped_uid, uid_secret)) for source in sources]
    study_uid = sources[0].study_uid if sources else derived_uid("study", study_digest, pseudonym)
    series_of = sources[0].series_uid if sources else ""
    stamp = Stamp(
        study_uid=study_uid,
        series_uid=series_uid
        or derived_uid("series", study_uid, series_of, study_digest, model_digest, description),
        instance_number=instance_number,
        pseudonym=pseudonym,
        identity=identity,
        description=description,
        study_digest=study_digest,
        model_digest=model_digest,
        made_at=made_at.replace(tzinfo=None),
        phantom=phantom,
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd values that are copied from the source as they are
            return _build(sources, heat, image, mask, stamp)
    except InvalidInputError:
        raise
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError) as error:
        raise DataError(
            f"its attributes don't make a valid heatmap object ({type(error).__name__})",
            remedy="check the source's identifiers and geometry",
            file=source_path.name if source_path else None,
        ) from error


def _build(
    sources: Sequence[SourceImage],
    heat: NDArray[np.floating],
    image: NDArray[np.floating],
    mask: NDArray[np.bool_] | None,
    stamp: Stamp,
) -> bytes:
    geometry = sources[0].geometry if sources else None
    if geometry is not None:
        stored = np.rint(heat * FULL_SCALE).astype(np.uint16)
        stamp = stamp.for_pixels(stored.tobytes(), sources)
        return finish(parametric_map(geometry, stored, stamp), sources, stamp)
    drawn = marked_overlay(image, heat, mask=mask, phantom=stamp.phantom)
    stamp = stamp.for_pixels(drawn.tobytes(), sources)
    return finish(secondary_capture(drawn, stamp), sources, stamp)


def _read_sources(planes: Sequence[tuple[Path, int | None]], shape: tuple[int, ...]) -> list[SourceImage]:
    """Return the DICOM images among `planes`, all of one size and one study."""
    read = [(path, read_source(path, frame=frame)) for path, frame in planes]
    sources = [source for _, source in read if source is not None]
    for path, source in read:
        if source is not None and (source.rows, source.columns) != shape:
            raise InvalidInputError(
                f"heat is {shape}, the image {(source.rows, source.columns)}",
                remedy="bring the heat to the image's own grid (Letterbox.to_native)",
                field="heat",
                file=path.name,
            )
        if source is None or source.study_uid != sources[0].study_uid:
            if not sources:
                return []
            raise DataError(
                "is not DICOM, or of another study than the others",
                remedy="explain images of one study in one object",
                file=path.name,
            )
    return sources


def _check_text(text: str, *, limit: int, field: str) -> None:
    """Raise unless `text` can be a DICOM long string (PS3.5, 6.2). Pseudonyms aren't shown."""
    if not 1 <= len(text) <= limit or "\\" in text or not text.isprintable() or text != text.strip():
        raise InvalidInputError(
            f"not a text of 1 to {limit} printable characters without backslash",
            remedy="shorten or clean it",
            field=field,
        )
