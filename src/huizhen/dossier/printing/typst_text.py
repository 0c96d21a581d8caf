"""Content as Typst source: every block of the page in one language, numbers linked to their ledger entry.

Text never becomes markup: each piece is written as a string literal. Drawings and images are files beside the
source. Typst: https://typst.app/docs (Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from huizhen.core.words import Language
from huizhen.dossier.artefacts import PNG, Reader
from huizhen.dossier.blocks import (
    Block,
    Cards,
    Cell,
    Command,
    Facts,
    Figure,
    Figures,
    Flow,
    FlowStep,
    Fold,
    Gallery,
    Heading,
    Inline,
    Link,
    Listings,
    Mark,
    Paragraph,
    Phrase,
    Picture,
    Plot,
    Row,
    Section,
    Table,
    Timeline,
)
from huizhen.dossier.citations import Cited
from huizhen.dossier.content import Content
from huizhen.dossier.page import numbering
from huizhen.dossier.printing.drawing import standalone
from huizhen.dossier.wording import CODES, Text, say
from huizhen.errors import DossierError

WIDE = 7
"""A table of so many columns is set smaller."""
COLUMNS = ("entry", "kind", "what", "time", "leaf")
"""Of the table of ledger entries."""


def quoted(text: str) -> str:
    r"""Return `text` as a Typst string literal.

    >>> quoted('a "b" #c \\')
    '"a \\"b\\" #c \\\\"'
    """
    kept = "".join(c if c >= " " or c == "\n" else " " for c in text)
    return '"' + kept.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


@dataclass(slots=True)
class Writer:
    """Writes blocks in `language` with letters of `font`; `read` gives images. `files` is what they need."""

    language: Language
    font: str
    read: Reader
    numbers: dict[str, int]
    files: dict[str, bytes] = field(default_factory=dict)

    # -- pieces ----------------------------------------------------------------------------------------------

    def text(self, text: Text) -> str:
        """Return a text as a string in the language."""
        return str(getattr(text, self.language.value))

    def literal(self, text: Text) -> str:
        """Return a text as markup that prints it."""
        return f"#{quoted(self.text(text))}"

    def inline(self, node: Inline) -> str:
        """Return one piece of a line as markup."""
        match node:
            case Text():
                return self.literal(node)
            case Cited():
                size = quoted(self.text(node.size)) if node.size else "none"
                return f"#num({quoted(self.text(node.text))}, {size}, <entry-{node.entry}>)"
            case Phrase():
                return self.cell(getattr(node, self.language.value))
            case Mark():
                return f"#mark({quoted(node.tone)}, {quoted(self.text(node.text))})"
            case Plot():
                return f"#plot({quoted(self._drawn(str(node.svg)))})"
            case Link(href=href, text=text):
                return self.literal(text) if not href.startswith("#entry-") else self._entry(href, text)

    def _entry(self, href: str, text: Text) -> str:
        return f"#num({quoted(self.text(text))}, none, <{href[1:]}>)"

    def cell(self, cell: Cell) -> str:
        """Return a cell's pieces in a row; marks and drawings stand apart from what follows."""
        made = ""
        for k, node in enumerate(cell):
            after = cell[k + 1] if k + 1 < len(cell) else None
            apart = isinstance(node, Mark | Plot) or isinstance(after, Mark)
            made += self.inline(node)
            made += " " if after is not None and (apart or both_cited(node, after)) else ""
        return made

    def _drawn(self, svg: str) -> str:
        name = f"drawing-{len(self.files)}.svg"
        self.files[name] = standalone(svg, self.language, font=self.font)
        return name

    def _caption(self, kind: str, id: str, caption: Text, *, phantom: bool = False) -> str:
        number = self.text(say(f"caption.{kind}", n=self.numbers[id]))
        mark = f" {self._phantom()}" if phantom else ""
        return f"#capt({quoted(number)})[{self.literal(caption)}{mark}]\n"

    def _phantom(self) -> str:
        return f'#mark("warn", {quoted(self.text(say("phantom.tag")))})'

    # -- blocks ----------------------------------------------------------------------------------------------

    def blocks(self, blocks: Iterable[Block]) -> str:
        """Return blocks, one after another."""
        return "\n".join(map(self.block, blocks))

    def block(self, block: Block) -> str:
        """Return one block as markup."""
        match block:
            case Heading():
                return f"#heading(level: 2)[{self.literal(block.text)}]"
            case Paragraph():
                return f"#para({quoted(block.tone)})[{self.cell(block.content)}]"
            case Facts():
                rows = ", ".join(f"[{self.literal(n)}], [{self.cell(c)}]" for n, c in block.rows)
                return f"#facts({rows})" if rows else ""
            case Cards():
                return self._cards(block)
            case Table():
                return self._table(block)
            case Figure():
                return self._figure(block)
            case Figures():
                inside = ", ".join(f"[{self._figure(each)}]" for each in block.figures)
                return f"#side-by-side({inside})"
            case Flow():
                return self._flow(block)
            case Timeline():
                points = (
                    f"[*{self.literal(n)}*], [{self.cell(t)}], [{self.cell(w)}]" for n, t, w in block.points
                )
                return f"#timeline({', '.join(points)})"
            case Gallery():
                return self._gallery(block)
            case Listings():
                return self._listings(block)
            case Fold():
                return f"#heading(level: 3)[{self.literal(block.summary)}]\n{self.blocks(block.blocks)}"
            case Command():
                return f"#raw({quoted(block.line)}, block: true)"

    def _cards(self, block: Cards) -> str:
        def card(name: Text, number: Cited) -> str:
            mark = f" {self._phantom()}" if number.phantom else ""
            return f"[{self.literal(name)}{mark}], [{self.inline(number)}]"

        return f"#facts({', '.join(card(*each) for each in block.cards)})"

    def _table(self, block: Table) -> str:
        widths = ", ".join(
            "92pt" if any(has_plot(row.cells[k]) for row in block.rows) else "auto"
            for k in range(len(block.head))
        )
        size = "6.5pt" if len(block.head) >= WIDE else "8pt"
        head = ", ".join(f"[{self.literal(name)}]" for name in block.head)
        rows = ",\n  ".join(map(self._row, block.rows))
        foot = ",\n  " + ", ".join(f"[{self.cell(cell)}]" for cell in block.foot) if block.foot else ""
        note = "".join(f"{self.inline(node)} " for node in block.note)
        return (
            self._caption("table", block.id, block.caption)
            + f"#grid-table({size}, ({widths},), ({head},),\n  {rows}{foot})\n"
            + (f"#note[{note}]\n" if note else "")
        )

    def _row(self, row: Row) -> str:
        first, *others = (self.cell(cell) for cell in row.cells)
        lead = f"#h({0.8 * row.level}em)" if row.level else ""
        mark = f" {self._phantom()}" if row.phantom else ""
        cells = [f"{lead}{first}{mark}", *others]
        return ", ".join(f"[*{c}*]" if row.strong and not k else f"[{c}]" for k, c in enumerate(cells))

    def _figure(self, block: Figure) -> str:
        legend = "".join(
            f"#key({each.style})[{self.literal(each.name)} {self.cell(each.content)}]\n"
            for each in block.legend
        )
        return (
            self._caption("figure", block.id, block.caption, phantom=block.phantom)
            + f"#chart({quoted(self._drawn(str(block.svg)))}, {quoted(self.text(block.alt))})\n{legend}"
        )

    def _flow(self, block: Flow) -> str:
        def box(step: FlowStep) -> str:
            return f"[*{self.literal(step.name)}* #linebreak() {self.cell(step.content)}]"

        def left(step: FlowStep) -> str:
            lines = "".join(f"- {self.literal(n)}: {self.cell(c)}\n" for n, c in step.left_out)
            return f"[{self.literal(say('flow.left_out'))}\n{lines}]" if lines else "none"

        steps = ", ".join(f"({box(step)}, {left(step)})" for step in block.steps)
        parts = ", ".join(map(box, block.parts))
        return (
            self._caption("figure", block.id, block.caption, phantom=block.phantom)
            + f"#flow(({steps},), ({parts}{',' if parts else ''}))"
        )

    def _gallery(self, block: Gallery) -> str:
        made = [self._caption("figure", block.id, block.caption)]
        for case in block.cases:
            pictures = ", ".join(
                f"({self._picture(each)}, [{self.cell(each.caption)}])" for each in case.pictures
            )
            mark = f" {self._phantom()}" if case.phantom else ""
            made.append(f"#case([{self.cell(case.title)} {self.inline(case.mark)}{mark}], ({pictures},))\n")
        return "".join(made)

    def _picture(self, picture: Picture) -> str:
        return f"picture({quoted(self._image(picture.path))}, {quoted(self.text(picture.alt))})"

    def _image(self, path: str) -> str:
        data = self.read(path)
        if not data.startswith(PNG):
            raise DossierError("is not a PNG image", remedy="write heatmap overlays as PNG", file=path)
        name = f"image-{len(self.files)}.png"
        self.files[name] = data
        return name

    def _listings(self, block: Listings) -> str:
        rows = ",\n  ".join(
            f"[#metadata(none)<entry-{e.index}>{e.index}], [{self.literal(Text.both(e.entry_kind))}], "
            f"[{self.literal(e.summary)}], [{self.literal(e.time)}], [#raw({quoted(e.leaf[:16])})]"
            for e in block.entries
        )
        return f"#entries(\n  {rows})"

    def section(self, section: Section) -> str:
        """Return a section on new pages."""
        return f"#heading(level: 1)[{self.literal(section.title)}]\n{self.blocks(section.blocks)}\n"


def both_cited(one: Inline, other: Inline) -> bool:
    """Tell whether two pieces are numbers that need a space between."""
    return isinstance(one, Cited) and isinstance(other, Cited)


def has_plot(cell: Cell) -> bool:
    """Tell whether a cell holds a drawing."""
    return any(isinstance(node, Plot) for node in cell)


def typst_source(
    content: Content, language: Language, read: Reader, *, families: Sequence[str], preamble: str
) -> dict[str, bytes]:
    """Return the source as virtual files, main.typ among them; `preamble` defines what blocks call.

    Raises `DossierError` when an image is no PNG.
    """
    writer = Writer(language, ", ".join(families), read, numbering(content.sections))
    body = "\n".join(map(writer.section, content.sections))
    columns = ", ".join(quoted(writer.text(say(f"print.{key}"))) for key in COLUMNS)
    banner = writer.literal(say("phantom.banner")) if content.record.phantom else ""
    settings = {
        "title": quoted(writer.text(content.title)),
        "families": f"({', '.join(map(quoted, families))},)",
        "code": quoted(CODES[language]),
        "contents-title": quoted(writer.text(say("print.contents"))),
        "banner": f"[{banner}]",
        "head-line": f"[{writer.literal(say('print.head'))} #raw({quoted(content.head.root[:32])})]",
        "named": f"({columns})",
    }
    lines = "\n".join(f"#let {name} = {value}" for name, value in settings.items())
    return {"main.typ": f"{lines}\n{preamble}\n{body}".encode(), **writer.files}
