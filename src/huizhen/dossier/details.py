"""Generic views of what an entry's detail holds, so that nothing a stage reports is dropped silently."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from huizhen.dossier.blocks import Cell, Facts, Inline, Mark, Row, Table
from huizhen.dossier.citations import Cited, Scalar, cite, pointer, shown_under
from huizhen.dossier.estimates import estimate_of, reason_of
from huizhen.dossier.labels import column_name, label_of
from huizhen.dossier.reasons import reason_text
from huizhen.dossier.record import Measured
from huizhen.dossier.wording import Text, join, say
from huizhen.ledger.records import Entry

MOST = 120
"""Rows of a generic view; how many are beyond is said, and they stand in the entry."""
FIRST = ("site", "name", "model", "modality", "scanner", "step", "unit", "reason", "what")
"""Columns that name a row come first: the ledger keeps keys sorted."""

Steps = tuple[str | int, ...]


def leaves(node: Any, steps: Steps = ()) -> Iterator[tuple[Steps, Scalar | list[Scalar]]]:
    """Yield every scalar, and every list of scalars as one, below `node` with the steps to it.

    >>> list(leaves({"a": {"b": 1}, "c": [1, 2]}))
    [(('a', 'b'), 1), (('c',), [1, 2])]
    """
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from leaves(value, (*steps, key))
    elif isinstance(node, Sequence) and not isinstance(node, str):
        if all(not isinstance(v, Mapping | list) for v in node):
            yield steps, list(node)
        else:
            for index, value in enumerate(node):
                yield from leaves(value, (*steps, index))
    else:
        yield steps, node


def cite_leaf(
    entry: Entry, steps: Steps, value: Any, *, phantom: bool = False, label: Text | None = None
) -> Cited:
    """Return the citation of a scalar, or of a list of scalars joined (its first dozen)."""
    named = label or Text.both(" ".join(str(step) for step in steps))
    one = _limit if steps[:2] == ("card", "limits") else shown_under(*steps)
    if not isinstance(value, list):
        return cite(entry, named, pointer(*steps), show=one, phantom=phantom)
    paths = [pointer(*steps, k) for k in range(min(len(value), 12))]
    return cite(entry, named, *paths, show=_listing(len(value), one), phantom=phantom)


def _limit(limit: Scalar) -> Text:
    """Return a limit that a model's card tells, in both languages where our words know it."""
    return reason_text(str(limit))


def _listing(total: int, one: Callable[[Scalar], Text]) -> Any:
    def show(*values: Scalar) -> Text:
        shown = join(*map(one, values), by=Text.both(", "))
        return shown if total <= len(values) else say("detail.more", shown=shown, more=total - len(values))

    return show


def detail_facts(entry: Entry, field: str, *, phantom: bool = False) -> Facts:
    """Return the scalars of a field of an entry as name and value, however deep."""
    found = list(leaves(entry.body.get(field), (field,)))
    rows = tuple(
        (_path_name(steps), (cite_leaf(entry, steps, v, phantom=phantom),)) for steps, v in found[:MOST]
    )
    if more := found[MOST:]:
        rest = Cited(
            entry=entry.index,
            label=say("head.detail"),
            text=say("detail.rest", rest=len(more), index=entry.index),
            values={},
            phantom=phantom,
        )
        rows = (*rows, (Text.both("…"), (rest,)))
    return Facts(rows=rows)


def naming_first(columns: Iterable[Steps]) -> list[Steps]:
    """Return columns with those that name a row in front, the others as they first appear.

    >>> naming_first([("count",), ("site",), ("count",)])
    [('site',), ('count',)]
    """
    once = list(dict.fromkeys(columns))
    return sorted(once, key=lambda c: FIRST.index(str(c[0])) if c[0] in FIRST else len(FIRST))


def _path_name(steps: Steps) -> Text:
    named = [Text.both(str(s + 1)) if isinstance(s, int) else column_name(s) for s in steps[1:]]
    return join(*named, by=Text.both(" · "))


def table_of_rows(measured: Measured, field: str, *, id: str, caption: Text, note: Cell = ()) -> Table | None:
    """Return a table of `detail[field]`, a list of mappings with the columns as they first appear.

    Mappings inside become columns of their own. None if the detail has no such list.
    """
    rows = measured.evidence.detail.get(field)
    if not isinstance(rows, list) or not rows or not all(isinstance(r, Mapping) for r in rows):
        return None
    flat = [dict(leaves(row)) for row in rows]
    columns = naming_first(steps for row in flat for steps in row)
    made = tuple(_row(measured, (field, k), row, columns) for k, row in enumerate(flat))
    head = tuple(join(*(column_name(str(s)) for s in steps), by=Text.both(" · ")) for steps in columns)
    return Table(id=id, caption=caption, head=head, rows=made, note=note)


def _row(measured: Measured, place: Steps, row: Mapping[Steps, Any], columns: Sequence[Steps]) -> Row:
    phantom = measured.evidence.phantom

    def cell(steps: Steps) -> Cell:
        if steps not in row:
            return (Text.both("–"),)
        where = ("detail", *place, *steps)
        label = join(label_of(measured), column_name(str(steps[-1])), by=Text.both(" · "))
        return (cite_leaf(measured.entry, where, row[steps], phantom=phantom, label=label),)

    return Row(cells=tuple(cell(steps) for steps in columns), phantom=phantom)


def generic_table(found: Sequence[Measured], *, id: str, caption: Text) -> Table:
    """Return any evidence as lines of what was measured, its estimate, and the scalars of its detail."""
    head = (say("head.measure"), say("head.estimate"), say("head.verdict"), say("head.detail"))
    return Table(id=id, caption=caption, head=head, rows=tuple(map(_generic_row, found)))


def _generic_row(measured: Measured) -> Row:
    evidence, entry = measured.evidence, measured.entry
    name = cite(
        entry, label_of(measured), "/key", show=lambda _: label_of(measured), phantom=evidence.phantom
    )
    estimate = estimate_of(measured)
    reason: Cell = (reason_of(measured), Text("; ", "；")) if evidence.reason else ()
    return Row(
        cells=(
            (name,),
            (estimate or Text.both("–"),),
            (verdict_mark(evidence.verdict.value),),
            (*reason, *_detail(measured))[: None if evidence.detail else -1] or (Text.both("–"),),
        ),
        phantom=evidence.phantom,
    )


def _detail(measured: Measured) -> Cell:
    """Return the first scalars of a detail with their names; long lists stand in the entry."""
    entry, phantom = measured.entry, measured.evidence.phantom
    found = list(leaves(measured.evidence.detail, ("detail",)))
    short = [(steps, v) for steps, v in found if not isinstance(v, list) or len(v) <= 12][:8]
    made: list[Inline] = []
    for steps, value in short:
        cited = cite_leaf(entry, steps, value, phantom=phantom)
        made += [_path_name(steps), Text(": ", "："), cited, Text("; ", "；")]
    if len(short) < len(found):
        rest = say("detail.rest", rest=len(found) - len(short), index=entry.index)
        made.append(Cited(entry=entry.index, label=say("head.detail"), text=rest, values={}, phantom=phantom))
        return tuple(made)
    return tuple(made[:-1])


def verdict_mark(verdict: str) -> Mark:
    """Return the mark of a verdict: its tone and word, never colour alone."""
    tone = {"pass": "pass", "fail": "fail", "not assessed": "none"}.get(verdict, "plain")
    return Mark(tone, say(f"verdict.{verdict.replace(' ', '_')}"))
