"""Hospitals that keep consents: a federation of small tables whose registers can be changed while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from hospitals import Answers, Federation, draws, table, table_source, write_rows, write_study

from huizhen.data.consent.screening import today
from huizhen.federate import messages as wire
from huizhen.federate.frames import unseal

USE = '[use]\nethics_approval = "2026-114"\ncommercial = false\n'
SITES = ("east", "north", "west")
COUNT = 40
GIVEN = "2025-01-01"


def register(data: Path, site: str, rows: Mapping[int, Mapping[str, str]] = {}) -> Path:
    """Write a site's register, everybody permitting research but as `rows` say of some, and return it."""
    path = data / f"{site}-consents.csv"
    first = {"version": "1", "given": GIVEN, "terms": "HMB", "withdrawn": "", "partners": "", "until": ""}
    write_rows(path, [{"patient": f"{site}-{i}", **first, **rows.get(i, {})} for i in range(COUNT)])
    return path


def yesterday() -> str:
    """Return the day before today."""
    return (today() - timedelta(days=1)).isoformat()


def withdraw(data: Path, site: str, *who: int, day: date | None = None) -> None:
    """Have patients withdraw, by the site's register."""
    when = day.isoformat() if day else yesterday()
    register(data, site, {i: {"withdrawn": when} for i in who})


def write_hospitals(
    root: Path, *, sites: Sequence[str] = SITES, rounds: int = 3, more: str = "", asks: bool = True
) -> Path:
    """Write the data, the registers and the study, and return its file."""

    def source(name: str) -> str:
        consent = f'consent = "{name}-consents.csv"\n' if asks else ""
        return consent + table_source("clinic", f"{name}.csv", outcome="event")

    file = write_study(
        root / "data",
        "asked",
        modalities=table("clinic", ["age"]),
        sites=sites,
        source=source,
        more=f"{USE if asks else ''}[federation]\nrounds = {rounds}\n{more}",
    )
    for name in sites:
        rng = draws(name)
        rows = [
            {"patient": f"{name}-{i}", "event": i % 2, "age": f"{rng.normal(50 + 6 * (i % 2), 8):.1f}"}
            for i in range(COUNT)
        ]
        write_rows(root / "data" / f"{name}.csv", rows)
        register(root / "data", name)
    return file


def before_round(
    federation: Federation, site: str, number: int, do: Callable[[], object]
) -> Callable[[Answers], Answers]:
    """Return a wrapper of answers that does something once, before `site` is asked for a round."""
    done: list[int] = []

    def wrapped(answers: Answers) -> Answers:
        def answered(frame: bytes) -> bytes:
            message: Any = unseal(frame, {wire.LEAD: [federation.key.public]}).message
            if isinstance(message, wire.Train) and message.round == number and not done:
                done.append(number)
                do()
            return answers[site](frame)

        return {**answers, site: answered}

    return wrapped
