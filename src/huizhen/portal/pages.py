"""Pages: templates filled in, everything escaped, no script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import DictLoader, Environment, StrictUndefined

from huizhen.core.words import Language, load_words
from huizhen.data.catalogue.codes import keys, label_of, values_of
from huizhen.data.consent.terms import term_of
from huizhen.portal.roles import Right
from huizhen.portal.visits import Visit, onward_of

__all__ = ["ROOM", "page", "style"]

ROOM = "huizhen.portal"
FACTS = {"modality": "modalities", "manufacturer": "manufacturers", "body_part": "body_parts"}
"""Where a record's facts hold the values of a key."""
TEMPLATES = ("base", "records", "record", "search", "requests", "request", "ask", "audit", "notice", "parts")


def page(visit: Visit, name: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page in the visit's language."""
    language = visit.language
    text = (
        _environment()
        .get_template(f"{name}.html")
        .render(
            w=load_words(ROOM, language),
            language=language.value,
            portal=visit.office.settings.portal,
            person=visit.person,
            rights=Right,
            csrf=visit.session.csrf if visit.session is not None else "",
            path=onward_of(visit.request.url.path),
            label=lambda key, value: label_of(key, value, language),
            key_label=lambda key: keys()[key].label[language.value],
            choices=lambda key: _choices(visit, key),
            condition=lambda text: _condition(text, language),
            told=lambda text: visit.office.told(text, language),
            **values,
        )
    )
    answer = HTMLResponse(text, status_code=status)
    if visit.request.query_params.get("lang") in tuple(Language):
        answer.set_cookie(
            "huizhen-lang",
            language.value,
            max_age=31_536_000,
            httponly=True,
            samesite="lax",
            secure=visit.office.settings.secure,
        )
    return answer


def _choices(visit: Visit, key: str) -> dict[str, str]:
    """Return the values of a key that have a code or stand in a record, and what they are called."""
    language, field = visit.language, FACTS.get(key, "")
    found = {value: str(row[language.value]) for value, row in values_of(key).items()}
    for shown in visit.office.shelf.all() if field else ():
        found |= {value: label_of(key, value, language) for value in getattr(shown.record.facts, field)}
    return found


def _condition(text: str, language: Language) -> str:
    """Return what a term of use means."""
    code, _, value = text.partition("=")
    title: Mapping[str, str] = term_of(code).title
    return f"{title[language.value]}{f' ({value})' if value else ''}"


@cache
def style() -> str:
    """Return the style sheet."""
    return (files(ROOM) / "pages" / "style.css").read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    folder = files(ROOM) / "pages"
    texts = {f"{name}.html": (folder / f"{name}.html").read_text(encoding="utf-8") for name in TEMPLATES}
    return Environment(
        loader=DictLoader(texts),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
