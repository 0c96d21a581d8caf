"""The answers for a new study file: from flags, and for what they leave open from questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import typer

from huizhen.cli.screen import Screen
from huizhen.core.dicom_modality import code_in_name
from huizhen.core.study import ReaderKind, Role
from huizhen.core.study_template import ModalityAnswer, SiteAnswer, SourceAnswer, StudyAnswers
from huizhen.errors import InvalidInputError

__all__ = ["Flags", "answers_from", "parse_modality", "parse_site"]

QUESTIONS = ("name", "title", "question", "positive", "negative", "modality", "site")
"""What must be answered, in the order of asking."""

SEVERAL = ("positive", "negative", "modality", "site")
"""The questions that take several answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What the command line of `study new` said; None or () where it said nothing."""

    name: str | None = None
    title: str | None = None
    question: str | None = None
    outcome: str | None = None
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    modality: tuple[str, ...] = ()
    site: tuple[str, ...] = ()
    reader: str = "images"
    seed: int = 20260101


def answers_from(flags: Flags, screen: Screen, *, may_ask: bool) -> StudyAnswers:
    """Return complete answers. Raises `InvalidInputError` on a missing or bad one."""
    missing = [key for key in QUESTIONS if not getattr(flags, key)]
    if missing and not may_ask:
        listed = ", ".join(f"--{key}" for key in missing)
        raise InvalidInputError(
            f"missing: {listed}", remedy="give these, or run it in a terminal to be asked"
        )
    said = {key: _ask(key, screen) if key in missing else _as_list(getattr(flags, key)) for key in QUESTIONS}
    modalities = tuple(parse_modality(text) for text in said["modality"])
    reader = _reader(flags.reader)
    return StudyAnswers(
        name=said["name"][0],
        title=said["title"][0],
        question=said["question"][0],
        outcome=flags.outcome or "outcome",
        positive=tuple(said["positive"]),
        negative=tuple(said["negative"]),
        modalities=modalities,
        sites=tuple(parse_site(text, modalities, reader) for text in said["site"]),
        seed=flags.seed,
    )


def _as_list(value: str | tuple[str, ...]) -> list[str]:
    """Return one answer as a list of one."""
    return [value] if isinstance(value, str) else list(value)


def _ask(key: str, screen: Screen) -> list[str]:
    """Ask one question until it is answered; several answers are separated by commas or semicolons."""
    text: str = typer.prompt(screen.text(f"ask.{key}"), err=True).strip()
    if key not in SEVERAL:
        return [text]
    separator = ";" if key == "modality" else ","
    return [part.strip() for part in text.split(separator) if part.strip()]


def parse_modality(text: str) -> ModalityAnswer:
    """Return the modality of "NAME" (images) or "NAME=column,column:category" (a table).

    >>> parse_modality("clinical=age,her2:category").categorical
    ('her2',)
    """
    name, _, listed = text.partition("=")
    columns = [part.strip() for part in listed.split(",") if part.strip()]
    categories = tuple(part.removesuffix(":category") for part in columns if part.endswith(":category"))
    numbers = tuple(part for part in columns if not part.endswith(":category"))
    return ModalityAnswer(name=name.strip(), numeric=numbers, categorical=categories)


def parse_site(text: str, modalities: Sequence[ModalityAnswer], reader: ReaderKind) -> SiteAnswer:
    """Return the site of "NAME[:ROLE[:FOLDER]]", each modality in a folder of its own, one labels table.

    Raises `InvalidInputError` on an unknown role.

    >>> site = parse_site("south:external", [ModalityAnswer(name="US")], ReaderKind.IMAGES)
    >>> site.role.value, site.sources[0].path, site.sources[0].labels
    ('external', 'south/US', 'south/labels.csv')
    """
    parts = [part.strip() for part in text.split(":", 2)]
    name = parts[0]
    folder = (parts[2] if len(parts) > 2 else name).rstrip("/")
    sources = tuple(_source(modality, folder, reader) for modality in modalities)
    if all(modality.is_table for modality in modalities):
        sources = (_with_outcome(sources[0]), *sources[1:])
    return SiteAnswer(name=name, role=_role(parts[1] if len(parts) > 1 else "development"), sources=sources)


def _source(modality: ModalityAnswer, folder: str, reader: ReaderKind) -> SourceAnswer:
    """Return where a site's modality is expected; the study's author changes it to what is there."""
    if modality.is_table:
        path = f"{folder}/{modality.name}.csv"
        columns = {"patient": "patient"}
        return SourceAnswer(reader=ReaderKind.TABLE, modality=modality.name, path=path, columns=columns)
    columns = {"patient": "patient", "outcome": "outcome"}
    if reader is not ReaderKind.DICOM:
        columns["image"] = "image"
    code = code_in_name(modality.name)
    return SourceAnswer(
        reader=reader,
        modality=modality.name,
        path=f"{folder}/{modality.name}",
        labels=f"{folder}/labels.csv",
        columns=columns,
        extra={"dicom_modality": code} if reader is ReaderKind.DICOM and code else {},
    )


def _with_outcome(source: SourceAnswer) -> SourceAnswer:
    """Return a table source that holds the outcome too."""
    columns = {**source.columns, "outcome": "outcome"}
    return SourceAnswer(reader=source.reader, modality=source.modality, path=source.path, columns=columns)


def _role(text: str) -> Role:
    """Return the role of that name."""
    try:
        return Role(text)
    except ValueError as error:
        choices = " or ".join(item.value for item in Role)
        raise InvalidInputError(
            f"role can't be {text!r}", remedy=f"write {choices}", field="--site"
        ) from error


def _reader(text: str) -> ReaderKind:
    """Return the reader of that name, if it reads images."""
    folders = (ReaderKind.IMAGES, ReaderKind.DICOM, ReaderKind.NIFTI)
    chosen = next((item for item in folders if item.value == text), None)
    if chosen is None:
        choices = ", ".join(item.value for item in folders)
        raise InvalidInputError(f"can't be {text!r}", remedy=f"write one of {choices}", field="--reader")
    return chosen
