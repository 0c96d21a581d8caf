"""PDF/A-2a of a dossier by Typst: archivable, tagged for screen readers, and the same bytes every time."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from huizhen.core.words import Language
from huizhen.dossier.artefacts import Reader
from huizhen.dossier.content import Content
from huizhen.dossier.printing.typst_text import typst_source
from huizhen.errors import DossierError

STANDARD = "a-2a"
LATIN = ("Libertinus Serif", "DejaVu Sans")
"""Typst carries the first; the second, for signs, lies with matplotlib."""
CHINESE = (
    "Noto Serif CJK SC",
    "Source Han Serif SC",
    "Noto Sans CJK SC",
    "Source Han Sans SC",
    "Songti SC",
    "SimSun",
    "PingFang SC",
    "Microsoft YaHei",
    "WenQuanYi Zen Hei",
)
"""Families with Chinese letters that are looked for on this machine, in this order."""


def render_pdf(content: Content, language: Language, read: Reader, *, fonts: Path | None = None) -> bytes:
    """Return the dossier as PDF/A-2a in `language`; `read` gives images, `fonts` a folder with more fonts.

    Its time is that of the ledger's last head, so that the same dossier and fonts give the same bytes. Raises
    `DossierError` when an image is no PNG, no font has the Chinese letters, or the file can't be set.
    """
    folders = fonts_of(fonts)
    families = usable(folders, chinese=language is Language.ZH)
    return compiled(source(content, language, read, families), folders, time=content.head.time)


def fonts_of(more: Path | None) -> list[Path]:
    """Return the folders in which fonts are looked for beside the system's: `more`, and that of the signs."""
    return [*([more] if more else []), _signs()]


def source(content: Content, language: Language, read: Reader, families: Sequence[str]) -> dict[str, bytes]:
    """Return what Typst is given."""
    preamble = (files("huizhen.dossier") / "templates" / "print.typ").read_text(encoding="utf-8")
    return typst_source(content, language, read, families=families, preamble=preamble)


def usable(folders: Sequence[Path], *, chinese: bool) -> list[str]:
    """Return the families to set with: Latin first, then the first Chinese one that this machine has.

    Raises `DossierError` when `chinese` letters are needed and none are there.
    """
    import typst

    there = set(typst.Fonts(font_paths=list(folders)).families())
    found = [family for family in CHINESE if family in there][:1]
    if chinese and not found:
        raise DossierError(
            "no font with Chinese letters is on this machine",
            remedy="install one, such as Noto Serif CJK SC, or name a folder that holds one with --fonts",
        )
    return [*(family for family in LATIN if family in there), *found]


def compiled(parts: dict[str, bytes], folders: Sequence[Path], *, time: str, **options: Any) -> bytes:
    """Return what Typst makes of files, main.typ among them. Raises `DossierError` when it can't."""
    import typst

    options = {"format": "pdf", "pdf_standards": STANDARD, **options}
    stamp = int(datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp())
    with tempfile.TemporaryDirectory(prefix="huizhen-") as scratch:
        for name, data in parts.items():
            (Path(scratch) / name).write_bytes(data)
        try:
            made = typst.compile(
                Path(scratch) / "main.typ", root=scratch, font_paths=list(folders), timestamp=stamp, **options
            )
        except RuntimeError as error:
            raise DossierError(
                f"can't be set as PDF ({error})", remedy="report it; the page index.html holds the same"
            ) from error
    if not isinstance(made, bytes):
        raise DossierError(
            "takes more than one page as a picture", remedy="report it; index.html holds the same"
        )
    return made


def _signs() -> Path:
    """Return the folder of DejaVu's fonts within matplotlib, found without importing it."""
    from importlib.util import find_spec

    found = find_spec("matplotlib")
    root = Path(found.origin).parent if found is not None and found.origin else Path()
    return root / "mpl-data" / "fonts" / "ttf"
