"""What one patient has lost of privacy in a federated study: over the rounds that they were in, not others.

A site's ledger of spends charges its patients as one group, by which it holds its budget. Who was left out of
a round wasn't drawn in it, and the round costs them nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from huizhen.core.digests import Digest
from huizhen.core.study import Study
from huizhen.federate.site.folder import SiteFolder
from huizhen.federate.site.private_rounds import GROUP
from huizhen.federate.site.spend_witness import SpendWitness
from huizhen.federate.site.worker import INVITATION
from huizhen.pipeline.federated_plan import federated_models
from huizhen.pipeline.learned_from import How, Learning, read_learned
from huizhen.pipeline.site_privacy import LEDGER, UNBOUNDED
from huizhen.privacy.accounting import account
from huizhen.privacy.spend_ledger import Cap, SpendLedger

__all__ = ["epsilon_of", "places_of", "private_study"]


def epsilon_of(site: SiteFolder, digest: str, people: Iterable[str]) -> dict[str, float]:
    """Return the epsilon of each of `people` (keyed names) in a study; none where it has no [privacy].

    All attempts at a round that somebody was in count, at the study's delta. Raises `PrivacyError` when the
    ledger can't be read, or is held by a site that is at work.
    """
    study = private_study(site, digest)
    if study is None or study.privacy is None or study.federation is None:
        return {}
    used = [one for one in read_learned(site.path) if one.digest == digest and one.how is How.TRAINED]
    caps = {GROUP: Cap(epsilon=UNBOUNDED, delta=study.privacy.delta)}
    with SpendLedger.open(site.path / LEDGER, caps, witness=SpendWitness(site.path)) as ledger:
        found: dict[str, float] = {}
        for key in people:
            spends = [
                spend
                for place in places_of(study, [one for one in used if key in one.people])
                for paid in ledger.reserved(study=Digest(digest), round_number=place, group=GROUP)
                for spend in paid.spends
            ]
            found[key] = account(spends, delta=study.privacy.delta).epsilon if spends else 0.0
    return found


def private_study(site: SiteFolder, digest: str) -> Study | None:
    """Return a study that the site took part in; None when there is nothing of it, or of its spends, here."""
    file = site.study(digest) / INVITATION
    if not file.exists() or not (site.path / LEDGER).is_dir():
        return None
    return Study.model_validate_json(json.loads(file.read_text(encoding="utf-8"))["definition"])


def places_of(study: Study, used: Iterable[Learning]) -> tuple[int, ...]:
    """Return the rounds of some uses, counted over all models as the ledger of spends counts them.

    What is no round of a model that the study plans has no place.
    """
    names = [model.name for model in federated_models(study)]
    rounds = study.federation.rounds if study.federation else 0
    found = {(one.model, one.round) for one in used if one.round is not None and one.model in names}
    return tuple(
        sorted(names.index(model) * rounds + number for model, number in found if number is not None)
    )
