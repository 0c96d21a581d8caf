"""The cohort by site: patients, positive ones, what each modality is present for, scanners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from huizhen.dossier.blocks import Cell, Row, Table
from huizhen.dossier.citations import Cited, Scalar, cite, decimal, plainly, pointer
from huizhen.dossier.details import cite_leaf, naming_first
from huizhen.dossier.labels import column_name
from huizhen.dossier.record import Measured
from huizhen.dossier.wording import Text, join, say

LISTS = ("modalities", "scanners")


def site_table(measured: Measured, field: str) -> Table | None:
    """Return the table of `detail[field]` when its rows list modalities, else None.

    A row: {"site", counts..., "modalities": [{"modality", "patients", "share", "images"}], "scanners":
    [{"scanner", "images"}]}.
    """
    rows = measured.evidence.detail.get(field)
    if (
        not isinstance(rows, list)
        or not rows
        or not all(isinstance(r, Mapping) and "modalities" in r for r in rows)
    ):
        return None
    names = naming_first((name,) for row in rows for name in row if name not in LISTS)
    plain = [str(name) for (name,) in names]
    modalities = list(dict.fromkeys(str(m.get("modality")) for row in rows for m in row["modalities"]))
    head = [
        *map(column_name, plain),
        *map(Text.both, modalities),
        *([column_name("scanners")] if _any_scanner(rows) else []),
    ]
    made = tuple(
        _row(measured, field, k, row, plain, modalities, _any_scanner(rows)) for k, row in enumerate(rows)
    )
    return Table(
        id="table-cohort",
        caption=say("table.cohort"),
        head=tuple(head),
        rows=made,
        note=(say("note.cohort"),),
    )


def _any_scanner(rows: Sequence[Mapping[str, Any]]) -> bool:
    return any(row.get("scanners") for row in rows)


def _row(
    measured: Measured,
    field: str,
    index: int,
    row: Mapping[str, Any],
    plain: list[str],
    modalities: list[str],
    scanners: bool,
) -> Row:
    place = ("detail", field, index)
    phantom = measured.evidence.phantom
    cells: list[Cell] = [
        (cite_leaf(measured.entry, (*place, c), row[c], phantom=phantom, label=_label(row, c)),)
        if c in row
        else (Text.both("–"),)
        for c in plain
    ]
    at = {str(m.get("modality")): k for k, m in enumerate(row["modalities"])}
    cells += [(_modality(measured, place, row, at[m]),) if m in at else (Text.both("–"),) for m in modalities]
    if scanners:
        cells.append(_scanners(measured, place, row.get("scanners") or []))
    return Row(cells=tuple(cells), phantom=phantom)


def _label(row: Mapping[str, Any], column: str) -> Text:
    return join(Text.both(str(row.get("site", ""))), column_name(column), by=Text.both(" · "))


def _modality(
    measured: Measured, place: tuple[str | int, ...], row: Mapping[str, Any], index: int
) -> Cited | Text:
    """Return the patients who have a modality, with their share and images where they are given."""
    found = row["modalities"][index]
    fields = [f for f in ("patients", "share", "images") if isinstance(found.get(f), int | float)]
    if not fields:
        return Text.both("–")

    def show(*values: Scalar) -> Text:
        by = dict(zip(fields, values, strict=True))
        share = by.get("share")
        shown = plainly(by.get("patients"))
        if isinstance(share, float | int):
            shown = join(shown, Text.both(f" ({decimal(100 * share, 0)} %)"))
        return shown

    label = join(
        Text.both(str(row.get("site", ""))), Text.both(str(found.get("modality"))), by=Text.both(" · ")
    )
    paths = [pointer(*place, "modalities", index, f) for f in fields]
    images = found.get("images")
    size = say("cohort.images", n=f"{images:,}") if isinstance(images, int) and images else None
    return cite(measured.entry, label, *paths, show=show, phantom=measured.evidence.phantom, size=size)


def _scanners(
    measured: Measured, place: tuple[str | int, ...], scanners: Sequence[Mapping[str, Any]]
) -> Cell:
    cells: list[Cited | Text] = []
    for k, scanner in enumerate(scanners[:6]):
        if "scanner" not in scanner or "images" not in scanner:
            continue
        paths = [pointer(*place, "scanners", k, f) for f in ("scanner", "images")]
        label = Text.both(str(scanner["scanner"]))
        cells += [
            cite(measured.entry, label, *paths, show=_scanner, phantom=measured.evidence.phantom),
            Text("; ", "；"),
        ]
    return tuple(cells[:-1]) or (Text.both("–"),)


def _scanner(name: Scalar, images: Scalar) -> Text:
    return join(plainly(name), Text.both(" ("), plainly(images), Text.both(")"))
