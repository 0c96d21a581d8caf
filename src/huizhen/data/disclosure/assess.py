"""A table held against a policy: what it risks as it is, and the recoding that keeps the bounds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from huizhen.core.digests import Digest
from huizhen.core.progress import Progress, Silent
from huizhen.core.table_text import columns_of
from huizhen.data.disclosure.ground import Ground, ground_of, standing
from huizhen.data.disclosure.lattice import Chosen, search
from huizhen.data.disclosure.measures import Measures, measured
from huizhen.data.disclosure.microdata import Microdata, read_microdata
from huizhen.data.disclosure.naming import check_columns, named_by
from huizhen.data.disclosure.policy import DisclosurePolicy
from huizhen.data.disclosure.recoding import Released, release_of

__all__ = ["Assessment", "assess", "assess_data", "columns_asked"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assessment:
    """`before` is of the table as it is; `after`, `chosen.best` and `released` of the suggested recoding.

    They are None where no recoding keeps the bounds. `held_back` counts the columns that the policy doesn't
    name, which don't go out. `holds`: the table keeps the bounds as it is.
    """

    policy: DisclosurePolicy
    data: Microdata
    ground: Ground
    before: Measures
    holds: bool
    chosen: Chosen
    released: Released | None
    after: Measures | None
    held_back: int = 0

    @property
    def levels(self) -> dict[str, int]:
        """The suggested level of each quasi-identifier; none without a suggestion."""
        if self.chosen.best is None:
            return {}
        return {
            one.column: level
            for one, level in zip(self.ground.hierarchies, self.chosen.best.node, strict=True)
        }

    @property
    def digest(self) -> Digest:
        """The digest of the table."""
        return self.data.digest or Digest("")


def columns_asked(policy: DisclosurePolicy) -> list[str]:
    """Return the columns that an assessment reads, beside the patient's."""
    beside = [policy.outcome.column] if policy.outcome else []
    beside += [policy.rare_disease.column] if policy.rare_disease else []
    return list(dict.fromkeys([*policy.quasi, *policy.sensitive, *beside]))


def assess(path: Path, policy: DisclosurePolicy, *, progress: Progress | None = None) -> Assessment:
    """Return the assessment of a CSV or Parquet table.

    Raises `DataError` for a column that the table lacks, `UnreadableFileError`, and `PolicyError` where the
    policy's levels don't fit its values.
    """
    held = columns_of(path)
    check_columns(policy, held, path.name)
    named = {*policy.quasi, *policy.sensitive, *policy.keep}
    with named_by(policy, path):
        data = read_microdata(path, columns_asked(policy), patient=policy.patient)
        return assess_data(data, policy, held_back=len(set(held) - named), progress=progress)


def assess_data(
    data: Microdata, policy: DisclosurePolicy, *, held_back: int = 0, progress: Progress | None = None
) -> Assessment:
    """Return the assessment of columns that were read."""
    ground = ground_of(data, policy)
    finest = standing(ground, tuple(0 for _ in ground.shape), policy.bounds)
    chosen = search(ground, policy.bounds, policy.search, progress=progress or Silent())
    released = release_of(ground, chosen.best, policy) if chosen.best else None
    return Assessment(
        policy=policy,
        data=data,
        ground=ground,
        before=measured(ground, finest.ids, finest.sizes, None, policy),
        holds=finest.holds and finest.suppressed == 0,
        chosen=chosen,
        released=released,
        after=measured(ground, released.ids, released.sizes, released.failing, policy) if released else None,
        held_back=held_back,
    )
