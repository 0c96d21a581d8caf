"""A recoding written, read and applied: the bounds hold of what comes out, or nothing does."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from huizhen.data.disclosure.assess import assess
from huizhen.data.disclosure.policy import DisclosurePolicy, load_policy
from huizhen.data.disclosure.recoding import load_recoding, recode, recoding_toml
from huizhen.errors import DataError, PolicyError

RULE = {
    "patient": "who",
    "keep": ["note"],
    "quasi": {"age": {"kind": "numeric", "bands": [10, 20]}, "sex": {}},
    "sensitive": {"dx": {"distinct": 2}},
    "bounds": {"k": 4, "suppress": 0.1},
}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    rows = [
        f"p{n},{age},{sex},{dx},ok,secret-{n}"
        for n, (age, sex, dx) in enumerate(
            zip(
                rng.integers(20, 80, 200),
                rng.choice(["f", "m"], 200),
                rng.choice(["a", "b", "c"], 200),
                strict=True,
            )
        )
    ]
    (tmp_path / "t.csv").write_text("who,age,sex,dx,note,free\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return tmp_path / "t.csv"


@pytest.mark.parametrize("how", ["rows", "cells"])
def test_what_is_applied_keeps_the_bounds_and_names_nobody(table: Path, tmp_path: Path, how: str) -> None:
    policy = DisclosurePolicy.model_validate({**RULE, "search": {"suppress": how}})
    found = assess(table, policy)
    assert found.after is not None
    file = tmp_path / "recoding.toml"
    file.write_text(recoding_toml(policy, found.levels, made_from=found.digest), encoding="utf-8")
    text, released = recode(table, load_recoding(file))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == ["age", "sex", "dx", "note"]
    sizes = Counter((row["age"], row["sex"]) for row in rows)
    assert min(sizes.values()) == found.after.k >= 4
    assert all(len({r["dx"] for r in rows if (r["age"], r["sex"]) == one}) >= 2 for one in sizes)
    assert len(rows) == found.after.patients
    assert "secret" not in text
    assert "p1" not in text
    assert rows == sorted(rows, key=lambda row: tuple(row.values()))
    assert released.suppressed <= 20


def test_a_recoding_of_another_table_is_held_to_the_bounds(table: Path, tmp_path: Path) -> None:
    policy = DisclosurePolicy.model_validate(RULE)
    found = assess(table, policy)
    file = tmp_path / "recoding.toml"
    file.write_text(recoding_toml(policy, found.levels, made_from=found.digest), encoding="utf-8")
    (tmp_path / "u.csv").write_text("who,age,sex,dx,note\na,30,f,x,\nb,50,m,y,\n", encoding="utf-8")
    with pytest.raises(DataError, match="bounds don't hold"):
        recode(tmp_path / "u.csv", load_recoding(file))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (('"age" = ', '"age" = 7'), "don't fit"),
        (('"sex" = ', '"height" = '), "don't fit"),
        (("made_from", "made_of"), "made_of: is an unknown key"),
    ],
    ids=["level", "column", "key"],
)
def test_a_changed_recoding_is_refused(
    table: Path, tmp_path: Path, change: tuple[str, str], why: str
) -> None:
    policy = DisclosurePolicy.model_validate(RULE)
    text = recoding_toml(policy, assess(table, policy).levels, made_from="0" * 64)
    (tmp_path / "r.toml").write_text(text.replace(*change), encoding="utf-8")
    with pytest.raises(PolicyError, match=why):
        recode(table, load_recoding(tmp_path / "r.toml"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[quasi.age]\nbands = [0]", "must be above 0"),
        ("[quasi.age]\n[sensitive.age]", "named in two parts"),
        ("[bounds]\nk = 3", "is missing"),
        ("[quasi.age]\n[sensitive.dx]\ndistance = 'hierarchical'", "go together"),
        ("[quasi.age]\n[population]\nsize = 5\ntable = 'a'", "either table or size"),
        ("quasi = ", "TOML"),
    ],
    ids=["band", "twice", "none", "tree", "population", "syntax"],
)
def test_a_wrong_policy_is_refused(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "p.toml").write_text(text, encoding="utf-8")
    with pytest.raises(PolicyError, match=why):
        load_policy(tmp_path / "p.toml")


def test_columns_that_are_not_there_are_named(table: Path) -> None:
    with pytest.raises(DataError, match="no column weight"):
        assess(table, DisclosurePolicy.model_validate({"quasi": {"weight": {}}}))


def test_a_row_without_a_patient_is_refused_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("who,age\nzoe,3\n,4\n", encoding="utf-8")
    with pytest.raises(DataError, match="names no patient") as caught:
        assess(tmp_path / "t.csv", DisclosurePolicy.model_validate({"patient": "who", "quasi": {"age": {}}}))
    assert "zoe" not in str(caught.value)
