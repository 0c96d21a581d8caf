"""What a person should know of a study's labels tables before a run, though it stops none.

Patients whose rows say both outcomes, and external sites all of whose patients are of one class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from huizhen.core.study import ReaderKind, Role, Source, Study, Task
from huizhen.core.study_sources import class_of, find_path
from huizhen.core.study_wording import Problem
from huizhen.core.table_text import cell_equals, numbered_rows
from huizhen.errors import HuizhenError

__all__ = ["study_notes"]

MOST_LINES = 3
"""How many lines of a table a note names."""

Classes = dict[str, dict[bool, int]]
"""Patient -> class -> the first line that says it."""


def study_notes(study: Study, roots: Sequence[Path]) -> list[Problem]:
    """Return the notes on a study's labels tables under `roots`; unreadable ones are passed over."""
    return list(_notes(study, roots))


def _notes(study: Study, roots: Sequence[Path]) -> Iterator[Problem]:
    for i, site in enumerate(study.site):
        told: Classes = {}
        for j, source in enumerate(site.source):
            classes = _classes(source, study.task, roots)
            yield from _contradictions(f"site[{i}].source[{j}]", source, classes, study.task)
            for patient, found in classes.items():
                told.setdefault(patient, {}).update(found)
        classes_here = {one for found in told.values() for one in found}
        if site.role is Role.EXTERNAL and len(classes_here) == 1:
            which = "positive" if classes_here == {True} else "negative"
            yield Problem(
                field=f"site[{i}]",
                reason=f"all {len(told)} patients of the external site {site.name} are {which}",
                remedy="no AUC can be measured there; ask for patients of the other class, or expect none",
            )


def _classes(source: Source, task: Task, roots: Sequence[Path]) -> Classes:
    """Return each patient's classes with the first line of each."""
    name = source.labels or (source.path if source.reader is ReaderKind.TABLE else None)
    path = find_path(name, roots) if name else None
    columns = source.columns
    if path is None or not path.is_file() or columns is None or columns.outcome is None:
        return {}
    told: Classes = {}
    wanted = list(dict.fromkeys([columns.patient, columns.outcome, *source.where]))
    try:
        for line, row in numbered_rows(path, wanted, encoding=source.encoding):
            if _is_kept(row, source) and (found := class_of(row[columns.outcome], task)) is not None:
                told.setdefault(row[columns.patient], {}).setdefault(found, line)
    except HuizhenError:
        return {}
    return told


def _is_kept(row: Mapping[str, str], source: Source) -> bool:
    """Tell whether `where` keeps a row."""
    for name, value in source.where.items():
        if not any(cell_equals(row[name], one) for one in (value if isinstance(value, list) else [value])):
            return False
    return True


def _contradictions(field: str, source: Source, classes: Classes, task: Task) -> Iterator[Problem]:
    """Yield a note on the patients whose rows say both outcomes, naming the first lines."""
    both = [found for found in classes.values() if len(found) == 2]
    if not both:
        return
    lines = [" + ".join(map(str, sorted(found.values()))) for found in both[:MOST_LINES]]
    lines += ["..."] if len(both) > MOST_LINES else []
    if task.mixed_outcomes == "positive":
        remedy = 'they count as positive, as task.mixed_outcomes = "positive" says'
    else:
        remedy = 'they are left out; correct the table, or say mixed_outcomes = "positive" in [task]'
    table = Path(source.labels or source.path).name
    yield Problem(
        field=f"{field}.labels" if source.labels else f"{field}.path",
        reason=f"{len(both)} patients have both outcomes in {table}, first lines {', '.join(lines)}",
        remedy=remedy,
    )
