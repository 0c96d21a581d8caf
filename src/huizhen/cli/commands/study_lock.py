"""`huizhen study lock`: the study under a signature and a time, beside it, before any data is read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli import paths
from huizhen.cli.screen import screen_of

__all__ = ["command"]


def command(
    context: typer.Context,
    file: Annotated[Path, typer.Argument()] = Path("study.toml"),
    reason: Annotated[str, typer.Option("--reason")] = "",
) -> None:
    """Lock a study file, and print what to publish."""
    screen = screen_of(context)
    from huizhen.ledger.signing import SigningKey
    from huizhen.pipeline.finish import default_home
    from huizhen.pipeline.protocol_lock import lock_file, lock_protocol

    key = SigningKey.create_or_load((paths.home() or default_home()) / "signing_key.pem")
    lock = lock_protocol(file, key, reason=reason)
    place = lock_file(file)
    record = {"lock": str(place), "digest": lock.digest, "time": lock.time, "key_id": lock.key_id}
    screen.answer(record)
    screen.say("lock.done", file=place, time=lock.time, key_id=lock.key_id)
    screen.say("lock.publish", digest=lock.digest)
