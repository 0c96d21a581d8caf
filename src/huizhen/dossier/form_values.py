"""Single values of the form: texts of a limited length without what hides or turns other text."""

from __future__ import annotations

from typing import Any

from huizhen.core.study_file import Problem
from huizhen.errors import hidden_in

__all__ = ["text_problem"]


def text_problem(field: str, value: Any, longest: int) -> Problem | None:
    """Return what is wrong with a text of at most `longest` characters, or None.

    >>> text_problem("EV01.owner", "Ward 3", 120) is None, text_problem("EV01.owner", 3, 120).reason
    (True, 'must be text')
    """
    if not isinstance(value, str):
        return Problem(field=field, reason="must be text", remedy="put it in quotes")
    if len(value) > longest:
        return Problem(
            field=field,
            reason=f"is longer than {longest} characters",
            remedy="say it shorter, and name the document that holds the rest",
        )
    if hidden_in(value):
        return Problem(
            field=field,
            reason="holds a control character, or one that turns the direction of text",
            remedy="type the text anew, without what was pasted with it",
        )
    return None
