"""`huizhen federation key`: print the study lead's public key."""

from __future__ import annotations

import typer

from huizhen.cli.screen import screen_of

__all__ = ["command"]


def command(
    context: typer.Context,
) -> None:
    """Print the study lead's public key."""
    screen = screen_of(context)
    from huizhen.cli import paths
    from huizhen.ledger.signing import SigningKey
    from huizhen.pipeline.finish import default_home

    public = SigningKey.create_or_load((paths.home() or default_home()) / "signing_key.pem").public
    screen.answer({"public_key": public.hex, "key_id": public.key_id})
    screen.plain(public.hex)
