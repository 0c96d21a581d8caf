"""The study file: one question, its sites, modalities, endpoints and settings, all fixed before data is read.

`study.toml` is parsed into these frozen models; unknown keys are errors. `Study.digest` is what gets signed.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from huizhen.core.digests import Digest, digest_value
from huizhen.core.study_active import Active, active_problems
from huizhen.core.study_base import Frozen, Name
from huizhen.core.study_dossier import DossierPlan
from huizhen.core.study_endpoints import Endpoint as Endpoint
from huizhen.core.study_endpoints import ThresholdRule as ThresholdRule
from huizhen.core.study_endpoints import Variant as Variant
from huizhen.core.study_evaluation import EvaluationPlan, Subgroup, evaluation_problems
from huizhen.core.study_federation import Federation, federation_problems
from huizhen.core.study_fitting import Network as Network
from huizhen.core.study_fitting import Split as Split
from huizhen.core.study_fitting import Training as Training
from huizhen.core.study_harmonisation import Harmonisation, harmonisation_problems
from huizhen.core.study_modalities import AnyModality as AnyModality
from huizhen.core.study_modalities import EncoderKind as EncoderKind
from huizhen.core.study_modalities import ImageModality as ImageModality
from huizhen.core.study_modalities import Phases as Phases
from huizhen.core.study_modalities import TableModality as TableModality
from huizhen.core.study_predictions import (
    LEFT_OUT,
    PredictionTable,
    ReadTable,
    given_problems,
    without_variants,
)
from huizhen.core.study_privacy import Privacy, privacy_problems
from huizhen.core.study_protocol import ProtocolPlan
from huizhen.core.study_robustness import Conformal, Robustness, robustness_problems
from huizhen.core.study_transfer import TransferPlan, transfer_problems
from huizhen.core.study_triage import TriagePlan, triage_problems
from huizhen.core.study_use import DataUse, use_problems


class ReaderKind(StrEnum):
    """How a source's files are read."""

    DICOM = "dicom"
    NIFTI = "nifti"
    IMAGES = "images"
    NPZ = "npz"
    TABLE = "table"


class Role(StrEnum):
    """What a site's patients are used for."""

    DEVELOPMENT = "development"
    """Split into train, tune and internal test."""
    EXTERNAL = "external"
    """Never touched in training or tuning."""


class Columns(Frozen):
    """Which columns of a labels table hold what. `image` is the file name, npz key or row identifier."""

    patient: str
    outcome: str | None = None
    image: str | None = None
    view: str | None = None
    duplicate_group: str | None = None
    """Images that share a value are near-duplicates of each other (known from the data's publisher)."""


class Source(Frozen):
    """One folder, file or table of one site, read for one modality.

    Paths are relative to the data root ($HUIZHEN_DATA) or else to the study file. `labels` is a CSV or
    Parquet table; `where` keeps rows whose column equals the value or is one of the values. For npz, `array`
    and `masks` name the arrays inside `path`; rows of the labels table and of the arrays go together in order
    unless `columns.image` and `ids` (an array of identifiers in the npz) are given.
    """

    reader: ReaderKind
    modality: Name
    path: str
    labels: str | None = None
    columns: Columns | None = None
    encoding: (
        Literal["utf-8", "utf-16", "gb18030", "big5", "cp1252", "latin-1", "shift-jis", "euc-kr"] | None
    ) = None
    where: dict[str, str | int | float | list[str] | list[int] | list[float]] = Field(default_factory=dict)
    array: str = "images"
    ids: str | None = None
    masks: str | None = None
    dicom_modality: str | None = None
    """Only DICOM objects with this Modality (0008,0060) are taken; others are counted as wrong modality. It
    may be left out where the modality's name tells it: US, MG or mammography, MR or MRI, CT, PET, NM ..."""
    bag: Literal["image", "frames", "slices"] = "image"
    """How a volume or multi-frame object becomes a bag: one image, or `max_images` evenly spaced ones."""
    patients: Literal["all", "listed"] = "all"
    """listed: only patients whom another source of this site, one with an outcome column, lists; for a file
    that several sites share."""

    @model_validator(mode="after")
    def _labels_have_columns(self) -> Self:
        if self.labels is not None and self.columns is None:
            raise ValueError("a source with labels needs columns (patient = ..., outcome = ...)")
        if self.reader is ReaderKind.TABLE and self.columns is None:
            raise ValueError("a table source needs columns (patient = ...)")
        return self


class Site(Frozen):
    """One hospital: its name, role, jurisdiction (ISO 3166 code) and sources."""

    name: Name
    """A short code: it names folders, keys and columns."""
    title: str = ""
    """What the hospital is called in the dossier, beside its code."""
    title_zh: str = ""
    """The same in Chinese."""
    role: Role = Role.DEVELOPMENT
    jurisdiction: str = ""
    patient_ids: Literal["shared", "own"] = "shared"
    """shared: an id that another site uses too is the same person. own: this hospital numbers its patients
    by itself, so that an equal id elsewhere is another person."""
    consent: str | None = None
    """The hospital's consent register, a table relative to the data root: whoever isn't permitted there for
    what [use] says is left out and counted, before an image is read."""
    disclosure: str | None = None
    """The hospital's policy of disclosure, a TOML file relative to the data root: the tables of the study's
    patients are held against it, and the dossier says how they stand."""
    source: Annotated[list[Source], Field(min_length=1)]

    @model_serializer(mode="wrap")
    def _said(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out a register and a policy that aren't there, so that nothing of them is signed."""
        found: dict[str, Any] = handler(self)
        silent = [name for name in ("consent", "disclosure") if found.get(name) is None]
        return {key: value for key, value in found.items() if key not in silent}


class Task(Frozen):
    """What is predicted. Cases whose outcome is neither positive nor negative are excluded and counted."""

    kind: Literal["binary"] = "binary"
    outcome: str
    positive: Annotated[tuple[str, ...], Field(min_length=1)]
    negative: Annotated[tuple[str, ...], Field(min_length=1)]
    mixed_outcomes: Literal["exclude", "positive"] = "exclude"
    """What a patient with rows of both classes is: left out and counted, or positive, as where a row is a
    lesion and one malignant lesion is enough."""

    @model_validator(mode="after")
    def _classes_differ(self) -> Self:
        if clash := set(self.positive) & set(self.negative):
            raise ValueError(f"outcomes both positive and negative: {', '.join(sorted(clash))}")
        return self


def _gives_outcomes(source: Source) -> bool:
    """Tell whether a source says what its patients' outcome is: by a column, or by a folder per class."""
    by_folder = source.reader is ReaderKind.IMAGES and source.labels is None
    return by_folder or bool(source.columns and source.columns.outcome)


class Study(Frozen):
    """The whole study file."""

    schema_version: Literal[1] = 1
    name: Name
    version: Annotated[int, Field(ge=1, le=9999)] = 1
    """Raised when the study's model is made anew, as after patients withdrew."""
    title: str
    title_zh: str = ""
    question: str
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    phantom: bool = False
    """Declared by the study; a cohort with phantom files in an undeclared study is refused."""
    phantom_truth: str | None = None
    """The phantoms' latent truth, opened only at validation to say what share of the best AUC was reached."""
    task: Task
    modality: Annotated[list[AnyModality], Field(min_length=1)] = Field(default_factory=list)
    site: Annotated[list[Site], Field(min_length=1)] = Field(default_factory=list)
    predictions: PredictionTable | None = None
    """Present, instead of sites and modalities: a table of predictions made elsewhere is what is tested."""
    reads: ReadTable | None = None
    """Present, instead of sites and modalities: a table of readers' ratings is what is tested."""
    protocol: ProtocolPlan | None = None
    """Present: what must be done before a run."""
    use: DataUse | None = None
    """Present: what is done with the data, which patients' consents are held against."""
    transfer: TransferPlan | None = None
    """Present: what may cross borders is decided by rules before the run starts."""
    threshold: ThresholdRule = ThresholdRule()
    endpoint: list[Endpoint] = Field(default_factory=list)
    evaluation: EvaluationPlan = EvaluationPlan()
    subgroup: list[Subgroup] = Field(default_factory=list)
    robustness: Robustness | None = None
    """Present: the locked model is tried on disturbed images and rows, and for shortcuts."""
    harmonisation: Harmonisation | None = None
    """Present: what hospitals' machines leave in image features is taken out before networks learn."""
    conformal: Conformal | None = None
    """Present: prediction sets are fixed with the lock and their coverage is measured."""
    triage: TriagePlan | None = None
    """Present: reading policies with and without the AI are simulated on the tested patients."""
    split: Split = Split()
    network: Network = Network()
    training: Training = Training()
    federation: Federation | None = None
    """Present: the sites train together and their data stays with them."""
    privacy: Privacy | None = None
    """Present: what the sites learn from any one patient is bounded (differential privacy)."""
    active: Active | None = None
    """Present: labels are asked for between rounds, where they teach most (active learning)."""
    dossier: DossierPlan | None = None
    """Present: what the dossier reports beyond results."""

    @model_serializer(mode="wrap")
    def _said(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what the study says nothing of, so that nothing of it is signed."""
        found: dict[str, Any] = handler(self)
        given = ("predictions", "reads", "protocol", "use", "transfer")
        optional = (*given, "harmonisation", "robustness", "conformal", "triage", "dossier")
        tables = [key for key in optional if getattr(self, key) is None]
        silent = [*LEFT_OUT, "phantom_truth"] if self.is_given else []
        silent += ["version"] if self.version == 1 else []
        silent += ["threshold"] if self.is_given and not (self.predictions and self.predictions.tune) else []
        if self.is_given and "endpoint" in found:
            found["endpoint"] = [without_variants(one) for one in found["endpoint"]]
        return {key: value for key, value in found.items() if key not in (*tables, *silent)}

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        problems: list[str] = [*given_problems(self), *evaluation_problems(self)]
        problems += [*robustness_problems(self), *triage_problems(self)]
        problems += [] if self.is_given else self._between_parts()
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _between_parts(self) -> list[str]:
        """Return what doesn't go together in a study that makes its own model."""
        problems: list[str] = []
        for what, names in (
            ("modality", [m.name for m in self.modality]),
            ("site", [s.name for s in self.site]),
        ):
            if twice := sorted({n for n in names if names.count(n) > 1}):
                problems.append(f"{what} names used twice: {', '.join(twice)}")
        known = {m.name: m for m in self.modality}
        for site in self.site:
            for source in site.source:
                if source.modality not in known:
                    problems.append(f"site {site.name}: unknown modality {source.modality}")
                elif (known[source.modality].kind == "table") != (source.reader is ReaderKind.TABLE):
                    problems.append(
                        f"site {site.name}: reader {source.reader.value} can't give {source.modality}"
                    )
            if not any(_gives_outcomes(s) for s in site.source):
                problems.append(f"site {site.name}: no source has columns.outcome")
        if self.site and not any(s.role is Role.DEVELOPMENT for s in self.site):
            problems.append("no site has role development")
        problems += [
            *use_problems(self),
            *transfer_problems(self),
            *federation_problems(self),
            *privacy_problems(self),
            *active_problems(self),
            *harmonisation_problems(self),
        ]
        if Variant.TABLE_LR in self.network.variants and not self.table_modalities:
            problems.append("variant table_lr needs a table modality")
        return problems

    @property
    def is_given(self) -> bool:
        """Whether the study judges a table that was made elsewhere, instead of making a model."""
        return self.predictions is not None or self.reads is not None

    @property
    def main(self) -> str:
        """What reports call the model; all others are compared with it."""
        return self.predictions.model if self.predictions else Variant.CMAN.value

    @property
    def image_modalities(self) -> list[ImageModality]:
        """The modalities that are bags of images, in order."""
        return [m for m in self.modality if isinstance(m, ImageModality)]

    @property
    def table_modalities(self) -> list[TableModality]:
        """The modalities that are rows of covariates, in order."""
        return [m for m in self.modality if isinstance(m, TableModality)]

    @cached_property
    def digest(self) -> Digest:
        """The digest that is signed before data is read."""
        return digest_value(self.model_dump(mode="json"))


def is_name(text: str) -> bool:
    """Tell whether `text` may name a study, site or modality.

    >>> is_name("north-clinic"), is_name("../x")
    (True, False)
    """
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", text) is not None
