"""`huizhen transfer check`: what a study may send across which border, and what is missing."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from huizhen.cli.screen import Screen, screen_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from huizhen.data.transfer.decide import Decision
    from huizhen.data.transfer.law import Law
    from huizhen.data.transfer.study_decisions import Change

__all__ = ["command"]


def command(
    context: typer.Context,
    file: Annotated[Path, typer.Argument()] = Path("study.toml"),
    as_of: Annotated[datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"])] = None,
) -> None:
    """Decide each flow of a study; exit with the code of `PolicyError` if some aren't permitted."""
    screen = screen_of(context)
    from huizhen.core.study_file import load_study
    from huizhen.data.transfer.explain import decision_lines
    from huizhen.data.transfer.study_decisions import changes_of, decisions_of, study_laws, today
    from huizhen.errors import PolicyError

    study = load_study(file)
    day = as_of.date() if as_of else today()
    laws = study_laws(study, [file.parent], file=file.name)
    decisions = decisions_of(study, laws, day)
    changes = changes_of(study, laws, day)
    screen.answer(_answer(decisions, changes, laws))
    for one in decisions:
        for line in decision_lines(one, screen.language):
            screen.plain(line)
    for change in changes:
        said = screen.text(f"transfer.outcome.{change.after.outcome.word}")
        screen.say("transfer.change", day=change.day, flow=change.after.flow.key, outcome=said)
    refused = [one for one in decisions if one.outcome]
    _verdict(screen, len(refused), len(decisions), str(day))
    if refused:
        raise typer.Exit(PolicyError.exit_code)


def _verdict(screen: Screen, refused: int, flows: int, day: str) -> None:
    screen.say("transfer.refused" if refused else "transfer.permitted", refused=refused, flows=flows, day=day)
    screen.say("transfer.no_advice")


def _answer(decisions: Sequence[Decision], changes: Sequence[Change], laws: Sequence[Law]) -> dict[str, Any]:
    from huizhen.data.transfer.study_decisions import transfer_evidence

    return {
        "flows": [dict(transfer_evidence(one, laws, phantom=False).detail) for one in decisions],
        "changes": [
            {"day": str(one.day), "flow": one.after.flow.key, "outcome": one.after.outcome.word}
            for one in changes
        ],
    }
