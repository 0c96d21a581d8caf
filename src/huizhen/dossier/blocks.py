"""What a section is made of: paragraphs, facts, tables, figures, galleries. Plain data in both languages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from markupsafe import Markup

from huizhen.core.words import Language
from huizhen.dossier.citations import Cited
from huizhen.dossier.wording import Text, pieces


@dataclass(frozen=True, slots=True)
class Phrase:
    """A sentence with citations in it, in the word order of each language."""

    en: tuple[Inline, ...]
    zh: tuple[Inline, ...]
    kind: ClassVar[str] = "phrase"


@dataclass(frozen=True, slots=True)
class Plot:
    """A small drawing inside a table cell, which repeats numbers that stand beside it."""

    svg: Markup
    kind: ClassVar[str] = "plot"


@dataclass(frozen=True, slots=True)
class Mark:
    """A verdict or flag: `tone` (pass, fail, none, warn, on, off) and its word."""

    tone: str
    text: Text
    kind: ClassVar[str] = "mark"


@dataclass(frozen=True, slots=True)
class Link:
    """A link to another place on the page or to a file of the dossier."""

    href: str
    text: Text
    kind: ClassVar[str] = "link"


Inline = Text | Cited | Phrase | Plot | Mark | Link
Cell = tuple[Inline, ...]


def phrase(key: str, **parts: Inline) -> Phrase:
    """Return the word `key` as a sentence, its `{name}`s replaced by `parts`."""

    def build(language: Language) -> tuple[Inline, ...]:
        made: list[Inline] = []
        for fixed, name in pieces(key, language):
            if fixed:
                made.append(Text.both(fixed))
            if name is not None:
                made.append(parts[name])
        return tuple(made)

    return Phrase(build(Language.EN), build(Language.ZH))


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A heading within a section."""

    id: str
    text: Text
    kind: ClassVar[str] = "heading"


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """Running text. `tone`: plain, lead, pass, fail, warn or note."""

    content: Cell
    tone: str = "plain"
    kind: ClassVar[str] = "paragraph"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Pairs of a name and what it is."""

    rows: tuple[tuple[Text, Cell], ...]
    code: bool = False
    """Whether the values are digests and keys."""
    kind: ClassVar[str] = "facts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cards:
    """Key numbers, large: (label, number, the line under it)."""

    cards: tuple[tuple[Text, Cited], ...]
    kind: ClassVar[str] = "cards"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A table row, named by its first cell. `level` indents, `strong` stresses, `phantom` marks the line.

    `id` is where links to the row lead.
    """

    cells: tuple[Cell, ...]
    id: str = ""
    level: int = 0
    strong: bool = False
    phantom: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table: `head` (columns), `rows` with as many cells each, `foot` an axis under a plot column."""

    id: str
    caption: Text
    head: tuple[Text, ...]
    rows: tuple[Row, ...]
    foot: tuple[Cell, ...] = ()
    note: Cell = ()
    kind: ClassVar[str] = "table"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A line of a figure's legend: its colour number, name and number."""

    style: int
    name: Text
    content: Cell = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A drawing with its caption, what it shows in words, and its legend."""

    id: str
    caption: Text
    alt: Text
    svg: Markup
    legend: tuple[Series, ...] = ()
    sources: tuple[int, ...] = ()
    """The ledger entries that the drawing shows."""
    phantom: bool = False
    kind: ClassVar[str] = "figure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Figures side by side where there is room."""

    figures: tuple[Figure, ...]
    kind: ClassVar[str] = "figures"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowStep:
    """A box of the flow diagram and what was left out after it."""

    name: Text
    content: Cell
    left_out: tuple[tuple[Text, Cell], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A flow diagram of the participants; `parts`: where those in the last step were allocated to."""

    id: str
    caption: Text
    steps: tuple[FlowStep, ...]
    parts: tuple[FlowStep, ...] = ()
    phantom: bool = False
    kind: ClassVar[str] = "flow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """What was fixed when: (name, time, what) in order."""

    points: tuple[tuple[Text, Cell, Cell], ...]
    kind: ClassVar[str] = "timeline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One image of a case: `path` of the PNG under files/, its alternative text and caption."""

    path: str
    alt: Text
    caption: Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseCard:
    """A case of the gallery: its head line, verdict and images."""

    title: Cell
    mark: Mark
    pictures: tuple[Picture, ...]
    phantom: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """Cases with their heatmaps."""

    id: str
    caption: Text
    cases: tuple[CaseCard, ...]
    kind: ClassVar[str] = "gallery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One ledger entry in the appendix: facts of the entry, a one-line summary, its body shortened."""

    index: int
    entry_kind: str
    time: Text
    version: str
    leaf: str
    summary: Text
    body: str
    shortened: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Listings:
    """All ledger entries."""

    entries: tuple[Listing, ...]
    kind: ClassVar[str] = "listings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Blocks that start folded away behind a line, all shown in print."""

    summary: Text
    blocks: tuple[Block, ...]
    kind: ClassVar[str] = "fold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command line to copy."""

    line: str
    kind: ClassVar[str] = "command"


Told = Heading | Paragraph | Facts | Cards | Command | Fold
Shown = Table | Figure | Figures | Flow | Timeline | Gallery | Listings
Block = Told | Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the dossier."""

    id: str
    title: Text
    blocks: tuple[Block, ...]
    phantom: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A citation and where on the page it stands."""

    section: str
    block: str
    cited: Cited
