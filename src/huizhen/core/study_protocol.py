"""The study file's [protocol]: whether it must be locked before any data is read."""

from __future__ import annotations

from huizhen.core.study_base import Frozen

__all__ = ["ProtocolPlan"]


class ProtocolPlan(Frozen):
    """What must be done before a run."""

    lock: bool = False
    """A run needs a lock file beside the study, as `huizhen study lock` makes it: endpoints, margins,
    thresholds and the analysis plan under a signature and a time. Later changes stand in the dossier."""
