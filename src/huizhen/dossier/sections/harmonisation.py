"""Harmonisation: what was moved between sites, and how well a site is told from features before and after."""

from __future__ import annotations

from huizhen.dossier.blocks import Block, Cell, Heading, Paragraph, Row, Table
from huizhen.dossier.estimates import DASH, detail_of, estimate_cell, methods_of, reason_of
from huizhen.dossier.labels import modality_name, site_name, value_name
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.wording import Text, say

FAMILY = "harmonisation"
FITTED, SITES = "fitted", "sites"
NUMBERS = ("patients", "features", "constant", "components")
"""What a row of the first table tells of the fit, as its evidence names it."""


def harmonisation(record: Record) -> list[Block]:
    """Return the tables of what was fitted and measured; nothing in a study without harmonisation."""
    found = record.family(FAMILY)
    if not found:
        return []
    fitted = [m for m in found if m.parts[-1] == FITTED]
    told = [m for m in found if len(m.parts) == 4]
    blocks: list[Block] = [Heading(id="harmonisation", text=say("heading.harmonisation"))]
    blocks += [_fitted(record, fitted)] if fitted else []
    blocks += [_told(record, told)] if told else []
    lacking = [m for m in found if m.parts[-1] == SITES]
    return blocks + [Paragraph(content=(reason_of(m),), tone="note") for m in lacking]


def _fitted(record: Record, found: list[Measured]) -> Table:
    """Return a row for each modality: patients, features, sites that were only shifted."""
    names = (
        "modality",
        "n",
        "features",
        "constant",
        "harmonised_components",
        "kept_covariates",
        "shifted_only",
    )
    return Table(
        id="table-harmonisation",
        caption=say("table.harmonisation"),
        head=tuple(say(f"head.{name}") for name in names),
        rows=tuple(
            Row(
                cells=(
                    (modality_name(record, m.parts[0]),),
                    *((detail_of(m, name) or DASH,) for name in NUMBERS),
                    _named(m, "keep"),
                    _named(m, "shifted_only"),
                ),
                phantom=m.evidence.phantom,
            )
            for m in found
        ),
        note=(say("note.harmonisation"),),
    )


def _named(measured: Measured, key: str) -> Cell:
    """Return a list of names in an entry's detail, a dash for none."""
    names = measured.evidence.detail.get(key) or []
    return (Text.both(", ".join(map(str, names))),) if names else (DASH,)


def _told(record: Record, found: list[Measured]) -> Table:
    """Return a row for each modality, site and classifier."""
    by = {m.parts: m for m in found}
    rows = dict.fromkeys((m.parts[0], m.parts[1], m.parts[3]) for m in found)
    names = ("modality", "told_site", "told_by", "before_harmonising", "after_harmonising")
    return Table(
        id="table-harmonisation-sites",
        caption=say("table.harmonisation_sites"),
        head=tuple(say(f"head.{name}") for name in names),
        rows=tuple(
            Row(
                cells=(
                    (modality_name(record, modality),),
                    (site_name(site, record.site_titles),),
                    (value_name(how),),
                    *(estimate_cell(by.get((modality, site, when, how))) for when in ("before", "after")),
                ),
                phantom=any(m.evidence.phantom for m in found),
            )
            for modality, site, how in rows
        ),
        note=(say("note.harmonisation_sites"), *methods_of(found)),
    )
