"""`huizhen data describe`: who is in a study's cohort, and who was left out on the way and why."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from huizhen.cli import paths
from huizhen.cli.screen import Screen, screen_of

if TYPE_CHECKING:
    from huizhen.core.cohort import Exclusion
    from huizhen.data.flow import Flow
    from huizhen.data.intake import Intake

__all__ = ["command"]


def command(
    context: typer.Context,
    file: Annotated[Path, typer.Argument()] = Path("study.toml"),
    data: Annotated[Path | None, typer.Option("--data")] = None,
) -> None:
    """Read the data as a run would, and print the flow; nothing is kept."""
    screen = screen_of(context)
    root = paths.data_root(data)
    from huizhen.core.study_file import load_study, study_roots
    from huizhen.data.cache import Cache
    from huizhen.data.flow import site_table
    from huizhen.data.intake import intake

    study = load_study(file)
    with tempfile.TemporaryDirectory() as folder:
        taken = intake(
            study,
            roots=study_roots(file, root),
            pseudonym_secret=secrets.token_bytes(32),
            cache=Cache(Path(folder)),
            progress=screen.progress(),
        )
    sites = site_table(taken.cohort)
    places = _places(taken.cohort.exclusions)
    screen.answer(
        {
            "study": study.name,
            "sites": sites,
            "flow": taken.flow.to_json(),
            "left_out": places,
            "body_parts": taken.body_parts,
        }
    )
    if not screen.settings.json:
        screen.say("describe.title", study=study.title, patients=len(taken.cohort.cases), sites=len(sites))
        _show(sites, taken.flow, places, screen)
        _show_tallies(taken.flow, screen)
        _show_parts(taken, screen)


def _places(exclusions: Iterable[Exclusion]) -> list[dict[str, str]]:
    """Return each file, row and cell that was left out, so that it can be found and mended.

    Not patients: their pseudonyms here are of a throw-away key.
    """
    return [
        {"site": one.site, "unit": one.unit, "reason": one.reason, "place": one.subject}
        for one in exclusions
        if one.unit != "patient"
    ]


def _show(sites: list[dict[str, Any]], flow: Flow, places: list[dict[str, str]], screen: Screen) -> None:
    """Print the sites, the steps and the exclusions as tables."""
    console = screen.console()
    heads = ("site", "patients", "positive", "modalities")
    rows = [
        [site["site"], site["patients"], site["positive"], _modalities(site["modalities"])] for site in sites
    ]
    console.print(screen_table(screen, "", heads, rows))
    steps = list(dict.fromkeys(step.step for step in flow.steps))
    reached = {(step.site, step.step): f"{step.patients} / {step.images}" for step in flow.steps}
    names = list(dict.fromkeys(step.site for step in flow.steps))
    rows = [[name, *(reached.get((name, step), "") for step in steps)] for name in names]
    console.print(screen_table(screen, "describe.flow", ("site", *steps), rows))
    if not flow.exclusions:
        screen.say("describe.nobody")
        return
    first = {(p["site"], p["unit"], p["reason"]): p["place"] for p in reversed(places)}
    lost = [
        [
            item.site,
            screen.known(f"unit.{item.unit}", item.unit),
            screen.known(f"reason.{item.reason}", item.reason),
            item.count,
            first.get((item.site, item.unit, item.reason), ""),
        ]
        for item in flow.exclusions
    ]
    columns = ("site", "unit", "reason", "count", "example")
    console.print(screen_table(screen, "describe.left_out", columns, lost))


def _show_tallies(flow: Flow, screen: Screen) -> None:
    """Print what was counted though it left nobody out."""
    rows = [[one.site, screen.known(f"tally.{one.what}", one.what), one.count] for one in flow.tallies]
    if rows:
        table = screen_table(screen, "describe.counted", ("site", "unit", "count"), rows)
        screen.console().print(table)


def _show_parts(taken: Intake, screen: Screen) -> None:
    """Print which body parts the headers of DICOM images name."""
    for site, modalities in taken.body_parts.items():
        for modality, parts in modalities.items():
            named = ", ".join(f"{part or '-'} {count}" for part, count in sorted(parts.items()))
            if named:
                screen.say("describe.parts", site=site, modality=modality, parts=named)


def _modalities(rows: list[dict[str, Any]]) -> str:
    """Return modalities with their patients, e.g. "US 40, MR 12"."""
    return ", ".join(f"{row['modality']} {row['patients']}" for row in rows)


def screen_table(screen: Screen, title: str, heads: tuple[str, ...], rows: list[list[Any]]) -> Any:
    """Return a rich table with heads in words."""
    from rich.table import Table

    table = Table(title=screen.text(title) if title else None, box=None, pad_edge=False, title_justify="left")
    for head in heads:
        table.add_column(screen.known(f"table.{head}", head))
    for row in rows:
        table.add_row(*map(str, row))
    return table
