"""Who is who: pseudonyms, and one site for every person."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from hashlib import sha256

from huizhen.core.cohort import Case, Exclusion
from huizhen.core.study import Role, Site, Study
from huizhen.errors import DataError, InvalidInputError

PSEUDONYM_DIGITS = 10


def person_of(site: Site, patient_id: str) -> str:
    """Return what tells persons apart over all sites: the id, with the site where it numbers by itself."""
    return f"{site.name}\x1f{patient_id}" if site.patient_ids == "own" else patient_id


def pseudonymiser(secret: bytes, site: Site) -> Callable[[str], str]:
    """Return the function from a patient_id at `site` to "P-" and ten hexadecimal digits.

    They are the first of HMAC-SHA256(secret, person): nobody without the secret can go back by trying ids,
    and one person has one pseudonym at every site. Raises `InvalidInputError` on an empty secret.
    """
    if not secret:
        raise InvalidInputError(
            "the pseudonym secret is empty", remedy="make one with secrets.token_bytes(32)"
        )

    def pseudonym(patient_id: str) -> str:
        code = hmac.new(secret, person_of(site, patient_id).encode("utf-8", "surrogateescape"), sha256)
        return f"P-{code.hexdigest()[:PSEUDONYM_DIGITS]}"

    return pseudonym


def keep_one_site(cases: Sequence[Case], study: Study) -> tuple[tuple[Case, ...], tuple[Exclusion, ...]]:
    """Return `cases` with every person at the first site of the study that has them, and who was left out.

    Raises `DataError` when somebody is both at a development and at an external site, because the external
    set would not be new, and when two persons get one pseudonym.
    """
    sites = {site.name: site for site in study.site}
    first: dict[str, Case] = {}
    again: list[Case] = []
    for case in cases:
        if first.setdefault(person_of(sites[case.site], case.patient_id), case) is not case:
            again.append(case)
    held = {case.pseudonym: case for case in first.values()}
    if len(held) < len(first):
        raise DataError(
            "two patients get the same pseudonym", remedy="use another pseudonym secret and run again"
        )
    _refuse_external(again, held, sites)
    exclusions = [
        Exclusion(unit="patient", reason="two_sites", site=case.site, subject=case.pseudonym)
        for case in again
    ]
    return tuple(first.values()), tuple(exclusions)


def _refuse_external(again: Sequence[Case], held: dict[str, Case], sites: dict[str, Site]) -> None:
    crossing = [
        (held[case.pseudonym].site, case.site)
        for case in again
        if sites[held[case.pseudonym].site].role is not sites[case.site].role
    ]
    if not crossing:
        return
    one, other = crossing[0]
    external = one if sites[one].role is Role.EXTERNAL else other
    raise DataError(
        f"{len(crossing)} patients stand both at a development and at an external site ({one} and {other},"
        " to begin with), so the external set would not be new",
        remedy="keep them at one of the two by `where` filters on the sources, or, if the hospitals number"
        f' their patients separately and these are different people, set patient_ids = "own" for {external}',
        field="site.patient_ids",
    )
