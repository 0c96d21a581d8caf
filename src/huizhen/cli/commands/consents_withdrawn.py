"""`huizhen site consents withdrawn`: which models learned from who withdrew, and what follows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from huizhen.cli import paths
from huizhen.cli.screen import Screen, screen_of

if TYPE_CHECKING:
    from huizhen.federate.site.folder import SiteFolder
    from huizhen.ledger.signing import SigningKey
    from huizhen.pipeline.consent_cascade import Affected
    from huizhen.pipeline.unlearning import Unlearning

__all__ = ["command"]

SHORT = 12
COLUMNS = ("who", "withdrawn", "choice", "study", "version", "digest", "model", "used", "rounds")


def command(
    context: typer.Context,
    register: Annotated[Path, typer.Argument()],
    site: Annotated[Path | None, typer.Option("--site")] = None,
    name: Annotated[str | None, typer.Option("--name")] = None,
    begin: Annotated[bool, typer.Option("--begin")] = False,
    study: Annotated[list[Path] | None, typer.Option("--study")] = None,
    start: Annotated[bool, typer.Option("--start")] = False,
    data: Annotated[Path | None, typer.Option("--data")] = None,
    csv: Annotated[Path | None, typer.Option("--csv")] = None,
    certificates: Annotated[Path | None, typer.Option("--certificates")] = None,
) -> None:
    """List what used the data of patients who withdrew; with --begin, do what they asked for."""
    screen = screen_of(context)
    from huizhen.data.consent.register import read_register
    from huizhen.data.consent.screening import today
    from huizhen.pipeline.consent_cascade import affected_by, put_on_list, withdrawn_in
    from huizhen.pipeline.consent_lists import people_secret
    from huizhen.pipeline.learned_from import read_learned
    from huizhen.pipeline.unlearning import unlearnings

    kept, key, place = _place(site, name, study or [])
    day = today()
    who = withdrawn_in(read_register(register), site=place, secret=people_secret(key), day=day)
    if begin or start:  # first, since whatever fails below must not keep anybody in use
        screen.say("consents.listed", count=(listed := put_on_list(who, kept, key)))
    found = affected_by(who, kept)
    lost = {} if site is None else _lost(site, found)
    answers = unlearnings(found, None if site is None else _folder(site))
    rows = [{**_row(one), "epsilon": lost.get((one.digest, one.who.key))} for one in found]
    record: dict[str, Any] = {"withdrawn": len(who), "affected": rows}
    record["unlearning"] = [one.to_json() for one in answers]
    for row in rows:
        rounds = f" ({row['rounds']})" if row["rounds"] else ""
        model = screen.text("consents.every") if row["model"] == "*" else row["model"]
        spent = "" if row["epsilon"] is None else f"  epsilon {row['epsilon']:.3g}"
        screen.plain(
            f"{row['who']}  {row['withdrawn']}  {row['choice']:<12}  {row['study']} v{row['version']}  "
            f"{model}  {row['used']}{rounds}{spent}"
        )
    screen.say("consents.withdrawn", count=len(who), models=len({(o.digest, o.model) for o in found}))
    used = {key for one in read_learned(kept) for key in one.people}
    record["unfound"] = sum(one.key not in used for one in who)
    if record["unfound"]:
        screen.say("consents.unfound", count=record["unfound"])
    for one in answers:
        _tell(screen, one)
    if csv is not None:
        _write(csv, found)
        screen.say("site.written", file=csv)
    if certificates is not None:
        record["certificates"] = _certify(screen, answers, key, certificates)
    if begin or start:
        record |= {"listed": listed, **_begin(screen, found, key, study or [], answers)}
    screen.answer(record)
    for file in record.get("next", []) if start else []:
        _start(screen, Path(file), data)


def _lost(site: Path, found: list[Affected]) -> dict[tuple[str, str], float]:
    """Return what those who withdrew lost of privacy in studies with [privacy], by study and keyed name."""
    from huizhen.federate.site.folder import SiteFolder
    from huizhen.pipeline.patient_spend import epsilon_of

    folder = SiteFolder.open(site)
    people = {digest: {one.who.key for one in found if one.digest == digest} for digest in _digests(found)}
    return {
        (digest, key): epsilon
        for digest, keys in people.items()
        for key, epsilon in epsilon_of(folder, digest, sorted(keys)).items()
    }


def _digests(found: list[Affected]) -> list[str]:
    return sorted({one.digest for one in found})


def _folder(site: Path) -> SiteFolder:
    from huizhen.federate.site.folder import SiteFolder

    return SiteFolder.open(site)


def _tell(screen: Screen, one: Unlearning) -> None:
    """Say whether the models may stay for those who chose approximate unlearning, and if not, why."""
    plain = {"study": one.study, "version": one.version, "count": one.people}
    numbers = {
        name: f"{value:.3g}" for name in ("epsilon", "delta", "bound") if (value := getattr(one, name))
    }
    if one.against is None:
        screen.say("consents.unlearnt", **plain, **numbers)
        return
    why = screen.text(f"consents.against.{one.against.value}", **numbers)
    screen.say("consents.not_unlearnt", **plain, why=why)


def _certify(screen: Screen, answers: list[Unlearning], key: SigningKey, folder: Path) -> list[str]:
    """Write a file of evidence for each study whose models may stay, for its lead; return the files."""
    from huizhen.core.files import write_json
    from huizhen.data.consent.screening import today
    from huizhen.pipeline.unlearning import certificate

    files = []
    for one in (one for one in answers if one.holds):
        file = folder / f"unlearning-{one.study}-v{one.version}-{one.site}.json"
        write_json(file, [certificate(one, key, day=today()).to_json()])
        screen.say("consents.certified", file=file)
        files.append(str(file))
    return files


def _place(site: Path | None, name: str | None, studies: list[Path]) -> tuple[Path, SigningKey, str]:
    """Return the folder of the indexes, whose key names patients there, and the site whose register it is."""
    from huizhen.errors import InvalidInputError
    from huizhen.federate.site.folder import SiteFolder
    from huizhen.ledger.signing import SigningKey
    from huizhen.pipeline.consent_cascade import sites_in
    from huizhen.pipeline.finish import default_home

    if site is not None:
        folder = SiteFolder.open(site)
        return folder.path, folder.key, folder.name
    kept = paths.home() or default_home()
    sites = sites_in(kept)
    if name is None and len(sites) != 1:
        raise InvalidInputError(
            f"runs here learned from patients of {len(sites)} sites",
            remedy="say by --name whose register it is, or name the site's folder by --site",
            field="--name",
        )
    if name is not None:
        _check_name(name, sites, studies)
    return kept, SigningKey.load(kept / "signing_key.pem"), name or sites[0]


def _check_name(name: str, sites: list[str], studies: list[Path]) -> None:
    """Refuse a site that no run here and no named study knows: under its name nobody would be found."""
    from huizhen.core.study_file import load_study
    from huizhen.core.study_wording import nearest
    from huizhen.errors import InvalidInputError

    known = [*sites, *(site.name for file in studies for site in load_study(file).site)]
    if name in known:
        return
    meant = nearest(name, known)
    raise InvalidInputError(
        f"no run here learned from patients of a site {name}",
        remedy=f"did you mean {meant}?" if meant else f"name one of: {', '.join(sites) or 'none'}",
        field="--name",
    )


def _row(one: Affected) -> dict[str, Any]:
    """Return an affected model as plain values, without the hospital's id of the patient."""
    return {
        "who": one.who.key[:SHORT],
        "withdrawn": one.who.day.isoformat(),
        "choice": one.who.choice.value,
        "study": one.study,
        "version": one.version,
        "digest": one.digest,
        "model": one.model,
        "used": ", ".join(how.value for how in one.hows),
        "rounds": f"{one.rounds[0]}-{one.rounds[-1]}" if one.rounds else "",
    }


def _write(csv: Path, found: list[Affected]) -> None:
    """Write the list with the hospital's own ids; it stays at the hospital."""
    from huizhen.data.consent.table import write_table

    rows = [{"patient": one.who.patient, **{k: str(v) for k, v in _row(one).items()}} for one in found]
    columns = (
        "patient",
        "who",
        "withdrawn",
        "choice",
        "study",
        "version",
        "digest",
        "model",
        "used",
        "rounds",
    )
    write_table(csv, columns, rows)


def _begin(
    screen: Screen,
    found: list[Affected],
    key: SigningKey,
    studies: list[Path],
    answers: list[Unlearning],
) -> dict[str, Any]:
    """Do what those who withdrew asked for, and return what was done."""
    from huizhen.data.consent.record import Withdrawal
    from huizhen.data.consent.screening import today
    from huizhen.pipeline.consent_cascade import next_version, note_in_ledger
    from huizhen.pipeline.unlearning import certificate

    certified = [(one.folder, certificate(one, key, day=today())) for one in answers]
    gone = note_in_ledger(found, key, day=today(), more=certified)
    for folder in gone:
        screen.say("consents.gone", folder=folder)
    refused = {one.digest for one in answers if not one.holds}
    anew = {o.digest: o for o in found if o.who.choice is Withdrawal.RETRAIN or o.digest in refused}
    named = _by_digest(studies)
    files, unnamed = [], []
    for digest, one in sorted(anew.items()):
        file = named.get(digest) or (Path(one.file) if one.file else None)
        if file is None or not file.exists():
            unnamed.append({"study": one.study, "version": one.version, "digest": digest})
            screen.say("consents.ask_lead", study=one.study, version=one.version + 1, digest=digest)
            continue
        files.append(str(next_version(file, digest=digest)))
        screen.say("consents.next", study=one.study, version=one.version + 1, file=files[-1])
    return {"gone": gone, "next": files, "ask_lead": unnamed}


def _by_digest(studies: list[Path]) -> dict[str, Path]:
    from huizhen.core.study_file import load_study

    return {str(load_study(file).digest): file for file in studies}


def _start(screen: Screen, file: Path, data: Path | None) -> None:
    """Run the next version of a study."""
    from huizhen.cli import outcome
    from huizhen.cli.commands.run import run_federation
    from huizhen.core.study_file import load_study
    from huizhen.pipeline.run import run_study

    study, root = load_study(file), paths.data_root(data)
    if study.federation is not None:
        code = run_federation(file, study, None, root, screen, [])
        if code:
            raise typer.Exit(code)
        return
    done = run_study(
        file,
        out=None,
        data_root=root,
        home=paths.home(),
        progress=screen.progress(),
        language=screen.language,
    )
    outcome.show_run(done, screen)
