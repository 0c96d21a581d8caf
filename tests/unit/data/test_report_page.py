"""The frame of the reports: three rooms' pages in it, in both languages, whole in themselves."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files

import pytest

from huizhen.core.words import Language, load_words
from huizhen.data.report_page import counted, number, page_of

ROOMS = ("huizhen.data.deidentify", "huizhen.data.deidentify_text", "huizhen.data.disclosure")


@pytest.mark.parametrize("room", ROOMS)
def test_every_report_is_in_the_one_frame(room: str) -> None:
    for page in files(room).iterdir():
        if page.name.endswith(".html") and (room, page.name) != (ROOMS[0], "review.html"):
            text = page.read_text(encoding="utf-8")
            assert text.startswith('{% extends "page" %}')
            assert "<style" not in text
            assert not re.search(r"\bstyle=|<script|https?:", text)


@pytest.mark.parametrize("language", list(Language))
def test_a_page_is_whole_and_pins_its_style(language: Language) -> None:
    documents = [
        {"name": "<b>a", "place": "P-1/F-2", "before": [("Dr ", ""), ("Li", "name")], "after": [("x", "")]}
    ]
    page = page_of(ROOMS[1], "review.html", language, documents=documents)
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    pinned = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{pinned}'" in page
    assert "default-src 'none'" in page
    assert "&lt;b&gt;a" in page
    assert f'<html lang="{"zh-Hans" if language is Language.ZH else "en"}">' in page
    assert page.count(load_words(ROOMS[1], language)["review"]) == 2
    assert "<footer>" not in page, "this page has nothing to say there"


@pytest.mark.parametrize("room", ROOMS[:2])
@pytest.mark.parametrize("language", list(Language))
def test_one_is_said_as_one(room: str, language: Language) -> None:
    words = load_words(room, language)
    people = counted(words, "of_patients", 1)
    said = counted(words, "released", 1, patients=people)
    assert people in said
    assert "1 files" not in said
    assert "patients" not in said
    assert "1,200" in counted(words, "released", 1200, patients=counted(words, "of_patients", 30))
    assert number("<10") == "<10"
