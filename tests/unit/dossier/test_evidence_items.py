"""The 48 evidence items: all there, in both languages, with patterns that mean what they say."""

from __future__ import annotations

import re

import pytest

from huizhen.core.words import Language, load_words
from huizhen.dossier.evidence_items import Item, Mode, evidence_items, matches
from huizhen.dossier.wording import PACKAGE

ITEMS = evidence_items()


def test_there_are_48_in_order() -> None:
    assert [item.value for item in ITEMS] == [f"EV{n:02d}" for n in range(1, 49)]


@pytest.mark.parametrize("name", [item.value for item in Item])
def test_every_item_is_told_in_both_languages(name: str) -> None:
    item = ITEMS[Item(name)]
    texts = [t for t in (item.title, item.prompt, item.lacks, item.without) if t is not None]
    assert all(re.search("[a-z]", t.en) and re.search("[\u4e00-\u9fff]", t.zh) for t in texts)


def test_modes_are_those_of_the_scheme() -> None:
    by = {mode: {i.value[2:] for i, item in ITEMS.items() if item.mode is mode} for mode in Mode}
    assert by[Mode.HUMAN] == {"01", "03", "12", "46", "47", "48"}
    assert by[Mode.LOCKED] == {"02", "19"}
    mixed = {"06", "10", "13", "15", "27", "28", "32", "34", "37", "38", "39", "41", "43", "44", "45"}
    assert by[Mode.MIXED] == mixed


def test_human_items_ask_and_hold_nothing_of_a_ledger() -> None:
    human = [item for item in ITEMS.values() if item.mode is Mode.HUMAN]
    assert all(i.asked and not (i.evidence or i.entries or i.topics or i.beside) for i in human)


def test_others_name_what_fills_them() -> None:
    rest = [item for item in ITEMS.values() if item.mode is not Mode.HUMAN]
    assert all(item.evidence or item.entries for item in rest)
    assert all(item.section for item in rest)


def test_an_item_whose_evidence_may_be_absent_says_why() -> None:
    """Where no kind of entry that every run writes fills it, there is a reason to print."""
    always = {"study", "model", "lock", "stage", "artefact"}
    open_ended = [i for i in ITEMS.values() if i.of_ledger and not always & set(i.entries)]
    silent = [i.id.value for i in open_ended if not (i.topics or i.without or i.lacks)]
    measured_always = {"EV05", "EV09", "EV11", "EV14", "EV17", "EV20", "EV21", "EV27", "EV38"}
    assert set(silent) <= measured_always


@pytest.mark.parametrize(
    ("key", "item", "filled"),
    [
        ("auc/cman/internal/all", "EV20", True),
        ("auc_difference/cman~late/internal/all", "EV20", False),
        ("auc_difference/cman~late/internal/all", "EV23", True),
        ("data/flow", "EV05", True),
        ("threshold/cman/fold0", "EV19", True),
        ("calibration_curve/cman/internal", "EV21", True),
        ("subset_auc/MG/internal", "EV26", False),
        ("heatmap/P-1/MG/0", "EV27", True),
    ],
)
def test_keys_fill_items(key: str, item: str, filled: bool) -> None:
    assert ITEMS[Item(item)].fills(key) is filled


KEYS = ("{0}/cman/internal/all", "{0}/cman/internal", "data/{0}", "privacy/north/{0}")
NO_EVIDENCE = {"not_assessed", "best_reachable_auc", "share_of_best"}
"""A reason why there is none; and figures that only phantoms have."""
OF_A_FAMILY = {
    "epsilon": "privacy",
    "robustness_auc": "robustness",
    "robustness_break": "robustness",
    "coverage": "conformal",
    "single_sets": "conformal",
    "site_auc": "shortcut",
    "lesion_auc": "shortcut",
    "lesion_auc_difference": "shortcut",
    "score_change": "shortcut",
}
"""Metrics whose keys begin with the name of a family."""


def test_every_measure_that_the_dossier_knows_belongs_to_an_item() -> None:
    known = {key.partition(".")[2] for key in load_words(PACKAGE, Language.EN) if key.startswith("metric.")}
    families = {OF_A_FAMILY.get(name, name) for name in known - NO_EVIDENCE}
    lost = {
        family
        for family in families
        if not any(
            item.fills(key.format(family)) or matches(item.beside, key.format(family))
            for item in ITEMS.values()
            for key in KEYS
        )
    }
    assert lost == set(), "name them under an item of dossier/evidence_items.toml"


def test_a_refused_pattern_takes_away_whatever_its_place() -> None:
    assert not matches(("!auc/*/all", "auc/*"), "auc/cman/internal/all")
    assert not matches((), "auc")
