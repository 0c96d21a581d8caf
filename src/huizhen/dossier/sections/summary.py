"""Summary: the question, its answer in a line, the endpoints' verdicts, the key numbers."""

from __future__ import annotations

from collections.abc import Sequence

from huizhen.core.evidence import Verdict
from huizhen.dossier.blocks import (
    Block,
    Cards,
    Cell,
    Facts,
    Inline,
    Mark,
    Paragraph,
    Phrase,
    Row,
    Section,
    Table,
    phrase,
)
from huizhen.dossier.citations import Cited, cite, plainly
from huizhen.dossier.details import verdict_mark
from huizhen.dossier.estimates import DASH, detail_of, estimate_cell, estimate_of, sample_flags
from huizhen.dossier.labels import cohort_name, metric_name, model_name
from huizhen.dossier.record import Measured, Record
from huizhen.dossier.sections.given import taken_on_trust
from huizhen.dossier.sections.order import (
    COMMITMENTS,
    Held,
    commitment_rules,
    rules,
    sealed_notes,
)
from huizhen.dossier.sections.protocol import deviation_note
from huizhen.dossier.wording import Text, join, say

KEY_NUMBERS = ("auc", "sensitivity", "specificity", "calibration_slope")


def summary(record: Record) -> Section:
    """Return the summary."""
    blocks: list[Block] = [*_phantom(record), *_question(record), *_answers(record)]
    blocks += [*_reader_answers(record), *_verdict(record)]
    blocks += [*deviation_note(record), *_targets(record)]
    if endpoints := _endpoint_table(record):
        blocks.append(endpoints)
    for cohort in ("internal", "external"):
        if cards := _cards(record, cohort):
            blocks.append(cards)
    blocks += _order(record)
    return Section(id="summary", title=say("section.summary"), blocks=tuple(blocks), phantom=record.phantom)


def _phantom(record: Record) -> list[Block]:
    return [Paragraph(content=(say("phantom.explained"),), tone="phantom")] if record.phantom else []


def _question(record: Record) -> list[Block]:
    question = record.quote("question")
    return [Facts(rows=((say("fact.question"), (question,)),))] if question else []


def _answers(record: Record) -> list[Block]:
    """Return one sentence a cohort with the main model's AUC."""
    return [
        Paragraph(content=(_answer(record, found, cohort), *_marks(found)), tone="lead")
        for cohort in ("internal", "external")
        if (found := record.one(f"auc/{record.main}/{cohort}/all"))
    ]


def _marks(found: Measured) -> tuple[Inline, ...]:
    """Return what a reader must know of the sample, such as patients without a score, each set apart."""
    return tuple(x for flag in sample_flags(found) for x in (Text.both(" "), flag))


def _answer(record: Record, found: Measured, cohort: str) -> Text | Phrase:
    number = estimate_of(found)
    if number is None:
        return say("answer.none", cohort=cohort_name(cohort))
    outcome = record.quote("task", "outcome") or say("fact.outcome")
    return phrase(
        "answer.auc",
        model=model_name(record.main),
        cohort=cohort_name(cohort),
        outcome=outcome,
        number=number,
    )


def _reader_answers(record: Record) -> list[Block]:
    """Return a sentence for each difference in the readers' AUC."""
    found: list[Block] = []
    for m in record.family("reader_auc_difference"):
        first, _, second = m.parts[0].partition("~")
        if (number := estimate_of(m)) is not None:
            line = phrase("answer.readers", first=Text.both(first), second=Text.both(second), number=number)
            found.append(Paragraph(content=(line,), tone="lead"))
    return found


def _verdict(record: Record) -> list[Block]:
    """Return what the endpoints say together."""
    verdicts = [m.evidence.verdict for m in record.family("endpoint")]
    if not verdicts:
        return [Paragraph(content=(say("answer.no_endpoint"),), tone="note")]
    if all(v is Verdict.PASS for v in verdicts):
        return [Paragraph(content=(Mark("pass", say("verdict.pass")), say("answer.all_met")), tone="pass")]
    if any(v is Verdict.FAIL for v in verdicts):
        return [
            Paragraph(content=(Mark("fail", say("verdict.fail")), say("answer.not_all_met")), tone="fail")
        ]
    return [Paragraph(content=(Mark("none", say("verdict.not_assessed")), say("answer.open")), tone="note")]


def _targets(record: Record) -> list[Block]:
    """Return a line a cohort on whether the locked threshold kept its target there."""
    return [block for m in record.family("threshold_target") if (block := _target(m))]


def _target(measured: Measured) -> Paragraph | None:
    """Return the line; one whose interval excludes the target is a warning."""
    number = estimate_of(measured)
    judgement = str(measured.evidence.detail.get("judgement", ""))
    tone = {"kept": "pass", "not kept": "fail", "inconclusive": "none"}.get(judgement)
    if number is None or tone is None:
        return None
    key = judgement.replace(" ", "_")
    label = say("target.label")
    target = cite(measured.entry, label, "/detail/target", phantom=measured.evidence.phantom)
    cohort = cohort_name(measured.parts[1])
    metric = metric_name(str(measured.evidence.detail.get("metric")))
    line = phrase(f"target.{key}", metric=metric, cohort=cohort, target=target, number=number)
    return Paragraph(
        content=(Mark(tone, say(f"target.mark.{key}")), line), tone="fail" if tone == "fail" else "note"
    )


def _endpoint_table(record: Record) -> Table | None:
    found = record.family("endpoint")
    if not found:
        return None
    adjusted = any("p_adjusted" in m.evidence.detail for m in found)
    head: tuple[Text, ...] = (say("head.endpoint"), say("head.bound"), say("head.measured"))
    head += (say("head.p_adjusted"),) if adjusted else ()
    rows = tuple(_endpoint_row(record, m, adjusted) for m in found)
    how = record.study.get("evaluation", {}).get("multiplicity")
    alpha = next((a for m in found if (a := detail_of(m, "alpha"))), DASH)
    note: Cell = (phrase(f"multiplicity.{how}", alpha=alpha),) if adjusted else ()
    note = (say("multiplicity.all"),) if not adjusted and len(found) > 1 else note
    return Table(
        id="table-endpoints",
        caption=say("table.endpoints"),
        head=(*head, say("head.verdict")),
        rows=rows,
        note=note,
    )


def _endpoint_row(record: Record, measured: Measured, adjusted: bool) -> Row:
    evidence = measured.evidence
    p: tuple[Cell, ...] = ((detail_of(measured, "p_adjusted", p=True) or DASH,),) if adjusted else ()
    return Row(
        cells=(
            (_endpoint_name(record, measured),),
            _bound(measured),
            estimate_cell(measured),
            *p,
            (verdict_mark(evidence.verdict.value),),
        ),
        phantom=evidence.phantom,
    )


def _bound(measured: Measured) -> Cell:
    """Return the bound; a negative one on a difference is a margin of non-inferiority."""
    bound = measured.evidence.bound
    if bound is None:
        return (DASH,)

    def show(value: object) -> Text:
        return say(f"bound.{bound.on}", value=plainly(float(str(value))))

    cited = cite(
        measured.entry, say("head.bound"), "/bound/at_least", show=show, phantom=measured.evidence.phantom
    )
    margin = bound.at_least < 0 and measured.evidence.metric.endswith("difference")
    return (cited, Text.both(" "), say("bound.margin")) if margin else (cited,)


def _endpoint_name(record: Record, measured: Measured) -> Cited:
    """Return what an endpoint is of: endpoint/<i>/<metric>/<cohort>, the study's i-th from 1."""
    parts = (*measured.parts, "", "", "")
    planned = {**_planned(record, parts[0], parts[1], parts[2]), **measured.evidence.detail}
    model = model_name(str(planned.get("model") or record.main))
    if planned.get("against"):
        model = say("model.versus", first=model, second=model_name(str(planned["against"])))
    name = join(metric_name(parts[1]), model, cohort_name(parts[2]), by=Text(", ", "，"))
    return cite(measured.entry, name, "/key", show=lambda _: name, phantom=measured.evidence.phantom)


def _planned(record: Record, index: str, metric: str, cohort: str) -> dict[str, object]:
    """Return the study's endpoint that an evidence answers, or nothing if they don't agree.

    Endpoints are numbered from 1.
    """
    endpoints = record.study.get("endpoint", [])
    if not index.isdigit() or not 1 <= int(index) <= len(endpoints):
        return {}
    planned = dict(endpoints[int(index) - 1])
    return planned if (planned.get("metric"), planned.get("cohort")) == (metric, cohort) else {}


def _cards(record: Record, cohort: str) -> Cards | None:
    found = [m for metric in KEY_NUMBERS if (m := record.one(f"{metric}/{record.main}/{cohort}/all"))]
    found += [m for metric in KEY_NUMBERS if (m := record.one(f"{metric}/{record.main}/{cohort}"))]
    made = tuple(
        (join(metric_name(m.family), cohort_name(cohort), by=Text(", ", "，")), number)
        for m in found
        if (number := estimate_of(m))
    )
    return Cards(cards=made) if made else None


def _order(record: Record) -> list[Block]:
    """Return whether the order was kept, what was fixed before it, and how many outcomes were sealed."""
    kept = [rule for rule in rules(record) if rule.key not in COMMITMENTS]
    of = "_reads" if record.study.get("reads") else "_given" if record.given else ""
    blocks: list[Block] = [_told(f"order.all{of}", [rule.held for rule in kept])]
    if of != "_reads":
        by = "_sites" if record.study.get("federation") else of
        blocks.append(_told(f"order.committed{by}", [rule.held for rule in commitment_rules(record)]))
    blocks += taken_on_trust(record)
    if notes := sealed_notes(record):
        spaced = [x for note in notes for x in (note, Text.both(" "))]
        blocks.append(Paragraph(content=tuple(spaced[:-1]), tone="note"))
    return blocks


def _told(key: str, held: Sequence[Held]) -> Paragraph:
    tone = Held.NO if Held.NO in held else Held.UNKNOWN if Held.UNKNOWN in held else Held.YES
    return Paragraph(
        content=(Mark(tone.value, say(f"order.held.{tone.value}")), say(f"{key}.{tone.value}")), tone="note"
    )
