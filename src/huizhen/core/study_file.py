"""The study file on disk: read it, or say everything that is wrong with it at once.

>>> problems = check_study_text('name = "a"\\ntitel = "b"')
>>> print(next(problem for problem in problems if problem.line))
line 2: titel: is an unknown key (did you mean title?)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from huizhen.core.study import Study
from huizhen.core.study_given import given_table_problems
from huizhen.core.study_limits import MOST_BYTES
from huizhen.core.study_problems import parse_study, with_lines
from huizhen.core.study_sources import source_problems
from huizhen.core.study_wording import Problem
from huizhen.errors import StudyError

__all__ = [
    "Problem",
    "check_study",
    "check_study_text",
    "load_study",
    "study_error",
    "study_roots",
    "study_text",
    "with_lines",
]


def load_study(path: Path) -> Study:
    """Return the study of a file. Raises `StudyError` that lists every problem of its text."""
    study, _, problems = parse_study(study_text(path))
    if study is None:
        raise study_error(path, problems)
    return study


def check_study(path: Path, *, data_root: Path | None) -> list[Problem]:
    """Return every problem of a study file, and of the files that it names; an empty list if there is none.

    Raises `StudyError` only if the file itself can't be read.
    """
    text = study_text(path)
    _, raw, problems = parse_study(text)
    roots = study_roots(path, data_root)
    files = [*source_problems(raw, roots), *given_table_problems(raw, roots)]
    return [*problems, *with_lines(files, text)]


def check_study_text(text: str) -> list[Problem]:
    """Return every problem of a study's text, without looking at any file."""
    return parse_study(text)[2]


def study_roots(path: Path, data_root: Path | None) -> list[Path]:
    """Return where a study's relative paths are looked up: the data root, then the study file's folder."""
    return [root for root in (data_root, path.parent) if root is not None]


def study_error(path: Path, problems: Sequence[Problem]) -> StudyError:
    """Return the error that lists `problems`, one a line."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    listed = "".join(f"\n  {problem}" for problem in problems)
    return StudyError(
        f"{count}:{listed}\n",
        remedy=f"correct {'it' if len(problems) == 1 else 'them'}, then run huizhen study check",
        file=str(path),
    )


def study_text(path: Path) -> str:
    """Return the text of a study file, no more than is checked. Raises `StudyError`."""
    try:
        with path.open(encoding="utf-8") as stream:
            return stream.read(MOST_BYTES + 1)
    except UnicodeDecodeError as error:
        raise StudyError("is not UTF-8 text", remedy="save it as UTF-8", file=str(path)) from error
    except OSError as error:
        raise StudyError(
            f"can't be read ({error.strerror})",
            remedy="check its path, or make one with huizhen study new",
            file=str(path),
        ) from error
