"""What opens a site's data in tests/e2e/test_flare.py: the toy learners of the federation's unit tests."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit" / "federate"))

from toy_federation import SITES, ToyLearner, learner

from huizhen.core.study import Study
from huizhen.federate.site.folder import SiteFolder


def patients(site: str) -> int:
    """Return how many patients a site has."""
    return 30 + 10 * SITES.index(site)


def open_learner(study: Study, site: SiteFolder, folder: Path) -> ToyLearner:
    """Return a site's learner, always the same for its name."""
    return learner(site.name, patients(site.name))
