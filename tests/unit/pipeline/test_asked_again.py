"""Asking again holds no more images at a time than it should, and loses no patient on the way."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from huizhen.core.cohort import Case, ImageRecord
from huizhen.core.digests import digest_value
from huizhen.core.study import Study
from huizhen.pipeline import asked_again


def cases(*images: int) -> tuple[Case, ...]:
    found = []
    for k, count in enumerate(images):
        bag = tuple(
            ImageRecord(patient_id=str(k), modality="US", source=0, key=str(n), digest=digest_value([k, n]))
            for n in range(count)
        )
        shown = {"US": bag} if bag else {}
        found.append(Case(pseudonym=f"P-{k}", patient_id=str(k), site="a", outcome=1, images=shown))
    return tuple(found)


def chunks(study: Study, *images: int) -> list[list[int]]:
    """Return the numbers of images of the patients that are asked together."""
    scene: Any = SimpleNamespace(run=SimpleNamespace(study=study), cases=cases(*images))
    return [[len(c.images.get("US", ())) for c in chunk] for chunk in asked_again._chunks(scene)]


def test_patients_come_together_up_to_the_bytes_allowed(
    make_study: Callable[..., Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study({"name": "US", "size": 32})
    monkeypatch.setattr(asked_again, "CHUNK_BYTES", 5 * 32 * 32)
    assert chunks(study, 2, 3, 1, 4, 9, 0, 1) == [[2, 3], [1, 4], [9], [0, 1]]


def test_never_too_many_patients_though_they_have_no_image(make_study: Callable[..., Study]) -> None:
    found = chunks(make_study({"name": "US", "size": 32}), *[0] * 150)
    assert [len(chunk) for chunk in found] == [64, 64, 22]
