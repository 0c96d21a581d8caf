"""The tables of a study's sites held against each hospital's own policy of disclosure, as evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from huizhen.core.cohort import Case
from huizhen.core.evidence import Evidence
from huizhen.core.study import ReaderKind, Site, Source, Study
from huizhen.core.table_text import columns_of, rows_of
from huizhen.data.disclosure.assess import assess_data, columns_asked
from huizhen.data.disclosure.microdata import microdata_of
from huizhen.data.disclosure.policy import DisclosurePolicy, load_policy
from huizhen.data.disclosure.report import disclosure_evidence
from huizhen.data.readers.paths import find_path

__all__ = ["study_table_evidence"]


def study_table_evidence(study: Study, cases: Sequence[Case], roots: Sequence[Path]) -> list[Evidence]:
    """Return, for each site that names a policy, how its tables of the study's patients stand.

    A table is assessed if it has every quasi-identifier of the policy; only rows of the site's `cases` count.
    Raises `DataError` for a policy or table that isn't there, `PolicyError` for one that isn't understood.
    """
    found: list[Evidence] = []
    for site in study.site:
        if site.disclosure is not None:
            policy = load_policy(find_path(site.disclosure, roots, field="site.disclosure"))
            patients = {case.patient_id for case in cases if case.site == site.name}
            found += _of_site(site, policy, patients, roots, phantom=study.phantom)
    return found


def _of_site(
    site: Site, policy: DisclosurePolicy, patients: set[str], roots: Sequence[Path], *, phantom: bool
) -> list[Evidence]:
    made = [
        one
        for index, path, source in _tables(site, roots)
        if (one := _assessed(site, index, path, source, policy, patients, phantom)) is not None
    ]
    return made or [
        Evidence.not_assessed(
            key=f"disclosure/{site.name}",
            metric="disclosure",
            stage="data",
            reason="no table of the site has every quasi-identifier of its policy",
            phantom=phantom,
            inputs=(policy.digest,),
        )
    ]


def _tables(site: Site, roots: Sequence[Path]) -> Iterator[tuple[int, Path, Source]]:
    """Yield the tables of a site, each once, with the first source that reads it."""
    seen: set[Path] = set()
    for index, source in enumerate(site.source):
        name = source.path if source.reader is ReaderKind.TABLE else source.labels
        if name is None or source.columns is None:
            continue
        path = find_path(name, roots, field="site.source.path")
        if path not in seen:
            seen.add(path)
            yield index, path, source


def _assessed(
    site: Site,
    index: int,
    path: Path,
    source: Source,
    policy: DisclosurePolicy,
    patients: Iterable[str],
    phantom: bool,
) -> Evidence | None:
    """Return how one table stands; None if it lacks a column of the policy, or has no row of the patients."""
    assert source.columns is not None
    names = columns_asked(policy)
    if not set(names) <= set(columns_of(path, encoding=source.encoding)):
        return None
    who, wanted = source.columns.patient, set(patients)
    asked = list(dict.fromkeys([who, *names]))
    rows = [row for row in rows_of(path, asked, encoding=source.encoding) if row[who].strip() in wanted]
    if not rows:
        return None
    cells = {name: [row[name] for row in rows] for name in names}
    data = microdata_of(cells, patients=[row[who] for row in rows])
    return disclosure_evidence(assess_data(data, policy), name=f"{site.name}/{index}", phantom=phantom)
