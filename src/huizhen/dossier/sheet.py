"""The instruction sheet: what a user must know of the model, in ten parts of a fixed order, on one page.

The order follows ONC HTI-1, the CHAI applied model card, the model facts label and Article 13(3) of the EU AI
Act. A number is shown only with its ledger entry and only while it holds: measured after the newest lock, in
a ledger whose order of events was kept. What is missing or stale is printed as NOT AVAILABLE, never blank.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from huizhen.dossier.blocks import Cell, Inline, Mark, Picture
from huizhen.dossier.citations import Cited, Scalar, cite, pointer
from huizhen.dossier.evidence_items import Item
from huizhen.dossier.item_states import GivenForm, given_form
from huizhen.dossier.labels import modality_names
from huizhen.dossier.reasons import reason_text
from huizhen.dossier.record import Record
from huizhen.dossier.sections.order import cite_time
from huizhen.dossier.sheet_figures import (
    calibration_sentence,
    inputs,
    performance,
    scanners,
    size_of_data,
    thresholds,
    wrong_cases,
)
from huizhen.dossier.wording import Text, say

__all__ = ["Line", "Sheet", "SheetPart", "sheet_of"]

Line = tuple[Text | None, Cell]
"""A line of the sheet: its name, if it has one, and what it says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetPart:
    """One of the ten parts: its number, title and lines, and example images."""

    number: int
    title: Text
    lines: tuple[Line, ...]
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """The whole sheet: its title, whether it is of phantoms, whether it is only a draft, and its parts."""

    title: Text
    phantom: bool
    draft: bool
    parts: tuple[SheetPart, ...]


def sheet_of(record: Record) -> Sheet:
    """Return the instruction sheet of a ledger. Raises `DossierError` when the ledger can't be told."""
    given = given_form(record)
    parts = (
        _identity(record, given),
        _use(record, given),
        _not_when(record, given),
        SheetPart(number=4, title=say("sheet.inputs"), lines=_named(inputs(record))),
        _output(record),
        SheetPart(number=6, title=say("sheet.performance"), lines=_named(performance(record))),
        _failures(record, given),
        _lines(8, "sheet.stop", given, "stop", "call"),
        _monitoring(record),
        _origin(record, given),
    )
    title = str(record.study.get("title") or record.study.get("name") or "")
    return Sheet(
        title=Text(title, str(record.study.get("title_zh") or title)),
        phantom=record.phantom,
        draft=_approval(record, given) is None,
        parts=parts,
    )


def missing(reason: Inline | None = None) -> Cell:
    """Return what stands where nothing is known, with the reason if there is one."""
    mark = Mark("missing", say("sheet.not_available"))
    return (mark, Text.both(" "), reason) if reason is not None else (mark,)


def _named(lines: Sequence[tuple[Text | None, Cell | None]]) -> tuple[Line, ...]:
    return tuple((name, cell or missing()) for name, cell in lines)


def said(given: GivenForm | None, field: str) -> Cell | None:
    """Return a text of the form's [sheet] in both languages, or None where it gives neither."""
    if given is None:
        return None
    texts = {"en": given.form.sheet.en, "zh": given.form.sheet.zh}
    held = [language for language, found in texts.items() if getattr(found, field)]
    if not held:
        return None
    return (cite(given.entry, say(f"sheet.{field}"), *(_at(x, field) for x in held), show=_both(held)),)


def _at(language: str, *steps: str | int) -> str:
    return pointer("sheet", language, *steps)


def _both(held: Sequence[str]) -> Callable[..., Text]:
    """Return how one or two scalars are shown: each in its language, a single one in both."""

    def show(*values: Scalar) -> Text:
        by = dict(zip(held, map(str, values), strict=True))
        return Text(by.get("en") or by["zh"], by.get("zh") or by["en"])

    return show


def _identity(record: Record, given: GivenForm | None) -> SheetPart:
    """Return name, version, date and status; research only unless an approval is named."""
    locks = record.kind("lock")
    digest = locks and "model_digest" in locks[-1].body
    version = (cite(locks[-1], say("sheet.version"), "/model_digest", show=_short),) if digest else None
    cleared = given is not None and given.form.sheet.status == "cleared"
    status: Cell = (Mark("warn", say("sheet.research")),)
    if cleared and given is not None:
        status = (cite(given.entry, say("sheet.status"), pointer("answers", "EV47", "answer")),)
    lines = [
        (say("sheet.name"), _quote(record, "name")),
        (say("sheet.version"), version),
        (say("sheet.locked"), (cite_time(locks[-1]),) if locks else None),
        (say("sheet.status"), status),
        (say("sheet.approved"), _approval(record, given)),
    ]
    return SheetPart(number=1, title=say("sheet.identity"), lines=_named(lines))


def _short(value: Scalar) -> Text:
    return Text.both(f"{str(value)[:16]}…")


def _approval(record: Record, given: GivenForm | None) -> Cell | None:
    """Return who approved the sheet; an approval from before the newest lock is none."""
    answer = given.form.answers.get(Item.EV45) if given else None
    locks = record.kind("lock")
    if given is None or answer is None or not answer.answer:
        return None
    if locks and given.entry.index < locks[-1].index:
        return None
    owner = pointer("answers", "EV45", "owner") if answer.owner else pointer("default", "owner")
    return (cite(given.entry, say("sheet.approved"), owner),)


def _quote(record: Record, *steps: str) -> Cell | None:
    found = record.quote(*steps)
    return (found,) if found is not None else None


def _use(record: Record, given: GivenForm | None) -> SheetPart:
    role = given.form.sheet.role if given else ""
    told = cite(given.entry, say("sheet.role"), "/sheet/role", show=_role) if given and role else None
    lines = [
        (say("sheet.purpose"), said(given, "purpose") or _quote(record, "question")),
        (say("sheet.population"), said(given, "population")),
        (say("sheet.users"), said(given, "users")),
        (say("sheet.role"), (told,) if told else None),
    ]
    return SheetPart(number=2, title=say("sheet.use"), lines=_named(lines))


def _role(role: Scalar) -> Text:
    return say(f"sheet_role.{role}")


def _not_when(record: Record, given: GivenForm | None) -> SheetPart:
    """Return when it must not be used: what the software knows of itself, then what people add."""
    names = ", ".join(modality_names(record))
    absent: Cell = (say("sheet.no_modality", names=names),) if names else missing()
    seen = scanners(record)
    other: Cell = (seen,) if seen is not None else missing(say("sheet.no_scanners"))
    lines: list[Line] = [(None, absent), (None, other), *_conditions(given)]
    return SheetPart(number=3, title=say("sheet.not_when"), lines=tuple(lines))


def _conditions(given: GivenForm | None) -> list[Line]:
    """Return the conditions that the form lists, line by line in both languages."""
    sheet = given.form.sheet if given else None
    most = max(len(sheet.en.do_not_use), len(sheet.zh.do_not_use)) if sheet else 0
    if given is None or sheet is None or not most:
        return [(None, missing(say("sheet.no_conditions")))]
    found: list[Line] = []
    for place in range(most):
        texts = {"en": sheet.en, "zh": sheet.zh}
        held = [language for language, part in texts.items() if place < len(part.do_not_use)]
        paths = [_at(language, "do_not_use", place) for language in held]
        found.append((None, (cite(given.entry, say("sheet.not_when"), *paths, show=_both(held)),)))
    return found


def _output(record: Record) -> SheetPart:
    lines = [
        (None, (_scale(record),)),
        (say("sheet.threshold"), thresholds(record)),
        (say("sheet.reading"), calibration_sentence(record)),
    ]
    return SheetPart(number=5, title=say("sheet.output"), lines=_named(lines))


def _scale(record: Record) -> Text:
    """Return what a score is: a risk, unless a table was given whose scores only order patients."""
    table = record.study.get("predictions")
    ranks = isinstance(table, Mapping) and table.get("scale") == "rank"
    return say("sheet.rank" if ranks else "sheet.score")


def _failures(record: Record, given: GivenForm | None) -> SheetPart:
    pictures = wrong_cases(record)
    lines: list[tuple[Text | None, Cell | None]] = [(None, said(given, "failures"))]
    lines += [] if pictures else [(say("sheet.examples"), None)]
    return SheetPart(number=7, title=say("sheet.failures"), lines=_named(lines), pictures=pictures)


def _lines(number: int, title: str, given: GivenForm | None, *fields: str) -> SheetPart:
    lines = [(say(f"sheet.{field}"), said(given, field)) for field in fields]
    return SheetPart(number=number, title=say(f"{title}_title"), lines=_named(lines))


def _monitoring(record: Record) -> SheetPart:
    """Return the status of monitoring; nothing is monitored where nothing is deployed."""
    told = record.one("not_assessed/monitoring")
    reason: Cited | Text = say("sheet.not_monitored")
    if told is not None:
        reason = cite(told.entry, say("sheet.monitoring"), "/reason", show=_reason)
    return SheetPart(number=9, title=say("sheet.monitoring"), lines=((None, missing(reason)),))


def _reason(reason: Scalar) -> Text:
    return reason_text(str(reason))


def _origin(record: Record, given: GivenForm | None) -> SheetPart:
    lines = [(say("sheet.size"), size_of_data(record))]
    lines += [
        (say(f"sheet.{field}"), said(given, field)) for field in ("data", "ethics", "funding", "contact")
    ]
    return SheetPart(number=10, title=say("sheet.origin"), lines=_named(lines))
