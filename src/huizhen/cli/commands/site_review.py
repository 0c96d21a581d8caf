"""`huizhen site review`: a person looks at images that wait, or at a sample of those released."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli.commands.site_prepare import STATE
from huizhen.cli.screen import Screen, screen_of

__all__ = ["command"]


def command(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument()],
    decisions: Annotated[list[Path] | None, typer.Argument()] = None,
    reader: Annotated[str, typer.Option("--reader")] = "",
    audit: Annotated[int, typer.Option("--audit", min=0, max=2000)] = 0,
) -> None:
    """Write the pages of a review, or enter what was decided on them."""
    screen = screen_of(context)
    from huizhen.federate.site.folder import SiteFolder

    home = SiteFolder.open(folder).path
    if decisions and audit:
        raise typer.BadParameter("--audit makes pages, and decisions are entered without it")
    if decisions:
        _enter(screen, home, decisions, reader)
    else:
        _write(screen, home, audit)


def _write(screen: Screen, home: Path, audit: int) -> None:
    """Write the pages, and say where."""
    from huizhen.data.deidentify.key import Pseudonymiser, open_secret
    from huizhen.data.deidentify.review import audit_review, waiting_review
    from huizhen.data.deidentify.review_folders import clear_decided, open_reviews
    from huizhen.data.deidentify.review_page import PAGES, write_pages

    state = home / STATE
    if audit:
        review = audit_review(state, who=Pseudonymiser(secret=open_secret(home)), images=audit)
    else:
        review = waiting_review(state)
    clear_decided(state)
    page = write_pages(review, state / PAGES, screen.language)
    others = open_reviews(state, but=review.name)
    said = {"items": len(review.items), "left": review.left, "population": review.population}
    screen.answer(
        {"review": review.name, "audit": review.audit, "page": str(page), **said, "open": len(others)}
    )
    screen.say("site.review_sample" if audit else "site.review", page=page, **said)
    if others:
        screen.say("site.review_open", n=len(others), folder=state / PAGES)


def _enter(screen: Screen, home: Path, decisions: list[Path], reader: str) -> None:
    """Enter decisions, and say what they come to."""
    from huizhen.data.deidentify.decisions import Verdict
    from huizhen.data.deidentify.review_entry import enter

    done = enter(home / STATE, decisions, reader=reader)
    counts = {verdict.value: done.items.get(verdict, 0) for verdict in Verdict}
    found = done.audit
    audited = {} if found is None else {"looked_at": found.looked_at, "missed": found.missed}
    upper = {} if found is None else {"upper": found.upper}
    screen.answer({**counts, "files": done.files, **audited, **upper})
    screen.say("site.review_decided", files=done.files, **counts)
    if found is not None:
        screen.say("site.review_audited", **audited, upper=f"{100 * found.upper:.2f}")
