"""Between the messages of a secure sum and what `huizhen.privacy.secure_aggregation` reckons with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from huizhen.core.digests import Digest
from huizhen.errors import InvalidInputError, MessageError
from huizhen.federate import messages as wire
from huizhen.ledger.signing import PublicKey
from huizhen.privacy.secure_aggregation import coding as codings
from huizhen.privacy.secure_aggregation.interface import Advert, Roster, Terms


def terms_of(ask: wire.Advertise) -> Terms:
    """Return the terms that a message states. Raises `MessageError` when they don't fit together."""
    try:
        return Terms(
            study=Digest(ask.study),
            round_number=ask.number,
            attempt=ask.attempt,
            sites=tuple((name, PublicKey(hex=key)) for name, key in sorted(ask.sites.items())),
            threshold=ask.threshold,
            length=ask.length,
            coding=coding_of(ask.coding),
        )
    except InvalidInputError as error:
        raise MessageError(
            f"the terms of a secure sum are refused: {error.message}", remedy=error.remedy, field=ask.sender
        ) from error


def coding_of(coding: wire.Coding) -> codings.FixedPoint | codings.Residues:
    """Return the coding that a message states. Raises `InvalidInputError` on an impossible one."""
    if coding.kind == "residues":
        return codings.Residues(sites=coding.sites)
    return codings.FixedPoint(clip=coding.clip, scale=coding.scale, max_weight=coding.max_weight)


def wire_coding(coding: codings.FixedPoint | codings.Residues) -> wire.Coding:
    """Return the coding as it travels."""
    if isinstance(coding, codings.Residues):
        return wire.Coding(kind="residues", sites=coding.sites)
    return wire.Coding(kind="fixed", clip=coding.clip, scale=coding.scale, max_weight=coding.max_weight)


def wire_keys(advert: Advert) -> wire.Keys:
    """Return a site's keys as they travel."""
    return wire.Keys(
        channel=advert.channel_key.hex(), mask=advert.mask_key.hex(), signature=advert.signature.hex()
    )


def advert_of(terms: Terms, site: str, keys: wire.Keys) -> Advert:
    """Return one site's advert."""
    return Advert(
        terms=terms.digest,
        site=site,
        channel_key=bytes.fromhex(keys.channel),
        mask_key=bytes.fromhex(keys.mask),
        signature=bytes.fromhex(keys.signature),
    )


def roster_of(terms: Terms, roster: Mapping[str, wire.Keys]) -> Roster:
    """Return the roster that a message holds."""
    adverts = tuple(advert_of(terms, name, keys) for name, keys in sorted(roster.items()))
    return Roster(terms=terms.digest, adverts=adverts)


def pairs(found: Mapping[str, str]) -> tuple[tuple[str, bytes], ...]:
    """Return named hexadecimal blobs as named bytes, by name."""
    return tuple((name, bytes.fromhex(blob)) for name, blob in sorted(found.items()))


def blobs(found: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    """Return named bytes as named hexadecimal blobs."""
    return {name: data.hex() for name, data in found}


def task_of(ask: wire.Train | wire.Ask) -> wire.Task:
    """Return what a secure sum of the answers to `ask` is of."""
    if isinstance(ask, wire.Train):
        return wire.Task(kind="train", name=ask.model, step=ask.round)
    return wire.Task(kind="ask", name=f"{ask.subject}/{ask.query}", step=ask.step)


WHOLE: Final = frozenset({"cohort", "levels", "moments", "regression"})
"""Kinds of subject of which all sums go over the same sites; of others, those of one part or query round."""


def place_of(task: wire.Task) -> str:
    """Return what a sum is of, as a key: a sum of one thing is unmasked over one set of sites only.

    Of queries neither step, statistic, model, fold nor column is a part of it: what differs in these alone
    may be nearly the same, and the difference of two sums nearly one site's numbers.

    >>> place_of(wire.Task(kind="train", name="cman/member0", step=3))
    'train:cman/member0:3'
    >>> place_of(wire.Task(kind="ask", name="scores/tune/0/cman/delong", step=1))
    'ask:scores/tune'
    >>> place_of(wire.Task(kind="ask", name="cohort/cman/member0/categories", step=0))
    'ask:cohort'
    """
    if task.kind == "train":
        return f"train:{task.name}:{task.step}"
    kind, _, rest = task.name.partition("/")
    return f"ask:{kind}" if kind in WHOLE else f"ask:{kind}/{rest.partition('/')[0]}"
