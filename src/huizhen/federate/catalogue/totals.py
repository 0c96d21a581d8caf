"""What several sites' answers come to: a sum over those who told a number, with bounds, and who is not in it.

Few stay few: a site that told no number adds to the bounds and never to the sum, so that no total can be
taken apart into what a site kept to itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from huizhen.federate.catalogue.envelopes import Answer

__all__ = ["Total", "total_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """The sum of one measure: `value` over `told`; `few` told fewer than they name; `silent` told nothing.

    `low` and `high` bound the number over `told` and `few`, where all of them gave bounds.
    """

    value: int
    low: int | None
    high: int | None
    told: tuple[str, ...]
    few: tuple[str, ...]
    silent: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {name: getattr(self, name) for name in self.__slots__}


def total_of(answers: Mapping[str, Answer | None], measure: str) -> Total:
    """Return the sum of a measure ("subjects", "studies" or "series") over sites; None: didn't answer."""
    counts = {
        site: getattr(answer.counts, measure) if answer is not None and answer.counts else None
        for site, answer in answers.items()
    }
    spoken = {site: count for site, count in counts.items() if count is not None}
    told = {site: count.value for site, count in spoken.items() if count.value is not None}
    bounded = bool(spoken) and all(c.low is not None and c.high is not None for c in spoken.values())
    return Total(
        value=sum(told.values()),
        low=sum(count.low or 0 for count in spoken.values()) if bounded else None,
        high=sum(count.high or 0 for count in spoken.values()) if bounded else None,
        told=tuple(told),
        few=tuple(site for site in spoken if site not in told),
        silent=tuple(site for site in counts if site not in spoken),
    )
