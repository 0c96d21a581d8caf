"""What people add to a run: the form, checklists of their own, evidence from before; checked at first.

They enter the ledger as entries of kind "form" and "checklist", before the dossier is built of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huizhen.core.digests import canonical_json, digest_bytes
from huizhen.core.study import Study
from huizhen.core.study_file import Problem
from huizhen.dossier.form import MOST_BYTES, read_form
from huizhen.dossier.guidelines import read_checklist, shipped_checklists
from huizhen.errors import StudyError
from huizhen.ledger.log import Log
from huizhen.pipeline.given_evidence import given_evidence

__all__ = [
    "NOTHING",
    "Added",
    "Reporting",
    "added_entries",
    "enter_added",
    "read_text",
    "reporting_problems",
]

Added = tuple[str, Mapping[str, Any]]
"""An entry's kind and body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporting:
    """Files that the command line names beside those of the study."""

    form: Path | None = None
    checklists: tuple[Path, ...] = ()
    evidence: tuple[Path, ...] = ()
    """What was measured of the data before."""


NOTHING = Reporting()


def added_entries(study: Study, study_file: Path, named: Reporting) -> tuple[Added, ...]:
    """Return the entries of own checklists, of the form, and of evidence from before.

    Raises `StudyError` that lists every problem of a file, or names a checklist that there is not.
    """
    plan = study.dossier
    form = named.form or (study_file.parent / plan.form if plan and plan.form else None)
    chosen = (plan.checklists if plan else None) or []
    own = [study_file.parent / name for name in chosen if name.endswith(".toml")]
    unknown = [name for name in chosen if not name.endswith(".toml") and name not in shipped_checklists()]
    if unknown:
        raise StudyError(
            f"there is no checklist {unknown[0]}",
            remedy=f"choose from: {', '.join(shipped_checklists())}; or name a file of your own",
            field="dossier.checklists",
        )
    added = [_checklist(path) for path in (*own, *named.checklists)]
    before = [("evidence", body) for path in named.evidence for body in given_evidence(path, study)]
    return (*added, *([_form(form)] if form is not None else []), *before)


def reporting_problems(study: Study, study_file: Path) -> list[Problem]:
    """Return what is wrong with the form and the checklists that a study names, as a problem of the study."""
    try:
        added_entries(study, study_file, Reporting())
    except StudyError as error:
        return [Problem(field=error.field or "dossier", reason=error.message, remedy=error.remedy)]
    return []


def _form(path: Path) -> Added:
    form, problems = read_form(read_text(path))
    if form is None:
        raise _refused(path, "dossier.form", problems, "correct them, then run huizhen form check")
    return "form", form.to_json()


def _checklist(path: Path) -> Added:
    text = read_text(path)
    table, problems = read_checklist(text)
    if table is None:
        raise _refused(path, "dossier.checklists", problems, "correct the checklist, then run again")
    return "checklist", {"digest": digest_bytes(text.encode()), "checklist": table}


def _refused(path: Path, field: str, problems: Sequence[Problem], remedy: str) -> StudyError:
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    listed = "".join(f"\n  {problem}" for problem in problems)
    return StudyError(f"{count}:{listed}\n", remedy=remedy, field=field, file=str(path))


def read_text(path: Path) -> str:
    """Return the text of a form or a checklist, no more than is checked. Raises `StudyError`."""
    try:
        with path.open(encoding="utf-8") as stream:
            return stream.read(MOST_BYTES + 1)
    except UnicodeDecodeError as error:
        raise StudyError("is not UTF-8 text", remedy="save it as UTF-8", file=str(path)) from error
    except OSError as error:
        raise StudyError(
            f"can't be read ({error.strerror})", remedy="check its path", file=str(path)
        ) from error


def enter_added(log: Log, added: Sequence[Added]) -> None:
    """Append what the ledger does not hold as the newest of its name, in one commit."""
    new = [(kind, body) for kind, body in added if not _is_held(log, kind, body)]
    for kind, body in new:
        log.append(kind, body)
    if new:
        log.commit()


def _is_held(log: Log, kind: str, body: Mapping[str, Any]) -> bool:
    """Tell whether the ledger's newest entry of this name is this one."""
    if kind != "evidence":
        return _newest(log, kind, body) == str(body["digest"])
    found = [e.body for e in log.entries if e.kind == kind and e.body.get("key") == body["key"]]
    return bool(found) and canonical_json(dict(found[-1])) == canonical_json(dict(body))


def _newest(log: Log, kind: str, body: Mapping[str, Any]) -> str | None:
    """Return the digest of the newest entry of this kind, of a checklist that with the same id."""
    name = _name(body)
    found = [e.body for e in log.entries if e.kind == kind and _name(e.body) == name]
    return str(found[-1]["digest"]) if found else None


def _name(body: Mapping[str, Any]) -> str:
    table = body.get("checklist")
    return str(table.get("id")) if isinstance(table, Mapping) else ""
