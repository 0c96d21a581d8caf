"""How finished work is shown: a run, a verified dossier, a table of headline numbers with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huizhen.cli.headline import claim_text, key_numbers
from huizhen.cli.screen import Screen

if TYPE_CHECKING:
    from huizhen.dossier.verification import VerifiedDossier
    from huizhen.pipeline.finish import RunResult

__all__ = ["headline_table", "number_text", "show_run", "verified_lines", "verified_record"]


def show_run(run: RunResult, screen: Screen, *, verified: VerifiedDossier | None = None) -> None:
    """Print a finished run: the headline numbers, where the dossier is, and whether it verified."""
    record: dict[str, Any] = {
        "dossier": str(run.dossier),
        "run_folder": str(run.run_folder),
        "model": str(run.model) if run.model else None,
        "key_id": run.key_id,
        "entries": run.entries,
        "seconds": round(run.seconds, 3),
        "headline": list(run.headline),
    }
    if verified is not None:
        record["verified"] = verified_record(run.dossier, verified)
    screen.answer(record)
    from huizhen.cli.progress import duration_text

    headline_table(key_numbers(run.headline), screen)
    screen.say("run.done", dossier=run.dossier, took=duration_text(screen.language, run.seconds))
    screen.say("run.page", page=run.dossier / "index.html")
    if run.model is not None:
        screen.say("run.model", model=run.model)
    screen.say("run.key", key_id=run.key_id, entries=run.entries)
    if verified is None:
        screen.say("run.next", dossier=run.dossier)
        return
    for line in verified_lines(run.dossier, verified, screen, key_was_expected=True):
        screen.plain(line)


def verified_record(dossier: Path, verified: VerifiedDossier) -> dict[str, Any]:
    """Return what verification found as plain values."""
    counts = {key: getattr(verified, key) for key in ("entries", "numbers", "files", "key_id")}
    return {"dossier": str(dossier), "verified": True, **counts, "head": _plain_head(verified.head)}


def _plain_head(head: Any) -> Any:
    """Return a signed head as plain values."""
    return head.to_json() if hasattr(head, "to_json") else str(head)


def verified_lines(
    dossier: Path, verified: VerifiedDossier, screen: Screen, *, key_was_expected: bool
) -> Iterable[str]:
    """Yield the lines that say what was verified, and what was not."""
    yield screen.text(
        "verify.good",
        dossier=dossier,
        entries=verified.entries,
        numbers=verified.numbers,
        files=verified.files,
    )
    yield screen.text("verify.key" if key_was_expected else "verify.key_unchecked", key_id=verified.key_id)


def headline_table(headline: Iterable[Mapping[str, Any]], screen: Screen) -> None:
    """Print evidence records as a table: claim, estimate with interval, n, verdict."""
    if screen.settings.json:
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for key in ("claim", "estimate", "interval", "n", "verdict"):
        right = key in ("estimate", "n")
        table.add_column(screen.text(f"table.{key}"), justify="right" if right else "left", overflow="fold")
    for record in headline:
        table.add_row(*_row(record, screen))
    if table.row_count:
        screen.console().print(table)


def _row(record: Mapping[str, Any], screen: Screen) -> list[str]:
    """Return one evidence record as the cells of the table."""
    interval = record.get("interval")
    bounds = ""
    if interval:
        low, high = number_text(interval["low"]), number_text(interval["high"])
        bounds = screen.text("table.span", low=low, high=high)
    verdict = str(record.get("verdict", "reported"))
    mark = screen.text("table.phantom") if record.get("phantom") else ""
    return [
        f"{claim_text(str(record['key']), screen.language)}{mark}",
        number_text(record.get("estimate")),
        bounds,
        str(record.get("n", "")),
        screen.text(f"verdict.{verdict.replace(' ', '_')}"),
    ]


def number_text(value: float | int | None) -> str:
    """Return a number with three decimals, a count as it is, nothing for None.

    >>> number_text(0.91234), number_text(12), number_text(None)
    ('0.912', '12', '')
    """
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.3f}"
