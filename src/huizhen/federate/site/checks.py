"""What a site checks of a question before it answers, and of a change before it leaves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from huizhen.core.study import Role, Study
from huizhen.errors import FederationError, MessageError
from huizhen.federate import messages as wire
from huizhen.federate.policy import SitePolicy
from huizhen.federate.quorum import enough_of
from huizhen.federate.robust import clip
from huizhen.federate.site.borders import check_borders
from huizhen.federate.site.folder import SiteFolder
from huizhen.federate.strategies.interface import Weights
from huizhen.ledger.signing import PublicKey
from huizhen.privacy.client_noise import noise_share, secret_noise


def check_round(ask: wire.Train, study: Study, role: Role, site: SiteFolder) -> None:
    """Refuse a round that the study doesn't plan for a site of this role, or whose updates may not leave.

    Raises `FederationError`.
    """
    check_borders(study, site)
    if role is not Role.DEVELOPMENT:
        raise FederationError(
            "an external site trains nothing", remedy="ask the development sites", field="model"
        )
    if study.federation is None or ask.round >= study.federation.rounds:
        raise FederationError(
            f"the study plans no round {ask.round}", remedy="ask for the rounds of the study", field="round"
        )


def check_finite(change: Weights) -> None:
    """Refuse a change with NaN or infinity, before anything waits for its sum. Raises `FederationError`."""
    if not all(np.isfinite(array).all() for array in change.values()):
        raise FederationError(
            "the change of the weights holds NaN or infinity",
            remedy="lower training.learning_rate in a new study",
            field="training.learning_rate",
        )


def study_of(ask: wire.Invitation, key: PublicKey) -> Study:
    """Return the study of an invitation, after checking digest and signature. Raises `MessageError`."""
    try:
        study = Study.model_validate_json(ask.definition)
    except ValueError as error:
        raise MessageError(
            "the invitation's study can't be read by this version",
            remedy="run the same version of huizhen at all sites",
            field="definition",
        ) from error
    if study.digest != ask.study:
        raise MessageError(
            "the study isn't the one that its digest names",
            remedy="run the same version of huizhen at all sites",
            field="definition",
        )
    key.verify(wire.STUDY_DOMAIN, bytes.fromhex(study.digest), ask.signature)
    return study


def check_sites(ask: wire.Invitation, study: Study, site: SiteFolder) -> None:
    """Refuse an invitation whose sites aren't those of the study, or give this one another key.

    Also one to a study by which something would leave that may not. Raises `FederationError`.
    """
    check_borders(study, site)
    if set(ask.sites) != {one.name for one in study.site}:
        raise FederationError(
            "the invitation's sites aren't those of the study",
            remedy="give the public key of each site of the study, and of no other",
            field="sites",
        )
    if ask.sites[site.name] != site.key.public.hex:
        raise FederationError(
            "the invitation names another key for this site",
            remedy="ask the site's officer for its public key (huizhen site status)",
            field="sites",
        )


def check_same(before: Mapping[str, object], again: Mapping[str, object]) -> None:
    """Refuse an invitation to a study that was accepted with other sites, signer or purpose.

    Raises `FederationError`.
    """
    for field in ("sites", "signer", "purpose"):
        if before.get(field) != again[field]:
            raise FederationError(
                f"this study was accepted here with another {field}",
                remedy="what sites, lead or purpose the study has is settled once: sign a new study",
                field=field,
            )


def check_spend(policy: SitePolicy, study: Study) -> None:
    """Check what a study may cost any patient. Raises `PolicyError`."""
    private = study.privacy
    policy.spend(private.epsilon if private else None, private.delta if private else 0.0)


def weight_of(patients: int, study: Study) -> int:
    """Return what a site's change counts for: its patients, or 1 where noise hides who took part."""
    return 1 if study.federation is not None and study.federation.client_noise is not None else patients


def noised(change: Weights, study: Study, secret: bytes, *names: str) -> Weights:
    """Return the change with this site's share of the noise that hides whether it took part, if asked for.

    `secret`: the site's own; `names` tell this update from all others. Enough is added for a sum over as few
    sites as the quorum lets through.
    """
    federation = study.federation
    if federation is None or federation.client_noise is None or federation.maximum_norm is None:
        return change
    sites = sum(site.role is Role.DEVELOPMENT for site in study.site)
    fewest = enough_of(enough_of(sites, federation.quorum), federation.quorum)  # of those that accepted
    order = sorted(change)
    noise = noise_share(
        sum(change[name].size for name in order),
        noise_multiplier=federation.client_noise,
        clip_norm=federation.maximum_norm,
        least_sites=fewest,
        rng=secret_noise(secret, *names),
    )
    parts = np.split(noise, np.cumsum([change[name].size for name in order])[:-1])
    return {
        name: np.asarray(change[name] + part.reshape(change[name].shape), np.float32)
        for name, part in zip(order, parts, strict=True)
    }


def shortened(change: Weights, study: Study) -> Mapping[str, np.ndarray]:
    """Return the change, shortened to the study's largest norm if it states one."""
    limit = study.federation.maximum_norm if study.federation else None
    if limit is None:
        return change
    names = sorted(change)
    flat = clip(np.concatenate([change[name].reshape(-1) for name in names]), norm=limit)
    ends = np.cumsum([change[name].size for name in names])[:-1]
    return {
        name: part.reshape(change[name].shape) for name, part in zip(names, np.split(flat, ends), strict=True)
    }
