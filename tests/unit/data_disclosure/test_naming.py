"""What is wrong between a policy and a table names the file, the key, and the column that was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from huizhen.data.disclosure.assess import assess
from huizhen.data.disclosure.naming import check_columns
from huizhen.data.disclosure.policy import DisclosurePolicy, load_policy
from huizhen.errors import DataError, PolicyError

TABLE = "patient,alter,sex\np1,30,f\np2,40,m\n"


def refused(tmp_path: Path, policy: str, table: str = TABLE) -> PolicyError | DataError:
    (tmp_path / "t.csv").write_text(table, encoding="utf-8")
    (tmp_path / "p.toml").write_text(policy, encoding="utf-8")
    with pytest.raises((PolicyError, DataError)) as caught:
        assess(tmp_path / "t.csv", load_policy(tmp_path / "p.toml"))
    found = caught.value
    assert isinstance(found, PolicyError | DataError)
    return found


@pytest.mark.parametrize(
    ("policy", "field", "remedy"),
    [
        ("[quasi.alte]\n", "quasi.alte", "did you mean alter?"),
        ("[quasi.height]\n", "quasi.height", "it has: patient, alter, sex"),
        ('keep = ["sx"]\n[quasi.alter]\n', "keep", "did you mean sex?"),
        ('patient = "patent"\n[quasi.alter]\n', "patient", "did you mean patient?"),
        ("[quasi.alter]\nband = [5]\n", "quasi.alter.band", "did you mean bands?"),
        ('[quasi.alter]\nkind = "numerc"\n', "quasi.alter.kind", "did you mean numeric?"),
    ],
    ids=["near", "far", "keep", "patient", "key", "choice"],
)
def test_the_column_or_key_that_was_meant_is_named(
    tmp_path: Path, policy: str, field: str, remedy: str
) -> None:
    error = refused(tmp_path, policy)
    assert (error.file, error.field, error.remedy) == ("p.toml", field, remedy)


def test_levels_that_do_not_fit_name_the_policys_file(tmp_path: Path) -> None:
    error = refused(tmp_path, "[quasi.sex]\nleast = 7\n")
    assert (error.file, error.field) == ("p.toml", "quasi.sex.least")


def test_a_table_without_rows_is_named(tmp_path: Path) -> None:
    assert refused(tmp_path, "[quasi.sex]\n", "patient,alter,sex\n").file == "t.csv"


def test_a_policy_made_in_memory_has_no_file() -> None:
    policy = DisclosurePolicy.model_validate({"quasi": {"age": {}}})
    with pytest.raises(DataError, match=r"t\.csv has no column age") as caught:
        check_columns(policy, ["sex"], "t.csv")
    assert caught.value.file is None
