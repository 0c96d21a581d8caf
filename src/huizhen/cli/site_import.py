"""A site made from what lies in a folder: look, guess, write the TOML, and check the study with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from huizhen.cli.column_guess import Counts, Guess, count_rows, guess_columns, refuse_useless
from huizhen.cli.dicom_choice import Match, choose_modality, match_ids, refuse_strangers
from huizhen.cli.source_guess import Found, look_at
from huizhen.core.dicom_modality import code_in_name
from huizhen.core.files import write_text
from huizhen.core.study import ReaderKind, Role, Study, Task
from huizhen.core.study_file import check_study_text, load_study, study_error, study_roots
from huizhen.core.study_template import SiteAnswer, SourceAnswer, site_toml
from huizhen.core.table_text import columns_of, encoding_of, rows_of
from huizhen.data.readers.tables import plain_text
from huizhen.errors import DataError, InvalidInputError

if TYPE_CHECKING:
    from huizhen.data.readers.dicom_kinds import HeaderCounts

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
    dicom_modality: str | None = None
    encoding: str | None = None
    data_root: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A site ready to paste, and what it rests on."""

    toml: str
    reader: str
    guesses: tuple[Guess, ...]
    counts: Counts | None
    headers: HeaderCounts | None = None
    match: Match | None = None
    encoding: str = "UTF-8"
    sample: str = ""
    """Words of a table that isn't UTF-8: columns, or values of outcomes that several rows share."""


def import_site(request: Request) -> Imported:
    """Return the [[site]] that reads the request's source.

    Raises `DataError` if no reader fits, a column can't be found, or nobody could take part: no row is of a
    class of the study, no image that the table names is there, no id stands in a DICOM header; `StudyError`
    if the study file has problems, `InvalidInputError` on an unknown role or modality.
    """
    study = load_study(request.study) if request.study else None
    found = look_at(request.source, array=request.array)
    task = study.task if study else None
    labels = request.labels or (request.source if found.reader is ReaderKind.TABLE else None)
    if labels is not None:
        rows = _rows(labels, request.encoding)
        guesses = guess_columns(rows, found, task, request.given)
        columns = {guess.key: guess.column for guess in guesses}
    else:
        rows, guesses, columns = *_from_folders(found, task, request), {}
    site = SiteAnswer(
        name=request.site,
        role=_role(request.role),
        sources=tuple(_source(request, found, columns, name) for name in _modalities(request, found, study)),
        patient_ids="shared" if request.shared_ids else "own",
    )
    counts = count_rows(rows, guesses, found, task) if task else None
    if task and counts:
        refuse_useless(counts, rows, guesses, task, names=found.names, file=str(labels or request.source))
    return Imported(
        toml=site_toml(site),
        reader=found.reader.value,
        guesses=guesses,
        counts=counts,
        headers=found.headers,
        match=_match(site, rows, columns, found, labels),
        encoding=encoding_of(labels, encoding=request.encoding) if labels else "UTF-8",
        sample=_sample(rows, columns),
    )


def _sample(rows: Sequence[Mapping[str, str]], columns: Mapping[str, str]) -> str:
    """Return words beyond ASCII of a table by which a person sees whether it was decoded rightly."""
    outcomes = Counter(row[columns["outcome"]] for row in rows if "outcome" in columns)
    words = [*rows[0], *(value for value, count in outcomes.most_common(4) if count > 1)] if rows else []
    return ", ".join([word[:20] for word in words if not word.isascii()][:6])


def _match(
    site: SiteAnswer,
    rows: Sequence[Mapping[str, str]],
    columns: Mapping[str, str],
    found: Found,
    labels: Path | None,
) -> Match | None:
    """Return how the table's patients fit the headers of the modalities that are taken, if it is DICOM."""
    if found.headers is None or labels is None:
        return None
    taken = {source.extra["dicom_modality"] for source in site.sources}
    known = {one for code in taken for one in found.headers.patients.get(code, ())}
    match = match_ids((plain_text(row[columns["patient"]]) for row in rows), known)
    refuse_strangers(match, file=labels.name)
    return match


def _rows(labels: Path, encoding: str | None) -> list[Mapping[str, str]]:
    """Return the rows of a labels table. Raises `DataError` if it has none."""
    columns = list(dict.fromkeys(columns_of(labels, encoding=encoding)))
    rows = list(rows_of(labels, columns, encoding=encoding))
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


def _source(request: Request, found: Found, columns: dict[str, str], modality: str) -> SourceAnswer:
    """Return the source of a modality, its paths relative to where the study looks."""
    extra = dict(found.extra)
    if request.encoding:
        extra["encoding"] = request.encoding
    if found.reader is ReaderKind.NPZ and "image" not in columns:
        extra.pop("ids", None)  # rows of the table and of the array go together in order
    if found.headers is not None:
        extra["dicom_modality"] = choose_modality(
            modality, found.headers, given=request.dicom_modality, folder=request.source
        )
    return SourceAnswer(
        reader=found.reader,
        modality=modality,
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


def _modalities(request: Request, found: Found, study: Study | None) -> list[str]:
    """Return the modalities that the source gives: of DICOM, all that are called after what is there."""
    held = found.headers.modalities if found.headers else {}
    if request.modality or request.dicom_modality or not held:
        return [_modality(request.modality, found, study)]
    if study is None:
        return [next(iter(held)) if len(held) == 1 else "images"]
    names = [one.name for one in study.image_modalities if code_in_name(one.name) in held]
    return names or [_modality(None, found, study)]


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
