"""What the tests of text de-identification share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from huizhen.data.deidentify.key import Pseudonymiser
from huizhen.data.deidentify_text.engine import find_all
from huizhen.data.deidentify_text.folding import fold


@pytest.fixture
def who() -> Pseudonymiser:
    """A pseudonymiser with a secret of its own."""
    return Pseudonymiser(secret=b"text-de-identification-tests-key")


@pytest.fixture
def spans() -> Callable[[str], list[tuple[str, str]]]:
    """Find everything in a text; gives (kind, original text) of each span."""

    def found(text: str) -> list[tuple[str, str]]:
        folded = fold(text)
        places = [(one.kind.value, *folded.original(one.start, one.end)) for one in find_all(folded.text)]
        return [(kind, text[start:end]) for kind, start, end in places]

    return found
