"""What things are called on the page: models, cohorts, sites, modalities, measures."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from huizhen.dossier.record import Measured, Record
from huizhen.dossier.wording import Text, join, known, say, say_or

OF_GROUPS = (
    "grouping",
    "subgroup",
    "worst_group",
    "equalised_odds",
    "sensitivity_gap",
    "specificity_gap",
    "ppv_gap",
    "demographic_parity",
    "heterogeneity",
)
"""Families whose keys end with a column and perhaps a group, both as somebody else's tables name them."""
COHORTS = ("internal", "external")
READINGS: Mapping[str, str] = {
    "double": "reading.double",
    "single": "reading.single",
    "ai_triage": "reading.ai_triage",
    "ai_second_reader": "reading.ai_second_reader",
    "rule_out": "reading.rule_out",
    "prioritised": "reading.prioritised",
}
"""The words of reading policies, where a study gives them no names of its own."""


def model_name(model: str) -> Text:
    """Return a model's name: "cman", "single:MG", "cman|MG+US", "table_lr" or any other as it is.

    >>> model_name("single:MG").en, model_name("cman|MG+US").zh
    ('Single: MG', 'CMAN，仅 MG+US')
    """
    base, _, subset = model.partition("|")
    kind, _, modality = base.partition(":")
    of_modality = bool(modality) and known(f"model.{kind}_of")
    name = say(f"model.{kind}_of", modality=modality) if of_modality else say_or(f"model.{base}", base)
    return say("model.restricted", model=name, subset=subset) if subset else name


def cohort_name(cohort: str) -> Text:
    """Return a cohort's name: "internal", "external", or any other as it is."""
    return say_or(f"cohort.{cohort}", cohort)


def site_name(site: str, titles: Mapping[str, Text] | None = None) -> Text:
    """Return a site's code, with its title from `titles` where it has one; "all" is all sites together."""
    if site == "all":
        return say("site.all")
    code, title = Text.both(site), (titles or {}).get(site)
    return join(code, title, by=Text(" · ", " · ")) if title else code


def metric_name(metric: str) -> Text:
    """Return a measure's name, or its key in plain letters when the words lack it."""
    return say_or(f"metric.{metric}", metric.replace("_", " "))


def metric_short(metric: str) -> Text:
    """Return a measure's short name for a table head."""
    return (
        say_or(f"short.{metric}", metric_name(metric).en) if known(f"short.{metric}") else metric_name(metric)
    )


def column_name(column: str) -> Text:
    """Return the head of a column that stands in an entry's detail."""
    return say_or(f"column.{column}", column.replace("_", " "))


def value_name(value: str) -> Text:
    """Return a word that stands as a value in an entry's detail (a reason, a step, a role)."""
    return say_or(f"value.{value}", value)


def modality_names(record: Record) -> list[str]:
    """Return the study's modalities in order."""
    return [str(m.get("name", "")) for m in record.study.get("modality", []) if isinstance(m, dict)]


def modality_name(record: Record, modality: str) -> Text:
    """Return a modality with its title from the study, if it has one."""
    planned: list[dict[str, object]] = record.study.get("modality", [])
    title = next((str(m.get("title", "")) for m in planned if m.get("name") == modality), "")
    if known(f"modality.{modality.lower()}"):
        return join(Text.both(f"{modality} · "), say(f"modality.{modality.lower()}"))
    return Text.both(f"{modality} ({title})" if title and title != modality else modality)


def split_difference(name: str) -> tuple[str, str]:
    """Return the two models of a "a~b" comparison.

    >>> split_difference("cman~late_average")
    ('cman', 'late_average')
    """
    first, _, second = name.partition("~")
    return first, second


def label_of(measured: Measured) -> Text:
    """Return a full label of an evidence, built from its key: what the search finds."""
    family, metric = measured.family, measured.evidence.metric
    if family in OF_GROUPS:
        model, cohort, *names = (*measured.parts, "", "")
        named = (part_name(one, measured.own) for one in (model, cohort))
        parts = [*named, *(Text.both(unquoted(n)) for n in names if n)]
        return join(metric_name(family), *parts, by=Text(", ", "，"))
    if family == "triage":
        policy, cohort = measured.parts[0], measured.parts[-1]
        name = say(READINGS[policy]) if policy in READINGS else Text.both(policy)
        return join(metric_name(metric), name, part_name(cohort, measured.own), by=Text(", ", "，"))
    called = family if known(f"metric.{family}") else metric
    rest = measured.parts if called == family else [part for part in measured.parts if part != metric]
    named = (part_name(part, measured.own) for part in rest)
    return join(metric_name(called), *named, by=Text(", ", "，"))


def unquoted(part: str) -> str:
    """Return a name that stands in a key with its slashes escaped.

    >>> unquoted("50%2F50 %25")
    '50/50 %'
    """
    return part.replace("%2F", "/").replace("%25", "%")


def part_name(part: str, own: Collection[str] = ()) -> Text:
    """Return a piece of an evidence's key readably: a model, a cohort, a site, a fold, a comparison.

    `own`: names that people gave, which are shown as they are.

    >>> part_name("test").zh, part_name("test", {"test"}).zh
    ('内部测试', 'test')
    """
    if "~" in part:
        first, second = split_difference(part)
        return say("model.versus", first=model_name(first), second=model_name(second))
    if part in COHORTS:
        return cohort_name(part)
    if part == "all":
        return site_name(part)
    if part in own:
        return Text.both(part)
    for numbered in ("fold", "member", "query"):
        if part.startswith(numbered) and part.removeprefix(numbered).isdigit():
            return say(f"column.{numbered}_of", number=part.removeprefix(numbered))
    if known(f"metric.{part}"):
        return metric_name(part)
    if "|" in part or known(f"model.{part.partition(':')[0]}"):
        return model_name(part)
    return value_name(part)
