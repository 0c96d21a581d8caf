"""The breast trio: three development hospitals and a shifted external one, ready to generate."""

from __future__ import annotations

from huizhen.core.study import Role
from huizhen.data.phantom.spec import Hospital, PhantomSpec, Photometric, Scanner, TransferSyntax

_ALDER = {
    "MG": Scanner(manufacturer="huizhen phantom A", model="Alder MG", rows=256, spacing_mm=0.55),
    "MRI": Scanner(manufacturer="huizhen phantom A", model="Alder MR", rows=100, spacing_mm=1.3, noise=0.02),
    "US": Scanner(manufacturer="huizhen phantom A", model="Alder US", rows=160, spacing_mm=0.46, blur_px=0.9),
}
_BIRCH = {
    "MG": Scanner(
        manufacturer="huizhen phantom B",
        model="Birch MG",
        rows=256,
        spacing_mm=0.55,
        gain=0.92,
        contrast=1.15,
        blur_px=0.8,
        noise=0.014,
        photometric=Photometric.MONOCHROME1,
        transfer_syntax=TransferSyntax.JPEG_LS,
    ),
    "MRI": Scanner(
        manufacturer="huizhen phantom B",
        model="Birch MR",
        rows=96,
        spacing_mm=1.35,
        gain=1.15,
        noise=0.028,
        bias=0.18,
        transfer_syntax=TransferSyntax.JPEG_LS,
    ),
    "US": Scanner(
        manufacturer="huizhen phantom B",
        model="Birch US",
        rows=160,
        spacing_mm=0.46,
        gain=1.05,
        contrast=0.95,
        blur_px=1.05,
        noise=0.02,
        transfer_syntax=TransferSyntax.JPEG_LS,
    ),
}
_CEDAR = {
    "MG": Scanner(
        manufacturer="huizhen phantom C",
        model="Cedar MG",
        rows=256,
        spacing_mm=0.55,
        gain=1.06,
        contrast=0.9,
        blur_px=0.5,
        noise=0.018,
        bias=0.08,
        transfer_syntax=TransferSyntax.IMPLICIT,
    ),
    "MRI": Scanner(
        manufacturer="huizhen phantom C",
        model="Cedar MR",
        rows=104,
        spacing_mm=1.25,
        gain=0.85,
        blur_px=0.8,
        noise=0.022,
        bias=0.1,
        transfer_syntax=TransferSyntax.IMPLICIT,
    ),
    "US": Scanner(
        manufacturer="huizhen phantom C",
        model="Cedar US",
        rows=152,
        spacing_mm=0.48,
        gain=0.95,
        contrast=1.05,
        blur_px=0.8,
        transfer_syntax=TransferSyntax.IMPLICIT,
    ),
}
_DOGWOOD = {
    "MG": Scanner(
        manufacturer="huizhen phantom D",
        model="Dogwood MG",
        rows=240,
        spacing_mm=0.58,
        gain=0.85,
        contrast=1.2,
        blur_px=0.9,
        noise=0.02,
        bias=0.1,
        transfer_syntax=TransferSyntax.JPEG_2000,
    ),
    "MRI": Scanner(
        manufacturer="huizhen phantom D",
        model="Dogwood MR",
        rows=96,
        spacing_mm=1.35,
        gain=0.8,
        contrast=1.1,
        blur_px=0.8,
        noise=0.028,
        bias=0.18,
        transfer_syntax=TransferSyntax.JPEG_2000,
    ),
    "US": Scanner(
        manufacturer="huizhen phantom D",
        model="Dogwood US",
        rows=168,
        spacing_mm=0.44,
        gain=1.08,
        contrast=0.92,
        blur_px=1.2,
        noise=0.03,
        bias=0.1,
        transfer_syntax=TransferSyntax.JPEG_2000,
    ),
}

DELTAS = {"MG": 2.4, "MRI": 2.3, "US": 2.4}
"""One modality then reaches about .84 and all three about .94, label noise and missingness included."""


def breast_trio_spec(
    *,
    patients_per_hospital: int = 100,
    external_patients: int | None = None,
    label_noise: float = 0.02,
    truth_draws: int = 200_000,
) -> PhantomSpec:
    """Return the specification of the demo study: alder, birch and cedar for development, dogwood external.

    `external_patients`: as many as the others if None. `label_noise`: at the development hospitals; the
    external one's outcomes are true. Raises `InvalidInputError` on a count below 1 or a share out of range.

    >>> [hospital.name for hospital in breast_trio_spec(patients_per_hospital=10).hospitals]
    ['alder', 'birch', 'cedar', 'dogwood']
    """
    n = patients_per_hospital
    hospitals = (
        Hospital(
            name="alder",
            patients=n,
            scanners=_ALDER,
            prevalence=0.4,
            label_noise=label_noise,
            missing={"MG": 0.05, "MRI": 0.3, "US": 0.1},
            dense=0.45,
            enhancing=0.45,
        ),
        Hospital(
            name="birch",
            patients=n,
            scanners=_BIRCH,
            prevalence=0.32,
            label_noise=label_noise,
            missing={"MG": 0.25, "MRI": 0.15, "US": 0.1},
            dense=0.55,
            enhancing=0.4,
        ),
        Hospital(
            name="cedar",
            patients=n,
            scanners=_CEDAR,
            prevalence=0.48,
            label_noise=label_noise,
            missing={"MG": 0.1, "MRI": 0.2, "US": 0.25},
            dense=0.4,
            enhancing=0.5,
        ),
        Hospital(
            name="dogwood",
            patients=n if external_patients is None else external_patients,
            role=Role.EXTERNAL,
            scanners=_DOGWOOD,
            prevalence=0.25,
            missing={"MG": 0.12, "MRI": 0.45, "US": 0.15},
            dense=0.55,
            enhancing=0.45,
        ),
    )
    return PhantomSpec(hospitals=hospitals, deltas=DELTAS, truth_draws=truth_draws)
