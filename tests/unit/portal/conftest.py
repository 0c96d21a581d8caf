"""What the portal's tests share: a portal at work, as it was before each test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from portal_at_work import KEY, House, house_in


@pytest.fixture(scope="session")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A running portal."""
    with house_in(tmp_path_factory.mktemp("house")) as house:
        yield house


@pytest.fixture
def house(standing: House) -> Iterator[House]:
    """The portal, with a provider that does as it should."""
    provider = standing.provider
    provider.who, provider.signer, provider.sign = "rita", KEY, None
    for changed in (provider.claims, provider.header, provider.metadata, provider.told):
        changed.clear()
    standing.office.provider._metadata = None
    standing.office.provider._keys = None
    standing.office.patience.open_again()
    yield standing
    while standing.browsers:
        standing.browsers.pop().close()
