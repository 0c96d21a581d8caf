"""What of consents outlasts a run: who withdrew; and, in a federation, how consents stood when it began."""

from __future__ import annotations

import json
from pathlib import Path

from huizhen.core.digests import Digest
from huizhen.core.files import write_json
from huizhen.data.consent.barred import BARRED, NOBODY, Barred, read_barred
from huizhen.federate.site.folder import SiteFolder
from huizhen.ledger.signing import SigningKey
from huizhen.pipeline.listing import standing
from huizhen.pipeline.stage import Run

__all__ = ["barred_at", "barred_of", "consents_begun", "people_secret"]

BEGUN = "consents-begun.json"


def people_secret(key: SigningKey) -> bytes:
    """Return the secret under which patients are named in lists that outlast a study."""
    return key.derive_secret("people")


def barred_of(run: Run) -> Barred:
    """Return who withdrew, by the list of whoever runs this. Raises `DataError` when it can't be read."""
    return NOBODY if run.kept is None else read_barred(run.kept, people_secret(run.key))


def barred_at(site: SiteFolder | None, home: Path | None) -> Barred:
    """Return who withdrew, by a site's own list, or by that in `home` where a study is looked at as a whole.

    Raises `DataError` when it can't be read.
    """
    if site is not None:
        return read_barred(site.path, people_secret(site.key))
    if home is None or not (home / BARRED).exists():
        return NOBODY
    return read_barred(home, people_secret(SigningKey.load(home / "signing_key.pem")))


def consents_begun(run: Run) -> dict[str, Digest]:
    """Return how consents stand, by site, as far as a cohort is made anew when they change.

    At a federation's site that is once, when the study begins there: its cohort and split are committed to,
    and who permits no more from then on is left out of them (`huizhen.pipeline.site_consents`).
    """
    file = run.folder / BEGUN
    if run.study.federation is not None and file.exists():
        return {site: Digest(found) for site, found in json.loads(file.read_text(encoding="utf-8")).items()}
    found = standing(run.study, run.roots, barred_of(run), run.whole)
    if run.study.federation is not None:
        write_json(file, found)
    return found
