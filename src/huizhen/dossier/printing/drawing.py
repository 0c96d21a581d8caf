"""The page's drawings as drawings of their own: in one language, each element with the page's style.

A browser styles the page's SVG by its style sheet. Outside a browser a drawing has none, so the rules of
page.css that concern drawings are resolved here, variables and current colour included.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from xml.etree import ElementTree

from huizhen.core.words import Language
from huizhen.dossier.wording import CODES

SVG = "http://www.w3.org/2000/svg"
DRAWN = ("fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin", "font-size")
"""The properties that become attributes."""
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_MEDIA = re.compile(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}")
_VARIABLE = re.compile(r"var\((--[a-z0-9-]+)\)")
_SIMPLE = re.compile(r"(?:svg )?(text)?((?:\.[a-z][a-z0-9]*)*)")

Rule = tuple[str, frozenset[str], Mapping[str, str]]


def standalone(svg: str, language: Language, *, font: str) -> bytes:
    """Return the drawing `svg` in `language` as an SVG file whose elements carry their own style.

    `font`: the family of its letters.
    """
    root = ElementTree.fromstring(svg)
    root.set("xmlns", SVG)
    root.set("font-family", font)
    _keep(root, CODES[language])
    _paint(root, "#17232e")
    written: bytes = ElementTree.tostring(root, encoding="utf-8")
    return written


def _keep(node: ElementTree.Element, code: str) -> None:
    """Drop texts of the other language, and what only a browser uses."""
    for child in list(node):
        if child.tag == "title" or child.attrib.pop("lang", code) != code:
            node.remove(child)
        else:
            _keep(child, code)
    for name in ("focusable", "aria-hidden"):
        node.attrib.pop(name, None)


def _paint(node: ElementTree.Element, colour: str) -> None:
    """Write the style of `node` and all within it as attributes; `colour` is what it inherits."""
    style = declared(node.tag, frozenset(node.attrib.pop("class", "").split()))
    colour = style.get("color", colour)
    for name in DRAWN:
        if (value := style.get(name)) is not None:
            node.set(name, colour if value == "currentcolor" else value.removesuffix("px"))
    for child in node:
        _paint(child, colour)


def declared(tag: str, classes: frozenset[str]) -> dict[str, str]:
    """Return the declarations of page.css that hold for an element of a drawing, later and closer ones last.

    >>> declared("line", frozenset({"grid"}))["stroke"]
    '#e3e9ed'
    """
    found = [rule for rule in _rules() if rule[0] in ("", tag) and rule[1] <= classes]
    found.sort(key=lambda rule: len(rule[1]))
    return {name: value for _, _, body in found for name, value in body.items()}


@cache
def _rules() -> tuple[Rule, ...]:
    """Return the rules for plain classes and for texts of drawings, with variables put in."""
    sheet = (files("huizhen.dossier") / "templates" / "page.css").read_text(encoding="utf-8")
    sheet = _MEDIA.sub("", sheet)
    root = _declarations(dict(_pairs(sheet))[":root"], {})
    return tuple(_read(sheet, root))


def _pairs(sheet: str) -> list[tuple[str, str]]:
    return [(selector.strip(), body) for selector, body in _RULE.findall(sheet)]


def _read(sheet: str, root: Mapping[str, str]) -> Iterator[Rule]:
    for selectors, body in _pairs(sheet):
        for selector in selectors.split(","):
            found = _SIMPLE.fullmatch(selector.strip())
            if found and selector.strip() and (found[1] or found[2]):
                classes = frozenset(name for name in found[2].split(".") if name)
                yield found[1] or "", classes, _declarations(body, root)


def _declarations(body: str, root: Mapping[str, str]) -> dict[str, str]:
    parts = (line.partition(":") for line in body.split(";") if ":" in line)
    return {
        name.strip(): _VARIABLE.sub(lambda match: root.get(match[1], ""), value).strip()
        for name, _, value in parts
    }
