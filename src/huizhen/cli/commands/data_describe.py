"""`huizhen data describe`: who is in a study's cohort, and who was left out on the way and why."""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from huizhen.cli import paths
from huizhen.cli.screen import Screen, screen_of

if TYPE_CHECKING:
    from huizhen.data.flow import Flow

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
    screen.answer({"study": study.name, "sites": sites, "flow": taken.flow.to_json()})
    if not screen.settings.json:
        screen.say("describe.title", study=study.title, patients=len(taken.cohort.cases), sites=len(sites))
        _show(sites, taken.flow, screen)


def _show(sites: list[dict[str, Any]], flow: Flow, screen: Screen) -> None:
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
    lost = [[item.site, item.unit, _reason(item.reason, screen), item.count] for item in flow.exclusions]
    console.print(screen_table(screen, "describe.left_out", ("site", "unit", "reason", "count"), lost))


def _modalities(rows: list[dict[str, Any]]) -> str:
    """Return modalities with their patients, e.g. "US 40, MR 12"."""
    return ", ".join(f"{row['modality']} {row['patients']}" for row in rows)


def _reason(reason: str, screen: Screen) -> str:
    """Return a reason for exclusion in words."""
    return screen.known(f"reason.{reason}", reason.replace("_", " "))


def screen_table(screen: Screen, title: str, heads: tuple[str, ...], rows: list[list[Any]]) -> Any:
    """Return a rich table with heads in words."""
    from rich.table import Table

    table = Table(title=screen.text(title) if title else None, box=None, pad_edge=False, title_justify="left")
    for head in heads:
        table.add_column(screen.known(f"table.{head}", head))
    for row in rows:
        table.add_row(*map(str, row))
    return table
