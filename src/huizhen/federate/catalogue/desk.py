"""The desk at which a site answers questions about its catalogue, and writes down every one.

::

    with Desk.open(SiteFolder.open(folder)) as desk:
        desk.answer(query, asker="3f5a...").subjects.value

In the site's folder `catalogue/` holds the index, which one is `current.json`, and a signed ledger of all
questions and answers, from which the guard's memory is made anew whenever the desk opens. Nothing of a
patient stands in it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from huizhen.core.digests import Digest
from huizhen.data.catalogue.criteria import Query, parse_query
from huizhen.data.catalogue.disclosure import Disclosure, Told, rounded
from huizhen.data.catalogue.guard import Guard, Judgement, Kind
from huizhen.data.catalogue.index import Index, open_index
from huizhen.data.catalogue.matching import match
from huizhen.data.catalogue.record import CATALOGUE, load_catalogue
from huizhen.errors import LedgerError, PolicyError, PrivacyError, VerificationError
from huizhen.federate.catalogue.current import STATE, current_index
from huizhen.federate.catalogue.noise import Noise, PaidNoise
from huizhen.federate.site.folder import SiteFolder
from huizhen.ledger.log import Log, utc_now

__all__ = ["Desk", "Reply"]

LEDGER = "ledger"
ENTRY = "catalogue_answer"
REFUSAL = "catalogue_refusal"
TRY_S = 0.05
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One exact count told for the first time, and how the guard judged it."""

    mask: NDArray[np.bool_]
    judgement: Judgement
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """A reply, and what the guards take once it stands in the ledger; `noisy` is a count with its noise."""

    reply: Reply
    steps: Mapping[str, _Step] = field(default_factory=dict)
    noisy: float | None = None

    @property
    def fresh(self) -> dict[str, float]:
        """What the ledger keeps of counts that were told for the first time: 0 of exact ones."""
        return dict.fromkeys(self.steps, 0.0) if self.noisy is None else {MEASURES[0]: self.noisy}


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
        self._drawn = 0
        self._asked: Counter[tuple[str, str]] = Counter()
        self._messages: set[Digest] = set()
        self._remember()

    @classmethod
    def open(
        cls, site: SiteFolder, *, patience_s: float = 0.0, clock: Callable[[], datetime] = utc_now
    ) -> Desk:
        """Open the desk of a site that has an index, waiting for another process at it.

        Raises `DataError` on a wrong `catalogue.toml`, `StorageError` without an index, `LedgerError` when
        another process has the desk open or its ledger was altered.
        """
        policy = load_catalogue(site.path / CATALOGUE).disclosure
        index = open_index(current_index(site.path))
        noise = PaidNoise(site=site, index=index.digest, deviation=policy.noise) if policy.noise else None
        log = _ledger(site, patience_s, clock)
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

    def rest(self) -> None:
        """Let another process open the desk, and keep what is remembered, for `wake`."""
        self._log.rest()

    def wake(self) -> bool:
        """Go on after `rest`; False where somebody else was at the desk. Raises `LedgerError` if they are."""
        return self._log.wake()

    @property
    def index(self) -> Index:
        """The index that is answered from."""
        return self._index

    @property
    def policy(self) -> Disclosure:
        """How counts are told."""
        return self._policy

    @property
    def told(self) -> int:
        """How many counts of subjects the guard knows, or were drawn with noise."""
        return self._drawn if self._noise is not None else self._guards[MEASURES[0]].told

    def answer(self, query: Query, *, asker: str, message: Digest | None = None) -> Reply:
        """Return what may be told of `query`, and enter it in the ledger first.

        `asker` stands for a person, as the lead knows them. The same question has the same answer; the same
        `message` (the digest of a signed question) once more is not counted again. What is refused is entered
        too, and counts as asked. Raises `PolicyError`: asked too often today, ages by finer bands than the
        policy's, or nothing more may be told of this index; `PrivacyError` when noise can't be paid for.
        """
        day = datetime.now(UTC).date().isoformat()
        known = self._told.get(query.digest)
        if known is not None and message in self._messages:
            return known
        try:
            self._check_rate(asker, day)
            self._check_bands(query)
            plan = _Plan(reply=known) if known else self._planned(query)
        except (PolicyError, PrivacyError) as error:
            if self._asked[asker, day] <= self._policy.most_a_day:  # of too many the first is entered
                refused = {"code": error.code, "field": error.field, "message": message}
                self._enter(REFUSAL, query, asker, day, refused)
            raise
        reply, policy = plan.reply, self._policy.model_dump(mode="json")
        told = {"reply": reply.to_json(), "fresh": plan.fresh, "policy": policy, "message": message}
        self._enter(ENTRY, query, asker, day, told)
        for name, step in plan.steps.items():
            self._guards[name].take(step.mask, step.value, step.judgement)
        self._drawn += plan.noisy is not None
        self._told[query.digest] = reply
        if message is not None:
            self._messages.add(message)
        return reply

    def _enter(self, kind: str, query: Query, asker: str, day: str, more: Mapping[str, Any]) -> None:
        """Write a question down, durably, and count it."""
        self._log.append(kind, {"question": query.plain(), "asker": asker, **more})
        self._log.commit()
        self._asked[asker, day] += 1

    def _planned(self, query: Query) -> _Plan:
        """Return the reply to a new question, and what guards have to take once it is written down."""
        masks = match(self._index, query)
        if self._noise is not None:
            return self._drawn_for(query, int(np.count_nonzero(masks.subjects)), self._noise)
        judged = {name: self._guards[name].judge(getattr(masks, name)) for name in MEASURES}
        if all(one.kind is Kind.EXHAUSTED for one in judged.values()):
            raise PolicyError(
                "nothing more may be told of so few patients",
                remedy="ask by coarser criteria, or ask again when the site has renewed its index",
                field="most_questions",
            )
        fresh = [name for name, one in judged.items() if one.kind is Kind.NEW]
        for name in fresh:
            self._check_room(self._guards[name].told - 1)
        steps = {name: _step(getattr(masks, name), judged[name]) for name in fresh}
        counts: dict[str, Told | None] = {}
        for name, one in judged.items():
            value = steps[name].value if name in steps else one.value
            told = rounded(value, self._policy, bounded=name == MEASURES[0])
            counts[name] = None if one.kind is Kind.EXHAUSTED else told
        return _Plan(reply=self._reply(counts), steps=steps)

    def _drawn_for(self, query: Query, count: int, noise: Noise) -> _Plan:
        """Return the reply of a count with noise.

        Nothing else here depends on the count: no guard, and of the room how often was asked, so that what
        the noise costs is the whole account.
        """
        self._check_room(self._drawn)
        value = count + noise.of(query.digest)
        told = rounded(value, self._policy, bounded=False)
        return _Plan(reply=self._reply({MEASURES[0]: told}), noisy=value)

    def _reply(self, counts: dict[str, Told | None]) -> Reply:
        return Reply(
            **{name: counts.get(name) for name in MEASURES},
            index=self._index.digest,
            smallest=self._policy.smallest,
            rounding=self._policy.rounding,
        )

    def _check_rate(self, asker: str, day: str) -> None:
        if self._asked[asker, day] >= self._policy.most_a_day:
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

    def _check_room(self, told: int) -> None:
        if told >= self._policy.most_questions:
            raise PolicyError(
                f"the site has told {self._policy.most_questions} counts of this index",
                remedy="ask what was asked before, or ask again when the site has renewed its index",
                field="most_questions",
            )

    def _remember(self) -> None:
        """Make the guards' memory anew from the ledger: what was told of this index under this policy."""
        policy = self._policy.model_dump(mode="json")
        for entry in self._log.entries:
            if entry.kind not in (ENTRY, REFUSAL):
                continue
            body, day = entry.body, entry.time[:10]
            self._asked[body["asker"], day] += 1
            self._messages |= {body["message"]} if entry.kind == ENTRY and body.get("message") else set()
            if entry.kind == REFUSAL or body["reply"]["index"] != self._index.digest:
                continue
            query = parse_query(body["question"])
            if any(body["fresh"].values()):  # with noise, of which no guard knows
                self._drawn += 1
            elif body["fresh"]:
                self._take_again(query, body["fresh"])
            if body["policy"] == policy:
                self._told[query.digest] = _reply_of(body["reply"])

    def _take_again(self, query: Query, names: Iterable[str]) -> None:
        masks = match(self._index, query)
        for name in names:
            mask = getattr(masks, name)
            self._guards[name].take(mask, float(np.count_nonzero(mask)))


def _step(mask: NDArray[np.bool_], judgement: Judgement) -> _Step:
    """Return what is told of a mask for the first time."""
    return _Step(mask=mask, judgement=judgement, value=float(np.count_nonzero(mask)))


def _ledger(site: SiteFolder, patience_s: float, clock: Callable[[], datetime]) -> Log:
    """Return the desk's ledger open, waiting for another process that has it."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return Log.open(site.path / STATE / LEDGER, site.key, clock=clock)
        except VerificationError:
            raise
        except LedgerError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(TRY_S)


def _reply_of(record: dict[str, Any]) -> Reply:
    counts = {name: Told(**record[name]) if record[name] is not None else None for name in MEASURES}
    return Reply(
        **counts,
        index=Digest(record["index"]),
        smallest=record["smallest"],
        rounding=record["rounding"],
    )
