"""A site made from what lies in a folder: look, guess, write the TOML, and check the study with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from huizhen.cli.column_guess import Counts, Guess, count_rows, guess_columns
from huizhen.cli.source_guess import Found, look_at
from huizhen.core.files import write_text
from huizhen.core.study import ReaderKind, Role, Study, Task
from huizhen.core.study_file import check_study_text, load_study, study_error, study_roots
from huizhen.core.study_template import SiteAnswer, SourceAnswer, site_toml
from huizhen.core.table_text import columns_of, rows_of
from huizhen.errors import DataError, InvalidInputError

__all__ = ["Imported", "Request", "append_site", "import_site"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line of `data import` said."""

    source: Path
    labels: Path | None
    study: Path | None
    site: str
    role: str
    modality: str | None
    given: Mapping[str, str | None]
    array: str | None
    shared_ids: bool
    data_root: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A site ready to paste, and what it rests on."""

    toml: str
    reader: str
    guesses: tuple[Guess, ...]
    counts: Counts | None


def import_site(request: Request) -> Imported:
    """Return the [[site]] that reads the request's source.

    Raises `DataError` if no reader fits or a column can't be found, `StudyError` if the study file has
    problems, `InvalidInputError` on an unknown role or modality.
    """
    study = load_study(request.study) if request.study else None
    found = look_at(request.source, array=request.array)
    task = study.task if study else None
    labels = request.labels or (request.source if found.reader is ReaderKind.TABLE else None)
    if labels is not None:
        rows = _rows(labels)
        guesses = guess_columns(rows, found, task, request.given)
        columns = {guess.key: guess.column for guess in guesses}
    else:
        rows, guesses, columns = *_from_folders(found, task, request), {}
    site = SiteAnswer(
        name=request.site,
        role=_role(request.role),
        sources=(_source(request, found, columns, study),),
        patient_ids="shared" if request.shared_ids else "own",
    )
    counts = count_rows(rows, guesses, found, task) if task else None
    return Imported(toml=site_toml(site), reader=found.reader.value, guesses=guesses, counts=counts)


def _rows(labels: Path) -> list[Mapping[str, str]]:
    """Return the rows of a labels table. Raises `DataError` if it has none."""
    rows = list(rows_of(labels, list(dict.fromkeys(columns_of(labels)))))
    if not rows:
        raise DataError("the table holds no row", remedy="check that it is the right one", file=str(labels))
    return rows


def _from_folders(
    found: Found, task: Task | None, request: Request
) -> tuple[list[Mapping[str, str]], tuple[Guess, ...]]:
    """Return the rows that folders named after classes give. Raises `DataError` if they are not."""
    outcomes = {outcome for _, outcome in found.folders}
    wanted = {*task.positive, *task.negative} if task else outcomes - {""}
    if not outcomes & wanted or (task is None and len(outcomes) < 2):
        remedy = "name it with --labels, or put the images into one folder a class"
        raise DataError("no labels table given", remedy=remedy, file=str(request.source))
    rows = [{"patient": patient, "outcome": outcome} for patient, outcome in found.folders]
    return list(rows), tuple(Guess(key=key, column=key, why="folders") for key in ("patient", "outcome"))


def append_site(study: Path, toml: str) -> None:
    """Append a site to a study file, if the whole then has no problems. Raises `StudyError` otherwise."""
    text = f"{study.read_text(encoding='utf-8').rstrip()}\n\n{toml}"
    if problems := check_study_text(text):
        raise study_error(study, problems)
    write_text(study, text)


def _source(request: Request, found: Found, columns: dict[str, str], study: Study | None) -> SourceAnswer:
    """Return the source, its paths relative to where the study looks."""
    extra = dict(found.extra)
    if found.reader is ReaderKind.NPZ and "image" not in columns:
        extra.pop("ids", None)  # rows of the table and of the array go together in order
    return SourceAnswer(
        reader=found.reader,
        modality=_modality(request.modality, found, study),
        path=_relative(request.source, request),
        labels=_relative(request.labels, request) if request.labels else None,
        columns=columns,
        extra=extra,
    )


def _relative(path: Path, request: Request) -> str:
    """Return a path relative to the data folder or the study file's folder.

    Raises `DataError` if it lies under neither: a study must not depend on where one machine keeps its files.
    """
    here = (request.study or Path("study.toml")).resolve()
    roots = study_roots(here, request.data_root)
    for root in roots:
        if path.resolve().is_relative_to(root.resolve()):
            return path.resolve().relative_to(root.resolve()).as_posix()
    raise DataError(
        "lies neither under the data folder nor beside the study file",
        remedy="move it there, or name a data folder above it with --data or $HUIZHEN_DATA",
        file=str(path),
    )


def _modality(given: str | None, found: Found, study: Study | None) -> str:
    """Return the modality that the source gives: the one named, or the study's only one of that kind."""
    if study is None:
        return given or ("clinical" if found.reader is ReaderKind.TABLE else "US")
    fitting = study.table_modalities if found.reader is ReaderKind.TABLE else study.image_modalities
    names = [modality.name for modality in fitting]
    if given in names or (given is None and len(names) == 1):
        return given or names[0]
    what = f"the study has no such modality: {given}" if given else "the study has not exactly one that fits"
    listed = ", ".join(names) or "none that this reader gives"
    raise InvalidInputError(what, remedy=f"choose one of: {listed}", field="--modality")


def _role(text: str) -> Role:
    """Return the role of that name."""
    try:
        return Role(text)
    except ValueError as error:
        choices = " or ".join(item.value for item in Role)
        raise InvalidInputError(f"can't be {text!r}", remedy=f"write {choices}", field="--role") from error
