"""`huizhen site consents check`: what a register says, what is odd in it, and whom it permits a study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from huizhen.cli.screen import screen_of

if TYPE_CHECKING:
    from huizhen.errors import DataError, InvalidInputError

__all__ = ["command"]

SHOWN = 20


def command(
    context: typer.Context,
    register: Annotated[Path, typer.Argument()],
    study: Annotated[Path | None, typer.Option("--study")] = None,
    name: Annotated[str | None, typer.Option("--name")] = None,
) -> None:
    """Check a consent register, and hold it against a study."""
    screen = screen_of(context)
    from huizhen.data.consent.checking import check_register
    from huizhen.data.consent.register import read_register, register_problems
    from huizhen.data.consent.screening import today

    problems = register_problems(register)
    if len(problems) > 1:
        for problem in problems[:SHOWN]:
            screen.plain(screen.told(str(problem)))
        if len(problems) > SHOWN:
            screen.say("consents.more", count=len(problems) - SHOWN)
    if problems:
        raise _together(problems)
    found = read_register(register)
    checked = check_register(found, today())
    record: dict[str, Any] = {"patients": checked.patients, "rows": checked.rows}
    record["odd"] = {str(oddity): count for oddity, count in checked.oddities.items()}
    screen.say("consents.checked", patients=checked.patients, rows=checked.rows)
    for oddity, count in checked.oddities.items():
        screen.plain("  " + screen.text(f"consents.odd.{oddity}", count=count))
    if study is not None:
        counts, unknown = _against(register, study, name)
        record |= {"study": counts, "unknown_names": unknown}
        screen.say("consents.against_study", study=study.name)
        for reason, count in counts.items():
            because = screen.text(f"consents.because.{reason}")
            screen.plain("  " + screen.text("consents.reason", reason=because, count=count))
        if unknown:
            screen.say("consents.unknown_names", count=unknown)
    screen.answer(record)


def _together(problems: list[DataError]) -> DataError:
    """Return the error of a row that can't be read; of several, the first with how many they are."""
    from huizhen.errors import DataError

    first = problems[0]
    if len(problems) == 1:
        return first
    return DataError(
        f"{len(problems)} rows can't be read; the first: {first.message}",
        remedy=first.remedy,
        field=first.field,
        file=first.file,
    )


def _against(register: Path, study: Path, name: str | None) -> tuple[dict[str, int], int]:
    """Return how many of a register's patients permit a study and why the others don't.

    And of how many a denial names what the study doesn't, so that it counts as a denial of everything.
    """
    from huizhen.core.study_file import load_study
    from huizhen.data.consent.decide import names_unknown
    from huizhen.data.consent.register import read_register
    from huizhen.data.consent.screening import screen, today, use_of
    from huizhen.errors import InvalidInputError

    asked = load_study(study)
    if name is not None and name not in [site.name for site in asked.site]:
        raise _unknown(name, [site.name for site in asked.site])
    named = [site for site in asked.site if site.consent and name in (None, site.name)]
    fits = [site for site in named if Path(site.consent or "").name == register.name] or named
    if asked.use is None or len(fits) != 1:
        raise InvalidInputError(
            f"{len(fits)} sites of the study could keep this register",
            remedy="name the site by --name; the study's [use] and the site's consent must be there",
            field="--name",
        )
    found, use = read_register(register), use_of(asked, fits[0], today())
    unknown = sum(any(names_unknown(one, use) for one in ones) for ones in found.consents.values())
    return screen(found, found.consents, asked, fits[0], use.day).counts(), unknown


def _unknown(name: str, known: list[str]) -> InvalidInputError:
    """Return the error of a site that the study doesn't have."""
    from huizhen.core.study_wording import nearest
    from huizhen.errors import InvalidInputError

    meant = nearest(name, known)
    return InvalidInputError(
        f"the study has no site {name}",
        remedy=f"did you mean {meant}?" if meant else f"name one of: {', '.join(known)}",
        field="--name",
    )
