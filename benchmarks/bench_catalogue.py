"""The catalogue: milliseconds a question over a synthetic index, this package against SQLite and pandas.

    PYTHONPATH=src python benchmarks/bench_catalogue.py --series 1000000 --questions 60

All contenders hold the same rows and count subjects, studies and series of the same random questions (one to
four criteria, AND, OR and NOT, within series), one after another in alternating order; their counts have to
agree. SQLite has a file on disk with an index on each column, and diagnoses in a table of their own; pandas
has the rows as one frame of categories in memory. `--guarded` then asks through a site's whole desk: the
exact count, the guard over all answers so far, rounding, and the signed ledger.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from huizhen.core.streams import stream
from huizhen.data.catalogue.criteria import Combined, Criterion, Operand, Query, parse_query
from huizhen.data.catalogue.disclosure import Disclosure
from huizhen.data.catalogue.index import Index
from huizhen.data.catalogue.matching import match
from huizhen.data.catalogue.synthetic import WORDS, synthetic_index
from huizhen.errors import PolicyError
from huizhen.federate.catalogue.desk import Desk
from huizhen.ledger.log import Log
from huizhen.ledger.signing import SigningKey

Counts = tuple[int, int, int]
CODED = ("sex", "modality", "manufacturer", "body_part", "diagnosis")


def questions(count: int, seed: int) -> list[Query]:
    """Return random questions."""
    draw = stream(seed, "questions")

    def leaf() -> dict[str, object]:
        key = str(draw.choice([*CODED, "age", "year"]))
        if key in CODED:
            values = {str(draw.choice(WORDS[key][1:])) for _ in range(int(draw.integers(1, 3)))}
            return {"key": key, "type": "IN", "value": sorted(values)}
        low = int(draw.integers(4, 14)) * 5 if key == "age" else int(draw.integers(2005, 2024))
        return {"key": key, "type": "BETWEEN", "value": {"min": low, "max": low + 9}}

    def tree() -> dict[str, object]:
        parts = [leaf() for _ in range(int(draw.integers(1, 4)))]
        if draw.random() < 0.4:
            parts.append({"operand": "NOT", "children": [leaf()]})
        if draw.random() < 0.4:
            parts.append({"operand": "OR", "children": [leaf(), leaf()]})
        return {"operand": "AND", "children": parts}

    return [parse_query(tree()) for _ in range(count)]


def rows(index: Index) -> pd.DataFrame:
    """Return a row a series, with what its study and subject are."""
    columns, study, subject = index.columns, index.columns.study, index.subject_of_series
    return pd.DataFrame(
        {
            "subject": subject,
            "study": study,
            "age": columns.age[study],
            "year": columns.year[study],
            "sex": columns.sex[subject],
            **{name: getattr(columns, name) for name in ("modality", "manufacturer", "body_part")},
        }
    )


def sqlite(index: Index, path: Path) -> Callable[[Query], Counts]:
    """Return SQLite as a contender."""
    base = sqlite3.connect(path)
    rows(index).to_sql("series", base, index=False)
    columns = index.columns
    ill = pd.DataFrame({"subject": columns.diagnosis_subject, "diagnosis": columns.diagnosis})
    ill.to_sql("ill", base, index=False)
    for name in ("subject", "age", "year", "sex", "modality", "manufacturer", "body_part"):
        base.execute(f"CREATE INDEX by_{name} ON series({name})")
    base.execute("CREATE INDEX ill_by ON ill(diagnosis, subject)")
    base.execute("ANALYZE")
    base.commit()

    def where(node: Criterion | Combined) -> str:
        if isinstance(node, Combined):
            parts = [f"({where(child)})" for child in node.children]
            return f"NOT {parts[0]}" if node.operand is Operand.NOT else f" {node.operand} ".join(parts)
        if node.key in ("age", "year"):
            return f"{node.key} BETWEEN {node.low} AND {node.high}"
        codes = ",".join(str(index.code(node.key, value)) for value in node.values)
        if node.key == "diagnosis":
            return f"subject IN (SELECT subject FROM ill WHERE diagnosis IN ({codes}))"
        return f"{node.key} IN ({codes})"

    def count(query: Query) -> Counts:
        line = "SELECT COUNT(DISTINCT subject), COUNT(DISTINCT study), COUNT(*) FROM series WHERE "
        found = base.execute(line + where(query.tree)).fetchone()
        return (found[0], found[1], found[2])

    return count


def pandas(index: Index) -> Callable[[Query], Counts]:
    """Return pandas as a contender."""
    frame, columns = rows(index), index.columns
    ill = pd.DataFrame({"subject": columns.diagnosis_subject, "diagnosis": columns.diagnosis})

    def mask(node: Criterion | Combined) -> pd.Series:
        if isinstance(node, Combined):
            parts = [mask(child) for child in node.children]
            if node.operand is Operand.NOT:
                return ~parts[0]
            found = parts[0]
            for part in parts[1:]:
                found = found & part if node.operand is Operand.AND else found | part
            return found
        if node.key in ("age", "year"):
            return frame[node.key].between(node.low, node.high)
        codes = [index.code(node.key, value) for value in node.values]
        if node.key == "diagnosis":
            return frame["subject"].isin(ill.loc[ill["diagnosis"].isin(codes), "subject"])
        return frame[node.key].isin(codes)

    def count(query: Query) -> Counts:
        found = frame[mask(query.tree)]
        return (int(found["subject"].nunique()), int(found["study"].nunique()), len(found))

    return count


def guarded(index: Index, asked: list[Query], folder: Path) -> dict[str, object]:
    """Return how long a site's whole desk takes, by how many counts it has told."""
    log = Log.open(folder / "ledger", SigningKey.generate())
    policy = Disclosure(age_step=1, most_questions=1000, most_a_day=100_000)
    desk = Desk(index, policy, log, None)
    spent: list[float] = []
    refused = few = 0
    for query in asked:
        start = time.perf_counter()
        try:
            reply = desk.answer(query, asker="0" * 16)
            few += reply.subjects is not None and reply.subjects.value is None
        except PolicyError:
            refused += 1
        spent.append(1000 * (time.perf_counter() - start))
    log.close()
    half = len(spent) // 2
    return {
        "asked": len(asked),
        "few": int(few),
        "refused": refused,
        "told": desk._guards["subjects"].told,
        **{f"first half {name}": value for name, value in summary(spent[:half]).items()},
        **{f"second half {name}": value for name, value in summary(spent[half:]).items()},
    }


def summary(spent: list[float]) -> dict[str, float]:
    """Return median and 95th percentile."""
    return {
        "median_ms": round(float(np.median(spent)), 2),
        "p95_ms": round(float(np.percentile(spent, 95)), 2),
    }


def main() -> None:
    """Run the contenders and print their figures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--series", type=int, default=1_000_000)
    options.add_argument("--questions", type=int, default=60)
    options.add_argument("--guarded", type=int, default=0)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        index = synthetic_index(folder / "index", series=given.series, seed=given.seed)
        contenders: dict[str, Callable[[Query], Counts]] = {
            "huizhen": lambda query: match(index, query).counts,
            "sqlite": sqlite(index, folder / "series.db"),
            "pandas": pandas(index),
        }
        asked = questions(given.questions, given.seed)
        spent: dict[str, list[float]] = {name: [] for name in contenders}
        for number, query in enumerate(asked):
            names = list(contenders)
            found = {}
            for name in names[number % 3 :] + names[: number % 3]:
                start = time.perf_counter()
                found[name] = contenders[name](query)
                spent[name].append(1000 * (time.perf_counter() - start))
            if len(set(found.values())) != 1:
                raise SystemExit(f"the contenders disagree: {found} on {query.plain()}")
        sizes = {"series": index.series, "studies": index.studies, "subjects": index.subjects}
        print(json.dumps(sizes | {name: summary(times) for name, times in spent.items()}, indent=1))
        if given.guarded:
            print(json.dumps(guarded(index, questions(given.guarded, given.seed + 1), folder), indent=1))


if __name__ == "__main__":
    main()
