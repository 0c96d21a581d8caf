"""A question through a site's whole desk, as past questions grow: milliseconds, and where they go.

    PYTHONPATH=src nice -n 0 python benchmarks/bench_catalogue_desk.py

A synthetic index of a million series is asked random questions (one to seven criteria, AND, OR, NOT), through
all that a site does: exact counts, three guards, rounding, the signed ledger with its two flushes to disk,
the signed answer, and the lock let go and taken again. After 1, 100, 1,000 and 5,000 past questions the next
ones, all different, are timed; above 1,000 the past ones are repeated. By default an index tells 200 counts,
so that later questions repeat these, are few, or are refused; `--most 1000` tells on. Takes two minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from bench_catalogue import questions, summary

from huizhen.core.files import write_json
from huizhen.data.catalogue.criteria import Query
from huizhen.data.catalogue.index import Index
from huizhen.data.catalogue.matching import match
from huizhen.data.catalogue.synthetic import synthetic_index
from huizhen.federate.catalogue.current import CURRENT, STATE
from huizhen.federate.catalogue.envelopes import Answer, answer_question, ask
from huizhen.federate.catalogue.standing import Standing
from huizhen.federate.site.folder import SiteFolder
from huizhen.ledger.log import Log
from huizhen.ledger.signing import SigningKey

LEAD = SigningKey.generate()
MOST_NEW = 1000


def site_in(folder: Path, series: int, most: int, noise: float) -> tuple[SiteFolder, Index]:
    """Return a site with a synthetic index, and the index; without `noise` its guard stands."""
    site = SiteFolder.create(folder, name="north", data=folder)
    index = synthetic_index(folder / STATE / "index-synthetic", series=series, seed=1)
    write_json(folder / STATE / CURRENT, {"index": "index-synthetic"})
    said = Path(__file__).parents[1] / "tests/unit/federate_catalogue"
    import sys

    sys.path.insert(0, str(said))
    from site_at_work import SAID, toml_of

    text = "".join(f"{name} = {toml_of(value)}\n" for name, value in SAID.items())
    limits = f"age_step = 1\nmost_questions = {most}\nmost_a_day = 100000\n"
    limits += f"noise = {noise}\n" if noise else ""
    (folder / "catalogue.toml").write_text(f"[index]\n[record]\n{text}[disclosure]\n{limits}")
    return site, index


def asked(standing: Standing, site: SiteFolder, query: Query) -> tuple[float, float, str]:
    """Return milliseconds by the clock and of the processor that a question takes, and what became of it."""
    question = ask(query, site="north", asker="0" * 16, number=secrets.token_hex(32), key=LEAD)
    start, worked = time.perf_counter(), time.process_time()
    with standing.lend() as desk:
        before = desk.told
        answer: Answer = answer_question(question, desk, site="north", key=site.key)
        told = desk.told > before
    spent = 1000 * (time.perf_counter() - start), 1000 * (time.process_time() - worked)
    return *spent, "refused" if answer.refused else "new" if told else "known or few"


def flushes(folder: Path) -> dict[str, float]:
    """Return what a commit to a ledger of two flushes costs here."""
    with Log.open(folder / "flushed", SigningKey.generate()) as log:
        spent = []
        for number in range(60):
            log.append("measured", {"n": number, "text": "x" * 700})
            start = time.perf_counter()
            log.commit()
            spent.append(1000 * (time.perf_counter() - start))
    return summary(spent)


def stages(past: list[int], timed: int, fresh: Iterator[Query]) -> Iterator[tuple[int, list[Query], bool]]:
    """Yield how many were asked before, the next questions, and whether these are timed."""
    done, known = 0, list[Query]()
    for count in past:
        new = [next(fresh) for _ in range(max(0, min(count, MOST_NEW) - done))]
        known += new
        again = [known[n % len(known)] for n in range(max(0, count - done - len(new)))]
        yield done, [*new, *again], False
        done = max(done, count)
        yield done, [next(fresh) for _ in range(timed)], True
        done += timed


def main() -> None:
    """Ask and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--series", type=int, default=1_000_000)
    options.add_argument("--past", type=int, nargs="+", default=[1, 100, 1000, 5000])
    options.add_argument("--timed", type=int, default=60)
    options.add_argument("--most", type=int, default=200)
    options.add_argument("--noise", type=float, default=0.0, help="of catalogue.toml; 0: the guard")
    options.add_argument("--seconds", type=float, default=110.0, help="stop then, and say so")
    given = options.parse_args()
    began, load = time.monotonic(), os.getloadavg()
    with tempfile.TemporaryDirectory() as scratch:
        site, index = site_in(Path(scratch) / "north", given.series, given.most, given.noise)
        drawn = iter(questions(MOST_NEW + given.timed * (len(given.past) + 1), 2))
        exact = [one for one in questions(60, 3) if match(index, one)]
        spent = []
        for query in exact:
            start = time.perf_counter()
            match(index, query)
            spent.append(1000 * (time.perf_counter() - start))
        found: dict[str, object] = {
            "series": index.series,
            "load": [round(one, 1) for one in load],
            "exact counts": summary(spent),
            "a commit": flushes(Path(scratch)),
        }
        standing = Standing(site)
        for past, batch, timed in stages(given.past, given.timed, drawn):
            results = []
            for query in batch:
                if time.monotonic() - began > given.seconds:
                    break
                results.append(asked(standing, site, query))
            if time.monotonic() - began > given.seconds:
                found["stopped"] = f"after {given.seconds:.0f} s, at {past + len(results)} questions"
                break
            if timed:
                with standing.lend() as desk:
                    told = desk.told
                clock, worked, kinds = zip(*results, strict=True)
                found[f"after {past}"] = {
                    "told": told,
                    "of these": dict(Counter(kinds)),
                    "clock": summary(list(clock)),
                    "processor": summary(list(worked)),
                    "slowest_ms": round(float(np.max(clock)), 1),
                }
        start = time.perf_counter()
        with Standing(site).lend():
            found["opening anew, seconds"] = round(time.perf_counter() - start, 2)
        found["load after"] = [round(one, 1) for one in os.getloadavg()]
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
