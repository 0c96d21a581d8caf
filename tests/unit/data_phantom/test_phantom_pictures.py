"""What is drawn: evidence can be measured in the pictures, lesions lie in the breast, streams are named."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from huizhen.core.streams import stream
from huizhen.data.phantom import Hospital, PhantomSpec, Photometric, breast_trio_spec
from huizhen.data.phantom.breast import Traits, grow
from huizhen.data.phantom.latent import Latent, draw
from huizhen.data.phantom.picture import Picture, expose, store
from huizhen.data.phantom.rendering import mask_png, render
from huizhen.data.phantom.spec import MODALITIES
from huizhen.data.phantom.texture import slow_noise, smooth_noise

TRIO = breast_trio_spec()


def clear_spec() -> PhantomSpec:
    """One hospital where everything is present and nothing hides the evidence."""
    hospital = replace(TRIO.hospitals[0], missing={}, dense=0.0, enhancing=0.0)
    return replace(TRIO, hospitals=(hospital,), unreliable=dict.fromkeys(MODALITIES, 1.0), healthy=0.0)


def patient(spec: PhantomSpec, hospital: Hospital, index: int) -> tuple[Latent, dict[str, list[Picture]]]:
    latent = draw(spec, hospital, stream(11, "latent", hospital.name, index), 1)
    return latent, render(latent, hospital, lambda name: stream(11, "pictures", hospital.name, index, name))


@pytest.fixture(scope="module")
def clear_patients() -> list[tuple[Latent, dict[str, list[Picture]]]]:
    spec = clear_spec()
    return [patient(spec, spec.hospitals[0], index) for index in range(36)]


def mass_and_rim(pictures: list[Picture]) -> float:
    """Brightness of the mass over its surroundings, and how uneven the band about its rim is."""
    values = []
    for picture in pictures:
        assert picture.mask is not None
        image = picture.pixels.astype(np.float64) / 4095.0
        radius = np.sqrt(picture.mask.sum() / np.pi)
        away = ndimage.distance_transform_edt(~picture.mask)
        band, around = (away > 1) & (away < 0.8 * radius), (away > radius) & (away < 1.6 * radius)
        contrast = image[picture.mask].mean() - image[around].mean()
        ragged: NDArray[np.float64] = image - ndimage.gaussian_filter(image, 4.0)
        values.append(contrast + ragged[band].std() * 2)
    return float(np.mean(values))


def wash_out(pictures: list[Picture]) -> float:
    """Change from early to late as a share of the early uptake, over the lesion."""
    pre, early, late = (
        np.stack([p.pixels.astype(np.float64) for p in pictures if p.phase == k]) for k in (1, 2, 3)
    )
    mask = np.stack([p.mask for p in pictures if p.phase == 1 and p.mask is not None])
    return float((early - late)[mask].mean() / np.maximum(early - pre, late - pre)[mask].mean())


def shadow(pictures: list[Picture]) -> float:
    """How much darker it is behind the mass than beside it, at the same depth."""
    values = []
    for picture in pictures:
        assert picture.mask is not None
        image, mask = picture.pixels / 255.0, picture.mask
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        behind = slice(rows[-1] + 2, rows[-1] + 22)
        middle = (columns[0] + columns[-1]) // 2
        beside = np.r_[image[behind, : columns[0] - 8].ravel(), image[behind, columns[-1] + 8 :].ravel()]
        values.append(beside.mean() - image[behind, middle - 5 : middle + 6].mean())
    return float(np.mean(values))


@pytest.mark.parametrize(("modality", "measure"), [("MG", mass_and_rim), ("MRI", wash_out), ("US", shadow)])
def test_evidence_can_be_measured_in_the_pictures(
    clear_patients: list[tuple[Latent, dict[str, list[Picture]]]],
    modality: str,
    measure: Callable[[list[Picture]], float],
) -> None:
    column = MODALITIES.index(modality)
    rendered = [latent.rendered[0, column] for latent, _ in clear_patients]
    measured = [measure(pictures[modality]) for _, pictures in clear_patients]
    assert np.corrcoef(rendered, measured)[0, 1] > 0.6


def test_shape_in_ultrasound_grows_taller_with_the_evidence(
    clear_patients: list[tuple[Latent, dict[str, list[Picture]]]],
) -> None:
    def taller(mask: NDArray[np.bool_] | None) -> float:
        assert mask is not None
        return float(np.ptp(np.flatnonzero(mask.any(axis=1))) / np.ptp(np.flatnonzero(mask.any(axis=0))))

    ratio = [taller(pictures["US"][0].mask) for _, pictures in clear_patients]
    assert np.corrcoef([latent.rendered[0, 2] for latent, _ in clear_patients], ratio)[0, 1] > 0.8
    assert min(ratio) < 0.8 < 1.1 < max(ratio)


def test_lesion_is_large_enough_at_128_pixels(
    clear_patients: list[tuple[Latent, dict[str, list[Picture]]]],
) -> None:
    for modality in MODALITIES:
        spans = []
        for _, pictures in clear_patients:
            masks = [p.mask for p in pictures[modality] if p.mask is not None and p.mask.any()]
            largest = max(masks, key=np.count_nonzero)
            spans.append(2 * np.sqrt(largest.sum() / np.pi) * 128 / max(largest.shape))
        assert 13 < np.median(spans) < 45


@pytest.mark.parametrize("hospital", TRIO.hospitals, ids=lambda h: h.name)
def test_lesion_lies_inside_the_breast(hospital: Hospital) -> None:
    whole = replace(hospital, missing={})
    for index in range(3):
        latent, pictures = patient(replace(TRIO, hospitals=(whole,), healthy=0.0), whole, index)
        for picture in pictures["MG"]:
            inverted = whole.scanners["MG"].photometric is Photometric.MONOCHROME1
            image = 4095 - picture.pixels.astype(int) if inverted else picture.pixels.astype(int)
            assert picture.mask is not None
            assert picture.mask.any()
            lit = ndimage.binary_fill_holes(ndimage.gaussian_filter(image.astype(float), 1.5) > 160)
            assert lit[picture.mask].mean() > 0.99
        for picture in pictures["MRI"]:
            assert picture.mask is not None
            rows = np.flatnonzero(picture.mask.any(axis=1))
            assert rows[-1] < 0.90 * len(picture.mask)
            assert rows[0] > 0.02 * len(picture.mask)
        assert latent.lesion[0]


def test_lesion_fits_any_breast() -> None:
    for index in range(200):
        spec = clear_spec()
        traits = Traits.of(draw(spec, spec.hospitals[0], stream(1, index), 1))
        breast = grow(traits, stream(2, index))
        relative = np.array(breast.lesion_mm) / np.array(breast.half_mm)
        assert np.sqrt((relative**2).sum()) + traits.radius_mm / max(breast.half_mm) < 1.0
        assert breast.lesion_mm[1] > 0.9 * traits.radius_mm


def test_denser_breasts_have_more_gland() -> None:
    spec = clear_spec()
    traits = Traits.of(draw(spec, spec.hospitals[0], stream(1, "density"), 1))
    share = [grow(replace(traits, density=d), stream(3, "breast")).gland.mean() for d in (0.1, 0.5, 0.9)]
    assert share[0] < share[1] < share[2]


def test_pictures_do_not_depend_on_which_modalities_are_present() -> None:
    spec = clear_spec()
    latent, whole = patient(spec, spec.hospitals[0], 5)
    only = replace(latent, present=np.array([[False, False, True]]))
    part = render(only, spec.hospitals[0], lambda name: stream(11, "pictures", "alder", 5, name))
    assert set(part) == {"US"}
    for one, other in zip(part["US"], whole["US"], strict=True):
        assert np.array_equal(one.pixels, other.pixels)


def test_no_lesion_no_mask() -> None:
    spec = clear_spec()
    latent, _ = patient(spec, spec.hospitals[0], 6)
    healthy = replace(latent, lesion=np.array([False]), malignant=np.array([False]))
    pictures = render(healthy, spec.hospitals[0], lambda name: stream(11, "pictures", "alder", 6, name))
    assert all(picture.mask is None for drawn in pictures.values() for picture in drawn)


def test_speckle_is_rayleigh() -> None:
    from huizhen.data.phantom.ultrasound import _RANGE_DB, _scan

    scanner = replace(TRIO.hospitals[0].scanners["US"], bias=0.0, noise=0.0, gain=1.0, contrast=1.0)
    grey = _scan(np.full((160, 160), -20.0, dtype=np.float32), scanner, stream(1, "speckle"))
    seen = grey[grey > 0]
    amplitude = 10 ** ((seen - 1.0) * _RANGE_DB / 20)
    assert amplitude.mean() / amplitude.std() == pytest.approx(
        1.913, abs=0.12
    )  # Rayleigh: sqrt(pi / (4 - pi))


def test_scanner_gain_blur_and_inversion() -> None:
    scanner = replace(TRIO.hospitals[0].scanners["MG"], bias=0.0, noise=0.0, blur_px=0.0)
    flat = np.full((64, 64), 0.5, dtype=np.float32)
    bright = expose(flat, replace(scanner, gain=1.2), stream(1, "gain"))
    assert bright == pytest.approx(np.full((64, 64), 0.6), abs=1e-5)
    dark = store(bright, replace(scanner, photometric=Photometric.MONOCHROME1), bits=12)
    assert np.array_equal(dark, 4095 - store(bright, scanner, bits=12))
    assert store(bright, scanner, bits=8).dtype == np.uint8


def test_mask_is_an_eight_bit_png() -> None:
    content = mask_png(np.eye(4, dtype=bool))
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert content[24] == 8


@pytest.mark.parametrize("sigma", [0.8, 2.5, (3.0, 1.0)])
def test_noise_is_standardised(sigma: float | tuple[float, ...]) -> None:
    noise = smooth_noise(stream(1, "noise"), (65, 48), sigma)
    assert noise.shape == (65, 48)
    assert abs(float(noise.mean())) < 1e-4
    assert float(noise.std()) == pytest.approx(1.0, abs=1e-3)
    slow = slow_noise(stream(1, "slow"), (65, 48), 3)
    assert float(slow.std()) == pytest.approx(1.0, abs=1e-3)
    assert np.abs(np.diff(slow, axis=0)).max() < 0.5
