"""Power and assurance by simulation: how often a planned study would succeed.

Power takes the truth as known; assurance draws it from what is believed of it (a pilot's uncertainty), and is
the chance of success that a sponsor faces. References: O'Hagan, Stevens & Campbell, Pharm Stat 4:187-201
(2005); Spiegelhalter & Freedman, Stat Med 5:1-13 (1986).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import expit, logit, ndtri

from huizhen.core.streams import stream
from huizhen.errors import InvalidInputError
from huizhen.validate.discrimination import auc_interval
from huizhen.validate.proportions import Proportion, proportion
from huizhen.validate.sample_size import checked_share


def assurance(
    succeeds: Callable[[np.random.Generator], bool], *, trials: int = 2000, seed: int = 0, level: float = 0.95
) -> Proportion:
    """Return the share of simulated studies that succeed, with Wilson's interval of the simulation itself.

    `succeeds` draws one truth and one study, analyses it as planned and says whether it passed; each trial
    has a stream of its own. Raises `InvalidInputError` on no trial.

    >>> assurance(lambda draw: draw.random() < 0.5, trials=100).n
    100
    """
    if trials < 1:
        raise InvalidInputError("no trial", remedy="give at least one", field="trials")
    passed = sum(bool(succeeds(stream(seed, "assurance", trial))) for trial in range(trials))
    return proportion(passed, trials, level=level)


def auc_trial(
    *, believed: float, error: float, at_least: float, events: int, non_events: int, level: float = 0.95
) -> Callable[[np.random.Generator], bool]:
    """Return a trial for `assurance`: the AUC's lower DeLong bound (logit) reaches `at_least`.

    The true AUC is drawn normal around `believed` with standard error `error` on the logit scale (0 for plain
    power); ratings are binormal. Raises `InvalidInputError` on AUCs outside (0, 1) or under two cases.

    >>> trial = auc_trial(believed=0.95, error=0.0, at_least=0.6, events=40, non_events=60)
    >>> trial(np.random.default_rng(1))
    True
    """
    centre = float(logit(checked_share(believed, "believed")))
    checked_share(at_least, "at_least")
    if min(events, non_events) < 2 or error < 0:
        raise InvalidInputError("under two cases, or a negative error", remedy="check", field="events")
    outcome = np.arange(events + non_events) < events

    def trial(draw: np.random.Generator) -> bool:
        """Draw a truth and a study, and judge it."""
        truth = float(expit(centre + error * draw.normal()))
        score = draw.normal(size=outcome.size) + 2**0.5 * float(ndtri(truth)) * outcome
        return auc_interval(outcome, score, level=level, method="logit").interval.low >= at_least

    return trial
