"""The desk at which a site answers questions about its catalogue, and writes down every one.

::

    with Desk.open(SiteFolder.open(folder)) as desk:
        desk.answer(query, asker="3f5a...").subjects.value

In the site's folder `catalogue/` holds the index, which one is `current.json`, and a signed ledger of all
questions and answers, from which the guard's memory is made anew whenever the desk opens. Nothing of a
patient stands in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from huizhen.core.digests import Digest
from huizhen.data.catalogue.criteria import Query, parse_query
from huizhen.data.catalogue.disclosure import Disclosure, Told, rounded
from huizhen.data.catalogue.guard import Guard, Kind
from huizhen.data.catalogue.index import Index, open_index
from huizhen.data.catalogue.matching import match
from huizhen.data.catalogue.record import CATALOGUE, load_catalogue
from huizhen.errors import PolicyError, StorageError
from huizhen.federate.catalogue.noise import Noise, PaidNoise
from huizhen.federate.site.folder import SiteFolder
from huizhen.ledger.log import Log, utc_now

__all__ = ["CURRENT", "STATE", "Desk", "Reply"]

STATE = "catalogue"
CURRENT = "current.json"
LEDGER = "ledger"
ENTRY = "catalogue_answer"
MEASURES = ("subjects", "studies", "series")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a site tells: three counts (None: not told), of which index, by which policy."""

    subjects: Told | None
    studies: Told | None
    series: Told | None
    index: Digest
    smallest: int
    rounding: int

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        counts = {name: getattr(self, name) for name in MEASURES}
        told = {name: count.to_json() if count is not None else None for name, count in counts.items()}
        return {**told, "index": self.index, "smallest": self.smallest, "rounding": self.rounding}


class Desk:
    """One site's open desk; one process at a time. Make one by `open`."""

    def __init__(self, index: Index, policy: Disclosure, log: Log, noise: Noise | None) -> None:
        self._index, self._policy, self._log, self._noise = index, policy, log, noise
        owners = (
            np.arange(index.subjects, dtype=np.uint32),
            np.asarray(index.columns.subject),
            index.subject_of_series,
        )
        self._guards = {
            name: Guard(owned, smallest=policy.smallest) for name, owned in zip(MEASURES, owners, strict=True)
        }
        self._told: dict[Digest, Reply] = {}
        self._asked: dict[tuple[str, str], int] = {}
        self._remember()

    @classmethod
    def open(cls, site: SiteFolder, *, clock: Callable[[], datetime] = utc_now) -> Desk:
        """Open the desk of a site that has an index.

        Raises `DataError` on a wrong `catalogue.toml`, `StorageError` without an index, `LedgerError` when
        another process has the desk open or its ledger was altered.
        """
        policy = load_catalogue(site.path / CATALOGUE).disclosure
        index = open_index(current_index(site.path))
        noise = PaidNoise(site=site, index=index.digest, deviation=policy.noise) if policy.noise else None
        log = Log.open(site.path / STATE / LEDGER, site.key, clock=clock)
        try:
            return cls(index, policy, log, noise)
        except BaseException:
            log.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let another process open the desk."""
        self._log.close()

    @property
    def index(self) -> Index:
        """The index that is answered from."""
        return self._index

    @property
    def policy(self) -> Disclosure:
        """How counts are told."""
        return self._policy

    def answer(self, query: Query, *, asker: str) -> Reply:
        """Return what may be told of `query`, and enter it in the ledger first.

        `asker` stands for a person, as the lead knows them. The same question has the same answer. Raises
        `PolicyError`: asked too often today, ages by finer bands than the policy's, or nothing more may be
        told of this index; `PrivacyError` when noise can't be paid for any more.
        """
        day = datetime.now(UTC).date().isoformat()
        self._check_rate(asker, day)
        self._check_bands(query)
        known = self._told.get(query.digest)
        fresh: dict[str, float] = {}
        reply = known or self._worked_out(query, fresh)
        body = {"question": query.plain(), "asker": asker, "reply": reply.to_json(), "fresh": fresh}
        self._log.append(ENTRY, {**body, "policy": self._policy.model_dump(mode="json")})
        self._log.commit()
        self._told[query.digest] = reply
        self._asked[asker, day] = self._asked.get((asker, day), 0) + 1
        return reply

    def _worked_out(self, query: Query, fresh: dict[str, float]) -> Reply:
        """Return the reply to a new question; `fresh` gets the values that are told for the first time."""
        masks = match(self._index, query)
        counts: dict[str, Told | None] = {}
        for name in MEASURES if self._noise is None else MEASURES[:1]:
            guard, mask = self._guards[name], getattr(masks, name)
            judgement = guard.judge(mask)
            value = judgement.value
            if judgement.kind is Kind.NEW:
                self._check_room(guard)
                value = float(np.count_nonzero(mask))
                if self._noise is not None:
                    value += self._noise.of(query.digest)
                guard.take(judgement, mask, value)
                fresh[name] = value if self._noise is not None else 0.0
            exact = name == "subjects" and self._noise is None
            told = rounded(value, self._policy, bounded=exact)
            counts[name] = None if judgement.kind is Kind.EXHAUSTED else told
        if not any(counts.values()):
            raise PolicyError(
                "nothing more may be told of so few patients",
                remedy="ask by coarser criteria, or ask again when the site has renewed its index",
                field="most_questions",
            )
        return self._reply(counts)

    def _reply(self, counts: dict[str, Told | None]) -> Reply:
        return Reply(
            **{name: counts.get(name) for name in MEASURES},
            index=self._index.digest,
            smallest=self._policy.smallest,
            rounding=self._policy.rounding,
        )

    def _check_rate(self, asker: str, day: str) -> None:
        if self._asked.get((asker, day), 0) >= self._policy.most_a_day:
            raise PolicyError(
                f"one asker may ask {self._policy.most_a_day} questions a day",
                remedy="ask on another day, or have the site's officer raise most_a_day",
                field="most_a_day",
            )

    def _check_bands(self, query: Query) -> None:
        step = self._policy.age_step
        for leaf in query.criteria():
            if leaf.key in ("age", "diagnosis_age"):
                low, high = leaf.low % step == 0, (leaf.high + 1) % step == 0 or leaf.high == 150
                if not (low and high):
                    raise PolicyError(
                        f"ages are asked here in bands of {step} years",
                        remedy=f"begin at a multiple of {step} and end one below the next",
                        field=leaf.key,
                    )

    def _check_room(self, guard: Guard) -> None:
        if guard.told > self._policy.most_questions:
            raise PolicyError(
                f"the site has told {self._policy.most_questions} counts of this index",
                remedy="ask what was asked before, or ask again when the site has renewed its index",
                field="most_questions",
            )

    def _remember(self) -> None:
        """Make the guards' memory anew from the ledger: what was told of this index under this policy."""
        policy = self._policy.model_dump(mode="json")
        for entry in self._log.entries:
            if entry.kind != ENTRY:
                continue
            body, day = entry.body, entry.time[:10]
            self._asked[body["asker"], day] = self._asked.get((body["asker"], day), 0) + 1
            if body["reply"]["index"] != self._index.digest:
                continue
            query = parse_query(body["question"])
            if body["fresh"]:
                self._take_again(query, body["fresh"])
            if body["policy"] == policy:
                self._told[query.digest] = _reply_of(body["reply"])

    def _take_again(self, query: Query, fresh: dict[str, float]) -> None:
        masks = match(self._index, query)
        for name, value in fresh.items():
            guard, mask = self._guards[name], getattr(masks, name)
            guard.take(guard.judge(mask), mask, value or float(np.count_nonzero(mask)))


def current_index(home: Path) -> Path:
    """Return the folder of the index that a site answers from. Raises `StorageError` when there is none."""
    try:
        name = json.loads((home / STATE / CURRENT).read_bytes())["index"]
        if not isinstance(name, str) or "/" in name or not name.startswith("index-"):
            raise ValueError("no name of an index")
        return home / STATE / name
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(
            "the site has no index of its catalogue yet",
            remedy="run: huizhen catalogue publish FOLDER --out record.jsonld",
            file=str(home / STATE),
        ) from error


def _reply_of(record: dict[str, Any]) -> Reply:
    counts = {name: Told(**record[name]) if record[name] is not None else None for name in MEASURES}
    return Reply(
        **counts,
        index=Digest(record["index"]),
        smallest=record["smallest"],
        rounding=record["rounding"],
    )
