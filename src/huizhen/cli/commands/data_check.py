"""`huizhen data check`: what is missing, how images were made, and which images and values look odd."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from huizhen.cli import paths
from huizhen.cli.screen import Screen, screen_of

if TYPE_CHECKING:
    from huizhen.pipeline.checks.check import Checked

__all__ = ["command"]

PRIVATE = "stays"
"""Folder within --out for what stays, where no site is named."""

STATE = "checks"
"""Folder within the site's for its checks."""

CACHE = "cache"


def command(
    context: typer.Context,
    file: Annotated[Path, typer.Argument()] = Path("study.toml"),
    site: Annotated[Path | None, typer.Option("--site")] = None,
    out: Annotated[Path | None, typer.Option("--out")] = None,
    pictures: Annotated[bool, typer.Option("--pictures")] = False,
    data: Annotated[Path | None, typer.Option("--data")] = None,
) -> None:
    """Check the data of a study, or of one site's part of it."""
    screen = screen_of(context)
    from huizhen.federate.policy import load_policy
    from huizhen.federate.site.folder import SiteFolder
    from huizhen.pipeline.checks.check import check_data
    from huizhen.pipeline.checks.evidence import check_evidence
    from huizhen.pipeline.checks.private import write_private
    from huizhen.pipeline.checks.report import write_report
    from huizhen.pipeline.finish import default_home
    from huizhen.pipeline.labels.audit import SMALLEST

    home = SiteFolder.open(site) if site is not None else None
    folder = out or file.with_suffix(".check")
    private = home.path / STATE / file.stem if home is not None else folder / PRIVATE
    found = check_data(
        file,
        site=home,
        data_root=paths.data_root(data),
        cache=private / CACHE,
        progress=screen.progress(),
        home=paths.home() or default_home(),
    )
    write_private(found, private, language=screen.language, pictures=pictures)
    smallest = load_policy(home.path).smallest_count if home is not None else SMALLEST
    evidence = check_evidence(found, smallest=smallest)
    write_report(evidence, folder, title=found.study.title)
    screen.answer(
        {
            "report": str(folder),
            "stays": str(private),
            **_counts(found),
            "evidence": [one.to_json() for one in evidence],
        }
    )
    _show(found, private, folder, screen)


def _counts(found: Checked) -> dict[str, int]:
    """Return how much is odd."""
    return {
        "patients": len(found.taken.cohort.cases),
        "images": sum(len(group.record) for group in found.images),
        "odd_images": sum(int(group.flagged.sum()) for group in found.images),
        "odd_values": sum(len(one.odd) for one in found.columns),
        "odd_dates": sum(len(one.odd) for one in found.dates),
        "linked": sum(map(len, found.taken.links)),
    }


def _show(found: Checked, private: Path, folder: Path, screen: Screen) -> None:
    """Print the counts and where the files lie."""
    counts = _counts(found)
    screen.say("data_check.images", n=counts["images"], odd=counts["odd_images"])
    screen.say("data_check.values", values=counts["odd_values"], dates=counts["odd_dates"])
    screen.say("data_check.linked", n=counts["linked"], patients=counts["patients"])
    clear = [row["variable"] for row in found.by_outcome if row["holm"] < 0.05]
    if clear:
        screen.say("data_check.by_outcome", variables=", ".join(clear))
    screen.say("data_check.stays", folder=private)
    screen.say("audit.report", folder=folder)
