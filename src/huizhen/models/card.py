"""The model card: what must be known of a model to use it, and to judge whether it may be used."""

from __future__ import annotations

import math
from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, StringConstraints, ValidationError, model_validator

from huizhen.core.digests import canonical_json
from huizhen.core.study import AnyModality, Network, Task, Variant
from huizhen.core.study_base import Frozen, Name
from huizhen.errors import InvalidInputError, ModelError

CARD_VERSION: Final = 1

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
Threshold = Annotated[float, Field(ge=0, le=math.nextafter(1, 2))]
"""A risk, or the number above 1 by which nobody is called positive."""


class Closed(Frozen):
    """A part of the card: immutable, no unknown keys, finite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Calibration(Closed):
    """How a model's logit became a risk: sigmoid(slope x logit + intercept)."""

    method: Literal["none", "temperature", "logistic"]
    slope: Annotated[float, Field(gt=0)] = 1.0
    intercept: float = 0.0


class TrainingRecord(Closed):
    """Whose data the model was developed on: `n` patients at `sites`, under `seed`.

    Of them `n_train` trained the weights and `n_tune` chose calibration and threshold; both are None where
    folds take turns, and in cards of earlier versions.
    """

    sites: Annotated[tuple[Name, ...], Field(min_length=1)]
    n: Annotated[int, Field(ge=1)]
    n_events: Annotated[int, Field(ge=0)] | None = None
    n_train: Count | None = None
    n_train_events: Count | None = None
    n_tune: Count | None = None
    n_tune_events: Count | None = None
    seed: Annotated[int, Field(ge=0)]


class Card(Closed):
    """A model's identity, inputs, decisions, origin, purpose and limits.

    `preprocessing` says per modality how pixels or columns become inputs. `thresholds` and `calibration` go
    by model name ("cman", "cman|MG+US", "single:MG"); a risk of at least the threshold is a positive
    decision.
    """

    schema_version: Literal[1] = 1
    name: Name
    version: Text
    study_digest: Sha256
    task: Task
    variant: Variant = Variant.CMAN
    network: Network = Network()
    modalities: Annotated[tuple[AnyModality, ...], Field(min_length=1)]
    preprocessing: dict[Name, dict[str, JsonValue]]
    thresholds: Annotated[dict[Text, Threshold], Field(min_length=1)]
    calibration: dict[Text, Calibration]
    training: TrainingRecord
    intended_use: Text
    limits: Annotated[tuple[Text, ...], Field(min_length=1)]
    phantom: bool

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        names = [m.name for m in self.modalities]
        problems = []
        if len(set(names)) < len(names):
            problems.append("a modality stands twice")
        if set(self.preprocessing) != set(names):
            problems.append("preprocessing and modalities name different modalities")
        if missing := sorted(set(self.thresholds) - set(self.calibration)):
            problems.append(f"thresholds without a calibration: {', '.join(missing)}")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def canonical(self) -> bytes:
        """Return the card's one form in bytes, which the bundle's digest covers.

        What a card of an earlier version lacked is left out, so that its digest stays.
        """
        value = self.model_dump(mode="json")
        value["training"] = {
            name: found
            for name, found in value["training"].items()
            if found is not None or name == "n_events"
        }
        if self.network.zooms == Network.model_fields["zooms"].default:
            del value["network"]["zooms"]
        return canonical_json(value)


def check_card(value: object, *, file: str) -> Card:
    """Return `value` (a mapping or a `Card`) as a card that has a canonical form. Raises `ModelError`."""
    try:
        card = Card.model_validate(value.model_dump() if isinstance(value, Card) else value)
        card.canonical()
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        places = [f"{'.'.join(map(str, p['loc'])) or 'card'}: {p['msg']}" for p in problems]
        remedy = "give the card every field that it needs, and no other"
        raise ModelError("; ".join(places), remedy=remedy, file=file) from error
    except InvalidInputError as error:
        raise ModelError(error.message, remedy=error.remedy, file=file) from error
    return card


def model_card_markdown(card: Card) -> str:
    """Return the card as a page for people, in Markdown.

    Sections follow Mitchell et al., Model Cards for Model Reporting, FAT* 2019.
    """
    notice = ["> **Phantom: trained on simulated images. No figure of it is clinical.**", ""]
    return "\n".join(
        [
            f"# {_cell(card.name)} {_cell(card.version)}",
            "",
            *(notice if card.phantom else []),
            "## Intended use",
            "",
            _cell(card.intended_use),
            "",
            "## Limits",
            "",
            *(f"- {_cell(limit)}" for limit in card.limits),
            "",
            "## What it predicts",
            "",
            f"{_cell(card.task.outcome)}: positive is {_cell(', '.join(card.task.positive))}, "
            f"negative is {_cell(', '.join(card.task.negative))}.",
            "",
            "## Inputs",
            "",
            *_table(("modality", "kind", "preprocessing"), _inputs(card)),
            "",
            "## Decisions",
            "",
            *_table(("model", "threshold", "calibration", "slope", "intercept"), _decisions(card)),
            "",
            "## Training",
            "",
            f"Developed on {card.training.n} patients at {_cell(', '.join(card.training.sites))}, "
            f"{_developed(card.training)}seed {card.training.seed}. Study `{card.study_digest}`.",
            "",
        ]
    )


def _developed(training: TrainingRecord) -> str:
    """Return who of them trained and who tuned, where that is one division."""
    if training.n_train is None or training.n_tune is None:
        return ""
    return (
        f"of whom {training.n_train} ({training.n_train_events} events) trained and "
        f"{training.n_tune} ({training.n_tune_events} events) tuned, "
    )


def _inputs(card: Card) -> list[tuple[str, ...]]:
    return [(m.name, m.kind, canonical_json(card.preprocessing[m.name]).decode()) for m in card.modalities]


def _decisions(card: Card) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for model, threshold in sorted(card.thresholds.items()):
        how = card.calibration[model]
        rows.append((model, f"{threshold:.4g}", how.method, f"{how.slope:.4g}", f"{how.intercept:.4g}"))
    return rows


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    lines = [head, tuple("---" for _ in head), *rows]
    return ["| " + " | ".join(_cell(text) for text in line) + " |" for line in lines]


def _cell(text: str) -> str:
    """Return `text` on one line with what Markdown would read as markup escaped."""
    escaped = "".join(f"\\{c}" if c in "\\`*_|<>[]" else c for c in text)
    return " ".join(escaped.split())
