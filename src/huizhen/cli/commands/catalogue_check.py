"""`huizhen catalogue check`: a record's signature and fields."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli.screen import screen_of

__all__ = ["command"]


def command(
    context: typer.Context,
    record: Annotated[Path, typer.Argument()],
    key: Annotated[str | None, typer.Option("--key")] = None,
) -> None:
    """Check a record's signature and fields."""
    screen = screen_of(context)
    from huizhen.data.catalogue.jsonld import load_record
    from huizhen.ledger.signing import PublicKey

    found = load_record(record, key=PublicKey(hex=key) if key else None)
    said, facts = found.description, found.facts
    plain = {"site": found.site, "key": found.key.hex, "digest": found.digest, "title": said.title}
    screen.answer({**plain, "facts": facts.model_dump(mode="json")})
    screen.say("catalogue.holds", site=found.site, key_id=found.key.key_id, title=said.title)
    screen.say(
        "catalogue.facts",
        subjects=facts.subjects,
        studies=screen.text("catalogue.untold") if facts.studies is None else facts.studies,
        modalities=", ".join(facts.modalities),
        conditions=", ".join(said.use_conditions),
    )
