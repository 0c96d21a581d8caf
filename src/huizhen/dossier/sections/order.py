"""What was fixed when: whether the study was signed, the model locked and only then the test set opened."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from huizhen.dossier.blocks import Cell, Mark, Phrase, Row, Table, Timeline, phrase
from huizhen.dossier.citations import Cited, cite, when
from huizhen.dossier.record import Record
from huizhen.dossier.wording import Text, say
from huizhen.ledger.records import Entry

TEST_FAMILIES = frozenset(
    [
        "auc",
        "auc_difference",
        "sensitivity",
        "specificity",
        "ppv",
        "npv",
        "calibration_slope",
        "calibration_intercept",
        "brier",
        "calibration_curve",
        "roc",
        "subset_auc",
        "endpoint",
        "share_of_best",
    ]
)
"""Evidence that needs the outcomes of test patients."""


class Held(StrEnum):
    """Whether a rule of the order was kept."""

    YES = "pass"
    NO = "fail"
    UNKNOWN = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of the order, by its word key, and the entries that show it."""

    key: str
    held: Held
    shown_by: tuple[Entry, ...]


def rules(record: Record) -> tuple[Rule, ...]:
    """Return the rules of the order and whether the ledger shows that they were kept."""
    studies, locks, unseals = (record.kind(kind) for kind in ("study", "lock", "unseal"))
    results = tuple(m.entry for m in record.measured if m.family in TEST_FAMILIES)
    return (
        Rule(
            key="study_once", held=_yes(len({e.body["digest"] for e in studies}) == 1), shown_by=studies[:1]
        ),
        Rule(
            key="study_before_lock", held=_before(studies[-1:], locks), shown_by=(*studies[-1:], *locks[:1])
        ),
        Rule(key="lock_of_study", held=_lock_of_study(record, locks), shown_by=locks[-1:]),
        Rule(
            key="lock_before_unseal", held=_before(locks[-1:], unseals), shown_by=(*locks[-1:], *unseals[:1])
        ),
        Rule(key="unseal_of_lock", held=_unseal_of_lock(locks, unseals), shown_by=unseals[-1:]),
        Rule(key="unseal_once", held=_yes(len(unseals) == 1) if unseals else Held.UNKNOWN, shown_by=unseals),
        Rule(
            key="unseal_before_results",
            held=_before(unseals[:1], results),
            shown_by=(*unseals[:1], *results[:1]),
        ),
    )


def _yes(condition: bool) -> Held:
    return Held.YES if condition else Held.NO


def _before(first: tuple[Entry, ...], then: tuple[Entry, ...]) -> Held:
    """Whether every one of `first` stands before every one of `then`; unknown when either is absent."""
    if not then:
        return Held.UNKNOWN
    return _yes(bool(first) and max(e.index for e in first) < min(e.index for e in then))


def _lock_of_study(record: Record, locks: tuple[Entry, ...]) -> Held:
    if not locks:
        return Held.UNKNOWN
    return _yes(all(e.body.get("study_digest") == record.study_entry.body["digest"] for e in locks))


def _unseal_of_lock(locks: tuple[Entry, ...], unseals: tuple[Entry, ...]) -> Held:
    if not unseals:
        return Held.UNKNOWN
    return _yes(bool(locks) and all(e.body.get("lock_entry") == locks[-1].index for e in unseals))


def broken_rules(record: Record) -> tuple[Rule, ...]:
    """Return the rules that were broken, or that nothing in the ledger shows to be kept."""
    return tuple(rule for rule in rules(record) if rule.held is not Held.YES)


def order_table(record: Record) -> Table:
    """Return the rules with their verdicts and the entries that show them."""
    return Table(
        id="table-order",
        caption=say("order.caption"),
        head=(say("head.rule"), say("head.verdict"), say("head.entries")),
        rows=tuple(
            Row(
                cells=(
                    (say(f"order.{rule.key}"),),
                    (Mark(rule.held.value, say(f"order.held.{rule.held.value}")),),
                    _entries(rule.shown_by),
                )
            )
            for rule in rules(record)
        ),
    )


def _entries(entries: tuple[Entry, ...]) -> Cell:
    cells: list[Cited | Text] = []
    for entry in entries[:4]:
        cells += [cite_kind(entry), Text.both(" ")]
    return tuple(cells) or (Text.both("–"),)


def cite_kind(entry: Entry) -> Cited:
    """Return a link to an entry that shows its number."""
    return Cited(entry=entry.index, label=Text.both(entry.kind), text=Text.both(f"#{entry.index}"), values={})


def cite_time(entry: Entry) -> Cited:
    """Return an entry's time with a link to it."""
    return Cited(entry=entry.index, label=Text.both(entry.kind), text=when(entry.time), values={})


def timeline(record: Record) -> Timeline:
    """Return when the study was signed, the model locked, the test set opened and the last entry written."""
    marked = [e for e in record.entries if e.kind in ("study", "lock", "unseal")]
    points = [(say(f"timeline.{e.kind}"), (cite_time(e),), (_what(e),)) for e in marked]
    last = record.entries[-1]
    return Timeline(points=(*points, (say("timeline.last"), (cite_time(last),), (cite_kind(last),))))


def _what(entry: Entry) -> Phrase | Cited:
    fields = {
        "study": ("timeline.study_what", "digest", "/digest"),
        "lock": ("timeline.lock_what", "digest", "/model_digest"),
        "unseal": ("timeline.unseal_what", "lock", "/lock_entry"),
    }
    key, name, path = fields[entry.kind]
    if path[1:] not in entry.body:
        return cite_kind(entry)
    show = _short if name == "digest" else _number
    return phrase(key, **{name: cite(entry, say(f"timeline.{entry.kind}"), path, show=show)})


def _short(value: object) -> Text:
    return Text.both(f"{str(value)[:16]}…")


def _number(value: object) -> Text:
    return Text.both(f"#{value}")
