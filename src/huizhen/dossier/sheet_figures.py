"""The figures of the instruction sheet, each cited from its entry, or None where none holds any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from huizhen.dossier.blocks import Cell, Inline, Mark, Picture, phrase
from huizhen.dossier.citations import Cited, Scalar, cite, decimal, pointer
from huizhen.dossier.estimates import estimate_of, reason_of
from huizhen.dossier.labels import cohort_name, metric_short, modality_name, modality_names
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.sections.order import Held, rules
from huizhen.dossier.wording import Text, join, listed, say

__all__ = [
    "calibration_sentence",
    "holds",
    "inputs",
    "performance",
    "scanners",
    "size_of_data",
    "thresholds",
    "wrong_cases",
]

Lines = list[tuple[Text | None, Cell | None]]
MOST_SCANNERS = 6
LONGEST_NAME = 40
MOST_SUBSETS = 3
MOST_PICTURES = 2
SPACE = Text.both(" ")
SEMICOLON = Text("; ", "；")


def holds(record: Record, measured: Measured | None) -> Measured | None:
    """Return a test result that still holds, of the newest lock and of an order that was kept; else None."""
    if measured is None or measured.evidence.estimate is None:
        return None
    locks = record.kind("lock")
    stale = bool(locks) and measured.entry.index < locks[-1].index
    broken = any(rule.held is Held.NO for rule in rules(record))
    return None if stale or broken else measured


def cohort_of(record: Record) -> str:
    """Return the cohort that the sheet quotes: external where there is a result that holds, else internal."""
    outside = holds(record, record.one(f"auc/{record.main}/external/all"))
    return "external" if outside is not None else "internal"


def performance(record: Record) -> Lines:
    """Return AUC, sensitivity, specificity and predictive values of one cohort, and the worst group."""
    main, cohort = record.main, cohort_of(record)
    lines: Lines = [(say("sheet.cohort"), (cohort_name(cohort),))]
    for metric in ("auc", "sensitivity", "specificity"):
        lines.append((metric_short(metric), _number(record, f"{metric}/{main}/{cohort}/all")))
    for metric in ("ppv", "npv"):
        lines.append((metric_short(metric), _predictive(record, metric, cohort)))
    return [*lines, (say("sheet.worst"), _worst(record, cohort))]


def _number(record: Record, *keys: str) -> Cell | None:
    found = (holds(record, record.one(key)) for key in keys)
    measured = next((m for m in found if m is not None), None)
    number = estimate_of(measured) if measured else None
    return (number,) if number is not None else None


def _predictive(record: Record, metric: str, cohort: str) -> Cell | None:
    """Return a predictive value with the prevalence that it holds for, at the site's own where measured."""
    keys = [f"{metric}{suffix}/{record.main}/{cohort}/all" for suffix in ("_at_prevalence", "")]
    measured = next((m for key in keys if (m := holds(record, record.one(key)))), None)
    number = estimate_of(measured) if measured else None
    if measured is None or number is None:
        return None
    named = ("at_prevalence", "prevalence")
    field = next((f for f in named if isinstance(measured.evidence.detail.get(f), float)), None)
    if field is None:
        return (number,)

    def show(share: float) -> Text:
        return say("flag.prevalence", prevalence=decimal(share))

    return (number, SPACE, cite(measured.entry, say("column.prevalence"), f"/detail/{field}", show=show))


def _worst(record: Record, cohort: str) -> Cell | None:
    """Return the worst group that was measured, or why none was."""
    found = [m for m in record.family("worst_group") if m.parts[:2] == (record.main, cohort)]
    kept = [m for m in found if holds(record, m) and isinstance(m.evidence.detail.get("group"), str)]
    if kept:
        worst = min(kept, key=lambda m: m.evidence.estimate or 0.0)
        number, group = estimate_of(worst), cite(worst.entry, say("head.group"), "/detail/group")
        if number is not None:
            column = Text.both(f"{'/'.join(worst.parts[2:])}: ")
            return (column, group, Text(", AUC ", "，AUC "), number)
    told = record.one("not_assessed/subgroups")
    if told is None:
        return None
    return (Mark("missing", say("sheet.not_available")), SPACE, reason_of(told))


def inputs(record: Record) -> Lines:
    """Return what must be given, and how well it does when a modality is absent."""
    names = modality_names(record)
    if not names:
        return [(say("sheet.needed"), None)]
    needed = listed([modality_name(record, name) for name in names])
    lines: Lines = [(say("sheet.needed"), (say("sheet.any_of", names=needed),))]
    if len(names) == 1:
        return [*lines, (say("sheet.absent"), (say("sheet.no_answer"),))]
    return [*lines, (say("sheet.absent"), tuple(_subsets(record, names))[:-1] or None)]


def _subsets(record: Record, names: Sequence[str]) -> Iterator[Inline]:
    """Yield the AUC with one modality absent, for each that was measured and still holds."""
    cohort = cohort_of(record)
    found = [m for m in record.family("subset_auc") if m.parts[1:2] == (cohort,) and holds(record, m)]
    lacking = [m for m in found if len(m.parts[0].split("+")) == len(names) - 1][:MOST_SUBSETS]
    for measured in lacking:
        absent = ", ".join(name for name in names if name not in measured.parts[0].split("+"))
        number = estimate_of(measured)
        if number is not None:
            yield from (say("sheet.without", names=absent), SPACE, number, SEMICOLON)


def thresholds(record: Record) -> Cell | None:
    """Return the locked thresholds of the main model, one a fold."""
    found = [m for m in record.family("threshold") if m.parts[:1] == (record.main,)]
    numbers = [n for m in found if (n := estimate_of(m, with_size=False)) is not None]
    if not numbers:
        return None
    parts: list[Inline] = [x for number in numbers for x in (number, Text(", ", "、"))]
    return (say("sheet.positive_from"), SPACE, *parts[:-1])


def calibration_sentence(record: Record) -> Cell | None:
    """Return how many of 100 patients with a risk near the threshold had the outcome, with its interval."""
    key = f"calibration_curve/{record.main}/{cohort_of(record)}"
    curve = _fresh_curve(record, record.one(key))
    if curve is None:
        return None
    detail = curve.evidence.detail
    place = _nearest(detail["predicted"], _threshold(record))
    fields = ("predicted", "observed", "low", "high", "n")
    cited = {name: _bin(curve, name, place) for name in fields}
    return (phrase("sheet.of_100", outcome=_outcome(record), **cited),)


def _fresh_curve(record: Record, measured: Measured | None) -> Measured | None:
    """Return a calibration curve with bins that holds; curves have no estimate of their own."""
    if measured is None:
        return None
    detail, locks = measured.evidence.detail, record.kind("lock")
    lists = [detail.get(name) for name in ("predicted", "observed", "low", "high", "n")]
    whole = all(isinstance(x, list) and x for x in lists) and len({len(x) for x in lists if x}) == 1
    stale = bool(locks) and measured.entry.index < locks[-1].index
    broken = any(rule.held is Held.NO for rule in rules(record))
    return measured if whole and not stale and not broken else None


def _threshold(record: Record) -> float:
    found = [m.evidence.estimate for m in record.family("threshold") if m.parts[:1] == (record.main,)]
    numbers = [value for value in found if value is not None]
    return sum(numbers) / len(numbers) if numbers else 0.5


def _nearest(predicted: Sequence[float], to: float) -> int:
    return min(range(len(predicted)), key=lambda k: abs(predicted[k] - to))


def _bin(curve: Measured, name: str, place: int) -> Cited:
    """Return a value of one bin: shares as patients of 100, n as it is."""
    show: Callable[[Any], Text] = _count if name == "n" else _of_100
    label = join(say("metric.calibration_curve"), Text.both(name), by=Text(", ", "，"))
    return cite(curve.entry, label, pointer("detail", name, place), show=show)


def _of_100(share: float) -> Text:
    return Text.both(f"{100 * share:.0f}")


def _count(n: int) -> Text:
    return Text.both(f"{n:,}")


def _outcome(record: Record) -> Cited | Text:
    return record.quote("task", "outcome") or say("fact.outcome")


def scanners(record: Record) -> Cited | None:
    """Return the scanners that were seen, cited from the cohort, or None where none is named."""
    found = [(m, place) for m in record.about("cohort") for place in _places(m.evidence.detail)]
    if not found:
        return None
    measured = found[0][0]
    paths = [pointer("detail", *place) for one, place in found if one is measured]

    def show(*names: Scalar) -> Text:
        unique = list(dict.fromkeys(str(name)[:LONGEST_NAME] for name in names))
        shown = ", ".join(unique[:MOST_SCANNERS]) + (", …" if len(unique) > MOST_SCANNERS else "")
        return say("sheet.other_scanner", names=shown)

    return cite(measured.entry, say("column.scanners"), *paths, show=show)


def _places(detail: Mapping[str, Any]) -> Iterator[tuple[str | int, ...]]:
    sites = detail.get("sites")
    for i, site in enumerate(sites if isinstance(sites, list) else []):
        held = site.get("scanners") if isinstance(site, Mapping) else None
        for k, scanner in enumerate(held if isinstance(held, list) else []):
            if isinstance(scanner, Mapping) and isinstance(scanner.get("scanner"), str):
                yield ("sites", i, "scanners", k, "scanner")


def size_of_data(record: Record) -> Cell | None:
    """Return how many patients of how many sites were included."""
    found = next((m for m in record.about("cohort", "flow") if m.evidence.n), None)
    if found is None:
        return None
    number = cite(found.entry, say("sheet.size"), "/n", show=_count)
    sites = [site for site in record.study.get("site", []) if isinstance(site, Mapping)]
    return (phrase("sheet.patients", n=number), *((say("sheet.sites", n=len(sites)),) if sites else ()))


def wrong_cases(record: Record) -> tuple[Picture, ...]:
    """Return the images of a missed case and of a false alarm, as far as the gallery holds them."""
    found: dict[bool, Picture] = {}
    for measured in record.family("heatmap"):
        detail = measured.evidence.detail
        outcome, decision = (_truth(detail.get(name)) for name in ("outcome", "decision"))
        if outcome is None or decision is None or outcome == decision or outcome in found:
            continue
        if isinstance(detail.get("file"), str) and isinstance(detail.get("risk"), int | float):
            found[outcome] = _picture(record, measured, "case.fn" if outcome else "case.fp")
    return tuple(found[kind] for kind in (True, False) if kind in found)[:MOST_PICTURES]


def _truth(value: Any) -> bool | None:
    if isinstance(value, bool | int | float):
        return bool(value)
    return {"positive": True, "negative": False}.get(value) if isinstance(value, str) else None


def _picture(record: Record, measured: Measured, judged: str) -> Picture:
    modality = modality_name(record, measured.parts[1]) if len(measured.parts) > 1 else Text.both("")
    risk = cite(measured.entry, say("head.risk"), "/detail/risk", show=_risk)
    alt = say("case.alt", modality=modality, case=measured.parts[0], judged=say(judged))
    caption = (join(say(judged), modality, by=Text(", ", "，")), Text(", ", "，"), risk)
    return Picture(path=str(measured.evidence.detail["file"]), alt=alt, caption=caption)


def _risk(risk: float) -> Text:
    return say("case.risk", risk=decimal(risk))
