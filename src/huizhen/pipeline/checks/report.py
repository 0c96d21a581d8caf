"""The report of a check, of which nothing names a case: evidence as JSON, and a page in each language."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from huizhen.core.evidence import Evidence
from huizhen.core.files import write_json, write_text
from huizhen.core.words import Language, load_words
from huizhen.pipeline.labels.report import EVIDENCE, page_name
from huizhen.pipeline.pages import Grid, Page, Said, Title

__all__ = ["write_report"]

_ROOM = "huizhen.pipeline.checks"
Part = Title | Said | Grid
Words = Mapping[str, str]
Row = Mapping[str, Any]


def write_report(evidence: Sequence[Evidence], out: Path, *, title: str) -> None:
    """Write the evidence of a check and its pages to `out`."""
    write_json(out / EVIDENCE, [one.to_json() for one in evidence])
    for language in Language:
        words = load_words(_ROOM, language)
        page = Page(
            title=words["title"].format(study=title), language=language, parts=_parts(evidence, words)
        )
        write_text(out / page_name(language), page.html())


def _parts(evidence: Sequence[Evidence], words: Words) -> list[Part]:
    parts: list[Part] = [Said(words["lead"], "lead")]
    by_metric: dict[str, list[Evidence]] = {}
    for one in evidence:
        by_metric.setdefault(one.metric, []).append(one)
    for metric, tell in TOLD.items():
        if found := by_metric.get(metric):
            parts += [Title(words[f"part.{metric}"]), *tell(found, words)]
    return [*parts, Title(words["limits"]), Said(words["limits.text"], "note")]


def _missing(found: Sequence[Evidence], words: Words) -> list[Part]:
    """Return a table of variables by sites."""
    rows = found[0].detail["rows"]
    sites = list(dict.fromkeys(row["site"] for row in rows))
    by_variable: dict[str, dict[str, Row]] = {}
    for row in rows:
        by_variable.setdefault(row["variable"], {})[row["site"]] = row
    shown = [
        [name, *(_share(at.get(site), words) for site in sites)]
        for name, at in by_variable.items()
        if any(row["missing"] != 0 for row in at.values())
    ]
    sizes = {row["site"]: row["patients"] for row in rows}
    heads = [words["column.variable"], *(f"{site} (n={sizes[site]:,})" for site in sites)]
    whole = found[0].detail["complete"]
    return (
        [Grid(heads, shown, words["missing.note"].format(n=whole))]
        if shown
        else [Said(words["nothing_missing"])]
    )


def _share(row: Row | None, words: Words) -> str:
    if row is None:
        return ""
    if row["missing"] is None:
        return words["few"]
    return f"{row['missing']:,} ({100 * row['share']:.0f} %)"


def _patterns(found: Sequence[Evidence], words: Words) -> list[Part]:
    rows = [
        [words["nothing"] if row["missing"] == "-" else row["missing"], f"{row['patients']:,}"]
        for row in found[0].detail["rows"]
    ]
    return [Grid([words["column.pattern"], words["column.patients"]], rows, words["patterns.note"])]


def _by_outcome(found: Sequence[Evidence], words: Words) -> list[Part]:
    rows = [[row["variable"], _gap(row), _p(row["p"]), _p(row["holm"])] for row in found[0].detail["rows"]]
    heads = [words[f"column.{name}"] for name in ("variable", "by_outcome", "p", "holm")]
    note = words["by_outcome.note"].format(n=found[0].n)
    return [Grid(heads, rows, note)] if rows else [Said(words["not_tested"])]


def _by_site(found: Sequence[Evidence], words: Words) -> list[Part]:
    rows = [
        [row["variable"], f"{row['most']} – {row['least']}", _gap(row), _p(row["p"]), _p(row["holm"])]
        for row in found[0].detail["rows"]
    ]
    heads = [words[f"column.{name}"] for name in ("variable", "sites", "by_site", "p", "holm")]
    return [Grid(heads, rows, words["by_site.note"])] if rows else [Said(words["not_tested"])]


def _gap(row: Row) -> str:
    """Return a difference of shares in percentage points, with its interval."""
    return " ".join(
        [f"{100 * row['difference']:+.1f}", f"({100 * row['low']:+.1f}, {100 * row['high']:+.1f})"]
    )


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _acquisition(found: Sequence[Evidence], words: Words) -> list[Part]:
    parts: list[Part] = []
    for one in found:
        site, modality = one.key.split("/")[1:]
        rows = [
            [
                words.get(f"item.{row['item']}", row["item"]),
                _value(row["value"], words),
                _count(row["images"], words),
            ]
            for row in one.detail["rows"]
        ]
        heads = [words[f"column.{name}"] for name in ("item", "value", "images")]
        parts += [Said(f"{site} · {modality} · n={one.n:,}"), Grid(heads, rows)]
    return parts


def _value(value: str, words: Words) -> str:
    return words.get(f"value.{value.replace(' ', '_')}", value)


def _outliers(found: Sequence[Evidence], words: Words) -> list[Part]:
    rows = []
    for one in found:
        site, modality = one.key.split("/")[1:]
        why = words["separator"].join(
            f"{words['why.' + row['why']]} {_count(row['images'], words)}" for row in one.detail["why"]
        )
        rows.append([f"{site} · {modality}", f"{one.n:,}", _count(one.detail["flagged"], words), why])
    heads = [words[f"column.{name}"] for name in ("site", "images", "flagged", "why")]
    return [Grid(heads, rows, words["outliers.note"])]


def _values(found: Sequence[Evidence], words: Words) -> list[Part]:
    rows = [
        [row["site"], row["column"], _odd(row["why"], words), _count(row["values"], words), f"{row['of']:,}"]
        for row in found[0].detail["rows"]
    ]
    heads = [words[f"column.{name}"] for name in ("site", "column", "why", "values", "of")]
    return [Grid(heads, rows, words["values.note"])] if rows else [Said(words["no_odd_values"])]


def _odd(why: str, words: Words) -> str:
    kind, _, factor = why.partition(" ")
    return words[f"odd.{kind}"] + (f" ({words[f'factor.{factor}']})" if factor else "")


def _dates(found: Sequence[Evidence], words: Words) -> list[Part]:
    rows = [
        [
            row["site"],
            f"{row['file']}: {row['column']}",
            words[f"date.{row['why']}"],
            _count(row["values"], words),
        ]
        for row in found[0].detail["rows"]
    ]
    return [Grid([words[f"column.{name}"] for name in ("site", "column", "why", "values")], rows)]


def _copies(found: Sequence[Evidence], words: Words) -> list[Part]:
    rows = [
        [row["site"] or words["all_sites"], words[f"copy.{row['what']}"], _count(row["count"], words)]
        for row in found[0].detail["rows"]
    ]
    heads = [words[f"column.{name}"] for name in ("site", "what", "count")]
    return [Grid(heads, rows, words["copies.note"])] if rows else [Said(words["no_copies"])]


def _count(n: int | None, words: Words) -> str:
    return words["few"] if n is None else f"{n:,}"


TOLD: Mapping[str, Callable[[Sequence[Evidence], Words], list[Part]]] = {
    "missing_values": _missing,
    "missing_patterns": _patterns,
    "missing_by_outcome": _by_outcome,
    "missing_by_site": _by_site,
    "acquisition": _acquisition,
    "image_outliers": _outliers,
    "odd_values": _values,
    "odd_dates": _dates,
    "copies": _copies,
}
"""How each kind of evidence is told, in the order of the page."""
