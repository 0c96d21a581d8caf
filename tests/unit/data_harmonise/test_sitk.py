"""SimpleITK on demand."""

from __future__ import annotations

import sys

import pytest

from huizhen.data.harmonise.sitk import simpleitk
from huizhen.errors import DataError


def test_it_is_there_with_one_thread() -> None:
    assert simpleitk().ProcessObject.GetGlobalDefaultNumberOfThreads() == 1


def test_its_absence_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    with pytest.raises(DataError, match="isn't installed") as caught:
        simpleitk()
    assert "huizhen[harmonise]" in caught.value.remedy
