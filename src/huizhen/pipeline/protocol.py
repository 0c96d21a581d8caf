"""The protocol stage: the study is signed before any data is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huizhen.core.digests import digest_bytes
from huizhen.core.files import write_bytes
from huizhen.core.study import Study
from huizhen.errors import StudyError
from huizhen.pipeline.stage import ARTEFACTS, Made, Run, Stage

__all__ = ["STUDY_DOMAIN", "changed_keys", "protocol_stage"]

STUDY_DOMAIN = "study"


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
    text = study_file.read_bytes()

    def body(folder: Path) -> Made:
        write_bytes(folder / ARTEFACTS / "study.toml", text)
        signed = {
            "study": study.model_dump(mode="json"),
            "digest": study.digest,
            "signed_by": run.key.key_id,
            "signature": run.key.sign(STUDY_DOMAIN, bytes.fromhex(study.digest)),
        }
        return Made(entries=[("study", signed)])

    made_from = {"study.toml": digest_bytes(text)}
    return run.stage("protocol", [study.digest, run.key.key_id], body, made_from=made_from)


def changed_keys(signed: dict[str, Any], study: Study) -> str:
    """Return the top-level keys in which the signed study and `study` differ."""
    now = study.model_dump(mode="json")
    return ", ".join(sorted(key for key in {*signed, *now} if signed.get(key) != now.get(key)))
