"""Fixtures of secure rounds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent))
from secure_rounds import Round, make_clients, make_terms


@pytest.fixture
def secure_round() -> type[Round]:
    """The class `Round`."""
    return Round


@pytest.fixture
def terms_of() -> Any:
    """The function `make_terms`."""
    return make_terms


@pytest.fixture
def clients_of() -> Any:
    """The function `make_clients`."""
    return make_clients
