"""The form: what a person must say of a study, item by item, with who owns an answer and when it is due.

Nothing may stay blank: an item has an `answer` with its `owner`, or the `owner` and the date by which it is
`due`, or the `reason` for which it is not assessed. No patient's values belong in it.
"""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from huizhen.core.digests import Digest, digest_bytes
from huizhen.core.study_file import Problem, with_lines
from huizhen.core.study_limits import beyond_limits, is_deep
from huizhen.core.study_wording import nearest
from huizhen.dossier.evidence_items import Item, evidence_items
from huizhen.dossier.form_sheet import SheetAnswers, sheet_answers, sheet_problems
from huizhen.dossier.form_values import text_problem
from huizhen.errors import DossierError

__all__ = ["MOST_BYTES", "Answer", "Form", "form_from_json", "form_problems", "read_form"]

MOST_BYTES = 512 * 1024
"""Bytes of a form; one that is filled in with care has some 40,000."""

LONGEST: Mapping[str, int] = {
    "answer": 4000,
    "answer_zh": 4000,
    "owner": 120,
    "due": 10,
    "reason": 1000,
    "reason_zh": 1000,
}
"""The keys of an item and the longest text of each, in characters."""

DEFAULTS = ("owner", "due")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the form says of one item; a text that it does not give is empty."""

    answer: str = ""
    answer_zh: str = ""
    owner: str = ""
    due: str = ""
    """An ISO 8601 date."""
    reason: str = ""
    reason_zh: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form without problems; `digest` is that of its file."""

    digest: Digest
    answers: Mapping[Item, Answer]
    default: Answer = Answer()
    """Who owns, and by when is due, what no item says itself."""
    sheet: SheetAnswers = field(default_factory=SheetAnswers)

    @classmethod
    def empty(cls) -> Form:
        """Return what is known where nobody gave a form."""
        return cls(digest=digest_bytes(b""), answers={})

    def to_json(self) -> dict[str, Any]:
        """Return the form as the body of a ledger entry, without empty texts."""
        parts = {item.value: _filled(answer, LONGEST) for item, answer in self.answers.items()}
        return {
            "digest": self.digest,
            "answers": {name: part for name, part in parts.items() if part},
            "default": _filled(self.default, DEFAULTS),
            "sheet": self.sheet.to_json(),
        }


def _filled(answer: Answer, names: Any) -> dict[str, str]:
    return {name: getattr(answer, name) for name in names if getattr(answer, name)}


def read_form(text: str) -> tuple[Form | None, list[Problem]]:
    """Return the form of a TOML text, or None and every problem, in the order of its lines."""
    if len(text.encode("utf-8", "surrogatepass")) > MOST_BYTES or beyond_limits(text):
        remedy = "begin again with: huizhen form new"
        return None, [Problem(field="(syntax)", reason="is larger than any form", remedy=remedy)]
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return None, [_not_toml(str(error))]
    except (ValueError, RecursionError):
        return None, [_not_toml("brackets within brackets, or a number of thousands of digits")]
    found = [_not_toml("tables within tables")] if is_deep(raw) else list(form_problems(_plain(raw)))
    if found:
        return None, with_lines(found, text)
    return _form(_plain(raw), digest_bytes(text.encode())), []


def _not_toml(why: str) -> Problem:
    return Problem(
        field="(syntax)",
        reason=f"is not valid TOML: {why}",
        remedy='write key = "value", with text in quotes',
    )


def _plain(value: Any) -> Any:
    """Return a table with its dates as texts, since a date may be written with quotes or without."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return value.isoformat() if isinstance(value, datetime.date) else value


def form_from_json(body: Mapping[str, Any]) -> Form:
    """Return the form of a ledger entry's body. Raises `DossierError` when it is none."""
    digest = body.get("digest")
    raw = {**_table(body.get("answers")), "default": body.get("default", {}), "sheet": body.get("sheet", {})}
    problem = next(form_problems(raw), None)
    if problem is not None or not isinstance(digest, str):
        why = f" ({problem.field}: {problem.reason})" if problem else ""
        raise DossierError(
            f"a ledger entry of kind form holds no form{why}",
            remedy="enter the form again with this version: huizhen run with --form",
        )
    return _form(raw, Digest(digest))


def _form(raw: Mapping[str, Any], digest: Digest) -> Form:
    return Form(
        digest=digest,
        answers={item: given for item in Item if (given := _answer(raw.get(item, {}))) != Answer()},
        default=_answer(_table(raw.get("default"))),
        sheet=sheet_answers(_table(raw.get("sheet"))),
    )


def _answer(part: Mapping[str, Any]) -> Answer:
    return Answer(**{name: part.get(name, "").strip() for name in LONGEST})


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def form_problems(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield everything wrong with a form's table: unknown keys, types, lengths, dates, and what is blank."""
    known = [*Item, "default", "sheet", "schema_version", "study"]
    for key in raw:
        if key not in known:
            yield _unknown(key, known)
    if raw.get("schema_version", 1) != 1:
        yield Problem(field="schema_version", reason="is not 1", remedy="write schema_version = 1")
    if problem := text_problem("study", raw.get("study", ""), LONGEST["reason"]):
        yield problem
    default = raw.get("default", {})
    yield from _part_problems("default", default, DEFAULTS)
    for item in Item:
        yield from _item_problems(item, raw, _table(default))
    yield from sheet_problems(raw.get("sheet", {}))
    if _table(raw.get("sheet")).get("status") == "cleared" and not _table(raw.get(Item.EV47)).get("answer"):
        yield Problem(
            field="sheet.status",
            reason="is cleared, but EV47 names no approval",
            remedy='answer EV47, or write status = "research"',
        )


def _unknown(key: str, known: list[str], place: str = "") -> Problem:
    close = nearest(key, known)
    name = f"{place}{key[:64]}"
    if close:
        return Problem(field=name, reason="is an unknown key", remedy=f"did you mean {close}?")
    return Problem(field=name, reason="is an unknown key", remedy="take it out")


def _part_problems(place: str, part: Any, keys: Any) -> Iterator[Problem]:
    """Yield what is wrong with the keys and texts of one table."""
    if not isinstance(part, Mapping):
        yield Problem(field=place, reason="must be a table", remedy=f"write it as a [{place}] section")
        return
    for key, value in part.items():
        if key not in keys:
            yield _unknown(key, list(keys), f"{place}.")
        elif problem := text_problem(f"{place}.{key}", value, LONGEST[key]):
            yield problem
        elif key == "due" and value and not _is_date(value):
            yield Problem(
                field=f"{place}.due", reason="is not a date", remedy="write it as YYYY-MM-DD, e.g. 2027-01-31"
            )


def _is_date(text: str) -> bool:
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _item_problems(item: Item, raw: Mapping[str, Any], default: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with an item; one that must be asked may not be left out."""
    part = raw.get(item, {})
    found = list(_part_problems(item, part, LONGEST))
    yield from found
    if found:
        return
    given = {key: value.strip() for key, value in part.items() if value.strip()}
    owner, due = (given.get(key) or default.get(key) for key in DEFAULTS)
    if "answer" in given or "reason" in given:
        yield from _one_of(item, given, owner)
    elif (evidence_items()[item].expects_person or given) and not (owner and due):
        yield Problem(
            field=item,
            reason="is blank",
            remedy="give an answer, or owner and due date, or the reason why it is not assessed; "
            "[default] names an owner and a due date for all",
        )


def _one_of(item: Item, given: Mapping[str, str], owner: str | None) -> Iterator[Problem]:
    if "answer" in given and "reason" in given:
        yield Problem(
            field=item,
            reason="has an answer, and a reason why it is not assessed",
            remedy="keep one of the two",
        )
    if not owner:
        yield Problem(
            field=f"{item}.owner", reason="is missing", remedy="name who answers for it, by name or by office"
        )
