"""`python -m huizhen.cli.tied ...` is `huizhen ...` for as long as whoever started it lives.

The starter keeps the other end of this process's standard input and writes nothing to it. When the starter
ends, however it does, so does the input, and this process with it: no orphan keeps a ledger or site locked.
"""

from __future__ import annotations

import os
import sys
import threading

from huizhen.cli import main

__all__ = ["end_with_input", "main"]


def end_with_input(stream: int) -> None:
    """End this process, at once, when the file descriptor `stream` comes to its end."""

    def wait() -> None:
        while os.read(stream, 1):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    end_with_input(sys.stdin.fileno())
    main()
