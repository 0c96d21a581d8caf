"""The dossier on paper: PDF/A and Word say what the page says, and no text becomes markup."""

from __future__ import annotations

import io
import os
import re
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import typst

from huizhen.core.words import Language
from huizhen.dossier.content import Content, content_of
from huizhen.dossier.page import numbering
from huizhen.dossier.printing import pdf
from huizhen.dossier.printing.drawing import declared, standalone
from huizhen.dossier.printing.export import export_dossier
from huizhen.dossier.printing.typst_text import Writer, quoted
from huizhen.dossier.printing.word import render_word
from huizhen.dossier.wording import Text
from huizhen.errors import DossierError, InvalidInputError, VerificationError
from huizhen.ledger.reading import read_log

HAS_CHINESE = bool(set(typst.Fonts().families()) & set(pdf.CHINESE))
needs_chinese = pytest.mark.skipif(
    not HAS_CHINESE and "HUIZHEN_REQUIRE_OPTIONAL" not in os.environ,
    reason="this machine has no font with Chinese letters",
)
"""The continuous check sets the variable: there a missing font fails."""


@pytest.fixture(scope="module")
def content(built: Path) -> Content:
    """What the made-up dossier says."""
    return content_of(read_log(built / "ledger"))


def numbers_of(content: Content) -> set[str]:
    """Return every number that the content cites, in English."""
    return {place.cited.text.en for place in content.places if place.cited.is_number}


@pytest.mark.parametrize(
    "language", [Language.EN, pytest.param(Language.ZH, marks=needs_chinese)], ids=["en", "zh"]
)
def test_pdf_is_an_archive_file_and_the_same_every_time(
    built: Path, tmp_path: Path, language: Language
) -> None:
    made = [tmp_path / name for name in ("a.pdf", "b.pdf")]
    sizes = [export_dossier(built, out, language=language) for out in made]
    first, second = (out.read_bytes() for out in made)
    assert first == second
    assert sizes == [len(first)] * 2
    assert b"<pdfaid:part>2</pdfaid:part>" in first
    assert b"<pdfaid:conformance>A</pdfaid:conformance>" in first


def test_source_holds_every_number_with_a_link_to_its_entry(built: Path, content: Content) -> None:
    source = pdf.source(content, Language.EN, reader(built), pdf.usable(pdf.fonts_of(None), chinese=False))
    text = source["main.typ"].decode()
    linked = set(re.findall(r'#num\("((?:[^"\\]|\\.)*)", .*?<entry-(\d+)>', text))
    for place in content.places:
        cited = place.cited
        assert (quoted(cited.text.en)[1:-1], str(cited.entry)) in linked
    entries = set(re.findall(r"#metadata\(none\)<entry-(\d+)>", text))
    assert {entry for _, entry in linked} <= entries


def reader(built: Path) -> Any:
    """Return what reads a file of the dossier."""
    return lambda path: (built / "files" / path).read_bytes()


@pytest.mark.parametrize(
    "evil", ['#panic("x")', "*bold*", '")#eval("1")', "<entry-1>", "\\", "@ref", "$x$", "[a]"]
)
def test_text_of_a_study_is_printed_and_never_run(evil: str) -> None:
    writer = Writer(Language.EN, "x", lambda _: b"", {})
    points = "".join(f"{ord(c)}," for c in evil)
    source = (
        f"#let got = [{writer.literal(Text.both(evil))}]\n"
        f"#assert.eq(got.text.codepoints().map(str.to-unicode), ({points}))"
    )
    assert typst.compile(source.encode(), format="svg")


def test_word_holds_every_number_and_says_that_it_is_a_copy(built: Path, content: Content) -> None:
    data = render_word(content, Language.EN, reader(built))
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        root = ElementTree.fromstring(package.read("word/document.xml"))
    text = "".join(root.itertext())
    missing = {number for number in numbers_of(content) if number not in text}
    assert not missing
    assert "no longer the signed dossier" in text
    pictures = [node for node in root.iter() if node.tag.endswith("}docPr")]
    assert pictures
    assert all(node.get("descr") for node in pictures)


def test_drawing_keeps_one_language_and_carries_its_style() -> None:
    svg = (
        '<svg class="chart" viewBox="0 0 9 9"><title>T</title><text lang="en" class="title">a</text>'
        '<text lang="zh-Hans">甲</text><path d="M0 0L9 9" class="line s1"></path></svg>'
    )
    found = standalone(svg, Language.ZH, font="F").decode()
    assert "甲" in found
    assert ">a<" not in found
    assert "<title" not in found
    assert 'stroke="#b3470c"' in found
    assert "currentcolor" not in found
    assert "var(" not in found


def test_every_class_of_a_figure_has_a_style(content: Content, built: Path) -> None:
    families = pdf.usable(pdf.fonts_of(None), chinese=False)
    source = pdf.source(content, Language.EN, reader(built), families)
    drawings = [data for name, data in source.items() if name.endswith(".svg")]
    assert drawings
    for data in drawings:
        for node in ElementTree.fromstring(data).iter():
            if node.tag.rpartition("}")[2] in ("path", "line", "circle", "rect"):
                assert node.get("stroke") or node.get("fill"), ElementTree.tostring(node)


def test_closer_rules_win() -> None:
    assert declared("path", frozenset({"line", "s0"}))["stroke-width"] == "2.6"
    assert declared("path", frozenset({"line"}))["stroke-width"] == "1.6"


def test_chinese_without_a_font_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "CHINESE", ())
    with pytest.raises(DossierError, match="no font with Chinese letters"):
        pdf.usable(pdf.fonts_of(None), chinese=True)


def test_nothing_is_overwritten_and_other_suffixes_are_refused(built: Path, tmp_path: Path) -> None:
    there = tmp_path / "report.pdf"
    there.write_bytes(b"mine")
    with pytest.raises(InvalidInputError, match="exists already"):
        export_dossier(built, there, language=Language.EN)
    assert there.read_bytes() == b"mine"
    with pytest.raises(InvalidInputError, match="neither"):
        export_dossier(built, tmp_path / "report.odt", language=Language.EN)


def test_a_changed_dossier_is_not_exported(dossier: Path, tmp_path: Path) -> None:
    page = dossier / "index.html"
    page.write_bytes(page.read_bytes().replace(b"0.", b"1.", 1))
    with pytest.raises(VerificationError):
        export_dossier(dossier, tmp_path / "report.pdf", language=Language.EN)
    assert not (tmp_path / "report.pdf").exists()


def test_numbers_of_tables_are_those_of_the_page(content: Content) -> None:
    assert Writer(Language.EN, "x", lambda _: b"", numbering(content.sections)).numbers
