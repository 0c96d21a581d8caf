"""`huizhen site prepare-text`: reports and notes made ready for studies, without identities."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from huizhen.cli.screen import screen_of

if TYPE_CHECKING:
    from huizhen.data.deidentify_text.known_table import KnownPatients

__all__ = ["command"]

STATE = "deid"
"""Folder within the site's for what stays there of preparations."""

POLICY = "deid-text.toml"
"""The policy in the site's folder that is taken where none is named."""


def command(
    context: typer.Context,
    source: Annotated[Path, typer.Argument()],
    out: Annotated[Path, typer.Option("--out")],
    site: Annotated[Path, typer.Option("--site")] = Path("."),
    policy: Annotated[Path | None, typer.Option("--policy")] = None,
    known: Annotated[Path | None, typer.Option("--known")] = None,
    dicom: Annotated[Path | None, typer.Option("--dicom")] = None,
    text: Annotated[list[str] | None, typer.Option("--text")] = None,
    patient: Annotated[str | None, typer.Option("--patient")] = None,
    keep: Annotated[list[str] | None, typer.Option("--keep")] = None,
) -> None:
    """De-identify a folder or a table of texts."""
    screen = screen_of(context)
    from huizhen.data.deidentify.key import Pseudonymiser, open_secret
    from huizhen.data.deidentify.outcome import Fate
    from huizhen.data.deidentify_text.policy import TextPolicy, load_text_policy
    from huizhen.data.deidentify_text.prepare import TEXTS, WAITING, prepare_texts
    from huizhen.data.deidentify_text.report import report_of_texts, write_text_report
    from huizhen.data.deidentify_text.review import write_review
    from huizhen.data.deidentify_text.sources import open_source
    from huizhen.federate.site.folder import SiteFolder

    home = SiteFolder.open(site).path
    chosen = policy or (home / POLICY if (home / POLICY).exists() else None)
    rules = load_text_policy(chosen) if chosen is not None else TextPolicy()
    who = Pseudonymiser(secret=open_secret(home))
    patients = _known(known, dicom)
    documents = open_source(
        source, known=patients, policy=rules, columns=text or (), patient=patient, keep=keep or ()
    )
    done = prepare_texts(
        documents,
        out,
        state=home / STATE,
        policy=rules,
        who=who,
        known=patients,
        progress=screen.progress(),
    )
    page = write_text_report(done, out, screen.language)
    review = write_review(
        documents, out, state=home / STATE, policy=rules, who=who, known=patients, language=screen.language
    )
    screen.answer(
        report_of_texts(done) | {"report": str(page), "review": str(review), "done_before": done.known}
    )
    counts = {fate.value: done.counts.get(fate, 0) for fate in Fate}
    screen.say("site.texts_prepared", patients=done.patients, folder=out / TEXTS, report=page, **counts)
    screen.say("site.texts_review", file=review)
    if done.reasons:
        screen.say("site.waiting", file=home / STATE / WAITING)


def _known(table: Path | None, dicom: Path | None) -> KnownPatients:
    """Return what the site says of its patients, by a table, by DICOM headers, or both."""
    from huizhen.data.deidentify_text.known_table import KnownPatients, known_from_dicom, read_known
    from huizhen.data.readers.paths import list_files

    found = read_known(table) if table is not None else KnownPatients({}, {})
    if dicom is not None:
        known_from_dicom(dicom, list_files(dicom, field="--dicom")[0], found)
    return found
