"""Cases and cohorts: what a site's readers found, one case a patient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from huizhen.core.digests import Digest
from huizhen.errors import InvalidInputError

UNITS = ("patient", "image", "row", "cell")
"""What can be left out; every report has a word for each."""

REASONS = (
    *("unreadable", "blank", "non_finite", "wrong_modality", "mixed_patients", "missing_patient"),
    *("missing_label", "other_series", "other_class", "duplicate_id", "no_usable_data", "two_sites"),
    *("exact_duplicate", "near_duplicate", "conflicting_label", "several_persons", "no_consent"),
    *("contradictory_outcomes", "absent_file"),
)
"""Why something can be left out; every report has a word for each.

A patient is left out as exact_duplicate or near_duplicate when an external patient shares an image with one
in development, and as conflicting_label when two patients of different outcome share one; as several_persons
when the headers under one patient id name several persons, and as contradictory_outcomes when the rows of a
patient say both outcomes; as no_consent when the hospital's register doesn't permit the study's use.
"""


class Part(StrEnum):
    """The part of a split that a case stands in."""

    TRAIN = "train"
    TUNE = "tune"
    TEST = "test"
    EXTERNAL = "external"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecord:
    """One image of one patient as a reader found it; pixels are loaded later by that reader.

    `source` is the index of the source within its site, `key` what that reader needs to find the image
    again (a relative path, "path#frame", or an npz row). `digest` is of the file, or of the pixel bytes for
    npz rows.
    """

    patient_id: str
    modality: str
    source: int
    key: str
    digest: Digest
    view: str = ""
    """"L-CC", "slice 12", "frame 3"; empty when unknown."""
    study_id: str = ""
    scanner: str = ""
    has_mask: bool = False
    phantom: bool = False
    duplicate_group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One patient at one site. `images` and `covariates` hold only what is present: absence is a missing key.

    `covariates` maps a table modality to its row: column -> number, text or None (missing value).
    `outcome` is 1 (positive), 0 (negative) or None (unlabelled). `patient_id` never leaves the site;
    reports show `pseudonym`. `groups` maps a subgroup's column to what a labels table says of the patient, ""
    where it says nothing: no input of a model.
    """

    pseudonym: str
    patient_id: str
    site: str
    outcome: int | None
    images: Mapping[str, tuple[ImageRecord, ...]] = field(default_factory=dict)
    covariates: Mapping[str, Mapping[str, float | str | None]] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)

    @property
    def modalities(self) -> frozenset[str]:
        """The modalities that are present."""
        return frozenset(self.images) | frozenset(self.covariates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """Why something was left out: one of `UNITS` for one of `REASONS`, else `InvalidInputError`."""

    unit: str
    reason: str
    site: str
    subject: str
    """A pseudonym or a file's relative path; never a patient's value."""

    def __post_init__(self) -> None:
        if self.unit not in UNITS or self.reason not in REASONS:
            raise InvalidInputError(
                f"nothing is left out as {self.unit} {self.reason}",
                remedy="add it to UNITS or REASONS, and its words to the dossier",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """The cases of a study that passed intake, and what was left out on the way."""

    cases: tuple[Case, ...]
    exclusions: tuple[Exclusion, ...] = ()

    def at(self, sites: Iterable[str]) -> tuple[Case, ...]:
        """Return the cases at the named sites."""
        wanted = set(sites)
        return tuple(case for case in self.cases if case.site in wanted)
