"""The model: its card, the locked thresholds, how training went."""

from __future__ import annotations

from collections.abc import Sequence

from huizhen.dossier.blocks import (
    Block,
    Cell,
    Facts,
    Figure,
    Figures,
    Fold,
    Heading,
    Mark,
    Row,
    Section,
    Series,
    Table,
)
from huizhen.dossier.citations import Cited, cite
from huizhen.dossier.details import Steps, cite_leaf, detail_facts, leaves
from huizhen.dossier.estimates import DASH, detail_of, estimate_of
from huizhen.dossier.figures.training import draw_training
from huizhen.dossier.labels import column_name, label_of, model_name, part_name
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.sections.borders import borders
from huizhen.dossier.sections.data_checks import label_audit
from huizhen.dossier.sections.given import not_provided
from huizhen.dossier.sections.labelling import labelling
from huizhen.dossier.sections.privacy import privacy
from huizhen.dossier.wording import Text, join, say
from huizhen.ledger.records import Entry

TUNED = ("tuning_n", "tuning_events", "attained_sensitivity", "attained_specificity")
CARD = ("name", "version", "intended_use", "limits")


def model(record: Record) -> Section:
    """Return the section on the model."""
    blocks: list[Block] = []
    for entry in record.kind("model"):
        blocks += [_digest_card(entry), _card(entry)]
    blocks += [_lock(entry) for entry in record.kind("lock")]
    if thresholds := record.family("threshold"):
        blocks.append(_thresholds(thresholds, record.main))
    blocks += labelling(record)
    blocks += label_audit(record)
    blocks += privacy(record)
    blocks += borders(record)
    if training := record.family("training"):
        blocks += [Heading(id="training", text=say("heading.training")), *_training(training, record.main)]
    blocks += not_provided(record, "model")
    return Section(id="model", title=say("section.model"), blocks=tuple(blocks), phantom=record.phantom)


def _card(entry: Entry) -> Block:
    """Return the whole card, folded away."""
    return Fold(summary=say("fold.card"), blocks=(detail_facts(entry, "card"),))


def _digest_card(entry: Entry) -> Facts:
    """Return the model's digest and what its card says first."""
    card = entry.body.get("card")
    fields = [f for f in CARD if isinstance(card, dict) and card.get(f)]
    rows: list[tuple[Text, Cell]] = [
        (say("fact.model_digest"), (cite(entry, say("fact.model_digest"), "/digest"),))
    ]
    for field in fields:
        value = entry.body["card"][field]
        parts = value if isinstance(value, list) else [value]
        places: list[Steps] = [("card", field)]
        if isinstance(value, list):
            places = [("card", field, k) for k in range(len(value))]
        cells = tuple(cite_leaf(entry, s, v) for s, v in zip(places, parts, strict=True))
        rows.append((column_name(field), cells))
    rows += _developed(entry)
    return Facts(rows=tuple(rows))


def _developed(entry: Entry) -> list[tuple[Text, Cell]]:
    """Return who trained and who tuned, each with events."""
    card = entry.body.get("card")
    training = card.get("training") if isinstance(card, dict) else None
    return [
        (column_name(field), (cite_leaf(entry, ("card", "training", field), training[field]),))
        for field in ("n_train", "n_train_events", "n_tune", "n_tune_events")
        if isinstance(training, dict) and isinstance(training.get(field), int)
    ]


def _lock(entry: Entry) -> Block:
    """Return what a lock fixed: digests, and the decision of every model and fold."""
    digests = ("model_digest", "study_digest", "table")
    fixed = [
        (say(f"fact.lock_{field}"), (cite(entry, say(f"fact.lock_{field}"), f"/{field}"),))
        for field in digests
        if isinstance(entry.body.get(field), str)
    ]
    tables = [t for field in entry.body if field not in digests and (t := _decisions(entry, field))]
    others = [f for f in entry.body if f not in digests and not _decisions(entry, f)]
    blocks: tuple[Block, ...] = (Facts(rows=tuple(fixed)), *tables, *(detail_facts(entry, f) for f in others))
    return Fold(summary=say("fold.lock"), blocks=blocks)


def _decisions(entry: Entry, field: str) -> Table | None:
    """Return the table of {model: {fold: {threshold, ...}}}, or None for a field of another form."""
    by_model = entry.body[field]
    if not isinstance(by_model, dict) or not all(isinstance(v, dict) for v in by_model.values()):
        return None
    places = [(m, f) for m, folds in by_model.items() for f in folds if isinstance(folds[f], dict)]
    if len(places) != sum(map(len, by_model.values())) or not places:
        return None
    values = {place: dict(leaves(by_model[place[0]][place[1]])) for place in places}
    columns = list(dict.fromkeys(steps for found in values.values() for steps in found))

    def row(place: tuple[str, str]) -> Row:
        cells = [
            (cite_leaf(entry, (field, *place, *steps), values[place][steps]),)
            if steps in values[place]
            else (DASH,)
            for steps in columns
        ]
        return Row(cells=((model_name(place[0]),), (say("column.fold_of", number=place[1]),), *cells))

    head = (say("head.model"), say("head.fold"), *(column_name(str(steps[-1])) for steps in columns))
    return Table(
        id=f"table-lock-{entry.index}-{field}",
        caption=say("table.lock"),
        head=head,
        rows=tuple(map(row, places)),
    )


def by_model(found: Sequence[Measured], main: str) -> dict[str, list[Measured]]:
    """Return evidence grouped by the model in its key, the `main` model first."""
    groups: dict[str, list[Measured]] = {}
    for m in found:
        groups.setdefault(m.parts[0] if m.parts else "", []).append(m)
    return dict(sorted(groups.items(), key=lambda item: item[0] != main))


def _thresholds(found: Sequence[Measured], main: str) -> Table:
    """Return thresholds with models as rows and folds, where there are several, as columns."""
    folds = list(dict.fromkeys("/".join(m.parts[1:]) for m in found))
    groups = by_model(found, main)

    fields = tuple(f for f in TUNED if any(f in m.evidence.detail for m in found))
    ruled = any("rule" in m.evidence.detail for m in found)

    def row(name: str, group: list[Measured]) -> Row:
        at = {"/".join(m.parts[1:]): m for m in group}
        cells = [
            ((number,) if f in at and (number := estimate_of(at[f], with_size=False)) else (Text.both("–"),))
            for f in folds
        ]
        first = group[0]
        rule = tuple(c for field in ("rule", "target") if (c := detail_of(first, field)))
        spaced = (rule[0], Text.both(" "), rule[1]) if len(rule) == 2 else rule
        told = [tuple(_over_folds(group, field)) or (DASH,) for field in fields]
        return Row(
            cells=((model_name(name),), *cells, *([spaced or (DASH,)] if ruled else []), *told),
            strong=name == main,
            phantom=first.evidence.phantom,
        )

    named = map(_fold_name, folds) if len(folds) > 1 else (column_name("threshold"),)
    head = (say("head.model"), *named, *([say("head.rule_target")] if ruled else []))
    head += tuple(say(f"head.{field}") for field in fields)
    return Table(
        id="table-thresholds",
        caption=say("table.thresholds" if ruled else "table.thresholds_fixed"),
        head=head,
        rows=tuple(row(name, group) for name, group in groups.items()),
        note=(say("note.thresholds"),),
    )


def _over_folds(group: Sequence[Measured], field: str) -> list[Cited | Text | Mark]:
    """Return a field of every fold's threshold, and after the events a flag where they are few."""
    cells: list[Cited | Text | Mark] = []
    for m in group:
        if cited := detail_of(m, field):
            cells += [cited, Text.both(" ")]
            if field == "tuning_events" and m.evidence.detail.get("small") is True:
                cells += [Mark("warn", say("flag.small"))]
    return cells


def _fold_name(fold: str) -> Text:
    """Return "fold0/member1" readably."""
    return join(*(part_name(part) for part in fold.split("/")), by=Text(", ", "，"))


def _training(found: Sequence[Measured], main: str) -> list[Block]:
    """Return the main model's curves, and the others' folded away."""
    shown: list[Block] = []
    folded: list[Block] = []
    for name, group in by_model(found, main).items():
        (shown if name == main or not shown else folded).append(_curves(name, group))
    return [*shown, Fold(summary=say("fold.other_training"), blocks=tuple(folded))] if folded else shown


def _mention(measured: Measured) -> Cited:
    """Return a link to the entry that a line is drawn from."""
    shown = Text.both(f"#{measured.entry.index}")
    return cite(measured.entry, label_of(measured), "/key", show=lambda _: shown)


def _curves(name: str, group: list[Measured]) -> Figures:
    slug = "".join(c if c.isalnum() else "-" for c in name)
    legend = tuple(
        Series(style=k % 8, name=_fold_name("/".join(m.parts[1:])), content=(_mention(m),))
        for k, m in enumerate(group)
    )
    return Figures(
        figures=tuple(
            Figure(
                id=f"figure-{field}-{slug}",
                caption=say(f"figure.{field}", model=model_name(name)),
                alt=say(f"figure.{field}_alt", model=model_name(name)),
                svg=draw_training([m.evidence.detail for m in group], field),
                legend=legend,
                phantom=any(m.evidence.phantom for m in group),
            )
            for field in ("loss", "tune_auc")
            if any(m.evidence.detail.get(field) for m in group)
        )
    )
