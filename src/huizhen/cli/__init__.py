"""The command line: one module per subcommand, imported when that command is asked for."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run `huizhen` with the arguments of this process and exit with its code."""
    from huizhen.cli.app import root_command

    root_command().main(prog_name="huizhen")
