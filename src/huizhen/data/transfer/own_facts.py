"""What a site can check of the facts that a lead tells of it: by its own cohort, and its own facts.toml.

A contradiction stops the site. What nobody checked stays what it is: said by the lead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from huizhen.core.cohort import Case
from huizhen.core.study import Study, TableModality
from huizhen.core.toml_file import read_toml
from huizhen.core.toml_problem import problem_in
from huizhen.data.transfer.facts import Value, checked_value
from huizhen.errors import InvalidInputError, PolicyError

__all__ = ["OWN", "check_cohort", "check_said", "own_facts", "said_of"]

OWN = "facts.toml"
"""The file in a site's folder with what its officer says of it."""
PERSONS = ("sensitive_persons", "bulk_health_persons")
"""Numbers that count this study's patients too: health data are sensitive."""
_SNP = re.compile(r"^rs[0-9]{2,}")


class _OwnFacts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    facts: dict[str, bool | int | str] = Field(default_factory=dict)


def own_facts(folder: Path) -> Mapping[str, Value]:
    """Return what a site's own facts.toml says in [facts]; nothing without one. Raises `PolicyError`."""
    path = folder / OWN
    if not path.exists():
        return {}

    def wrong(error: ValidationError) -> PolicyError:
        told = problem_in(error, _OwnFacts, remedy="write facts in [facts], by name and value")
        return PolicyError(
            f"is no file of facts ({told.reason})",
            remedy=told.remedy,
            field=told.field or None,
            file=path.name,
        )

    found = read_toml(path, _OwnFacts, wrong=wrong).facts
    try:
        return {name: checked_value(name, value) for name, value in found.items()}
    except InvalidInputError as error:
        raise PolicyError(error.message, remedy=error.remedy, field=error.field, file=path.name) from error


def said_of(study: Study, site: str) -> Mapping[str, Value]:
    """Return what the lead's [transfer] says of a site: of it in place of what it says of all."""
    if study.transfer is None:
        return {}
    told = {**study.transfer.facts, **study.transfer.site.get(site, {})}
    return {name: checked_value(name, value) for name, value in told.items()}


def check_said(study: Study, site: str, own: Mapping[str, Value]) -> tuple[str, ...]:
    """Return the facts that the lead tells as the site's own file does. Raises `PolicyError` for another."""
    said = said_of(study, site)
    for name in sorted(said.keys() & own.keys()):
        if said[name] != own[name]:
            raise _otherwise(name, "the study says otherwise than this site's own file of facts")
    return tuple(sorted(said.keys() & own.keys()))


def check_cohort(study: Study, site: str, cases: Sequence[Case], *, smallest: int = 1) -> tuple[str, ...]:
    """Return the facts that the site's own cohort of the study bears out. Raises `PolicyError` else.

    Persons can't be fewer than the patients who are here; columns of genotypes are genetic data.
    No number of patients stands in the message: the lead reads it. Who leads could still find the number,
    of patients whom its own study picks out, by what one study after the other is refused for; so fewer than
    `smallest` are held against nothing, and others to their first figure, by which no law's threshold is
    missed.
    """
    if study.transfer is None:
        return ()
    said, patients = said_of(study, site), len({case.pseudonym for case in cases})
    held = [name for name in PERSONS if name in said] if patients >= smallest else []
    for name in held:
        if _contradicts(int(str(said[name])), patients):
            raise _otherwise(name, "fewer persons than this site has patients of the study")
    return (*held, *_genetic(study))


def _contradicts(told: int, patients: int) -> bool:
    """Tell whether fewer were told of than the first figure of `patients` says, or as many where it is less.

    >>> [_contradicts(told, 10_500) for told in (9_999, 10_000, 10_001)], _contradicts(13, 14)
    ([True, True, False], False)
    """
    unit: int = 10 ** (len(str(patients)) - 1)
    first = patients // unit * unit
    return told < first or told == first < patients


def _genetic(study: Study) -> tuple[str, ...]:
    tables = [one for one in study.modality if isinstance(one, TableModality)]
    columns = [name for one in tables for name in (*one.numeric, *one.categorical)]
    if study.use is None or not any(_SNP.match(name) for name in columns):
        return ()
    if not study.use.genetic:
        raise PolicyError(
            "the study says that it uses no genetic data, and names columns of genotypes",
            remedy="say genetic = true in [use], or take the columns out",
            field="use.genetic",
        )
    return ("genetic",)


def _otherwise(name: str, why: str) -> PolicyError:
    return PolicyError(
        why, remedy="correct [transfer] in the study, and sign it anew", field=f"transfer.{name}"
    )
