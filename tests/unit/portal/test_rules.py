"""Roles as `portal.toml` has them now."""

from __future__ import annotations

import os
from pathlib import Path

from huizhen.portal.roles import Right, as_of_now, person_of
from huizhen.portal.rules import Rules
from huizhen.portal.settings import load_settings

TOML = """
[portal]
title = "Test"
address = "https://catalogue.example.org"
[login]
issuer = "https://login.example.org"
client_id = "portal"
[roles]
researcher = ["researcher"]
[[site]]
name = "north"
key = "%s"
officers = ["officer"]
""" % ("0" * 64)


def written(path: Path, text: str, day: int) -> Path:
    """Write a file as if on a day of its own."""
    path.write_text(text)
    os.utime(path, (day, day))
    return path


def test_a_changed_file_counts_at_once_and_a_broken_one_allows_nothing(tmp_path: Path) -> None:
    file = written(tmp_path / "portal.toml", TOML, 1)
    began = load_settings(file)
    rules, claims = Rules(began, file), {"sub": "x", began.login.role_claim: ["researcher", "officer"]}
    person = person_of(claims, began, secret=b"secret")

    def rights() -> frozenset[Right]:
        return as_of_now(person, rules.now()).rights

    assert rules.now() is began
    assert {Right.SEARCH, Right.DECIDE} <= rights()
    written(file, TOML.replace('["officer"]', "[]"), 2)
    assert Right.SEARCH in rights()
    assert Right.DECIDE not in rights()
    written(file, TOML.replace("[[site]]", f'revoked = ["{person.id}"]\n[[site]]'), 3)
    assert rights() == frozenset()
    written(file, TOML.replace("[roles]", "[rules]"), 4)
    assert rights() == frozenset()
    written(file, TOML, 5)
    assert {Right.SEARCH, Right.DECIDE} <= rights()
    file.unlink()
    assert rights() == frozenset()


def test_nothing_but_roles_and_officers_is_taken_over(tmp_path: Path) -> None:
    file = written(tmp_path / "portal.toml", TOML, 1)
    rules = Rules(load_settings(file), file)
    other = TOML.replace("login.example.org", "evil.example.org").replace("0" * 64, "1" * 64)
    written(file, other.replace('["researcher"]', '["anybody"]'), 2)
    now = rules.now()
    assert now.login.issuer == "https://login.example.org"
    assert now.site[0].key == "0" * 64
    assert now.roles.researcher == ("anybody",)


def test_without_a_file_nothing_changes(tmp_path: Path) -> None:
    began = load_settings(written(tmp_path / "portal.toml", TOML, 1))
    assert Rules(began, None).now() is began
