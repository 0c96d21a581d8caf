"""The other scanner: the site whose grey values lie furthest; none where there is one site alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from huizhen.core.cohort import Case, ImageRecord
from huizhen.core.digests import digest_value
from huizhen.core.study import Study
from huizhen.data.pack import Pack
from huizhen.pipeline.other_scanners import REFERENCES, Scanners, reference_cases

GREY = {"a": 40, "b": 60, "c": 200}


def case(site: str, number: int) -> Case:
    name = f"{site}{number}"
    record = ImageRecord(patient_id=name, modality="US", source=0, key=name, digest=digest_value(name))
    return Case(pseudonym=name, patient_id=name, site=site, outcome=1, images={"US": (record,)})


def pack(cases: list[Case]) -> Pack:
    """Return squares of 8 pixels whose images fill the upper half: the site's grey, and some grain."""
    rng = np.random.default_rng(1)
    pixels = np.zeros((len(cases), 1, 8, 8), np.uint8)
    for k, one in enumerate(cases):
        pixels[k, 0, 2:6] = GREY[one.site] + rng.integers(0, 5, (4, 8))
    return Pack(
        modality="US",
        pixels=pixels,
        masks=None,
        has_mask=np.zeros(len(cases), bool),
        native=np.tile(np.array([[4, 8]], np.int32), (len(cases), 1)),
        index={one.images["US"][0].digest: k for k, one in enumerate(cases)},
        digest=digest_value("pack"),
    )


@pytest.fixture
def study(make_study: Callable[..., Study]) -> Study:
    return make_study({"name": "US", "size": 32})


def test_each_site_gets_the_grey_values_of_the_furthest_one(study: Study) -> None:
    cases = [case(site, k) for site in GREY for k in range(4)]
    found = Scanners.of(study, {"US": pack(cases)}, cases)
    assert found.told() == {"US": {"a": "c", "b": "c", "c": "a"}}
    [modality] = study.image_modalities
    setting = found.setting(modality, "a")
    assert (setting.side, setting.imaging) == (32, "US")
    assert setting.transfer is not None
    assert 198 <= setting.transfer[42] * 255 <= 206, "the empty margin is no grey value of a scanner"


def test_with_one_site_there_is_no_other_scanner(study: Study) -> None:
    cases = [case("a", k) for k in range(4)]
    found = Scanners.of(study, {"US": pack(cases)}, cases)
    assert found.told() == {}
    assert found.setting(study.image_modalities[0], "a").transfer is None


def test_some_patients_of_every_site_show_what_its_scanners_are() -> None:
    tested = [case("a", k) for k in range(REFERENCES + 20)] + [case("b", k) for k in range(3)]
    found = reference_cases(tested, tested[:5])
    assert [one.site for one in found].count("a") == REFERENCES
    assert [one.site for one in found].count("b") == 3
    assert not {one.pseudonym for one in found} & {one.pseudonym for one in tested[:5]}
