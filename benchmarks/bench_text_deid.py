"""What the recognisers of reports and notes find, miss, and take wrongly, beside presidio's own patterns.

    python benchmarks/bench_text_deid.py --each 40 --seed 7

prints JSON: for each set of the synthetic corpus (text_corpus.py) recall by language and kind, precision, F,
and characters a second of processor time. An identifier counts as found when every letter and figure of it is
within what is replaced; a replacement counts as right when it touches one. Intervals are percentile
bootstraps over documents (95 %); where nothing was missed, the lower bound is 1 - 3/n over the n documents
that hold the kind.
"""
# ruff: noqa: E501 - one line a count

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from text_corpus import SETS, Document, documents

from huizhen.core.streams import stream
from huizhen.data.deidentify_text.engine import find_all
from huizhen.data.deidentify_text.folding import fold

Spans = list[tuple[int, int]]
_MARKS = frozenset("年月日号")
_DRAWS = 2000
OVERALL = ("name", "id", "phone", "address", "date")


def huizhen(*, unknown: bool) -> Callable[[str], Spans]:
    """Return what this room finds, in places of the original."""

    def found(text: str) -> Spans:
        folded = fold(text)
        return [folded.original(one.start, one.end) for one in find_all(folded.text, unknown=unknown)]

    return found


def stock() -> Callable[[str], Spans]:
    """Return what presidio's predefined pattern recognisers find, without a model and without a network."""
    import spacy
    import tldextract.tldextract as suffixes
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    suffixes.TLD_EXTRACTOR = suffixes.TLDExtract(suffix_list_urls=(), cache_dir=None)

    class Blank(SpacyNlpEngine):
        def load(self) -> None:
            self.nlp: Any = {"en": spacy.blank("en")}

    registry = RecognizerRegistry(supported_languages=["en"])
    registry.load_predefined_recognizers(languages=["en"])
    registry.recognizers = [one for one in registry.recognizers if "Spacy" not in one.name]
    engine = AnalyzerEngine(registry=registry, nlp_engine=Blank(), supported_languages=["en"])
    return lambda text: [(one.start, one.end) for one in engine.analyze(text, "en")]


def scored(document: Document, spans: Spans) -> dict[str, Any]:
    """Return the counts of one document: found and planted by kind, right and all replacements."""
    covered = {place for start, end in spans for place in range(start, end)}
    planted = {place for one in document.planted for place in range(one.start, one.end)}
    found: Counter[str] = Counter()
    for one in document.planted:
        core = [
            i
            for i in range(one.start, one.end)
            if document.text[i].isalnum() and document.text[i] not in _MARKS
        ]
        found[one.kind] += all(place in covered for place in core)
    letters = [i for i in covered if document.text[i].isalnum()]
    return {
        "language": document.language,
        "planted": Counter(one.kind for one in document.planted),
        "found": found,
        "right": sum(any(place in planted for place in range(start, end)) for start, end in spans),
        "spans": len(spans),
        "letters": len(letters),
        "letters_right": sum(place in planted for place in letters),
    }


def share(rows: Iterable[tuple[int, int]], *, name: str) -> dict[str, Any]:
    """Return hits over all with an interval over documents. `rows`: (hits, all) of each document."""
    counts = np.array([row for row in rows if row[1]], dtype=float).reshape(-1, 2)
    hits, total = counts.sum(axis=0)
    if not total:
        return {}
    draw = stream(0, "bench-text-deid", name)
    picks = draw.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=_DRAWS) @ counts
    low, high = np.quantile(picks[:, 0] / picks[:, 1], [0.025, 0.975])
    if hits == total:
        low = max(0.0, 1 - 3 / len(counts))
    return {"share": round(hits / total, 4), "low": round(float(low), 4), "high": round(float(high), 4), "n": int(total), "documents": len(counts)}  # fmt: skip


def summed(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return recall by language and kind, and precision by language."""
    made: dict[str, Any] = {}
    for language in ("en", "zh"):
        own = [row for row in rows if row["language"] == language]
        kinds = sorted({kind for row in own for kind in row["planted"]})
        recall = {
            k: share([(r["found"][k], r["planted"][k]) for r in own], name=f"{name}{language}{k}")
            for k in kinds
        }
        five = [(sum(r["found"][k] for k in OVERALL), sum(r["planted"][k] for k in OVERALL)) for r in own]
        every = [(sum(r["found"].values()), sum(r["planted"].values())) for r in own]
        precision = share([(r["right"], r["spans"]) for r in own], name=f"{name}{language}precision")
        total = share(every, name=f"{name}{language}all")
        made[language] = {
            "recall": recall,
            "recall of names, ids, phones, addresses, dates": share(five, name=f"{name}{language}five"),
            "recall of all": total,
            "precision": precision,
            "precision by character": share([(r["letters_right"], r["letters"]) for r in own], name=f"{name}{language}chars"),
            "documents without a miss": share([(int(hit == n), 1) for hit, n in every], name=f"{name}{language}whole"),
        }  # fmt: skip
        if precision and total["share"] + precision["share"]:
            f = 2 * total["share"] * precision["share"] / (total["share"] + precision["share"])
            made[language]["F"] = round(f, 4)
    return made


def main() -> None:
    """Run the benchmark and print its result as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--each", type=int, default=20, help="documents of each template")
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    contenders = {
        "huizhen": huizhen(unknown=True),
        "huizhen, without words that no list knows": huizhen(unknown=False),
        "presidio's patterns": stock(),
    }
    result: dict[str, Any] = {"each": args.each, "seed": args.seed}
    for which in SETS:
        made = documents(which, each=args.each, seed=args.seed)
        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in contenders}
        seconds: Counter[str] = Counter()
        for contender in contenders.values():
            contender(made[0].text + made[-1].text)
        for document in made:
            for name, contender in contenders.items():
                start = time.process_time()
                spans = contender(document.text)
                seconds[name] += time.process_time() - start
                rows[name].append(scored(document, spans))
        characters = sum(len(document.text) for document in made)
        result[which] = {
            name: summed(rows[name], which) | {"characters a second": round(characters / seconds[name])}
            for name in contenders
        }
        result[which]["documents"], result[which]["characters"] = len(made), characters
    print(json.dumps(result, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
