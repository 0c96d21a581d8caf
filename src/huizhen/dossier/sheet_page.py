"""sheet.html: the one-page instruction sheet, as self-contained as the dossier's own page."""

from __future__ import annotations

from functools import cache

from jinja2 import DictLoader, Environment, StrictUndefined, Template
from markupsafe import Markup

from huizhen.core.words import Language
from huizhen.dossier.artefacts import Reader, image_source
from huizhen.dossier.page import policy, source
from huizhen.dossier.sheet import Sheet
from huizhen.dossier.wording import CODES, say
from huizhen.ledger.records import SignedHead

__all__ = ["render_sheet"]


def render_sheet(sheet: Sheet, head: SignedHead, language: Language, read: Reader) -> bytes:
    """Return the bytes of sheet.html, opening in `language`; `read` gives an image's bytes by its path.

    The same sheet gives the same bytes. Raises `DossierError` when an image is no PNG.
    """
    style, script = source("sheet.css"), source("sheet.js")
    page = _template().render(
        sheet=sheet,
        head=head,
        code=CODES[language],
        say=say,
        style=Markup(style),
        script=Markup(script),
        policy=policy(style, script),
        image=lambda path: image_source(read, path),
    )
    return page.encode()


@cache
def _template() -> Template:
    environment = Environment(
        loader=DictLoader({"sheet.html": source("sheet.html")}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("sheet.html")
