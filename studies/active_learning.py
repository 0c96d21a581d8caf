"""What labels cost: query rules against random asking, on real patients, with every hospital's cases its own.

    nice python studies/active_learning.py OUT --data DATA                    what the results page reports
    nice python studies/active_learning.py OUT --data DATA --stage develop    what the rule was chosen on

Of every data set, 30 % of the patients are locked away (drawn once). `develop` never touches them: it asks
and tests among the others. `report` asks among a random 80 % of the others, another for each seed, and tests
on the locked ones. Each cell (data, split, rule, seed) is a file in OUT; a run that was stopped goes on where
it stood. The annotator is simulated: he gives the label that the data set holds.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from real_patients import LOADERS, Floats, Ints, study_parser

from huizhen.core.files import write_bytes, write_json, write_text
from huizhen.core.streams import stream, stream_seed
from huizhen.core.study_active import QueryRule
from huizhen.train.active.allocation import count, fair_floor, monotone, number_at, settle
from huizhen.train.active.features import capped
from huizhen.train.active.interface import Pool
from huizhen.train.active.last_layer import LastLayer, fit_last_layer
from huizhen.train.active.query import ask
from huizhen.train.active.rules.fahl import Information, labelled_information, pool_information

LOCKED_SHARE, POOL_SHARE, DEVELOP_TEST_SHARE = 0.3, 0.8, 0.35
STEPS = (*range(10, 61, 5), *range(70, 121, 10), 140, 160, 180, 200, 240, 280, 320, 360, 400, 500, 650, 800)
FLOOR_SHARE, SITES, CONCENTRATION = 0.1, 4, 0.5
COMPONENTS, CAP = 32, 1.25
PARTS = 4
OWN_SUMS = "fahl-own-sums"
COMPARED = (QueryRule.ENTROPY, QueryRule.BALD, QueryRule.CORE_SET, QueryRule.BADGE, QueryRule.TYPICLUST)
LEVELS = (0.95, 0.99)
RESAMPLES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One data set: features (n, d) with NaN where missing, outcome (n,), hospital (n,) and locked (n,)."""

    name: str
    features: Floats
    outcome: NDArray[np.bool_]
    hospital: Ints
    locked: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """One seed's pool with its site of each case, and the patients that it is tested on."""

    pool: Ints
    test: Ints
    site: Ints


def main() -> None:
    """Run the cells that are not there yet, then write the tables."""
    parser = study_parser(__doc__)
    parser.add_argument("--stage", choices=["report", "develop"], default="report")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--compared-seeds", type=int, default=10)
    parser.add_argument("--patient-resamples", type=int, default=0, help="slow; 300 for the third column")
    parser.add_argument("--tasks", nargs="+", default=list(LOADERS), choices=list(LOADERS))
    asked = parser.parse_args()
    tasks = [make_task(name, asked.data, asked.out / "features") for name in asked.tasks]
    blocks = [(task, kind) for task in tasks for kind in kinds(task)]
    for task, kind in blocks:
        run_cells(task, kind, (QueryRule.RANDOM, QueryRule.FAHL), asked.seeds, asked)
    write_tables(blocks, asked)
    for task, kind in blocks:
        if kind == kinds(task)[0]:
            run_cells(task, kind, (*COMPARED, OWN_SUMS), min(asked.seeds, asked.compared_seeds), asked)
    write_tables(blocks, asked)


def kinds(task: Task) -> list[str]:
    """Return the splits of a data set: its own sites if it names several, and a Dirichlet draw."""
    return [*(["natural"] if len(set(task.hospital.tolist())) > 1 else []), "dirichlet"]


def write_tables(blocks: Sequence[tuple[Task, str]], asked: argparse.Namespace) -> None:
    """Write what the cells say so far."""
    found = [summary(task, kind, asked) for task, kind in blocks]
    write_json(asked.out / f"{asked.stage}.json", found)
    write_text(asked.out / f"{asked.stage}.md", "\n".join(lines(found)) + "\n")
    print("\n".join(lines(found)), flush=True)


def make_task(name: str, data: Path, cache: Path) -> Task:
    """Return a data set with features scaled, and if many reduced, by its patients who aren't locked away."""
    features, outcome, hospital = LOADERS[name](data, cache)
    locked = np.zeros(len(outcome), dtype=bool)
    locked[stream(0, "final-test", name).permutation(len(outcome))[: int(LOCKED_SHARE * len(outcome))]] = True
    seen = features[~locked]
    spread = np.nanstd(seen, axis=0)
    scaled = np.clip((features - np.nanmean(seen, axis=0)) / np.where(spread > 1e-9, spread, 1.0), -6, 6)
    if scaled.shape[1] > COMPONENTS and not np.isnan(scaled).any():
        _, _, axes = np.linalg.svd(scaled[~locked], full_matrices=False)
        scaled = scaled @ axes[:COMPONENTS].T
        scaled *= np.sqrt(COMPONENTS / (scaled[~locked] ** 2).sum(1).mean())
        scaled = capped(scaled, longest=CAP * float(np.median(np.linalg.norm(scaled[~locked], axis=1))))
    return Task(name=name, features=scaled, outcome=outcome, hospital=hospital, locked=locked)


# -- asking ------------------------------------------------------------------------------------------------


def make_split(task: Task, kind: str, stage: str, seed: int) -> Split:
    """Return a seed's pool, its sites (natural, or a Dirichlet draw by outcome) and its test patients."""
    open_ = stream(seed, stage, task.name).permutation(np.flatnonzero(~task.locked))
    if stage == "develop":
        cut = int(DEVELOP_TEST_SHARE * len(open_))
        pool, test = np.sort(open_[cut:]), open_[:cut]
    else:
        pool, test = np.sort(open_[: int(POOL_SHARE * len(open_))]), np.flatnonzero(task.locked)
    if kind == "natural":
        return Split(pool=pool, test=test, site=task.hospital[pool])
    rng = stream(seed, "dirichlet", task.name)
    share = rng.dirichlet(np.full(SITES, CONCENTRATION), size=2)
    site = np.array([rng.choice(SITES, p=share[int(outcome)]) for outcome in task.outcome[pool]])
    return Split(pool=pool, test=test, site=site.astype(np.int64))


def curve(task: Task, split: Split, rule: str, seed: int) -> tuple[list[int], Floats, list[list[int]]]:
    """Ask round by round; return labels, risks (rounds, n test) and how many labels each site has by then."""
    features, outcome = task.features[split.pool], task.outcome[split.pool]
    labelled = np.zeros(len(split.pool), dtype=bool)
    layer: LastLayer | None = None
    labels, risks, shares = [], [], []
    for step in (*(s for s in STEPS if s < len(split.pool)), len(split.pool)):
        budget = step - int(labelled.sum())
        labelled[
            chosen(features, labelled, layer, split.site, rule, budget, stream_seed(seed, "ask", step))
        ] = True
        if len(set(outcome[labelled].tolist())) == 2:
            layer = fit_last_layer(np.nan_to_num(features[labelled]), outcome[labelled])
        test = np.nan_to_num(task.features[split.test])
        risks.append(layer.logits(test) if layer else np.zeros(len(split.test)))
        labels.append(int(labelled.sum()))
        shares.append(np.bincount(split.site[labelled], minlength=int(split.site.max()) + 1).tolist())
    return labels, np.array(risks), shares


def chosen(
    features: Floats,
    labelled: NDArray[np.bool_],
    layer: LastLayer | None,
    site: Ints,
    rule: str,
    budget: int,
    seed: int,
) -> Ints:
    """Return the rows that `rule` asks. FAHL asks site by site; the others see all sites' cases at once."""
    pool = make_pool(features, labelled, layer, np.arange(len(labelled)), rule, seed)
    if rule not in (QueryRule.FAHL, OWN_SUMS):
        return ask(QueryRule(rule), pool, budget, seed=seed).rows
    places = [np.flatnonzero(site == name) for name in np.unique(site)]
    asked = np.zeros(len(labelled), dtype=bool)
    part, done = -(-budget // PARTS), -1
    while done < int(asked.sum()) < budget:  # stops short where scores are equal: the next round has the rest
        done = int(asked.sum())
        pools = [make_pool(features[p], labelled[p], layer, p, rule, seed, asked[p]) for p in places]
        floors = [0 if done else site_floor(budget, labelled, p, len(places)) for p in places]
        some = max(min(part, budget - done), sum(floors))
        for place, rows in zip(places, one_part(pools, floors, some, rule, seed), strict=True):
            asked[place[rows]] = True
    return np.flatnonzero(asked)


def site_floor(budget: int, labelled: NDArray[np.bool_], place: Ints, sites: int) -> int:
    """Return a hospital's floor in a round."""
    total, here = int(labelled.sum()), int(labelled[place].sum())
    floor = fair_floor(budget, labelled_here=here, labelled=total, sites=sites, share=FLOOR_SHARE)
    return min(floor, len(place) - here)


def one_part(pools: list[Pool], floors: list[int], budget: int, rule: str, seed: int) -> list[Ints]:
    """Return what each hospital asks of a part of the budget; what crosses between them are sums."""
    known = None
    if rule == QueryRule.FAHL:
        size = (pools[0].features.shape[1] + 1,) * 2
        precision = sum((labelled_information(pool) for pool in pools), np.zeros(size))
        spread = sum((pool_information(pool, precision) for pool in pools), np.zeros(size))
        known = Information(labelled=precision, pool=spread)
    answers = [ask(QueryRule.FAHL, pool, budget, seed=seed, known=known) for pool in pools]
    rankings = [monotone(answer.score) for answer in answers]
    sites = list(zip(answers, rankings, floors, strict=True))
    at = settle(lambda edges: np.sum([count(r, f, edges) for _, r, f in sites], axis=0), budget - sum(floors))
    return [a.rows[: number_at(r, f, at)] for a, r, f in sites]


def make_pool(
    features: Floats,
    labelled: NDArray[np.bool_],
    layer: LastLayer | None,
    group: Ints,
    rule: str,
    seed: int,
    pending: NDArray[np.bool_] | None = None,
) -> Pool:
    """Return the pool as the current model sees it."""
    filled = np.nan_to_num(features)
    bald = rule == QueryRule.BALD
    samples = layer.samples(filled, draws=20, rate=0.2, seed=seed) if layer and bald else None
    return Pool(
        features=features,
        labelled=labelled,
        pending=np.zeros(len(labelled), dtype=bool) if pending is None else pending,
        group=group.astype(np.int64),
        probability=layer.probability(filled) if layer else None,
        samples=samples,
        penalty=layer.penalty if layer else 10.0,
    )


def cell_path(task: Task, kind: str, rule: str, seed: int, asked: argparse.Namespace) -> Path:
    """Return where a cell's file lies."""
    return Path(asked.out / asked.stage / f"{task.name}-{kind}-{rule}-{seed}.npz")


def run_cells(task: Task, kind: str, rules: Sequence[str], seeds: int, asked: argparse.Namespace) -> None:
    """Simulate the cells of one data set and split that aren't there yet."""
    for seed in range(seeds):
        split = make_split(task, kind, asked.stage, seed)
        for rule in rules:
            path = cell_path(task, kind, rule, seed, asked)
            if not path.exists():
                labels, risks, shares = curve(task, split, rule, seed)
                file = io.BytesIO()
                np.savez_compressed(
                    file,
                    labels=np.array(labels),
                    risks=risks.astype(np.float32),
                    shares=np.array(shares),
                    outcome=task.outcome[split.test],
                )
                write_bytes(path, file.getvalue())
        print(f"{task.name} {kind}: seed {seed + 1} of {seeds}, {len(rules)} rules", flush=True)


# -- what came of it ---------------------------------------------------------------------------------------


def summary(task: Task, kind: str, asked: argparse.Namespace) -> dict[str, object]:
    """Return labels needed and saved for each rule that has cells."""
    rng = stream(0, "bootstrap", task.name, kind)
    random_, grid = read_cells(task, kind, QueryRule.RANDOM, asked)
    found: dict[str, object] = {}
    for rule in (*map(str, QueryRule), OWN_SUMS):
        cells, _ = read_cells(task, kind, rule, asked)
        if cells:
            found[rule] = compared(cells, random_[: len(cells)], grid, rng, asked.patient_resamples)
    full = [float(cell.auc[-1]) for cell in random_]
    patients = random_[0].outcome
    return {
        "task": task.name,
        "split": kind,
        "pool": int(grid[-1]),
        "test": len(patients),
        "test_events": int(patients.sum()),
        "full_auc": float(np.mean(full)),
        "grid": grid.tolist(),
        "rules": found,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One simulated course: the AUC after each round on the common grid, and each pair's order by round."""

    auc: Floats
    risks: Floats
    outcome: NDArray[np.bool_]
    shares: Ints


def read_cells(task: Task, kind: str, rule: str, asked: argparse.Namespace) -> tuple[list[Cell], Ints]:
    """Return a rule's cells by seed, with curves on the grid of label counts."""
    cells: list[Cell] = []
    grid = np.array([], dtype=np.int64)
    for seed in range(asked.seeds):
        path = cell_path(task, kind, rule, seed, asked)
        if not path.exists():
            break
        with np.load(path, allow_pickle=False) as file:
            outcome, risks, labels = file["outcome"], file["risks"].astype(np.float64), file["labels"]
            grid = np.array([*(s for s in STEPS if s < labels[-1]), labels[-1]], dtype=np.int64)
            auc = np.interp(grid, labels, [area(outcome, risk) for risk in risks])
            cells.append(Cell(auc=auc, risks=risks, outcome=outcome, shares=file["shares"]))
    return cells, grid


def area(outcome: NDArray[np.bool_], risk: Floats) -> float:
    """Return the area under the ROC curve."""
    return float(order(outcome, risk).mean())


def order(outcome: NDArray[np.bool_], risk: Floats) -> Floats:
    """Return for each pair (events, others) 1 if the event's risk is higher, 1/2 if equal, else 0."""
    apart = risk[outcome][:, None] - risk[~outcome]
    found: Floats = (apart > 0) + 0.5 * (apart == 0)
    return found


def compared(
    cells: list[Cell], random_: list[Cell], grid: Ints, rng: np.random.Generator, draws: int
) -> dict[str, object]:
    """Return a rule's labels needed at each level, and its saving against random with two intervals."""
    mine, theirs = (np.array([cell.auc for cell in both]) for both in (cells, random_))
    n = len(cells)
    seeds = [rng.integers(n, size=n) for _ in range(RESAMPLES)]
    both_drawn = patient_draws(cells, random_, rng, draws) if draws else []
    found: dict[str, object] = {
        "seeds": n,
        "auc": dict(zip(map(str, grid.tolist()), mine.mean(0).round(4).tolist(), strict=True)),
    }
    for share in LEVELS:
        for above_chance in (True, False):
            point = saving(mine.mean(0), theirs.mean(0), grid, share, above_chance)
            drawn = [saving(mine[s].mean(0), theirs[s].mean(0), grid, share, above_chance)[2] for s in seeds]
            name = f"{share:.0%}" + ("" if above_chance else " plain ratio")
            found[name] = {
                "labels": point[0],
                "random": point[1],
                "saving": point[2],
                "by_seed": interval(drawn),
            }
            if above_chance and both_drawn:
                with_patients = [saving(a, b, grid, share, above_chance)[2] for a, b in both_drawn]
                found[name] |= {"by_seed_and_patient": interval(with_patients)}  # type: ignore[operator]  # a dict
    at = int(np.searchsorted(grid, 100))
    parts = [cell.shares[min(at, len(cell.shares) - 1)] for cell in cells]
    found["labels_by_site_at_100"] = (
        np.mean([np.sort(part) for part in parts], axis=0).round(1).tolist()
        if len({len(p) for p in parts}) == 1
        else []
    )
    return found


def patient_draws(
    cells: list[Cell], random_: list[Cell], rng: np.random.Generator, draws: int
) -> list[tuple[Floats, Floats]]:
    """Return mean curves of both rules under draws of seeds and of test patients (within events and others).

    Empty unless all seeds test on the same patients.
    """
    outcome = cells[0].outcome
    if any(len(c.outcome) != len(outcome) or (c.outcome != outcome).any() for c in (*cells, *random_)):
        return []
    events, others = int(outcome.sum()), int((~outcome).sum())
    weight = [rng.multinomial(k, np.full(k, 1 / k), size=draws) / k for k in (events, others)]
    weight = [part.astype(np.float32) for part in weight]
    chosen_seeds = rng.multinomial(len(cells), np.full(len(cells), 1 / len(cells)), size=draws)
    means = []
    for group in (cells, random_):
        total = np.zeros((draws, len(group[0].auc)))
        for place, cell in enumerate(group):
            for step, risk in enumerate(cell.risks[: total.shape[1]]):
                pairs = order(outcome, risk).astype(np.float32)
                area_ = ((weight[0] @ pairs) * weight[1]).sum(1)
                total[:, step] += area_ * chosen_seeds[:, place] / len(cells)
        means.append(total)
    return list(zip(*means, strict=True))


def saving(
    mine: Floats, theirs: Floats, grid: Ints, share: float, above_chance: bool
) -> tuple[float, float, float]:
    """Return labels needed by a rule and by random, and the share saved.

    The goal is a share of the full-label AUC above one half (or of all of it); compared with it is the mean
    curve, made monotone, between whose rounds labels are interpolated. Never reached: the whole pool.
    """
    full = float(theirs[-1])
    goal = 0.5 + share * (full - 0.5) if above_chance else share * full
    a, b = needed(mine, grid, goal), needed(theirs, grid, goal)
    return a, b, 1 - a / b


def needed(auc: Floats, grid: Ints, goal: float) -> float:
    """Return the number of labels at which the monotone mean curve reaches `goal`."""
    smooth = monotone_curve(auc)
    reached = np.flatnonzero(smooth >= goal - 1e-12)
    if not len(reached):
        return float(grid[-1])
    place = int(reached[0])
    if place == 0:
        return float(grid[0])
    low, high = smooth[place - 1], smooth[place]
    return float(grid[place - 1] + (grid[place] - grid[place - 1]) * (goal - low) / (high - low))


def monotone_curve(auc: Floats) -> Floats:
    """Return the rising curve nearest to `auc` (k,) by least squares, in its min-max form.

    >>> monotone_curve(np.array([1.0, 3.0, 2.0, 4.0])).tolist()
    [1.0, 2.5, 2.5, 4.0]
    """
    k = len(auc)
    total = np.concatenate([[0.0], np.cumsum(auc)])
    first, last = np.arange(k)[:, None], np.arange(k)[None, :]
    mean = np.where(last >= first, (total[last + 1] - total[first]) / np.maximum(last - first + 1, 1), np.inf)
    least = np.minimum.accumulate(mean[:, ::-1], axis=1)[:, ::-1]  # over all ends from here on
    found: Floats = np.where(first <= last, least, -np.inf).max(0)
    return found


def interval(values: Sequence[float]) -> list[float]:
    """Return the 2.5 and 97.5 % quantiles."""
    return [round(float(x), 4) for x in np.quantile(values, [0.025, 0.975])]


def lines(found: Sequence[dict[str, object]]) -> Iterator[str]:
    """Yield the tables in Markdown."""
    for block in found:
        head = f"{block['task']}, {block['split']}: pool of {block['pool']}, tested on {block['test']}"
        yield f"### {head} ({block['test_events']} events), full-label AUC {block['full_auc']:.4f}"
        yield ""
        both = [f"labels, {x} % | saved (95 % interval) | seeds and patients" for x in (95, 99)]
        yield " | ".join(["| rule | seeds", *both, "saved, plain .95 | saved, plain .99 |"])
        yield "|---|---|---|---|---|---|---|---|---|---|"
        for rule, result in block["rules"].items():  # type: ignore[attr-defined]  # a dict
            cells = [rule, str(result["seeds"])]
            for level in ("95%", "99%"):
                one = result[level]
                cells += [f"{one['labels']:.0f}", shown(one["saving"], one["by_seed"])]
                cells.append(shown(None, one["by_seed_and_patient"]) if "by_seed_and_patient" in one else "")
            cells += [
                shown(result[f"{x} plain ratio"]["saving"], result[f"{x} plain ratio"]["by_seed"])
                for x in ("95%", "99%")
            ]
            yield "| " + " | ".join(cells) + " |"
        yield ""


def shown(value: float | None, ends: Sequence[float]) -> str:
    """Return a share with its interval in per cent."""
    return (f"{value:.0%} " if value is not None else "") + f"({ends[0]:.0%} to {ends[1]:.0%})"


if __name__ == "__main__":
    main()
