"""The text of a new study file, each section with a comment that says what it decides."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from huizhen.core.study import ReaderKind, Role, is_name
from huizhen.errors import InvalidInputError

__all__ = [
    "ModalityAnswer",
    "SiteAnswer",
    "SourceAnswer",
    "StudyAnswers",
    "commented_study",
    "site_toml",
    "toml_value",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModalityAnswer:
    """A modality of a new study: of images, or (with `columns`) of a table."""

    name: str
    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()

    @property
    def is_table(self) -> bool:
        """Whether its payload is a row of covariates."""
        return bool(self.numeric or self.categorical)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceAnswer:
    """A source of a site: the keys of [[site.source]] that differ from their defaults."""

    reader: ReaderKind
    modality: str
    path: str
    labels: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    where: Mapping[str, str | int | float] = field(default_factory=dict)
    extra: Mapping[str, str] = field(default_factory=dict)
    """Further keys: array, ids, masks, bag, dicom_modality."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteAnswer:
    """A site of a new study."""

    name: str
    role: Role = Role.DEVELOPMENT
    sources: tuple[SourceAnswer, ...]
    jurisdiction: str = ""
    patient_ids: str = "shared"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyAnswers:
    """What `huizhen study new` asked. Raises `InvalidInputError` if no study file can be made of it."""

    name: str
    title: str
    question: str
    positive: tuple[str, ...]
    negative: tuple[str, ...]
    modalities: tuple[ModalityAnswer, ...]
    sites: tuple[SiteAnswer, ...]
    seed: int = 20260101
    outcome: str = "outcome"

    def __post_init__(self) -> None:
        names = [("name", self.name)]
        names += [("modality", item.name) for item in self.modalities]
        names += [("site", item.name) for item in self.sites]
        for key, name in names:
            if not is_name(name):
                raise InvalidInputError(
                    f"{name!r} is not a plain name",
                    remedy="use letters, digits, point, dash and underscore only, at most 64; "
                    "full names stand in title, title_zh",
                    field=key,
                )


def toml_value(value: object) -> str:
    r"""Return text, a number, a boolean, a list or a flat table as TOML.

    >>> toml_value({"patient": "Case \"no\"", "ids": ["a", 1, True]})
    '{ patient = "Case \\"no\\"", ids = ["a", 1, true] }'
    """
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(str(key))} = {toml_value(item)}" for key, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, Iterable):
        return f"[{', '.join(toml_value(item) for item in value)}]"
    return repr(value)


def _key(name: str) -> str:
    """Return a bare key where TOML allows one, a quoted key elsewhere."""
    bare = name and all(char.isascii() and (char.isalnum() or char in "_-") for char in name)
    return name if bare else toml_value(name)


def site_toml(site: SiteAnswer) -> str:
    """Return one [[site]] with its sources, ready to paste into a study file."""
    lines = ["[[site]]", f"name = {toml_value(site.name)}", f"role = {toml_value(site.role.value)}"]
    if site.jurisdiction:
        lines.append(f"jurisdiction = {toml_value(site.jurisdiction)}")
    if site.patient_ids != "shared":
        lines.append(
            f"patient_ids = {toml_value(site.patient_ids)}  # the hospital numbers its patients by itself"
        )
    for source in site.sources:
        lines += ["", "[[site.source]]", *_source_lines(source)]
    return "\n".join(lines) + "\n"


def _source_lines(source: SourceAnswer) -> list[str]:
    """Return the keys of one source, empty ones left out."""
    keys: dict[str, object] = {
        "reader": source.reader.value,
        "modality": source.modality,
        "path": source.path,
        "labels": source.labels,
        "columns": dict(source.columns),
        "where": dict(source.where),
        **source.extra,
    }
    return [f"{key} = {toml_value(value)}" for key, value in keys.items() if value not in (None, {})]


def _modality_toml(modality: ModalityAnswer) -> str:
    """Return one [[modality]] with the settings that are most often changed."""
    head = f"[[modality]]\nname = {toml_value(modality.name)}\n"
    if modality.is_table:
        return (
            f'{head}kind = "table"\n'
            f"numeric = {toml_value(modality.numeric)}\n"
            f"categorical = {toml_value(modality.categorical)}\n"
            "# Columns known only afterwards, or that give the outcome away, each with its reason:\n"
            '# leave_out = { pathology_stage = "known only after surgery" }\n'
        )
    return (
        f'{head}kind = "image"\n'
        'encoder = "efficientnet-lite0"  # or resnet18, resnet50\n'
        "pretrained = true               # ImageNet weights, where the encoder has them\n"
        "size = 128                      # side in pixels that images are letterboxed into\n"
        "channels = 1                    # 3 when phases or colours are channels\n"
        "max_images = 4                  # views, slices or frames taken of one patient\n"
    )


TEMPLATE = """\
# {title}
# One study file holds everything scientific: the question, the sites, the endpoints with their bounds.
# It is signed before any data is read; after that, a change makes a new study.
# Every key is explained in docs/reference/study.md. Check this file with: huizhen study check FILE

schema_version = 1
name = {name}
title = {title_value}
question = {question}
seed = {seed}  # every random draw comes from it

[task]
kind = "binary"
outcome = {outcome}     # what is predicted, as reports call it
positive = {positive}  # values of the outcome column that count as positive
negative = {negative}  # and as negative; patients with any other value are excluded and counted

# --- Modalities: what a patient may have. Any of them may be missing for any patient. ---

{modalities}
# --- Sites: one per hospital. role = "development" is split into train, tune and internal test; ---
# --- role = "external" is never touched in training or tuning. Paths are relative to the data   ---
# --- folder ($HUIZHEN_DATA or --data), or else to this file.                                    ---

{sites}
# --- How the decision threshold is chosen, on tuning data only ---

[threshold]
rule = "sensitivity"  # or specificity, youden
target = 0.9

# --- Endpoints: acceptance bounds, fixed now. The verdict is pass or fail, whatever comes out. ---

[[endpoint]]
metric = "auc"
cohort = "internal"
at_least = 0.75
on = "lower"  # the lower limit of the 95 % interval, or "estimate"
{external_endpoint}
# --- What is reported beside the endpoints: fixed now too. Take the # away where it applies. ---

[evaluation]
net_benefit_range = [0.05, 0.5]  # risks at which somebody might act: the decision curve's range
# prevalence = 0.01              # where the model will be used: PPV and NPV are given for it
# at_specificity = 0.9           # the sensitivity there
# partial_auc = {{ specificity = 0.8 }}
# costs = {{ false_negative = 20, false_positive = 1 }}

# --- Groups of patients to compare. Sites are compared anyway; a column needn't be an input.  ---

# [[subgroup]]
# column = "age"        # of the labels tables; or "scanner:MODALITY", "present:MODALITY"
# edges = [50, 70]      # numbers in bands: <50, 50–<70, ≥70
# cross = ["sex"]       # intersections with another subgroup

# [[subgroup]]
# column = "sex"
# groups = {{ women = ["F"], men = ["M"] }}  # leave it out, and each value is a group

# --- What the locked model is tried on besides: disturbed images and rows, shortcuts, wrong labels ---

# [robustness]
# patients = 200        # at most so many internal test patients; the time grows with it
# [conformal]
# level = 0.9           # prediction sets that hold the outcome of so many patients of each class

# --- How development patients are divided: by patient, stratified by site and outcome ---

[split]
method = "holdout"  # or "folds": every patient is tested once
test = 0.25
tune = 0.15

# --- What is trained: cman is the model, the others are baselines ---

[network]
variants = {variants}

[training]
mode = "frozen"  # encoders stay as they are (minutes on a CPU); "finetune" trains them too
epochs = 40
members = 1      # networks per fold, differing in seed
"""

EXTERNAL = """
[[endpoint]]
metric = "auc"
cohort = "external"
at_least = 0.7
on = "lower"
"""


def commented_study(answers: StudyAnswers) -> str:
    """Return the text of a commented study file that `load_study` accepts."""
    has_external = any(site.role is Role.EXTERNAL for site in answers.sites)
    return TEMPLATE.format(
        title=_one_line(answers.title),
        name=toml_value(answers.name),
        title_value=toml_value(answers.title),
        question=toml_value(answers.question),
        seed=answers.seed,
        outcome=toml_value(answers.outcome),
        positive=toml_value(answers.positive),
        negative=toml_value(answers.negative),
        modalities="\n".join(map(_modality_toml, answers.modalities)),
        sites="\n".join(map(site_toml, answers.sites)),
        external_endpoint=EXTERNAL if has_external else "",
        variants=toml_value(_variants(answers)),
    )


def _one_line(text: str) -> str:
    """Return text as one line of printable characters, fit for a comment."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _variants(answers: StudyAnswers) -> list[str]:
    """Return the baselines that make sense for the modalities."""
    tables = any(modality.is_table for modality in answers.modalities)
    several = ["concatenation", "late_average", "single"] if len(answers.modalities) > 1 else []
    return ["cman", *several, *(["table_lr"] if tables else [])]
