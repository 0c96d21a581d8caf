"""`huizhen form new`: the form that asks people for what only they can say of a study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from huizhen.cli.screen import screen_of

if TYPE_CHECKING:
    from huizhen.dossier.form import Form

__all__ = ["command"]


def command(
    context: typer.Context,
    subject: Annotated[Path, typer.Argument(metavar="STUDY_OR_DOSSIER")],
    out: Annotated[Path, typer.Option("--out")] = Path("form.toml"),
) -> None:
    """Write the form, unless a file is there; what a dossier's form says already is kept."""
    screen = screen_of(context)
    from huizhen.core.files import write_text
    from huizhen.dossier.form_template import form_text
    from huizhen.errors import StudyError

    if out.exists():
        raise StudyError(
            "is there already", remedy="choose another name with --out; it is not overwritten", file=str(out)
        )
    title, earlier = _known(subject)
    write_text(out, form_text(title, earlier))
    screen.answer({"form": str(out)})
    screen.say("form.written", file=out)


def _known(subject: Path) -> tuple[str, Form | None]:
    """Return the study's title, and the newest form of a dossier's or a run's ledger."""
    from huizhen.core.study_file import load_study

    if not subject.is_dir():
        return load_study(subject).title, None
    from huizhen.dossier.item_states import given_form
    from huizhen.dossier.record import Record
    from huizhen.ledger.reading import read_log

    log = read_log(subject / "ledger")
    record = Record.of(log.entries, [leaf.hex() for leaf in log.leaves])
    given = given_form(record)
    return str(record.study.get("title") or ""), given.form if given else None
