"""From a table of somebody else's predictions to a signed dossier. Nothing here imports torch."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
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

    Where the table is refused before an outcome was set beside a score, a folder that this call made is
    taken away again, so that the plan may be corrected. Raises as `conduct`.
    """
    fresh = not out.exists() or not (out / "ledger").exists()
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
            shutil.rmtree(out, ignore_errors=True)
        raise


def _was_opened(folder: Path) -> bool:
    """Tell whether the ledger of a run says that outcomes were opened; without a head it says nothing."""
    heads = folder / "ledger" / HEADS_FILE
    if not heads.exists() or heads.stat().st_size == 0:
        return False
    return any(entry.kind == "unseal" for entry in read_log(folder / "ledger").entries)


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
