"""Who withdrew is left out wherever data are read, with a register or without it."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

from consent_hospitals import register, write_hospitals

from huizhen.core.progress import Silent
from huizhen.data.consent.barred import NOBODY, bar
from huizhen.federate.site.folder import SiteFolder
from huizhen.ledger.signing import SigningKey
from huizhen.pipeline.checks.check import Checked, check_data
from huizhen.pipeline.consent_lists import barred_at, people_secret

DAY = date(2026, 11, 1)


def checked(root: Path, file: Path, **where: Any) -> Checked:
    given = {"site": None, "data_root": root / "data", "cache": root / "cache", **where}
    return check_data(file, progress=Silent(), **given)


def test_a_data_check_of_a_site_leaves_out_who_is_on_its_list_or_permits_not_all_receivers(
    tmp_path: Path,
) -> None:
    file = write_hospitals(tmp_path, sites=("east", "north"))
    site = SiteFolder.create(tmp_path / "north", name="north", data=tmp_path / "data")
    assert len(checked(tmp_path, file, site=site).taken.cohort.cases) == 40
    bar(site.path, people_secret(site.key), [("north", "north-3", DAY)])
    register(tmp_path / "data", "north", {5: {"partners": "nobody-here"}})
    left = {case.patient_id for case in checked(tmp_path, file, site=site).taken.cohort.cases}
    assert left == {f"north-{i}" for i in range(40)} - {"north-3", "north-5"}


def test_a_data_check_of_a_whole_study_leaves_out_who_is_on_the_list_at_home(tmp_path: Path) -> None:
    file = write_hospitals(tmp_path, sites=("east", "north"))
    file.write_text(file.read_text(encoding="utf-8").partition("[federation]")[0], encoding="utf-8")
    home = tmp_path / "home"
    key = SigningKey.create_or_load(home / "signing_key.pem")
    assert barred_at(None, home) is NOBODY
    assert barred_at(None, None) is NOBODY
    bar(home, people_secret(key), [("east", "east-7", DAY)])
    found = checked(tmp_path, file, home=home).taken.cohort.cases
    assert {case.patient_id for case in found if case.site == "east"} == {
        f"east-{i}" for i in range(40) if i != 7
    }
    assert "east-7" not in json.dumps([*barred_at(None, home).days])
