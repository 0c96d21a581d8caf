"""Files and their labels: which row of a labels table names which file, and the scan of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath

from huizhen.core.cohort import Exclusion, ImageRecord
from huizhen.core.progress import Progress
from huizhen.data.readers.image_names import Spelling
from huizhen.data.readers.interface import Located, Scan, image_order
from huizhen.data.readers.labels import Label, Labels
from huizhen.errors import UnreadableFileError

__all__ = ["Pairs", "Problems", "by_table", "own_label", "scan_pairs"]

Pairs = list[tuple[str, Label]]
"""Relative paths with their labels."""

Problems = list[tuple[str, str]]
"""(reason, subject) of what can't be used."""


def by_table(labels: Labels, files: Sequence[str], stem: Callable[[str], str]) -> tuple[Pairs, Problems]:
    """Return each file with its row of a labels table, and what has no counterpart.

    `columns.image` may give the path below the folder or the name alone, with or without suffix (`stem`
    removes it), in other case, and behind folders that all rows share. Several rows may name one file (a row
    a lesion), as long as they name one patient. Files of which several fit one name, and files of two
    patients, are left out as duplicate_id; a file that no row names as missing_label; a row whose file is not
    there as absent_file.
    """
    names = _names(files, stem)
    folded = _folded(names)
    spelling = Spelling.of(label.image for label in labels.rows)
    found: dict[str, list[Label]] = {}
    problems: Problems = []
    named: set[str] = set()
    unclear: dict[str, None] = {}
    for label in labels.rows:
        found_as = spelling.look_up(label.image, names, folded)
        fits = _fitting(found_as, names, folded)
        named.update(fits)
        if label.kept and label.patient and len(fits) == 1:
            found.setdefault(fits[0], []).append(label)
        elif label.kept and label.patient and not fits:
            problems.append(("absent_file", label.place))
        elif label.kept and label.patient:
            unclear.update(dict.fromkeys(fits))
    unclear.update({file: None for file, rows in found.items() if len({row.patient for row in rows}) > 1})
    pairs = [(file, rows[0]) for file, rows in found.items() if file not in unclear]
    problems += [("duplicate_id", file) for file in unclear]
    problems += [("missing_label", file) for file in files if file not in named]
    return pairs, problems


def own_label(file: str, position: int, *, patient: str, outcome: str = "") -> Label:
    """Return the label of a file that no table describes."""
    return Label(
        patient=patient,
        outcome=outcome,
        image=file,
        view="",
        duplicate_group="",
        position=position,
        place=file,
        kept=True,
    )


def scan_pairs(
    pairs: Pairs,
    problems: Problems,
    labels: Labels,
    *,
    place: Located,
    modality: str,
    records_of: Callable[[str, Label], Sequence[ImageRecord]],
    progress: Progress,
) -> Scan:
    """Return the scan of labelled files: their records, and an exclusion for each that can't be read."""
    records: list[ImageRecord] = []
    problems = list(problems)
    with progress.track("ingest", len(pairs), about=f"{place.site} {modality}") as advance:
        for file, label in pairs:
            try:
                records += records_of(file, label)
            except UnreadableFileError:
                problems.append(("unreadable", file))
            advance(1)
    records.sort(key=image_order)
    exclusions = [
        Exclusion(unit="image", reason=reason, site=place.site, subject=what) for reason, what in problems
    ]
    exclusions += [*labels.nameless(place.site), *labels.unlabelled(records, place.site)]
    return Scan(
        images=tuple(records),
        outcomes=labels.outcomes(),
        contradicting=labels.contradicting(),
        exclusions=tuple(exclusions),
    )


def _names(files: Sequence[str], stem: Callable[[str], str]) -> dict[str, list[str]]:
    """Return every name that a file may go by -> the files it fits."""
    names: dict[str, list[str]] = {}
    for file in files:
        base = PurePosixPath(file).name
        for name in {file, stem(file), base, stem(base)}:
            names.setdefault(name, []).append(file)
    return names


def _folded(names: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Return the names in lower case -> the files they fit."""
    folded: dict[str, dict[str, None]] = {}
    for name, fits in names.items():
        folded.setdefault(name.casefold(), {}).update(dict.fromkeys(fits))
    return {name: list(fits) for name, fits in folded.items()}


def _fitting(found: str | None, names: Mapping[str, list[str]], folded: Mapping[str, list[str]]) -> list[str]:
    """Return the files that a name found in either index fits; an exact path goes before the rest."""
    if found is None:
        return []
    fits = names.get(found) or folded[found]
    return [found] if found in fits else fits
