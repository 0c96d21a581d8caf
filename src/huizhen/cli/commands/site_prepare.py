"""`huizhen site prepare`: a raw export made ready for studies, without identities."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from huizhen.cli.screen import screen_of

__all__ = ["command"]

STATE = "deid"
"""Folder within the site's for what stays there of preparations."""

POLICY = "deid.toml"
"""The policy in the site's folder that is taken where none is named."""

_MOST = 8
"""Processes at most where the user names no number."""


def command(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument()],
    out: Annotated[Path, typer.Option("--out")],
    site: Annotated[Path, typer.Option("--site")] = Path("."),
    policy: Annotated[Path | None, typer.Option("--policy")] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=0, max=64)] = 0,
) -> None:
    """De-identify a folder of DICOM files."""
    screen = screen_of(context)
    from huizhen.data.deidentify.key import Pseudonymiser, open_secret
    from huizhen.data.deidentify.outcome import Fate
    from huizhen.data.deidentify.policy import DeidPolicy, load_policy
    from huizhen.data.deidentify.prepare import IMAGES, WAITING, prepare
    from huizhen.data.deidentify.report import report_of, write_report
    from huizhen.federate.site.folder import SiteFolder

    home = SiteFolder.open(site).path
    chosen = policy or (home / POLICY if (home / POLICY).exists() else None)
    rules = load_policy(chosen) if chosen is not None else DeidPolicy()
    who = Pseudonymiser(secret=open_secret(home))
    done = prepare(
        folder,
        out,
        state=home / STATE,
        policy=rules,
        who=who,
        progress=screen.progress(),
        processes=jobs or min(os.cpu_count() or 1, _MOST),
    )
    page = write_report(done, out, screen.language)
    screen.answer(report_of(done) | {"report": str(page), "known": done.known})
    counts = {fate.value: done.counts.get(fate, 0) for fate in Fate}
    screen.say("site.prepared", patients=done.patients, folder=out / IMAGES, report=page, **counts)
    if rules.pixels.inspect == "none":
        screen.say("site.unseen")
    if done.reasons:
        screen.say("site.waiting", file=home / STATE / WAITING)
