"""What a phantom study is made of: hospitals, their scanners and case mix, and the strength of signals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from huizhen.core.digests import Digest, digest_value
from huizhen.core.study import Role, is_name
from huizhen.errors import InvalidInputError

MODALITIES = ("MG", "MRI", "US")
"""Mammography, dynamic contrast-enhanced MRI, ultrasound: the order of every array over modalities."""


class TransferSyntax(StrEnum):
    """How pixels are written, by the keyword that pydicom.uid gives the UID."""

    EXPLICIT = "ExplicitVRLittleEndian"
    IMPLICIT = "ImplicitVRLittleEndian"
    JPEG_LS = "JPEGLSLossless"
    JPEG_2000 = "JPEG2000Lossless"


class Photometric(StrEnum):
    """Whether a high stored value shows bright (2) or dark (1); DICOM PS3.3 C.7.6.3.1.2."""

    MONOCHROME1 = "MONOCHROME1"
    MONOCHROME2 = "MONOCHROME2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanner:
    """One simulated machine.

    `gain` multiplies, `contrast` is the exponent of the grey curve (1: linear), `blur_px` the standard
    deviation of the point spread in pixels, `noise` the standard deviation as a share of the full range (for
    ultrasound the share of thermal noise beside the speckle), `bias` the amplitude of a slow multiplicative
    field. `rows` is the image height, `spacing_mm` the pixel's side.
    """

    manufacturer: str
    model: str
    rows: int
    spacing_mm: float
    gain: float = 1.0
    contrast: float = 1.0
    blur_px: float = 0.6
    noise: float = 0.01
    bias: float = 0.05
    photometric: Photometric = Photometric.MONOCHROME2
    transfer_syntax: TransferSyntax = TransferSyntax.EXPLICIT

    def __post_init__(self) -> None:
        if not 64 <= self.rows <= 1024:
            raise InvalidInputError("a scanner's rows leave [64, 1024]", remedy="use 96 to 256", field="rows")
        for name in ("spacing_mm", "gain", "contrast"):
            if not getattr(self, name) > 0:
                raise InvalidInputError(
                    f"a scanner's {name} is not positive", remedy="give a positive number"
                )
        for name in ("blur_px", "noise", "bias"):
            if not 0 <= getattr(self, name) < 5:
                raise InvalidInputError(f"a scanner's {name} leaves [0, 5)", remedy="use a small number")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hospital:
    """One simulated hospital.

    `prevalence` is the share of malignant patients, `missing` the chance that a modality is absent (drawn
    again until at least one is present), `label_noise` the chance that labels.csv holds the other class,
    `dense` the share of dense breasts and `enhancing` of strong background enhancement.
    """

    name: str
    patients: int
    scanners: Mapping[str, Scanner]
    role: Role = Role.DEVELOPMENT
    prevalence: float = 0.4
    missing: Mapping[str, float] = field(default_factory=dict)
    label_noise: float = 0.0
    dense: float = 0.45
    enhancing: float = 0.45

    def __post_init__(self) -> None:
        if not is_name(self.name):
            raise InvalidInputError("a hospital's name is not a name", remedy="use letters, digits, - and _")
        if self.patients < 1:
            raise InvalidInputError(
                f"hospital {self.name} has no patient", remedy="give it one", field="patients"
            )
        if set(self.scanners) != set(MODALITIES) or not set(self.missing) <= set(MODALITIES):
            raise InvalidInputError(
                f"hospital {self.name} must name scanners for {', '.join(MODALITIES)} and miss no other",
                remedy="give one scanner a modality",
            )
        self._check_shares()

    def _check_shares(self) -> None:
        open_shares = {"prevalence": self.prevalence, "dense": self.dense, "enhancing": self.enhancing}
        for name, share in {**open_shares, **{f"missing {m}": p for m, p in self.missing.items()}}.items():
            if not 0 <= share <= 1:
                raise InvalidInputError(f"hospital {self.name}: {name} leaves [0, 1]", remedy="give a share")
        if not 0 < self.prevalence < 1 or not 0 <= self.label_noise < 0.5:
            raise InvalidInputError(
                f"hospital {self.name} needs a prevalence inside (0, 1) and label noise in [0, 0.5)",
                remedy="give both classes a chance and labels a meaning",
            )
        if all(self.missing.get(m, 0.0) >= 1 for m in MODALITIES):
            raise InvalidInputError(f"hospital {self.name} has no modality", remedy="let one be present")

    @property
    def initials(self) -> str:
        """The first letters of the name's parts: "north-clinic" gives "NC"."""
        return "".join(part[0] for part in self.name.replace("_", "-").split("-") if part).upper()

    def patient_id(self, index: int) -> str:
        """Return the marked identifier of patient `index` (from 0)."""
        return f"PHANTOM-{self.initials}{index + 1:04d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomSpec:
    """A whole phantom study.

    `deltas`: modality -> distance between the class means of its evidence, in standard deviations.
    `unreliable`: modality -> how far its evidence tells anything in the cases that hide it (dense breast for
    MG, strong background enhancement for MRI, small or deep lesion for US); 1 switches the effect off.
    `healthy`: share of the benign patients without a lesion. `truth_draws`: Monte Carlo draws a group of
    hospitals for best_auc.json.
    """

    hospitals: tuple[Hospital, ...]
    deltas: Mapping[str, float]
    unreliable: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(MODALITIES, 0.15))
    healthy: float = 0.05
    truth_draws: int = 200_000

    def __post_init__(self) -> None:
        names = [hospital.name for hospital in self.hospitals]
        initials = [hospital.initials for hospital in self.hospitals]
        if not names or len(set(initials)) != len(names):
            raise InvalidInputError(
                "hospitals are missing or share their initials", remedy="name them so that initials differ"
            )
        if set(self.deltas) != set(MODALITIES) or set(self.unreliable) != set(MODALITIES):
            raise InvalidInputError("deltas and unreliable need every modality", remedy="name MG, MRI and US")
        if min(self.deltas.values()) < 0 or not all(0 <= r <= 1 for r in self.unreliable.values()):
            raise InvalidInputError("a delta is negative or a reliability leaves [0, 1]", remedy="mend it")
        if not 0 <= self.healthy < 1 or self.truth_draws < 1000:
            raise InvalidInputError(
                "healthy leaves [0, 1) or truth_draws is below 1000", remedy="give a share and enough draws"
            )

    def hospital(self, name: str) -> Hospital:
        """Return the hospital called `name`. Raises `InvalidInputError` if there is none."""
        for hospital in self.hospitals:
            if hospital.name == name:
                return hospital
        known = ", ".join(hospital.name for hospital in self.hospitals)
        raise InvalidInputError(f"no hospital {name!r}", remedy=f"use one of {known}", field="hospital")

    def to_json(self) -> dict[str, Any]:
        """Return the specification as plain JSON values."""
        record = asdict(self)
        record["hospitals"] = list(record["hospitals"])
        return record

    @property
    def digest(self) -> Digest:
        """The digest of everything that decides what is drawn."""
        return digest_value(self.to_json())
