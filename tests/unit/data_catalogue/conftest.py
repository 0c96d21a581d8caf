"""A small index of known subjects, and questions as text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from huizhen.data.catalogue.building import Sources, build_index
from huizhen.data.catalogue.index import Index

SERIES = """\
patient,study,series,modality,manufacturer,body_part,sex,age,year
a,a1,a11,MR,Siemens,BREAST,F,50,2019
a,a1,a12,MG,Hologic,BREAST,F,50,2019
a,a2,a21,MR,GE MEDICAL SYSTEMS,CHEST,F,52,2021
b,b1,b11,CT,SIEMENS Healthineers,CHEST,M,61,2019
c,c1,c11,MG,Hologic,BREAST,F,44,2020
d,d1,d11,US,,,,,
"""
DIAGNOSES = """\
patient,diagnosis,age,year
a,SNOMEDCT254837009,51,2020
a,SNOMEDCT363358000,52,2021
b,SNOMEDCT363358000,60,2018
gone,SNOMEDCT363358000,60,2018
"""


@pytest.fixture
def small(tmp_path: Path) -> Index:
    """An index of four subjects."""
    (tmp_path / "series.csv").write_text(SERIES)
    (tmp_path / "diagnoses.csv").write_text(DIAGNOSES)
    sources = Sources(series=tmp_path / "series.csv", diagnoses=tmp_path / "diagnoses.csv")
    return build_index(sources, tmp_path / "state", secret=b"s")


MakeTable = Callable[[str], Path]


@pytest.fixture
def table(tmp_path: Path) -> MakeTable:
    """Return a function that writes a table of series."""

    def write(text: str) -> Path:
        path = tmp_path / "table.csv"
        path.write_text(text)
        return path

    return write
