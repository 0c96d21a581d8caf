"""The dossier as a Word file, to be edited: headings, tables and pictures, in one language.

Numbers carry the ledger entry that they were read from as "[#12]"; what an editor changes afterwards is no
longer the signed dossier, and the first page says so.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from huizhen.core.words import Language
from huizhen.dossier.artefacts import Reader
from huizhen.dossier.blocks import (
    Block,
    Cards,
    Cell,
    Command,
    Facts,
    Figure,
    Figures,
    Flow,
    Fold,
    Gallery,
    Heading,
    Inline,
    Link,
    Listings,
    Mark,
    Paragraph,
    Phrase,
    Plot,
    Section,
    Table,
    Timeline,
)
from huizhen.dossier.citations import Cited
from huizhen.dossier.content import Content
from huizhen.dossier.page import numbering
from huizhen.dossier.printing.drawing import standalone
from huizhen.dossier.printing.pdf import compiled, fonts_of, usable
from huizhen.dossier.wording import Text, join, say

PIXELS_PER_INCH = 150
WIDTH_CM = 16.0
SHADE = {"pass": "14603A", "fail": "98222A", "warn": "6B4300"}


def render_word(content: Content, language: Language, read: Reader, *, fonts: Path | None = None) -> bytes:
    """Return the dossier as a .docx in `language`; `read` gives images, `fonts` a folder with more fonts.

    Raises `DossierError` when a drawing can't be made, or no font for its letters is there.
    """
    import docx

    folders = fonts_of(fonts)
    families = usable(folders, chinese=language is Language.ZH)
    document = docx.Document()
    writer = Writer(
        document, language, read, numbering(content.sections), folders, families, content.head.time
    )
    writer.front(content)
    for section in content.sections:
        writer.section(section)
    document.core_properties.author = "huizhen"
    document.core_properties.title = writer.text(content.title)
    moment = datetime.fromisoformat(content.head.time.replace("Z", "+00:00")).replace(tzinfo=None)
    document.core_properties.created = document.core_properties.modified = moment
    made = io.BytesIO()
    document.save(made)
    return made.getvalue()


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes blocks into a Word `document` in `language`."""

    document: Any
    language: Language
    read: Reader
    numbers: dict[str, int]
    folders: Sequence[Path]
    families: Sequence[str]
    time: str

    def text(self, text: Text) -> str:
        """Return a text in the language, without what a Word file can't hold."""
        return "".join(c for c in getattr(text, self.language.value) if c >= " " or c in "\n\t")

    def front(self, content: Content) -> None:
        """Write the title, what this copy is, and of phantoms that they are."""
        self.document.add_heading(self.text(content.title), level=0)
        self.document.add_paragraph(self.text(say("print.editable")))
        self.document.add_paragraph(f"{self.text(say('print.head'))} {content.head.root}")
        if content.record.phantom:
            self._marked(self.document.add_paragraph(), "warn", self.text(say("phantom.banner")))

    def section(self, section: Section) -> None:
        """Write a section on a new page."""
        self.document.add_page_break()
        self.document.add_heading(self.text(section.title), level=1)
        self.blocks(section.blocks)

    def blocks(self, blocks: Iterable[Block]) -> None:
        """Write blocks, one after another."""
        for block in blocks:
            self.block(block)

    def block(self, block: Block) -> None:
        """Write one block."""
        match block:
            case Heading():
                self.document.add_heading(self.text(block.text), level=2)
            case Paragraph():
                self._fill(self.document.add_paragraph(), block.content)
            case Facts():
                self._rows([((name,), content) for name, content in block.rows])
            case Cards():
                self._rows([((name,), (number,)) for name, number in block.cards])
            case Table():
                self._caption("table", block.id, block.caption)
                self._rows([row.cells for row in block.rows], head=block.head)
                if block.note:
                    self._fill(self.document.add_paragraph(), block.note)
            case Figure():
                self._figure(block)
            case Figures():
                self.blocks(block.figures)
            case Flow():
                self._flow(block)
            case Timeline():
                self._rows([((name,), time, what) for name, time, what in block.points])
            case Gallery():
                self._gallery(block)
            case Listings():
                rows: list[Sequence[Cell]] = [
                    (
                        (Text.both(f"#{e.index} {e.entry_kind}"),),
                        (e.summary,),
                        (e.time,),
                        (Text.both(e.leaf[:16]),),
                    )
                    for e in block.entries
                ]
                self._rows(rows)
            case Fold():
                self.document.add_heading(self.text(block.summary), level=3)
                self.blocks(block.blocks)
            case Command():
                self.document.add_paragraph(block.line, style="No Spacing")

    def _caption(self, kind: str, id: str, caption: Text) -> None:
        number = say(f"caption.{kind}", n=self.numbers[id])
        self.document.add_paragraph(self.text(join(number, caption, by=Text.both(" "))), style="Caption")

    def _rows(self, rows: Sequence[Sequence[Cell]], *, head: Sequence[Text] = ()) -> None:
        """Write a table; columns of drawings alone are left out, since their numbers stand beside them."""
        width = max((len(row) for row in rows), default=0)
        kept = [k for k in range(width) if not all(only_plots(row[k]) for row in rows)]
        if not kept:
            return
        table = self.document.add_table(rows=0, cols=len(kept), style="Light Grid Accent 1")
        if head:
            for cell, k in zip(table.add_row().cells, kept, strict=True):
                cell.paragraphs[0].add_run(self.text(head[k])).bold = True
        for row in rows:
            for cell, k in zip(table.add_row().cells, kept, strict=True):
                self._fill(cell.paragraphs[0], row[k])
        self.document.add_paragraph()

    def _figure(self, block: Figure) -> None:
        self._caption("figure", block.id, block.caption)
        picture = self.document.add_picture(io.BytesIO(self._png(str(block.svg))), width=_cm(WIDTH_CM * 0.7))
        describe(picture, self.text(block.alt))
        for each in block.legend:
            self._fill(
                self.document.add_paragraph(style="List Bullet"), (each.name, Text.both(" "), *each.content)
            )

    def _png(self, svg: str) -> bytes:
        """Return a drawing as PNG, set on a page of its own."""
        drawn = standalone(svg, self.language, font=", ".join(self.families))
        page = b'#set page(width: 14cm, height: auto, margin: 2mm)\n#image("drawing.svg", width: 100%)'
        return compiled(
            {"main.typ": page, "drawing.svg": drawn},
            self.folders,
            time=self.time,
            format="png",
            ppi=PIXELS_PER_INCH,
            pdf_standards=[],
        )

    def _flow(self, block: Flow) -> None:
        self._caption("figure", block.id, block.caption)
        for step in (*block.steps, *block.parts):
            self._fill(
                self.document.add_paragraph(style="List Bullet"), (step.name, Text.both(": "), *step.content)
            )
            for name, content in step.left_out:
                self._fill(
                    self.document.add_paragraph(style="List Bullet 2"), (name, Text.both(": "), *content)
                )

    def _gallery(self, block: Gallery) -> None:
        self._caption("figure", block.id, block.caption)
        for case in block.cases:
            self._fill(self.document.add_paragraph(), (*case.title, Text.both(" "), case.mark))
            for each in case.pictures:
                picture = self.document.add_picture(
                    io.BytesIO(self.read(each.path)), width=_cm(WIDTH_CM * 0.5)
                )
                describe(picture, self.text(each.alt))
                self._fill(self.document.add_paragraph(), each.caption)

    def _fill(self, paragraph: Any, cell: Cell) -> None:
        for node in cell:
            self._inline(paragraph, node)

    def _inline(self, paragraph: Any, node: Inline) -> None:
        match node:
            case Text() | Link(text=Text()):
                paragraph.add_run(self.text(node if isinstance(node, Text) else node.text))
            case Cited():
                size = f" {self.text(node.size)}" if node.size else ""
                paragraph.add_run(f"{self.text(node.text)}{size} ")
                paragraph.add_run(f"[#{node.entry}] ").font.size = _points(6)
            case Phrase():
                self._fill(paragraph, getattr(node, self.language.value))
            case Mark():
                self._marked(paragraph, node.tone, self.text(node.text))
            case Plot():
                pass

    def _marked(self, paragraph: Any, tone: str, word: str) -> None:
        from docx.shared import RGBColor

        run = paragraph.add_run({"on": "●", "off": "○"}.get(tone, f"[{word}]") + " ")
        run.bold = True
        if tone in SHADE:
            run.font.color.rgb = RGBColor.from_string(SHADE[tone])


def only_plots(cell: Cell) -> bool:
    """Tell whether a cell holds nothing but drawings."""
    return bool(cell) and all(isinstance(node, Plot) for node in cell)


def describe(picture: Any, words: str) -> None:
    """Give a picture its alternative text."""
    picture._inline.docPr.set("descr", words)


def _cm(value: float) -> Any:
    from docx.shared import Cm

    return Cm(value)


def _points(value: float) -> Any:
    from docx.shared import Pt

    return Pt(value)
