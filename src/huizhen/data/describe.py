"""What an intake holds, as plain JSON for `huizhen data describe`."""

from __future__ import annotations

from typing import Any

from huizhen.data.flow import is_phantom, site_table
from huizhen.data.intake import Intake


def describe(taken: Intake) -> dict[str, Any]:
    """Return the cohort's sizes, its sites, the flow of patients and the links; counts only, no patient.

    Keys: phantom, patients, positive, images, sites (see `site_table`), steps, exclusions and tallies (see
    `Flow.to_json`), linked_groups and linked_patients.
    """
    cases = taken.cohort.cases
    return {
        "phantom": is_phantom(cases),
        "patients": len(cases),
        "positive": sum(case.outcome == 1 for case in cases),
        "images": sum(len(bag) for case in cases for bag in case.images.values()),
        "sites": site_table(taken.cohort),
        **taken.flow.to_json(),
        "linked_groups": len(taken.links),
        "linked_patients": sum(map(len, taken.links)),
    }
