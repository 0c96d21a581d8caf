"""A question put together from a file or from flags, and the way to the sites that it is asked of."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huizhen.errors import InvalidInputError, UnreadableFileError

if TYPE_CHECKING:
    from huizhen.data.catalogue.criteria import Query
    from huizhen.federate.catalogue.asking import Carrier
    from huizhen.ledger.signing import PublicKey, SigningKey

__all__ = ["carrier_of", "criterion_of", "question_from"]

_CRITERION = re.compile(r"(?P<no>!?)(?P<key>[A-Za-z0-9_]+)(?P<sign>=|<|>)(?P<value>.+)")
_BAND = re.compile(r"(\d{1,4})-(\d{1,4})")


def question_from(file: Path | None, criteria: Sequence[str], within: str) -> Query:
    """Return the question of a JSON file, or of flags such as modality=MR,CT and age=50-59, all to be met.

    Raises `InvalidInputError` when both or neither are given, or one isn't understood.
    """
    from huizhen.data.catalogue.criteria import MOST_BYTES, parse_query

    if (file is None) == (not criteria):
        raise InvalidInputError(
            "a question is a file or criteria",
            remedy="give QUESTION.json, or --with KEY=VALUE",
            field="--with",
        )
    if file is None:
        children = [criterion_of(text) for text in criteria]
        return parse_query({"operand": "AND", "children": children, "within": within})
    try:
        with file.open("rb") as stream:
            return parse_query(stream.read(MOST_BYTES + 1))
    except OSError as error:
        raise UnreadableFileError(
            f"can't be read ({error.strerror})", remedy="check that it is there", file=str(file)
        ) from error


def criterion_of(text: str) -> dict[str, Any]:
    """Return the criterion of a flag as JSON; "!" before it turns it round.

    Raises `InvalidInputError` on any other form.

    >>> criterion_of("!modality=MR,CT")["children"][0]["value"]
    ['MR', 'CT']
    >>> criterion_of("age=50-59")["value"], criterion_of("year>2015")["type"]
    ({'min': 50, 'max': 59}, 'GREATER_THAN')
    """
    found = _CRITERION.fullmatch(text)
    if found is None:
        raise InvalidInputError(
            "a criterion is not understood",
            remedy="write modality=MR,CT or age=50-59 or year>2015, with ! before it for not",
            field="--with",
        )
    leaf: dict[str, Any] = {"key": found["key"], **_condition(found["sign"], found["value"])}
    return {"operand": "NOT", "children": [leaf]} if found["no"] else leaf


def _condition(sign: str, value: str) -> dict[str, Any]:
    if sign != "=":
        kind = "LOWER_THAN" if sign == "<" else "GREATER_THAN"
        return {"type": kind, "value": int(value) if value.isdecimal() else value}
    if band := _BAND.fullmatch(value):
        return {"type": "BETWEEN", "value": {"min": int(band[1]), "max": int(band[2])}}
    return {"type": "IN", "value": value.split(",")}


def carrier_of(
    folders: Sequence[Path], portal: str | None, peers: Path | None
) -> tuple[Carrier, Mapping[str, PublicKey], SigningKey]:
    """Return the way to the sites, their public keys by name, and the lead's own key.

    Raises `InvalidInputError` when neither folders nor a portal with the sites' keys are given.
    """
    from huizhen.cli import paths
    from huizhen.federate.catalogue.asking import Folders
    from huizhen.federate.site.folder import SiteFolder
    from huizhen.ledger.signing import SigningKey
    from huizhen.pipeline.finish import default_home

    key = SigningKey.create_or_load((paths.home() or default_home()) / "signing_key.pem")
    if folders and portal is None:
        sites = [SiteFolder.open(folder) for folder in folders]
        return (
            Folders(paths={site.name: site.path for site in sites}),
            {site.name: site.key.public for site in sites},
            key,
        )
    if portal is None or peers is None or folders:
        raise InvalidInputError(
            "nobody is asked",
            remedy="give --site FOLDER, or --portal ADDRESS with --peers FILE",
            field="--site",
        )
    from huizhen.portal.post import PortalPost

    return PortalPost(address=portal), _keys_in(peers), key


def _keys_in(path: Path) -> dict[str, PublicKey]:
    """Return the sites' public keys of a JSON file, as `site join --peers` writes it."""
    from huizhen.ledger.signing import PublicKey

    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): PublicKey(hex=str(value)) for name, value in found.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise UnreadableFileError(
            "is no file of sites' keys", remedy="make it by: huizhen site join --peers FILE", file=str(path)
        ) from error
