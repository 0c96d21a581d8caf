"""Whatever is written in a study file, the check names problems and never breaks."""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from huizhen.core.study import ReaderKind, Study
from huizhen.core.study_lines import key_lines, line_of
from huizhen.core.study_problems import parse_study
from huizhen.core.study_sources import source_problems
from huizhen.core.study_template import (
    ModalityAnswer,
    SiteAnswer,
    SourceAnswer,
    StudyAnswers,
    commented_study,
    toml_value,
)

SOURCES = tuple(
    SourceAnswer(
        reader=reader,
        modality=modality,
        path="a",
        labels=labels,
        columns={"patient": "p", "outcome": "o"},
        where={"device": 3},
    )
    for reader, modality, labels in ((ReaderKind.IMAGES, "US", "a.csv"), (ReaderKind.TABLE, "lab", None))
)


def good() -> dict[str, Any]:
    """Return a study with every kind of section, as a plain table."""
    text = commented_study(
        StudyAnswers(
            name="us",
            title="t",
            question="q",
            positive=("1",),
            negative=("0",),
            modalities=(ModalityAnswer(name="US"), ModalityAnswer(name="lab", numeric=("age",))),
            sites=tuple(SiteAnswer(name=name, sources=SOURCES) for name in ("a", "b")),
        )
    )
    return tomllib.loads(text)


GOOD = good()


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the way to every value inside nested tables and lists."""
    items: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return [(*path, key) for key, _ in items] + [p for key, item in items for p in places(item, (*path, key))]


PLAIN = st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=5)
VALUES = st.recursive(
    PLAIN.filter(lambda value: value is not None),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
    max_leaves=4,
)


def as_toml(raw: dict[str, Any]) -> str:
    """Return a table as TOML, one top-level key a line."""
    return "\n".join(f"{toml_value(key)} = {toml_value(value)}" for key, value in raw.items())


@settings(deadline=None)  # a busy machine is no fault
@given(st.lists(st.tuples(st.sampled_from(places(GOOD)), VALUES), min_size=1, max_size=4))
def test_no_change_breaks_the_check(changes: list[tuple[tuple[str | int, ...], Any]]) -> None:
    raw = copy.deepcopy(GOOD)
    for path, value in changes:
        here: Any = raw
        try:
            for part in path[:-1]:
                here = here[part]
            here[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue
    study, parsed, problems = parse_study(as_toml(raw))
    assert (study is None) == bool(problems)
    problems += source_problems(parsed, [Path("nowhere")])
    assert all(problem.field and problem.reason and problem.remedy for problem in problems)
    if study is not None:
        assert Study.model_validate(study.model_dump(mode="json")).digest == study.digest


@given(st.lists(st.sampled_from(places(GOOD)), min_size=1, max_size=5))
def test_no_missing_part_breaks_the_check(gone: list[tuple[str | int, ...]]) -> None:
    raw = copy.deepcopy(GOOD)
    for path in gone:
        here: Any = raw
        try:
            for part in path[:-1]:
                here = here[part]
            del here[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue
    study, _, problems = parse_study(as_toml(raw))
    assert (study is None) == bool(problems)


@given(st.text(max_size=200))
def test_no_text_breaks_the_check(text: str) -> None:
    study, _, problems = parse_study(text)
    assert study is None
    assert problems


def test_the_unchanged_study_has_no_problem() -> None:
    assert parse_study(as_toml(GOOD))[2] == []


def test_lines_are_found_through_repeated_sections_and_quotes() -> None:
    text = "\n".join(
        [
            "[[site]] # first",
            "[[site.source]]",
            "path = 'a'",
            "[[site]]",
            "[[site.source]]",
            '"odd key" = 1',
            "[[site.source]]",
            "  path='b'",
            "[split]",
            "test = 0.2",
        ]
    )
    lines = key_lines(text)
    assert lines["site[0].source[0].path"] == 3
    assert lines["site[1].source[0].odd key"] == 6
    assert lines["site[1].source[1].path"] == 8
    assert lines["split.test"] == 10
    assert line_of("site[1].source[1].columns.patient", lines) == 7
    assert line_of("site[1].role", lines) == 4
    assert line_of("nowhere", lines) is None
