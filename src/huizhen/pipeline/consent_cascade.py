"""What a withdrawal reaches: every model that learned from, or was tested on, who withdrew, and what follows.

Read at the hospital, from its register and the index of who was learned from (`learned_from`), both of which
stay there. What is begun: who withdrew goes on the list that every later cohort honours, with or without the
register; the ledger of each run that used them says how many they are and what they asked for; and where one
of them wants the model made anew, the study is written down as its next version.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final

from huizhen.core.evidence import Evidence
from huizhen.core.files import write_text
from huizhen.core.study_file import check_study_text, load_study, study_error, study_text
from huizhen.data.consent.barred import bar, person_key
from huizhen.data.consent.decide import withdrawal_of
from huizhen.data.consent.record import Withdrawal
from huizhen.data.consent.register import Register
from huizhen.errors import InvalidInputError, StudyError
from huizhen.ledger.log import Log
from huizhen.ledger.signing import SigningKey
from huizhen.pipeline.consent_lists import people_secret
from huizhen.pipeline.learned_from import How, Learning, read_learned

__all__ = [
    "Affected",
    "Withdrawn",
    "affected_by",
    "next_version",
    "note_in_ledger",
    "put_on_list",
    "sites_in",
    "withdrawn_in",
]

WITHDRAWN: Final = "consent_withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """A patient of `site` who withdrew on `day`, and wants `choice` done with what learned from them."""

    patient: str
    site: str
    key: str
    day: date
    choice: Withdrawal


@dataclass(frozen=True, slots=True, kw_only=True)
class Affected:
    """One model of one study, and one patient who withdrew, with how they were used, in which `rounds`."""

    who: Withdrawn
    study: str
    digest: str
    version: int
    model: str
    hows: tuple[How, ...]
    rounds: tuple[int, ...]
    file: str
    folder: str


def withdrawn_in(register: Register, *, site: str, secret: bytes, day: date) -> list[Withdrawn]:
    """Return who withdrew by `day`, in the order of the register's ids."""
    found: list[Withdrawn] = []
    for patient, consents in sorted(register.consents.items()):
        made = withdrawal_of(consents, day)
        if made is not None:
            key = person_key(secret, site, patient)
            found.append(Withdrawn(patient=patient, site=site, key=key, day=made[0], choice=made[1]))
    return found


def sites_in(kept: Path) -> list[str]:
    """Return the sites whose patients the indexes in a folder know of. Raises `LedgerError`."""
    return sorted({one.site for one in read_learned(kept)})


def affected_by(withdrawn: Sequence[Withdrawn], kept: Path) -> list[Affected]:
    """Return what used those who withdrew, by study, version, model and patient. Raises `LedgerError`.

    What had learned from them and was deleted before it was tested isn't there any more.
    """
    learned = _without_dropped(list(read_learned(kept)))
    found: list[Affected] = []
    for who in withdrawn:
        uses: dict[tuple[str, int, str, str, str, str], list[Learning]] = defaultdict(list)
        for one in learned:
            if one.site == who.site and who.key in one.people:
                place = (one.study, one.version, one.digest, one.model, one.file, one.folder)
                uses[place].append(one)
        found += [_affected(who, place, ones) for place, ones in uses.items()]
    return sorted(found, key=lambda one: (one.study, one.version, one.digest, one.model, one.who.patient))


def _affected(who: Withdrawn, place: tuple[str, int, str, str, str, str], ones: list[Learning]) -> Affected:
    study, version, digest, model, file, folder = place
    hows = tuple(how for how in How if any(one.how is how for one in ones))
    rounds = tuple(sorted({one.round for one in ones if one.round is not None}))
    about = {"study": study, "digest": digest, "model": model, "file": file, "folder": folder}
    return Affected(who=who, version=version, hows=hows, rounds=rounds, **about)


def _without_dropped(learned: Sequence[Learning]) -> list[Learning]:
    gone = {(one.digest, one.folder, one.site, one.people) for one in learned if one.how is How.DROPPED}
    left = [one for one in learned if one.how is not How.DROPPED]
    return [one for one in left if (one.digest, one.folder, one.site, one.people) not in gone]


# --- what is begun ---


def put_on_list(withdrawn: Iterable[Withdrawn], kept: Path, key: SigningKey) -> int:
    """Put who withdrew on the list that later cohorts honour; return how many are new there."""
    return bar(kept, people_secret(key), [(one.site, one.patient, one.day) for one in withdrawn])


def note_in_ledger(
    affected: Sequence[Affected],
    key: SigningKey,
    *,
    day: date,
    more: Sequence[tuple[str, Evidence]] = (),
) -> list[str]:
    """Enter in each run's own ledger how many of its patients withdrew and what they want; once.

    `more` are further pieces of evidence, each with the folder of its run. Returns the folders of runs that
    aren't there any more. Raises `LedgerError` when a run is under way.
    """
    gone: list[str] = []
    by_run: dict[tuple[str, str], list[Affected]] = defaultdict(list)
    for one in affected:
        by_run[one.folder, one.who.site].append(one)
    for (folder, site), ones in sorted(by_run.items()):
        if not (Path(folder) / "ledger").is_dir():
            gone.append(folder)
            continue
        with Log.open(Path(folder) / "ledger", key) as log:
            _enter(log, _evidence(site, ones, day))
            for place, evidence in more:
                if place == folder and evidence.key.endswith(f"/{site}"):
                    _enter(log, evidence)
    return gone


def _enter(log: Log, evidence: Evidence) -> None:
    """Enter evidence unless the last of its key says the same, as of phantoms where the run's is."""
    bodies = [dict(entry.body) for entry in log.entries if entry.kind == "evidence"]
    phantom = any(body.get("phantom") for body in bodies)
    body = replace(evidence, phantom=phantom).to_json()
    said = [one for one in bodies if one["key"] == body["key"]]
    if not said or _told(said[-1]) != _told(body):
        log.append("evidence", body)
        log.commit()


def _told(body: dict[str, object]) -> object:
    """Return what an evidence says but the day."""
    detail = body["detail"]
    assert isinstance(detail, dict)
    return body["n"], {name: value for name, value in detail.items() if name not in ("day", "signature")}


def _evidence(site: str, ones: Sequence[Affected], day: date) -> Evidence:
    """Return how many patients of a site, whom a study used, have withdrawn since, and what follows."""
    people = {one.who.key: one.who for one in ones}
    choices = Counter(who.choice.value for who in people.values())
    used = {how.value: len({one.who.key for one in ones if how in one.hows}) for how in How}
    return Evidence(
        key=f"{WITHDRAWN}/{site}",
        metric=WITHDRAWN,
        stage="data",
        n=len(people),
        descriptive=True,
        detail={
            **{choice.value: choices[choice.value] for choice in Withdrawal},
            **{how: count for how, count in used.items() if how != How.DROPPED.value},
            "day": day.isoformat(),
        },
    )


def next_version(file: Path, *, digest: str, out: Path | None = None) -> Path:
    """Write the study of `file` as its next version, beside it or to `out`, and return that file.

    Nothing but `version` differs: the cohort is made anew without who withdrew. Raises `StudyError` when the
    file isn't the study with `digest`, `InvalidInputError` when another file stands there.
    """
    study = load_study(file)
    if study.digest != digest:
        raise StudyError(
            "isn't the study that learned from who withdrew",
            remedy="name the file that was run, as it was",
            file=str(file),
        )
    text = _raised(study_text(file), study.version + 1)
    if problems := check_study_text(text):
        raise study_error(file, problems)
    target = out or file.with_name(f"{re.sub(r'-v[0-9]+$', '', file.stem)}-v{study.version + 1}.toml")
    if target.exists() and target.read_text(encoding="utf-8") != text:
        raise InvalidInputError(
            "is another file", remedy="move it, or name another by --out", field="out", file=str(target)
        )
    write_text(target, text)
    return target


def _raised(text: str, version: int) -> str:
    """Return a study's text with its version.

    >>> _raised('name = "a"\\ntitle = "b"\\n', 2)
    'name = "a"\\nversion = 2\\ntitle = "b"\\n'
    >>> _raised('version = 2\\nname = "a"\\n', 3)
    'version = 3\\nname = "a"\\n'
    """
    head, mark, rest = re.split(r"(?m)(^\s*\[|\Z)", text, maxsplit=1)
    line = re.compile(r"(?m)^version[ \t]*=.*$")
    if line.search(head):
        return line.sub(f"version = {version}", head) + mark + rest
    named = re.compile(r"(?m)^(name[ \t]*=.*)$")
    return named.sub(rf"\1\nversion = {version}", head, count=1) + mark + rest
