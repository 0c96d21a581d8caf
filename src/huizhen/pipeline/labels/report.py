"""The report of an audit, of which nothing names a case: JSON, evidence, and a page in each language."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huizhen.core.evidence import Evidence
from huizhen.core.files import write_json, write_text
from huizhen.core.words import Language, load_words
from huizhen.errors import DataError
from huizhen.pipeline.pages import Grid, Page, Said, Title

__all__ = ["EVIDENCE", "page_name", "read_evidence", "write_report"]

EVIDENCE = "evidence.json"
_ROOM = "huizhen.pipeline.labels"
Part = Title | Said | Grid
Words = Mapping[str, str]
Details = Mapping[str, Any]


def page_name(language: Language) -> str:
    """Return the file name of the page in a language.

    >>> page_name(Language.ZH)
    'report.zh.html'
    """
    return f"report.{language.value}.html"


def write_report(evidence: Sequence[Evidence], out: Path, *, name: str) -> None:
    """Write the evidence of an audit, and of a second reading if there was one, and the pages to `out`."""
    write_json(out / EVIDENCE, [one.to_json() for one in evidence])
    for language in Language:
        write_text(out / page_name(language), _page(evidence, name, language).html())


def read_evidence(out: Path) -> list[Evidence]:
    """Return the evidence of the audit written to `out`, without that of a second reading; none if none.

    Raises `DataError` on a file that isn't what `write_report` wrote.
    """
    path = out / EVIDENCE
    if not path.exists():
        return []
    try:
        held = [Evidence.from_json(one) for one in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            "holds no evidence of an audit", remedy="run the audit again", file=str(path)
        ) from error
    return [one for one in held if one.metric not in ("label_wrong", "label_wrong_listed")]


def _page(evidence: Sequence[Evidence], name: str, language: Language) -> Page:
    """Return the page in one language."""
    words = load_words(_ROOM, language)
    by_metric = {one.metric: one for one in evidence}
    parts: list[Part] = []
    if found := by_metric.get("label_suspects"):
        parts += _audited(found, by_metric, words)
    if any(metric in by_metric for metric in ("label_contradicted", "label_agreement", "reader_alpha")):
        parts += _read(by_metric, words)
    if found := by_metric.get("label_wrong"):
        parts += _reviewed(found, by_metric, words)
    parts += [Title(words["limits"]), Said(words["limits.text"]), Said(words["limits.auc"], "note")]
    return Page(title=words["title"].format(name=name), language=language, parts=parts)


def _audited(found: Evidence, by_metric: Mapping[str, Evidence], words: Words) -> list[Part]:
    told = found.detail
    suspects = _count(told["suspects"], words)
    lead = words["summary"].format(n=found.n, patients=told["patients"], suspects=suspects)
    parts: list[Part] = [Said(lead, "lead"), Said(words[f"rule.{told['rule']}"])]
    parts += [Said(words[f"doubt.{doubt}"], "warn") for doubt in told["doubts"]]
    origin = str(told["origin"].get("kind", "table"))
    parts.append(Said(words[f"origin.{origin}"].format(**_known(told["origin"]))))
    if told["origin"].get("tested_in_turn"):
        parts.append(Said(words["tested_in_turn"], "warn"))
    if rate := by_metric.get("label_noise_rate"):
        parts += [Title(words["rate"]), Said(words["rate.text"].format(rate=_number(rate, percent=True)))]
        rows = [
            [row["class"], f"{_percent(row['share'])} ({_percent(row['low'])}–{_percent(row['high'])})"]
            for row in rate.detail["by_class"]
        ]
        parts.append(Grid([words["column.class"], words["column.wrong"]], rows, words["rate.note"]))
    rows = [
        [row["class"], *(_count(row[key], words) for key in ("count", "suspects"))] for row in told["classes"]
    ]
    heads = [words[f"column.{key}"] for key in ("class", "labels", "suspects")]
    parts += [Title(words["classes"]), Grid(heads, rows)]
    pairs = [[row["given"], row["likely"], _count(row["suspects"], words)] for row in told["pairs"]]
    heads = [words[f"column.{key}"] for key in ("given", "likely", "suspects")]
    parts += [
        Title(words["pairs"]),
        Grid(heads, pairs, words["pairs.note"]) if pairs else Said(words["nothing"]),
    ]
    if told["left_out"]:
        rows = [[words[f"left_out.{why}"], _count(n, words)] for why, n in told["left_out"].items()]
        parts += [Title(words["rows_left_out"]), Grid([words["column.why"], words["column.rows"]], rows)]
    return parts


def _read(by_metric: Mapping[str, Evidence], words: Words) -> list[Part]:
    rows = [
        [words[metric], _number(one, percent=metric == "label_contradicted"), one.n]
        for metric in ("label_contradicted", "label_agreement", "reader_alpha")
        if (one := by_metric.get(metric)) is not None
    ]
    heads = [words["column.measure"], words["column.estimate"], words["column.n"]]
    return [Title(words["readers"]), Grid(heads, rows, words["readers.note"])]


def _reviewed(found: Evidence, by_metric: Mapping[str, Evidence], words: Words) -> list[Part]:
    parts: list[Part] = [Title(words["review"])]
    if found.reason:
        return [*parts, Said(words["review.no_controls"], "warn")]
    told = found.detail
    parts.append(Said(words["review.text"].format(share=_number(found, percent=True), n=found.n), "lead"))
    rows = [
        [
            words[f"stratum.{row['stratum']}"],
            *(_count(row[key], words) for key in ("count", "read", "wrong")),
        ]
        for row in told["strata"]
    ]
    heads = ["", *(words[f"column.{key}"] for key in ("labels", "read", "found_wrong"))]
    parts.append(Grid(heads, rows, words["review.note"]))
    unsure = _count(told["unsure"], words)
    parts.append(Said(words["review.unsure"].format(n=unsure, share=_percent(told["if_unsure_wrong"]))))
    rows = [
        [row["class"], _count(row["before"], words), _count(row["after"], words)] for row in told["classes"]
    ]
    heads = [words[f"column.{key}"] for key in ("class", "before", "after")]
    return [*parts, Grid(heads, rows)]


def _known(origin: Details) -> dict[str, Any]:
    """Return what is known of how the probabilities were made, blank where it isn't."""
    keys = ("folds", "repeats", "patients", "site", "columns")
    return {key: origin.get(key, "") for key in keys}


def _count(n: int | None, words: Words) -> object:
    return words["few"] if n is None else n


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _number(one: Evidence, *, percent: bool) -> str:
    """Return an estimate with its interval."""
    assert one.estimate is not None
    assert one.interval is not None
    show = _percent if percent else (lambda value: f"{value:.2f}")
    return f"{show(one.estimate)} ({show(one.interval.low)}–{show(one.interval.high)})"
