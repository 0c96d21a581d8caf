"""From a table of somebody else's predictions to a signed dossier. Nothing here imports torch."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from huizhen.core.progress import Progress
from huizhen.core.words import Language
from huizhen.errors import HuizhenError
from huizhen.ledger.reading import HEADS_FILE, read_log
from huizhen.pipeline.assess_stage import assess_stage
from huizhen.pipeline.finish import RunResult, conduct
from huizhen.pipeline.protocol import protocol_stage
from huizhen.pipeline.reader_stage import reads_stage
from huizhen.pipeline.reporting import NOTHING, Reporting
from huizhen.pipeline.stage import Run, Stage
from huizhen.pipeline.table_stages import fixed_stage, table_stage, unsealed_stage
from huizhen.pipeline.table_thresholds import cuts_of, levels_of, thresholds_stage

__all__ = ["given_stages", "run_given"]

MADE = ("ledger", "stages", "cache")
"""What a run makes in its folder before its dossier."""


def run_given(
    study_file: Path,
    *,
    out: Path,
    roots: Sequence[Path],
    home: Path | None,
    progress: Progress,
    language: Language,
    reporting: Reporting = NOTHING,
) -> RunResult:
    """Judge the table of `study_file` and return the run, its verified dossier in `out`.

    Where the table is refused before an outcome was set beside a score, what this call made in `out` is
    taken away again, so that the plan may be corrected. Raises as `conduct`.
    """
    fresh = not any((out / name).exists() for name in MADE)
    try:
        return conduct(
            study_file,
            given_stages,
            out=out,
            roots=roots,
            home=home,
            progress=progress,
            reporting=reporting,
            language=language,
        )
    except HuizhenError:
        if fresh and not _was_opened(out):
            _take_away(out)
        raise


def _take_away(folder: Path) -> None:
    """Remove what a run makes in a folder, and the folder if nothing else is in it."""
    for name in MADE:
        shutil.rmtree(folder / name, ignore_errors=True)
    with suppress(OSError):  # somebody's own files are in it, or it isn't there
        folder.rmdir()


def _was_opened(folder: Path) -> bool:
    """Tell whether a run opened outcomes or has a result; a ledger without a head holds nothing."""
    heads = folder / "ledger" / HEADS_FILE
    if not heads.exists() or heads.stat().st_size == 0:
        return False
    entries = read_log(folder / "ledger").entries
    return any(entry.kind == "unseal" or entry.body.get("stage") == "validate" for entry in entries)


def given_stages(run: Run, study_file: Path) -> tuple[list[Stage], Path | None]:
    """Run all stages of a study that judges a table; return those with files for the dossier; no model."""
    protocol = protocol_stage(run, study_file)
    if run.study.reads is not None:
        return [protocol, reads_stage(run)], None
    table = table_stage(run)
    locked = thresholds_stage(run, table)
    fixed = fixed_stage(run, table, locked, cuts_of(locked), levels_of(locked))
    opened = unsealed_stage(run, table, locked, fixed)
    assessed = assess_stage(run, opened)
    return [protocol, table, locked, fixed, opened.stage, assessed], None
