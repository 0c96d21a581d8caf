"""A site's own record of the privacy its patients have spent, over all rounds and studies.

Budget is reserved, durably, before a round is trained, and settled after. What was reserved and not settled
counts in full: a crash in between never forgets a spend. A reservation that would take any patient of the
group over the cap is refused. Everything is composed as one sequence of mechanisms, not by adding epsilons.

    with SpendLedger.open(folder, {"breast": Cap(epsilon=8.0, delta=1e-5)}) as ledger:
        reservation = ledger.reserve(study=digest, round_number=3, group="breast", spends=[planned])
        ...train...
        ledger.settle(reservation, [done])
        ledger.account("breast").epsilon

On disk: `spends.jsonl`, one chained line a record, appended and flushed; and `head.json`, how many lines
there are and the digest of the last, replaced whole after each. A line without its newline was never
acknowledged and is cut off. A file that is shorter than its head says was cut or restored from an old copy,
and is refused, and so is one with lines and without a head. Who replaces or deletes both files together is
found by a witness elsewhere that notes each head (a site's outbox), or by `SpendLedger.head`, which is part
of the evidence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self, final

from huizhen.core.digests import Digest
from huizhen.core.evidence import Evidence
from huizhen.core.files import private_folder, storage_error, write_bytes, write_json
from huizhen.errors import InvalidInputError, LedgerError, PrivacyError
from huizhen.ledger.growing import GrowingFile
from huizhen.ledger.lock import WriterLock
from huizhen.privacy.accounting import Account, account, rdp_epsilon
from huizhen.privacy.events import Spend, merged
from huizhen.privacy.spend_records import (
    Content,
    Reservation,
    Settlement,
    chained,
    digest_of,
    parsed,
    within,
)

__all__ = ["Cap", "SpendLedger", "Witness"]

SPENDS: Final = "spends.jsonl"
HEAD: Final = "head.json"
LOCK: Final = "lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """The most that any patient of a group may spend over all studies: `epsilon` at `delta`."""

    epsilon: float
    delta: float

    def __post_init__(self) -> None:
        if not (0 < self.epsilon < float("inf") and 0 < self.delta < 1):
            raise InvalidInputError("a cap without epsilon above 0 and delta in (0, 1)", remedy="give both")


class Witness(Protocol):
    """Keeps the ledger's heads outside its folder."""

    def last(self) -> tuple[int, Digest] | None:
        """Return count and digest of the last head that was noted; None when none was."""
        ...

    def note(self, count: int, head: Digest) -> None:
        """Note a new head, durably."""
        ...


@final
class SpendLedger:
    """The open ledger of one site; one process at a time. Make one by `open`."""

    def __init__(
        self,
        folder: Path,
        caps: Mapping[str, Cap],
        lock: WriterLock,
        content: Content,
        witness: Witness | None,
    ) -> None:
        self._witness = witness
        self._folder, self._caps, self._lock = folder, dict(caps), lock
        self._records = list(content.records)
        self._head = content.head
        self._file = GrowingFile(folder / SPENDS, content.size)
        self._broken = False

    @classmethod
    def open(cls, folder: Path, caps: Mapping[str, Cap], *, witness: Witness | None = None) -> SpendLedger:
        """Open the ledger in `folder`, made if there is none, under the site's `caps` by patient group.

        `witness` is told each head, and a ledger that lacks what it was told is refused.

        Raises `PrivacyError` when the chain is broken, lines are missing, or another process has it open;
        `StorageError` when it can't be written.
        """
        lock = _lock(folder)
        try:
            content = _read(folder, witness)
            return cls(folder, caps, lock, content, witness)
        except BaseException:
            lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let another process open the ledger."""
        self._file.close()
        self._lock.release()

    @property
    def head(self) -> Digest:
        """The digest of the last line: published elsewhere, it shows that nothing before it was lost."""
        return self._head

    def reserve(
        self, *, study: Digest, round_number: int, attempt: int = 0, group: str, spends: Sequence[Spend]
    ) -> Reservation:
        """Set budget aside for one round, durably, and return the reservation.

        Raises `PrivacyError` when the group has no cap, this round was reserved before (start a new attempt),
        or the cap would be passed; then nothing is written.
        """
        reservation = self._reservation(study, round_number, attempt, group, spends)
        self._append(reservation)
        return reservation

    def spend(self, *, study: Digest, round_number: int, group: str, spends: Sequence[Spend]) -> None:
        """Charge what is spent at once: a reservation and its settlement in one write.

        Raises as `reserve`.
        """
        kept = self._reservation(study, round_number, 0, group, spends)
        self._append(kept, Settlement(number=kept.number + 1, of=kept.number, spends=kept.spends))

    def _reservation(
        self, study: Digest, round_number: int, attempt: int, group: str, spends: Sequence[Spend]
    ) -> Reservation:
        """Return a reservation that the cap allows, not yet written."""
        cap = self._cap(group)
        if not spends:
            raise InvalidInputError("a reservation of nothing", remedy="reserve what the round will spend")
        earlier = self.reserved(study=study, round_number=round_number, group=group)
        if attempt in {record.attempt for record in earlier}:
            raise PrivacyError(
                f"round {round_number}, attempt {attempt} was reserved before",
                remedy="repeat a round as a new attempt: both count",
                field="round",
            )
        self._check_budget(cap, group, spends)
        return Reservation(
            number=len(self._records),
            study=study,
            round_number=round_number,
            attempt=attempt,
            group=group,
            spends=merged(spends),
        )

    def _check_budget(self, cap: Cap, group: str, spends: Sequence[Spend]) -> None:
        """Refuse what would pass the cap: by the cheap upper bound if that settles it, else exactly."""
        together = merged([*self.spends(group), *spends])
        if rdp_epsilon(together, delta=cap.delta) <= cap.epsilon:
            return
        would_be = account(together, delta=cap.delta).epsilon
        if would_be > cap.epsilon:
            raise PrivacyError(
                f"group {group} would spend epsilon {would_be:.3f} of {cap.epsilon:g} at delta {cap.delta:g}",
                remedy="train fewer steps or with more noise, or leave these patients out",
                field="epsilon",
            )

    def settle(self, reservation: Reservation, done: Sequence[Spend]) -> None:
        """Replace what was set aside by what was spent, `done`: at most that, and empty for no step at all.

        Raises `PrivacyError` when it is more, or the reservation is unknown or settled already.
        """
        if self._open_by_number().get(reservation.number) != reservation:
            raise PrivacyError("the reservation is unknown or settled", remedy="settle each once", field="of")
        if not within(done, reservation.spends):
            raise PrivacyError(
                "more was spent than was set aside",
                remedy="stop training on these patients: what was set aside stays counted",
                field="spends",
            )
        self._append(Settlement(number=len(self._records), of=reservation.number, spends=merged(done)))

    def unsettled(self) -> tuple[Reservation, ...]:
        """Return the reservations that count in full because nothing settled them."""
        return tuple(self._open_by_number().values())

    def reserved(self, *, study: Digest, round_number: int, group: str) -> tuple[Reservation, ...]:
        """Return all reservations of a round of a study, settled or not: their number is the next attempt."""
        asked = (study, round_number, group)
        return tuple(
            r
            for r in self._records
            if isinstance(r, Reservation) and (r.study, r.round_number, r.group) == asked
        )

    def spends(self, group: str, *, study: Digest | None = None) -> tuple[Spend, ...]:
        """Return all that is charged to a group's patients; with `study`, what that study charged."""
        settled = {r.of: r for r in self._records if isinstance(r, Settlement)}
        charged: list[Spend] = []
        for record in self._records:
            if not isinstance(record, Reservation) or record.group != group:
                continue
            if study is None or record.study == study:
                charged += settled.get(record.number, record).spends
        return merged(charged)

    def account(self, group: str) -> Account:
        """Return what a group's patients have spent at the cap's delta, by both accountants."""
        return account(self.spends(group), delta=self._cap(group).delta)

    def evidence(self, site: str, group: str) -> Evidence:
        """Return a group's spend as evidence, with the ledger's head."""
        cap, spent = self._cap(group), self.account(group)
        return Evidence(
            key=f"privacy/{site}/{group}/epsilon",
            metric="epsilon",
            stage="privacy",
            estimate=spent.epsilon,
            unit="patient",
            descriptive=True,
            detail=spent.to_json()
            | {"cap": cap.epsilon, "head": self._head, "unsettled": len(self.unsettled())},
        )

    def _cap(self, group: str) -> Cap:
        if group not in self._caps:
            raise PrivacyError(
                f"patient group {group} has no cap", remedy="set one in the site's policy", field="group"
            )
        return self._caps[group]

    def _open_by_number(self) -> dict[int, Reservation]:
        settled = {record.of for record in self._records if isinstance(record, Settlement)}
        return {
            record.number: record
            for record in self._records
            if isinstance(record, Reservation) and record.number not in settled
        }

    def _append(self, *records: Reservation | Settlement) -> None:
        """Write records in one go; after a failure the ledger takes no more until it is opened again."""
        if self._broken or not self._lock.held:
            raise PrivacyError("the ledger is closed, or a write failed", remedy="open it again")
        lines, head = b"", self._head
        for record in records:
            line = chained(record, head)
            lines, head = lines + line, digest_of(line)
        self._broken = True
        self._file.append(lines)
        self._file.settle()
        self._records += records
        self._head = head
        _write_head(self._folder, len(self._records), self._head)
        if self._witness is not None:
            self._witness.note(len(self._records), self._head)
        self._broken = False


def _lock(folder: Path) -> WriterLock:
    """Return the folder's lock. Raises `PrivacyError` or `StorageError`."""
    try:
        private_folder(folder)
        return WriterLock(folder / LOCK)
    except OSError as error:
        raise storage_error(folder, error) from error
    except LedgerError as error:
        raise PrivacyError(
            "another process has the spend ledger open",
            remedy="wait until it has finished: one process at a time may spend",
            file=str(folder),
        ) from error


def _write_head(folder: Path, count: int, head: Digest) -> None:
    write_json(folder / HEAD, {"count": count, "head": head})


def _read(folder: Path, witness: Witness | None) -> Content:
    """Return what the ledger holds, with an unacknowledged end cut off and the head brought up to date."""
    path = folder / SPENDS
    if not path.exists():
        if (folder / HEAD).exists():
            raise _forgotten(folder)
        write_bytes(path, b"")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise storage_error(path, error) from error
    content, digests = parsed(data, path)
    known, noted = _known(folder), witness.last() if witness is not None else None
    if known is None and content.records:
        raise _forgotten(folder)
    for count, head in (each for each in (known, noted) if each is not None):
        if count > len(content.records) or digests[count] != head:
            raise _forgotten(folder)
    _cut(path, content.size, len(data))
    if known != (len(content.records), content.head):
        _write_head(folder, len(content.records), content.head)
    return content


def _known(folder: Path) -> tuple[int, Digest] | None:
    """Return count and digest of the head file; None when there is none."""
    path = folder / HEAD
    if not path.exists():
        return None
    try:
        raw = json.loads(path.read_bytes())
        count, head = raw["count"], raw["head"]
        if type(count) is not int or count < 0 or not isinstance(head, str):
            raise ValueError("not a head")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _forgotten(folder) from error
    return count, Digest(head)


def _forgotten(folder: Path) -> PrivacyError:
    return PrivacyError(
        "the spend ledger lost lines that its head knows, or its head is damaged",
        remedy="stop training on these patients, and restore the ledger from its backup",
        file=str(folder),
    )


def _cut(path: Path, keep: int, length: int) -> None:
    """Cut an unacknowledged end off."""
    if keep == length:
        return
    tail = GrowingFile(path, keep)
    try:
        tail.cut()
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        tail.close()
