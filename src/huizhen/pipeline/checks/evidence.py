"""What a dossier may say of a check: counts by site, none of one to below the smallest that may leave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from huizhen.core.evidence import Evidence
from huizhen.pipeline.checks.check import Checked
from huizhen.pipeline.checks.images import OddImages
from huizhen.pipeline.checks.missing import COUNTS, missing_by_site, patterns_of
from huizhen.pipeline.labels.audit import SMALLEST, shown_count

__all__ = ["STAGE", "check_evidence"]

STAGE = "check"
MOST_VALUES = 8
"""Values of one item of a protocol that are listed; the others are counted together."""
COPIES = ("exact_duplicate", "near_duplicate", "conflicting_label")
"""What intake left out because images are the same."""
LINKED = ("linked_groups", "linked_patients", "external_lookalikes")
"""What it counted of images that are the same, and left in."""


def check_evidence(found: Checked, *, smallest: int = SMALLEST) -> list[Evidence]:
    """Return the evidence: missing/*, acquisition/* and quality/*, all descriptive, tests in their rows."""
    return [
        *_missing(found, smallest),
        *_acquisition(found, smallest),
        *_images(found, smallest),
        *_tables(found, smallest),
        _copies(found, smallest),
    ]


def _evidence(found: Checked, key: str, metric: str, n: int, unit: str, detail: dict[str, Any]) -> Evidence:
    return Evidence(
        key=key,
        metric=metric,
        stage=STAGE,
        n=n,
        unit=unit,
        descriptive=True,
        phantom=found.phantom,
        inputs=(found.study.digest,),
        detail=detail,
    )


def _missing(found: Checked, smallest: int) -> Iterable[Evidence]:
    missing = found.missing
    n = len(missing.cases)
    lacking = missing.absent.any(axis=0)
    rows = []
    for site in missing.sites:
        absent = missing.at(site)
        for k in np.flatnonzero(lacking):
            count = shown_count(absent[:, k].sum(), smallest)
            share = None if count is None else count / len(absent)
            row = {"site": site, "variable": missing.variables[k], "patients": len(absent)}
            rows.append({**row, "missing": count, "share": share})
    detail: dict[str, Any] = {"rows": rows, "complete": int((~lacking).sum())}
    yield _evidence(found, "missing/missing_values", "missing_values", n, "patient", detail)
    patterns = [
        {"missing": ", ".join(names) or "-", "patients": shown_count(count, smallest)}
        for names, count in patterns_of(missing)
        if shown_count(count, smallest) is not None
    ]
    yield _evidence(found, "missing/missing_patterns", "missing_patterns", n, "patient", {"rows": patterns})
    if len(missing.sites) > 1:
        detail = {"rows": _told(missing_by_site(missing), smallest)}
        yield _evidence(found, "missing/missing_by_site", "missing_by_site", n, "patient", detail)
    if found.training:
        rows = _told(found.by_outcome, smallest)
        yield _evidence(
            found,
            "missing/missing_by_outcome",
            "missing_by_outcome",
            found.training,
            "patient",
            {"rows": rows},
        )


def _told(rows: Iterable[dict[str, Any]], smallest: int) -> list[dict[str, Any]]:
    """Return the rows of a test without their counts, and no row from which a small one may be worked out."""
    return [
        {name: value for name, value in row.items() if name != COUNTS}
        for row in rows
        if all(shown_count(n, smallest) is not None for n in row[COUNTS])
    ]


def _acquisition(found: Checked, smallest: int) -> Iterable[Evidence]:
    for site, modality, protocol in found.protocols:
        rows = []
        for item, values in protocol.items.items():
            stated = sum(values.values())
            common = [(value, n) for value, n in values.most_common(MOST_VALUES) if n >= smallest]
            rows += [{"item": item, "value": value, "images": n} for value, n in common]
            if rest := stated - sum(n for _, n in common):
                rows.append({"item": item, "value": "other", "images": shown_count(rest, smallest)})
            if absent := protocol.images - stated:
                rows.append({"item": item, "value": "not stated", "images": shown_count(absent, smallest)})
        key = f"acquisition/{site}/{modality}"
        yield _evidence(found, key, "acquisition", protocol.images, "image", {"rows": rows})


def _images(found: Checked, smallest: int) -> Iterable[Evidence]:
    for group in found.images:
        detail = {"flagged": shown_count(group.flagged.sum(), smallest), "why": _reasons(group, smallest)}
        key = f"quality/{group.site}/{group.modality}"
        yield _evidence(found, key, "image_outliers", len(group.record), "image", detail)


def _reasons(group: OddImages, smallest: int) -> list[dict[str, Any]]:
    counts = Counter(np.array(group.why, dtype=object)[group.flagged].tolist())
    return [{"why": why, "images": shown_count(n, smallest)} for why, n in counts.most_common()]


def _tables(found: Checked, smallest: int) -> Iterable[Evidence]:
    if found.columns:
        rows = [
            {
                "site": one.site,
                "column": f"{one.modality}: {one.column}",
                "why": why,
                "values": shown_count(n, smallest),
                "of": one.values,
            }
            for one in found.columns
            for why, n in Counter(f"{odd.why.value} {odd.factor}".strip() for _, odd in one.odd).most_common()
        ]
        total = sum(one.values for one in found.columns)
        yield _evidence(found, "quality/odd_values", "odd_values", total, "cell", {"rows": rows})
    rows = [
        {"site": one.site, "file": one.file, "column": column, "why": why, "values": shown_count(n, smallest)}
        for one in found.dates
        for (column, why), n in Counter((odd.column, odd.why.value) for _, odd in one.odd).items()
    ]
    if rows:
        total = sum(one.rows for one in found.dates)
        yield _evidence(found, "quality/odd_dates", "odd_dates", total, "row", {"rows": rows})


def _copies(found: Checked, smallest: int) -> Evidence:
    """Return how many images and patients share an image with another patient."""
    flow = found.taken.flow
    rows = [
        {"site": one.site, "what": one.reason, "count": shown_count(one.count, smallest)}
        for one in flow.exclusions
        if one.reason in COPIES
    ]
    rows += [
        {"site": one.site, "what": one.what, "count": shown_count(one.count, smallest)}
        for one in flow.tallies
        if one.what in LINKED
    ]
    n = len(found.taken.cohort.cases)
    return _evidence(found, "quality/copies", "copies", n, "patient", {"rows": rows})
