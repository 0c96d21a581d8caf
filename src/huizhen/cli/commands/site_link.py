"""`huizhen site link`: an attacker's table joined to a table as it would be released."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli.screen import screen_of

__all__ = ["command"]


def command(
    context: typer.Context,
    table: Annotated[Path, typer.Argument()],
    attacker: Annotated[Path, typer.Option("--attacker")],
    key: Annotated[str, typer.Option("--key")],
    recoding: Annotated[Path | None, typer.Option("--recoding")] = None,
    attacker_recoding: Annotated[Path | None, typer.Option("--attacker-recoding")] = None,
    near: Annotated[list[str] | None, typer.Option("--near")] = None,
) -> None:
    """Try a linkage attack."""
    screen = screen_of(context)
    from huizhen.data.disclosure.attack import attack_table, distances_of
    from huizhen.data.disclosure.recoding import load_recoding

    found = attack_table(
        table,
        attacker,
        key=key,
        recoding=load_recoding(recoding) if recoding else None,
        attacker_recoding=load_recoding(attacker_recoding) if attacker_recoding else None,
        near=distances_of(near or []),
    )
    screen.answer(
        {
            "known": found.known,
            "claimed": found.claimed,
            "right": found.right,
            "expected": found.expected,
            "share": found.share,
            "low": found.low,
            "high": found.high,
        }
    )
    screen.say(
        "site.linked",
        right=found.right,
        known=found.known,
        low=f"{100 * found.low:.1f}",
        high=f"{100 * found.high:.1f}",
        claimed=found.claimed,
        expected=f"{found.expected:.1f}",
    )
