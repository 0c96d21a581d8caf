"""What was fixed when: whether the study was signed, the model locked and only then the test set opened."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from huizhen.dossier.blocks import Cell, Mark, Phrase, Row, Table, Timeline, phrase
from huizhen.dossier.citations import Cited, cite, pointer, when
from huizhen.dossier.labels import OF_GROUPS, cohort_name
from huizhen.dossier.openings import check_openings, named, sealed_counts
from huizhen.dossier.record import Record
from huizhen.dossier.wording import Text, known, say
from huizhen.errors import VerificationError
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
        "calibration_in_the_large",
        "observed_expected",
        "scaled_brier",
        "calibration_curve",
        "calibration_distance",
        "expected_calibration_error",
        "decision_curve",
        "triage",
        "triage_levels",
        "ppv_at_prevalence",
        "npv_at_prevalence",
        "sensitivity_at_specificity",
        "partial_auc",
        "expected_cost",
        "expected_cost_at_prevalence",
        *OF_GROUPS,
        "roc",
        "subset_auc",
        "unanswered",
        "endpoint",
        "share_of_best",
        "best_reachable_auc",
        "threshold_target",
        "outcomes",
        "robustness",
        "label_noise",
        "shortcut",
        "conformal",
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
    if record.study.get("reads"):
        return _rules_of_reads(record)
    studies, locks, unseals = (record.kind(kind) for kind in ("study", "lock", "unseal"))
    results = tuple(m.entry for m in record.measured if TEST_FAMILIES & {m.family, m.evidence.metric})
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
        *commitment_rules(record),
        *_protocol_rule(record),
    )


def _protocol_rule(record: Record) -> tuple[Rule, ...]:
    """Return whether the protocol was locked before outcomes were opened, where it was or had to be."""
    locked = record.kind("protocol_lock")
    wanted = (record.study.get("protocol") or {}).get("lock") is True
    if not (locked or wanted):
        return ()
    opened = record.kind("unseal") or record.kind("intake")
    held = _before(locked[:1], opened) if locked else Held.NO
    return (Rule(key="protocol_locked", held=held, shown_by=(*locked[:1], *opened[:1])),)


def _rules_of_reads(record: Record) -> tuple[Rule, ...]:
    """Return the rules of a study of readers' ratings, which has nothing to lock: its plan says all."""
    studies, opened = record.kind("study"), record.kind("intake")
    once = _yes(len({e.body["digest"] for e in studies}) == 1)
    return (
        Rule(key="study_once", held=once, shown_by=studies[:1]),
        Rule(
            key="plan_before_table",
            held=_before(studies[-1:], opened),
            shown_by=(*studies[-1:], *opened[:1]),
        ),
        *_protocol_rule(record),
    )


HERE = ("commit_before_lock", "opened_as_committed", "predicted_before_unseal")
COMMITMENTS = (*HERE, "sites_committed", "sites_locked")
"""The rules that need commitments, here or at sites: a log without any doesn't show them."""


def commitment_rules(record: Record) -> tuple[Rule, ...]:
    """Return the rules on what was fixed before test outcomes were opened."""
    if record.study.get("federation"):
        return _rules_of_sites(record)
    commits, locks, unseals, predicted = (
        record.kind(kind) for kind in ("commit", "lock", "unseal", "predictions")
    )
    keys = dict(zip(HERE, (_committed(record), _opened(record), _predicted(record)), strict=True))
    shown = ((*commits[:1], *locks[:1]), (*commits[-1:], *unseals[-1:]), (*predicted[-1:], *unseals[-1:]))
    return tuple(
        Rule(key=key, held=held, shown_by=entries)
        for (key, held), entries in zip(keys.items(), shown, strict=True)
    )


def _rules_of_sites(record: Record) -> tuple[Rule, ...]:
    """Return the rules of a federation: each site commits in its own ledger, whose heads the lead keeps."""
    locks, unseals = record.kind("lock"), record.kind("unseal")
    heads = {moment: _heads(record, moment) for moment in ("cohort", "locked")}
    before = _before(heads["cohort"][:1], locks) if heads["cohort"] else Held.UNKNOWN
    grown = _grown(heads["cohort"][:1], heads["locked"][:1])
    if grown is Held.YES:
        grown = _before(heads["locked"][:1], unseals)
    return (
        Rule(key="sites_committed", held=before, shown_by=(*heads["cohort"][:1], *locks[:1])),
        Rule(key="sites_locked", held=grown, shown_by=(*heads["locked"][:1], *unseals[:1])),
    )


def _heads(record: Record, moment: str) -> tuple[Entry, ...]:
    """Return the entries with a head of every site that was asked at `moment`."""
    return tuple(
        e
        for e in record.kind("site_heads")
        if e.body.get("moment") == moment and list(e.body.get("heads", {})) == e.body.get("asked")
    )


def _grown(first: tuple[Entry, ...], then: tuple[Entry, ...]) -> Held:
    """Whether every site's ledger grew from one entry to the other: its lock stands after its commitment."""
    if not first or not then:
        return Held.UNKNOWN
    one, other = first[0].body["heads"], then[0].body["heads"]
    return _yes(all(site in one and one[site]["size"] < found["size"] for site, found in other.items()))


def _committed(record: Record) -> Held:
    """Whether every lock has a commitment before it, and every unseal opens one older than its lock."""
    commits, locks, unseals = (record.kind(kind) for kind in ("commit", "lock", "unseal"))
    if not commits or not locks:
        return Held.UNKNOWN
    older = all(
        type(e.body.get("commit_entry")) is int
        and type(e.body.get("lock_entry")) is int
        and e.body["commit_entry"] < e.body["lock_entry"]
        for e in unseals
    )
    return _yes(older and commits[0].index < locks[0].index)


def _opened(record: Record) -> Held:
    """Whether what every unseal opened is what had been committed to."""
    if not record.kind("commit") or not record.kind("unseal"):
        return Held.UNKNOWN
    if not all("commit_entry" in e.body for e in record.kind("unseal")):
        return Held.NO
    try:
        check_openings(record.entries)
    except VerificationError:
        return Held.NO
    return Held.YES


def _predicted(record: Record) -> Held:
    """Whether predictions without outcomes were entered between the lock and the unseal."""
    unseals = record.kind("unseal")
    if not record.kind("predictions") or not unseals:
        return Held.UNKNOWN
    try:
        found = [named(record.entries, e, "predictions_entry", "predictions") for e in unseals]
    except VerificationError:
        return Held.NO
    locks = [e.body.get("lock_entry") for e in unseals]
    return _yes(all(type(k) is int and k < p.index for k, p in zip(locks, found, strict=True)))


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


def sealed_notes(record: Record) -> tuple[Phrase, ...]:
    """Return for each tested cohort how many of its patients' outcomes were sealed until the lock."""
    if not (commits := record.kind("commit")):
        return ()
    commit = commits[-1]
    return tuple(
        _sealed(commit, cohort, "sealed.some" if found["sealed"] else "sealed.none")
        for cohort, found in sealed_counts(commit).items()
    )


def _sealed(commit: Entry, cohort: str, key: str) -> Phrase:
    name = cohort_name(cohort)
    counts = {
        field: cite(commit, name, pointer("cohorts", cohort, field)) for field in ("patients", "sealed")
    }
    return phrase(key, cohort=name, **counts)


def cross_validated(record: Record) -> bool:
    """Tell whether internal patients are tested by cross-validation, so that nothing of them is sealed."""
    return bool(record.study.get("split", {}).get("method") == "folds")


def order_table(record: Record) -> Table:
    """Return the rules with their verdicts and the entries that show them."""
    return Table(
        id="table-order",
        caption=say("order.caption"),
        head=(say("head.rule"), say("head.verdict"), say("head.entries")),
        rows=tuple(
            Row(
                cells=(
                    (rule_text(record, rule),),
                    (Mark(rule.held.value, say(f"order.held.{rule.held.value}")),),
                    _entries(rule.shown_by),
                )
            )
            for rule in rules(record)
        ),
    )


def rule_text(record: Record, rule: Rule) -> Text:
    """Return a rule in words; a table that was made elsewhere has no model to lock and no split."""
    key = f"order.given.{rule.key}"
    return say(key) if record.given and known(key) else say(f"order.{rule.key}")


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


TIMELINE = ("study", "protocol_lock", "intake", "commit", "site_heads", "lock", "predictions", "unseal")


def timeline(record: Record) -> Timeline:
    """Return when the study was signed, the model locked, the test set opened and the last entry written."""
    marked = [e for e in record.entries if e.kind in TIMELINE]
    points = [(_marked(record, e), (cite_time(e),), (_what(record, e),)) for e in marked]
    last = record.entries[-1]
    return Timeline(points=(*points, (say("timeline.last"), (cite_time(last),), (cite_kind(last),))))


def _marked(record: Record, entry: Entry) -> Text:
    """Return what an entry marks."""
    key = f"timeline.given.{entry.kind}"
    return say(key) if record.given and known(key) else say(f"timeline.{entry.kind}")


def _what(record: Record, entry: Entry) -> Phrase | Cited:
    if entry.kind in ("intake", "predictions", "commit", "site_heads"):
        of = "given." if record.given else ""
        return phrase(f"timeline.{of}{entry.kind}_what", entry=cite_kind(entry))
    fields = {
        "study": ("timeline.study_what", "digest", "/digest"),
        "protocol_lock": ("timeline.protocol_lock_what", "time", "/locks/0/time"),
        "lock": ("timeline.lock_what", "digest", "/model_digest"),
        "unseal": ("timeline.unseal_what", "lock", "/lock_entry"),
    }
    key, name, path = fields[entry.kind]
    if path.split("/")[1] not in entry.body:
        return cite_kind(entry)
    show = {"digest": _short, "time": _moment}.get(name, _number)
    return phrase(key, **{name: cite(entry, say(f"timeline.{entry.kind}"), path, show=show)})


def _moment(value: object) -> Text:
    return when(str(value))


def _short(value: object) -> Text:
    return Text.both(f"{str(value)[:16]}…")


def _number(value: object) -> Text:
    return Text.both(f"#{value}")
