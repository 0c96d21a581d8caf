"""Estimates as table cells: number, interval, n, and what a reader must know of the sample."""

from __future__ import annotations

from collections.abc import Sequence

from huizhen.dossier.blocks import Cell, Inline, Mark, Phrase, phrase
from huizhen.dossier.citations import (
    Cited,
    Scalar,
    cite,
    decimal,
    p_value,
    plainly,
    shown_under,
    size_of,
    span,
)
from huizhen.dossier.labels import column_name, label_of, metric_short
from huizhen.dossier.reasons import reason_text
from huizhen.dossier.record import Measured
from huizhen.dossier.wording import Text, join, say

DASH = Text.both("–")
STACK = ("estimate", "low", "high")


def estimate_of(measured: Measured, *, with_size: bool = True) -> Cited | None:
    """Return the estimate of an evidence with its interval and n, or None when it has no estimate.

    A level other than 95 % is printed; descriptive numbers are shown as they are.
    """
    evidence = measured.evidence
    if evidence.estimate is None:
        return None
    shown = ["/estimate"]
    if evidence.interval is not None:
        shown += ["/interval/low", "/interval/high", "/interval/level"]
    shown += [f"/{name}" for name in ("n", "n_events") if getattr(evidence, name) is not None]
    shown += [f"/detail/{name}" for name in ("count", "of")] if _is_share(measured) else []
    shown += ["/detail/patients"] if _people(measured) is not None else []
    return cite(
        measured.entry,
        label_of(measured),
        *shown,
        show=_with_interval if evidence.interval is not None else _alone,
        phantom=evidence.phantom,
        method=evidence.interval.method if evidence.interval else "",
        size=_size(measured) if with_size else None,
    )


def cite_size(measured: Measured) -> Cited:
    """Return the patients behind an evidence as a citation of their own."""

    def show(n: int) -> Text:
        return Text.both(f"n={n:,}")

    label = join(label_of(measured), column_name("n"), by=Text.both(" · "))
    return cite(measured.entry, label, "/n", show=show, phantom=measured.evidence.phantom)


def cite_sizes(measured: Measured) -> Cited:
    """Return the patients behind an evidence, their events beneath, as a citation of its own."""
    evidence, paths = measured.evidence, ["/n"]
    paths += ["/n_events"] if evidence.n_events is not None else []
    label = join(label_of(measured), column_name("n"), by=Text.both(" · "))

    def show(n: int, *_: Scalar) -> Text:
        return Text.both(f"{n:,}")

    beneath = None if evidence.n_events is None else say("size.of_them", events=f"{evidence.n_events:,}")
    return cite(measured.entry, label, *paths, show=show, size=beneath, phantom=evidence.phantom)


def cite_all_sizes(measured: Measured) -> Cited:
    """Return patients and events behind an evidence as one citation: "n=213 patients (71 events)"."""
    evidence, paths = measured.evidence, ["/n"]
    paths += ["/n_events"] if evidence.n_events is not None else []
    paths += ["/detail/patients"] if _people(measured) is not None else []
    label = join(label_of(measured), column_name("n"), by=Text.both(" · "))

    def show(n: int, *_: Scalar) -> Text:
        return size_of(n, evidence.n_events, evidence.unit, people=_people(measured)) or Text.both("")

    return cite(measured.entry, label, *paths, show=show, phantom=evidence.phantom)


def _is_share(measured: Measured) -> bool:
    """Whether the estimate is a count of a number of cases, both given."""
    return all(type(measured.evidence.detail.get(name)) is int for name in ("count", "of"))


def _size(measured: Measured) -> Text | None:
    evidence = measured.evidence
    if _is_share(measured):
        return Text.both(f"{evidence.detail['count']:,}/{evidence.detail['of']:,}")
    return size_of(evidence.n, evidence.n_events, evidence.unit, people=_people(measured))


def _people(measured: Measured) -> int | None:
    """Return how many patients an estimate over rows, lesions or images is of, where that is told."""
    found = measured.evidence.detail.get("patients")
    return found if measured.evidence.unit != "patient" and type(found) is int else None


def _with_interval(estimate: float, low: float, high: float, level: float, *_: Scalar) -> Text:
    bounds = span(low, high)
    if level != 0.95:
        bounds = say("number.level", level=f"{100 * level:g}", bounds=bounds)
    return join(Text.both(f"{decimal(estimate)} ("), bounds, Text.both(")"))


def _alone(estimate: float, *_: Scalar) -> Text:
    return plainly(int(estimate) if float(estimate).is_integer() else float(estimate))


def estimate_cell(measured: Measured | None, *, with_size: bool = True) -> Cell:
    """Return a table cell of an evidence: its number and flags, or why there is none, or a dash."""
    if measured is None:
        return (DASH,)
    number = estimate_of(measured, with_size=with_size)
    if number is None:
        return (reason_of(measured),) if measured.evidence.reason else (DASH,)
    return (number, *sample_flags(measured)) if with_size else (number,)


def reason_of(measured: Measured) -> Cited:
    """Return the reason of an evidence as it stands in the entry, or its Chinese from `detail.reason_zh`."""
    paths = ["/reason"]
    if isinstance(measured.evidence.detail.get("reason_zh"), str):
        paths.append("/detail/reason_zh")

    def show(reason: Scalar, translated: Scalar = None) -> Text:
        return Text(str(reason), str(translated or reason_text(str(reason)).zh))

    return cite(measured.entry, label_of(measured), *paths, show=show, phantom=measured.evidence.phantom)


def sample_flags(measured: Measured) -> tuple[Inline, ...]:
    """Return the flags of a sample: too few of a class, patients without an answer, risks that were moved."""
    flags: list[Inline] = []
    if measured.evidence.detail.get("small") is True:
        flags.append(Mark("warn", say("flag.small")))
    flags += _counted(measured, "unanswered", "flag.unanswered")
    flags += _counted(measured, "clipped", "flag.clipped")
    if isinstance(measured.evidence.detail.get("prevalence"), float):
        label = join(label_of(measured), column_name("prevalence"), by=Text.both(" · "))

        def show(share: float) -> Text:
            return say("flag.prevalence", prevalence=decimal(share))

        phantom = measured.evidence.phantom
        flags.append(cite(measured.entry, label, "/detail/prevalence", show=show, phantom=phantom))
    return tuple(flags)


def _counted(measured: Measured, field: str, word: str) -> list[Inline]:
    """Return the flag of a count in the detail, in the words `word`; nothing where there is no such count."""
    if type(measured.evidence.detail.get(field)) is not int:
        return []
    label = join(label_of(measured), column_name(field), by=Text.both(" · "))

    def show(n: int) -> Text:
        return say(word, n=n)

    return [cite(measured.entry, label, f"/detail/{field}", show=show, phantom=measured.evidence.phantom)]


def detail_of(measured: Measured, field: str, *, p: bool = False) -> Cited | None:
    """Return one scalar of an evidence's detail, or None when it isn't there. `p`: shown as a p-value."""
    if not isinstance(measured.evidence.detail.get(field), int | float | str | bool):
        return None
    label = join(label_of(measured), column_name(field), by=Text.both(" · "))
    show = p_value if p else shown_under(field)
    return cite(measured.entry, label, f"/detail/{field}", show=show, phantom=measured.evidence.phantom)


def detail_estimate(measured: Measured, field: str) -> Cited | None:
    """Return an estimate with limits that stands in a detail as {"estimate", "low", "high"}, or None."""
    found = measured.evidence.detail.get(field)
    names = ("estimate", "low", "high")
    if not isinstance(found, dict) or not all(isinstance(found.get(n), int | float) for n in names):
        return None
    label = join(label_of(measured), column_name(field), by=Text.both(" · "))
    paths = [f"/detail/{field}/{name}" for name in names]

    def show(estimate: float, low: float, high: float) -> Text:
        return join(Text.both(f"{decimal(estimate)} ("), span(low, high), Text.both(")"))

    return cite(measured.entry, label, *paths, show=show, phantom=measured.evidence.phantom)


def stacked(measured: Measured, field: str = "") -> Cited | None:
    """Return an estimate with its interval beneath, for narrow columns; None where there is none.

    `field` names one in the detail, as {"estimate", "low", "high"}.
    """
    evidence = measured.evidence
    found = evidence.detail.get(field) if field else None
    if isinstance(found, dict) and all(isinstance(found.get(n), int | float) for n in STACK):
        limits, paths = (found["low"], found["high"]), [f"/detail/{field}/{name}" for name in STACK]
        label = join(label_of(measured), column_name(field), by=Text.both(" · "))
    elif not field and evidence.estimate is not None and evidence.interval is not None:
        limits = (evidence.interval.low, evidence.interval.high)
        paths = ["/estimate", "/interval/low", "/interval/high"]
        label = label_of(measured)
    else:
        return None

    def show(estimate: float, *_: Scalar) -> Text:
        return Text.both(decimal(estimate))

    return cite(measured.entry, label, *paths, show=show, size=span(*limits), phantom=evidence.phantom)


def stacked_cell(measured: Measured | None) -> Cell:
    """Return a table cell of an evidence with its interval beneath, or why there is none, or a dash.

    Of the flags, that of moved risks alone: the others stand in the row of sizes.
    """
    if measured is None:
        return (DASH,)
    number = stacked(measured)
    return (number, *_counted(measured, "clipped", "flag.clipped")) if number else estimate_cell(measured)


def _method(name: Scalar) -> Text:
    return reason_text(str(name))


def methods_of(found: Sequence[Measured]) -> tuple[Phrase, ...]:
    """Return a line that names how the intervals were computed, by measure; nothing without intervals."""
    by = {(m.family, m.evidence.interval.method): m for m in reversed(found) if m.evidence.interval}
    parts: list[Inline] = []
    for (family, _), m in sorted(by.items(), key=lambda item: item[1].entry.index):
        short, phantom = metric_short(family), m.evidence.phantom
        named = cite(m.entry, short, "/interval/method", show=_method, phantom=phantom)
        parts += [join(metric_short(family), Text.both(" ")), named, Text("; ", "；")]
    line = tuple(parts[:-1])
    return (phrase("note.intervals", methods=Phrase(line, line)),) if line else ()
