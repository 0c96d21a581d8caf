"""The protocol stage: the study is signed before any data is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huizhen.core.digests import digest_bytes, digest_file
from huizhen.core.files import write_bytes
from huizhen.core.study import Study
from huizhen.errors import StudyError
from huizhen.ledger.log import utc_now
from huizhen.ledger.records import utc_text
from huizhen.pipeline.protocol_lock import ProtocolLock, deviations_of, lock_file, read_locks
from huizhen.pipeline.stage import ARTEFACTS, Made, Run, Stage

__all__ = ["STUDY_DOMAIN", "changed_keys", "protocol_stage"]

STUDY_DOMAIN = "study"
PROTOCOL = "protocol.lock.json"


def protocol_stage(run: Run, study_file: Path) -> Stage:
    """Sign the study before any data is read. Raises `StudyError` if another one was signed here before."""
    study = run.study
    for entry in run.log.entries:
        if entry.kind == "study" and entry.body["digest"] != study.digest:
            raise StudyError(
                f"was changed after it was signed: {changed_keys(entry.body['study'], study)}",
                remedy="undo the change, or give the changed study its own run with --out",
                file=study_file.name,
            )
    text, locks = study_file.read_bytes(), read_locks(study_file)
    if study.protocol is not None and study.protocol.lock and not locks:
        raise StudyError(
            "the study is to be locked before any data is read, and isn't",
            remedy=f"run: huizhen study lock {study_file.name}",
            field="protocol.lock",
            file=study_file.name,
        )

    def body(folder: Path) -> Made:
        write_bytes(folder / ARTEFACTS / "study.toml", text)
        signed = {
            "study": study.model_dump(mode="json"),
            "digest": study.digest,
            "signed_by": run.key.key_id,
            "signature": run.key.sign(STUDY_DOMAIN, bytes.fromhex(study.digest)),
        }
        if not locks:
            return Made(entries=[("study", signed)])
        write_bytes(folder / ARTEFACTS / PROTOCOL, lock_file(study_file).read_bytes())
        return Made(entries=[("study", signed), ("protocol_lock", _locked(locks, study))])

    made_from = {"study.toml": digest_bytes(text)}
    inputs: list[object] = [study.digest, run.key.key_id]
    if locks:
        made_from["lock of the protocol"] = digest_file(lock_file(study_file))
        inputs.append(made_from["lock of the protocol"])
    return run.stage("protocol", inputs, body, made_from=made_from)


def _locked(locks: Sequence[ProtocolLock], study: Study) -> dict[str, Any]:
    """Return what was locked when and by which key, and everything that was changed since."""
    deviations = deviations_of(locks, study, when=utc_text(utc_now()))
    return {
        "locks": [
            {"digest": one.digest, "time": one.time, "key_id": one.key_id, "reason": one.reason}
            for one in locks
        ],
        "study_digest": study.digest,
        "deviations": [one.to_json() for one in deviations],
    }


def changed_keys(signed: dict[str, Any], study: Study) -> str:
    """Return the top-level keys in which the signed study and `study` differ."""
    now = study.model_dump(mode="json")
    return ", ".join(sorted(key for key in {*signed, *now} if signed.get(key) != now.get(key)))
