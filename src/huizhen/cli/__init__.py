"""The command line: one module per subcommand, imported when that command is asked for."""

from __future__ import annotations

import sys
import warnings

__all__ = ["main"]


def main() -> None:
    """Run `huizhen` with the arguments of this process and exit with its code."""
    if "--debug" not in sys.argv and not sys.warnoptions:
        warnings.simplefilter("ignore")  # other libraries' warnings may hold patients' values
    from huizhen.cli.app import root_command

    root_command().main(prog_name="huizhen")
