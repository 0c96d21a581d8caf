"""Why something was not assessed is told in Chinese too, values and all."""

from __future__ import annotations

import pytest

from huizhen.cli.error_words import load_catalogue
from huizhen.dossier.reasons import reason_templates, reason_text


@pytest.mark.parametrize(
    ("reason", "chinese"),
    [
        ("a class is missing", "缺少一个类别"),
        ("fewer than 10 patients of the site or of the others", "该中心或其余中心的患者少于 10 名"),
        ("the rules permit it", "规则允许"),
        ("something that nobody foresaw", "something that nobody foresaw"),
    ],
    ids=["whole", "with-a-value", "of-the-words", "unknown"],
)
def test_a_reason_is_told_in_chinese(reason: str, chinese: str) -> None:
    found = reason_text(reason)
    assert (found.en, found.zh) == (reason, chinese)


def test_every_template_names_its_values() -> None:
    for english, chinese in reason_templates().items():
        values = [f"v{k}" for k in range(english.count("{}"))]
        assert all(one in chinese.format(*values) for one in values)


def test_a_reason_that_is_an_error_too_has_one_chinese() -> None:
    catalogue = load_catalogue()
    plain = {e: c for e, c in reason_templates().items() if e in catalogue and ":" not in catalogue[e]}
    assert len(plain) > 50
    assert {e for e, c in plain.items() if catalogue[e] != c} == set()
