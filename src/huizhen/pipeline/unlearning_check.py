"""A certificate of approximate unlearning held against itself and its study. Verifiers need no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from huizhen.core.digests import canonical_json
from huizhen.core.evidence import Verdict
from huizhen.core.study import Study
from huizhen.errors import HuizhenError, VerificationError
from huizhen.ledger.signing import PublicKey
from huizhen.privacy.groups import GroupSpend, group_account

__all__ = ["DOMAIN", "UNLEARNED", "check_certificate"]

UNLEARNED: Final = "consent_unlearned"
DOMAIN: Final = "unlearning"
MOST_STEPS: Final = 10_000_000
"""Steps, and kinds of them, that a certificate may state: more would only take whoever checks it long."""
APART: Final = 1e-3
"""How far an epsilon that is reckoned again may lie from the one stated, as a share."""


def check_certificate(record: Mapping[str, Any], study: Study | None = None) -> None:
    """Check a certificate, as evidence in plain form: signature, epsilon from the steps, bound and verdict.

    With `study` also that it is about that study, at its delta and no laxer bound. Evidence that says why
    there is no certificate states nothing that could be checked. Raises `VerificationError`.
    """
    if record.get("verdict") == Verdict.NOT_ASSESSED.value:
        return
    try:
        detail = dict(record["detail"])
        signature, site = str(detail.pop("signature")), str(record["key"]).partition("/")[2]
        made = {"n": record["n"], "epsilon": record["estimate"], "site": site, **detail}
        PublicKey(hex=str(detail["signer"])).verify(DOMAIN, canonical_json(made), signature)
        spends = [GroupSpend.from_json(one) for one in detail["spends"]]
        if sum(one.spend.steps for one in spends) > MOST_STEPS:
            raise _refused("states more steps than any training has")
        again = group_account(spends, delta=float(detail["delta"])).epsilon
        stated, bound, n = float(record["estimate"]), float(detail["bound"]), int(record["n"])
    except VerificationError:
        raise
    except (KeyError, TypeError, ValueError, HuizhenError) as error:
        raise _refused("can't be read, or reckoned again") from error
    if not abs(again - stated) <= APART * max(again, 1e-2):
        raise _refused(f"states epsilon {stated:.4g}, its steps cost {again:.4g}")
    if not spends:
        raise _refused("states no round")
    if max(one.members for one in spends) > n:
        raise _refused("counts fewer patients than its rounds")
    if (stated <= bound) != (record.get("verdict") == Verdict.PASS.value):
        raise _refused("says otherwise than its epsilon and bound")
    if study is not None:
        _check_study(detail, study)


def _check_study(detail: Mapping[str, Any], study: Study) -> None:
    """Check that a certificate is about a study, with what was set beforehand."""
    privacy = study.privacy
    if detail["study_digest"] != study.digest or privacy is None or privacy.unlearning_epsilon is None:
        raise _refused("is about another study, or one that set no bound")
    if detail["bound"] > privacy.unlearning_epsilon or detail["delta"] != privacy.delta:
        raise _refused("has another bound or delta than the study set")


def _refused(why: str) -> VerificationError:
    return VerificationError(
        f"a certificate of approximate unlearning {why}",
        remedy="ask the site for it again",
        field=UNLEARNED,
    )
