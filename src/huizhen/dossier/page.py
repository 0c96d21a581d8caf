"""index.html: one page with everything inside, its style and script pinned by a content security policy.

The page asks nothing of a network: `default-src 'none'`, images as data URIs, one style sheet and one script
whose SHA-256 stand in the policy. All text from the ledger is escaped by jinja2.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from functools import cache, partial
from importlib.resources import files
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined, Template
from markupsafe import Markup

from huizhen.core.words import Language
from huizhen.dossier.artefacts import Reader, image_source
from huizhen.dossier.blocks import Figure, Figures, Flow, Fold, Gallery, Section, Table
from huizhen.dossier.content import Content
from huizhen.dossier.svg import titled
from huizhen.dossier.wording import CODES, Text, say

PARTS = ("page.html", "inline.html", "blocks.html")


def render_page(content: Content, language: Language, read: Reader) -> bytes:
    """Return the bytes of index.html, opening in `language`; `read` gives an artefact's bytes by its path.

    The same content gives the same bytes. Raises `DossierError` when an image is no PNG.
    """
    style, script = source("page.css"), source("page.js")
    page = _template().render(
        content=content,
        code=CODES[language],
        codes={language.value: code for language, code in CODES.items()},
        say=say,
        titled=partial(_titled, content.record.phantom),
        style=Markup(style),
        script=Markup(script),
        policy=policy(style, script),
        numbering=numbering(content.sections),
        image=lambda path: image_source(read, path),
        index=Markup(search_index(content)),
    )
    return page.encode()


def _titled(phantom: bool, chart: Markup, caption: Text | None = None) -> Markup:
    """Return a drawing with its caption as title, and of phantoms what it is of; cells have no caption."""
    mark = say("phantom.drawing")
    words = [f"{mark.en} {mark.zh}"] if phantom else []
    words += [f"{caption.en} / {caption.zh}"] if caption else []
    return titled(chart, " · ".join(words)) if words else chart


@cache
def source(name: str) -> str:
    """Return the text of a template, style sheet or script of the dossier."""
    return (files("huizhen.dossier") / "templates" / name).read_text(encoding="utf-8")


@cache
def _template() -> Template:
    environment = Environment(
        loader=DictLoader({name: source(name) for name in PARTS}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html")


def policy(style: str, script: str) -> str:
    """Return the content security policy that lets only this style sheet and this script in."""
    return (
        f"default-src 'none'; img-src data:; style-src '{_pin(style)}'; script-src '{_pin(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _pin(source: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def numbering(sections: tuple[Section, ...]) -> dict[str, int]:
    """Return the number of every table and figure on the page by its id."""
    counts = {"table": 0, "figure": 0}
    numbers: dict[str, int] = {}
    for block in (b for section in sections for b in _captioned(section.blocks)):
        kind = "table" if isinstance(block, Table) else "figure"
        counts[kind] += 1
        numbers[block.id] = counts[kind]
    return numbers


def _captioned(blocks: tuple[Any, ...]) -> Iterator[Table | Figure | Flow | Gallery]:
    for block in blocks:
        if isinstance(block, Fold):
            yield from _captioned(block.blocks)
        elif isinstance(block, Figures):
            yield from block.figures
        elif isinstance(block, Table | Figure | Flow | Gallery):
            yield block


def search_index(content: Content) -> str:
    """Return the numbers as JSON for the search: [entry, block, label, number] in both languages, each once.

    A number of the summary is found where it stands again, if it does. "<" is written as an escape, so that
    no text can end the script element.
    """
    found: dict[tuple[int, str, str, str, str], str] = {}
    for p in content.places:
        c = p.cited
        name = (c.entry, c.label.en, c.label.zh, c.text.en, c.text.zh)
        if c.is_number and found.get(name, "summary") == "summary":
            found[name] = p.block
    rows = [[entry, block, *texts] for (entry, *texts), block in found.items()]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
