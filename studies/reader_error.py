"""How often reader studies err: type-I error and coverage of 95 % intervals, by simulated readers.

    OMP_NUM_THREADS=1 nice python studies/reader_error.py OUT --trials 2000

Roe and Metz's model at several numbers of readers and cases and spreads of readers, continuous and five-level
ratings. Each trial is analysed by Obuchowski-Rockette-Hillis with three covariances, by Gallas' U-statistics,
and, to show what it costs, with readers taken as fixed. Writes reader_error.md; with its seed it repeats.
Rows that OUT holds already are kept, so that a stopped run goes on.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from huizhen.core.files import write_json, write_text
from huizhen.core.streams import stream
from huizhen.errors import NotEstimableError
from huizhen.validate.proportions import wilson
from huizhen.validate.readers.effects import Effect
from huizhen.validate.readers.merit import AUC
from huizhen.validate.readers.obuchowski_rockette import compare, compare_reader_groups
from huizhen.validate.readers.roe_metz import RoeMetz, simulate_readers
from huizhen.validate.readers.study import ReaderStudy
from huizhen.validate.readers.u_statistics import u_statistic_difference

METHODS = ("jackknife", "DeLong", "unbiased", "U-statistics", "fixed readers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is simulated: both modalities have average AUC `auc`, or the second has `auc` + `gap`."""

    readers: int
    cases: int
    auc: float
    spread: float
    levels: int | None
    gap: float = 0.0

    @property
    def name(self) -> str:
        """The row's head."""
        scale = f"{self.levels} levels" if self.levels else "continuous"
        return f"{self.readers} | {self.cases} | {self.auc} | {self.gap} | {self.spread} | {scale}"


def settings() -> list[Setting]:
    """Return the settings: a grid, and a difference to measure coverage away from 0."""
    grid = itertools.product((3, 5, 10), (50, 200), (0.7, 0.9), (0.011, 0.056))
    plain = [Setting(readers=r, cases=n, auc=a, spread=v, levels=None) for r, n, a, v in grid]
    coarse = [replace(each, levels=5) for each in plain if each.readers == 5]
    apart = [replace(each, gap=0.05) for each in plain if each.readers == 5]
    return plain + coarse + apart


def analysed(study: ReaderStudy) -> list[Effect | None]:
    """Return the difference by every method, None where it refuses."""
    pair = (study.modalities[0], study.modalities[1])
    ways = (
        lambda: compare(study, AUC, covariance="jackknife").differences[pair],
        lambda: compare(study, AUC, covariance="delong").differences[pair],
        lambda: compare(study, AUC, covariance="unbiased").differences[pair],
        lambda: u_statistic_difference(study, AUC, *pair).effect,
        lambda: compare(study, AUC, generalise="cases").differences[pair],
    )
    found: list[Effect | None] = []
    for way in ways:
        try:
            found.append(way())
        except NotEstimableError:
            found.append(None)
    return found


def measured(setting: Setting, trials: int) -> str:
    """Return a row: the share of intervals that miss the true difference, which at 0 is the type-I error."""
    draw = stream(1, "reader error", setting.name)
    model = RoeMetz(reader=setting.spread, modality_reader=setting.spread)
    missed, tried = np.zeros(len(METHODS)), np.zeros(len(METHODS))
    for _ in range(trials):
        study = simulate_readers(
            draw,
            model,
            aucs=[setting.auc, setting.auc + setting.gap],
            readers=setting.readers,
            diseased=setting.cases // 2,
            others=setting.cases // 2,
            levels=setting.levels,
        )
        for place, each in enumerate(analysed(study)):
            if each is not None:
                tried[place] += 1
                missed[place] += not each.interval.low <= -setting.gap <= each.interval.high
    shares = (share(m, t) for m, t in zip(missed, tried, strict=True))
    return f"| {setting.name} | {trials} | " + " | ".join(shares) + " |"


def share(count: float, n: float) -> str:
    """Return a percentage with its interval."""
    if not n:
        return "none"
    found = wilson(int(count), int(n))
    return f"{100 * count / n:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def nested(trials: int) -> str:
    """Return a row for readers nested in modalities, 5 and 5 readers, 100 cases."""
    draw, missed = stream(1, "reader error", "nested"), 0
    for _ in range(trials):
        study = simulate_readers(draw, RoeMetz(), aucs=[0.8, 0.8], readers=10, diseased=50, others=50)
        ratings = study.ratings.copy()
        ratings[0, 5:], ratings[1, :5] = math.nan, math.nan
        alone = replace(study, ratings=ratings)
        found = compare_reader_groups(alone, AUC, *study.modalities)
        missed += not found.interval.low <= 0 <= found.interval.high
    return f"Readers nested in modalities (5 and 5, 100 cases, AUC 0.8): {share(missed, trials)} %."


def main() -> None:
    """Run all settings and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--trials", type=int, default=2000)
    chosen = parser.parse_args()
    head = "| readers | cases | AUC | difference | spread | ratings | trials | " + " | ".join(METHODS) + " |"
    lines = [head, "|" + "---|" * (7 + len(METHODS))]
    chosen.out.mkdir(parents=True, exist_ok=True)
    kept = chosen.out / "reader_error.json"
    rows: dict[str, str] = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    for setting in settings():
        if setting.name not in rows:
            rows[setting.name] = measured(setting, chosen.trials)
            write_json(kept, rows)
            print(rows[setting.name], flush=True)
        lines.append(rows[setting.name])
    lines += ["", nested(chosen.trials)]
    write_text(chosen.out / "reader_error.md", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
