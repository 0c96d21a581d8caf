"""`huizhen data import`: a further hospital's images and labels table become a site, with no code."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from huizhen.cli import paths
from huizhen.cli.screen import Screen, screen_of
from huizhen.errors import visible

if TYPE_CHECKING:
    from huizhen.cli.site_import import Imported

__all__ = ["command"]


def command(
    context: typer.Context,
    source: Annotated[Path, typer.Argument()],
    labels: Annotated[Path | None, typer.Option("--labels")] = None,
    into: Annotated[Path | None, typer.Option("--into")] = None,
    site: Annotated[str, typer.Option("--site")] = "new-site",
    role: Annotated[str, typer.Option("--role")] = "external",
    modality: Annotated[str | None, typer.Option("--modality")] = None,
    patient: Annotated[str | None, typer.Option("--patient")] = None,
    outcome: Annotated[str | None, typer.Option("--outcome")] = None,
    image: Annotated[str | None, typer.Option("--image")] = None,
    array: Annotated[str | None, typer.Option("--array")] = None,
    encoding: Annotated[str | None, typer.Option("--encoding")] = None,
    dicom_modality: Annotated[str | None, typer.Option("--dicom-modality")] = None,
    shared_ids: Annotated[bool, typer.Option("--shared-ids")] = False,
    data: Annotated[Path | None, typer.Option("--data")] = None,
) -> None:
    """Print the site, or append it to a study file after checking the whole of it."""
    screen = screen_of(context)
    from huizhen.cli.site_import import Request, append_site, import_site
    from huizhen.core.table_csv import ENCODINGS
    from huizhen.errors import InvalidInputError

    if encoding is not None and encoding not in ENCODINGS:
        listed = ", ".join(ENCODINGS)
        raise InvalidInputError(f"can't be {encoding!r}", remedy=f"write one of {listed}", field="--encoding")
    request = Request(
        source=source,
        labels=labels,
        study=into,
        site=site,
        role=role,
        modality=modality,
        given={"patient": patient, "outcome": outcome, "image": image},
        array=array,
        shared_ids=shared_ids,
        dicom_modality=dicom_modality,
        encoding=encoding,
        data_root=paths.data_root(data),
    )
    imported = import_site(request)
    if into is not None:
        append_site(into, imported.toml)
    screen.answer(_record(imported, into))
    _show(imported, source, into, site, screen)


def _record(imported: Imported, into: Path | None) -> dict[str, object]:
    """Return what was found as plain values."""
    return {
        "toml": imported.toml,
        "reader": imported.reader,
        "columns": {guess.key: guess.column for guess in imported.guesses},
        "counts": asdict(imported.counts) if imported.counts else None,
        "encoding": imported.encoding,
        "modalities": dict(imported.headers.modalities) if imported.headers else None,
        "ids": asdict(imported.match) if imported.match else None,
        "study": str(into) if into else None,
    }


def _headers(imported: Imported, screen: Screen) -> list[str]:
    """Return what DICOM headers say: modalities, body parts, and how many of the table's ids they hold."""
    if (headers := imported.headers) is None:
        return []
    lines = [screen.text("import.headers", counts=headers, read=headers.read, files=headers.files)]
    for modality, parts in sorted(headers.body_parts.items()):
        named = ", ".join(f"{part or '-'} {count}" for part, count in sorted(parts.items()))
        lines.append(screen.text("import.parts", modality=modality, parts=named))
    if (match := imported.match) is not None:
        lines.append(screen.text("import.ids", matched=match.matched, ids=match.ids))
        if match.is_poor:
            lines.append(screen.text("import.poor_ids", table=match.table, headers=match.headers))
    return ["  " + line for line in lines]


def _show(imported: Imported, source: Path, into: Path | None, site: str, screen: Screen) -> None:
    """Print what was found: on stderr where stdout is for the TOML."""
    lines = [screen.text("import.reader", path=source, reader=imported.reader)]
    lines += _headers(imported, screen)
    if imported.encoding != "UTF-8":
        text = screen.text("import.encoding", encoding=imported.encoding, sample=imported.sample)
        lines.append("  " + text)
    for guess in imported.guesses:
        why = screen.text(f"import.why.{guess.why}")
        lines.append("  " + screen.text("import.column", what=guess.key, column=guess.column, why=why))
    if imported.counts:
        counts = asdict(imported.counts)
        lines.append("  " + screen.text("import.rows", **counts))
        if imported.counts.unmatched:
            lines.append(
                "  " + screen.text("import.unmatched", count=counts["unmatched"], rows=counts["rows"])
            )
        if not (imported.counts.positive and imported.counts.negative):
            lines.append("  " + screen.text("import.one_class"))
    if into is not None:
        lines += [screen.text("import.appended", site=site, file=into), screen.text("import.fresh")]
    if not screen.settings.json and not screen.settings.quiet:
        for line in lines:
            typer.echo(visible(line), err=into is None)
    if into is None:
        screen.plain(imported.toml)
