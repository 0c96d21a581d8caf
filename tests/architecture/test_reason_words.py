"""Every reason that a room may give for what it didn't assess has its Chinese in the dossier."""

from __future__ import annotations

from pathlib import Path

from huizhen import errors
from huizhen.cli.error_phrases import plain
from huizhen.cli.said_strings import Sayings, has_words
from huizhen.cli.source_index import SourceIndex, called_name, parse_package
from huizhen.dossier.reasons import reason_templates
from huizhen.dossier.wording import known

GIVEN = ("not_assessed", "Evidence", "endpoints_not_assessed")


def test_every_reason_has_its_chinese() -> None:
    index = SourceIndex(trees=parse_package(Path(errors.__file__).parent, "huizhen"))
    sayings = Sayings(index=index)
    said: set[str] = set()
    for call, place in index.all_calls:
        values = []
        if called_name(call) == "NotEstimableError":  # its message becomes the reason
            values = call.args[:1]
        elif called_name(call) in GIVEN:
            values = [one.value for one in call.keywords if one.arg == "reason"]
        said |= {plain(text) for value in values for text in sayings.of(value, place)}
    sentences = {text for text in said if " " in text and has_words(text)}
    assert len(sentences) > 100
    unknown = {t for t in sentences if t not in reason_templates() and not known(f"reason.{t}")}
    assert unknown == set(), "add them to src/huizhen/dossier/reasons.toml"
