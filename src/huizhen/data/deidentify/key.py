"""The site's secret, and what is derived from it: pseudonyms, UIDs and shifts that stay the same over years.

>>> one = Pseudonymiser(secret=b"k" * 32)
>>> one.patient("4711") == one.patient("4711 ") != one.patient("4712")
True
>>> one.uid("1.2.3").startswith("2.25.")
True
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import stat
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from huizhen.core.files import storage_error, write_text
from huizhen.errors import InvalidInputError, StorageError

__all__ = ["KEY_FILE", "Pseudonymiser", "open_secret"]

KEY_FILE = "deid.key"
_SECRET = re.compile(r"[0-9a-f]{64}")
_PATIENT_DIGITS = 16


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Pseudonymiser:
    """Replacements by HMAC-SHA256 under `secret` (32 bytes or more): nobody without it can try values.

    Its own text never shows the secret. Raises `InvalidInputError` on a short one.
    """

    secret: bytes

    def __post_init__(self) -> None:
        if len(self.secret) < 32:
            raise InvalidInputError(
                "the secret of the pseudonyms is shorter than 32 bytes", remedy="make one with open_secret"
            )

    def __repr__(self) -> str:
        return "Pseudonymiser(secret=...)"

    def digest(self, use: str, value: str) -> bytes:
        """Return the 32 bytes that stand for `value` in one `use`; no two uses can share any."""
        text = f"huizhen/deid/{use}/v1\0{value}".encode("utf-8", "surrogateescape")
        return hmac.new(self.secret, text, sha256).digest()

    def patient(self, patient: str) -> str:
        """Return the pseudonym of a patient: "P-" and sixteen hexadecimal digits."""
        return f"P-{self.digest('patient', patient.strip()).hex()[:_PATIENT_DIGITS]}"

    def accession(self, number: str) -> str:
        """Return what stands for an Accession Number, at most 16 characters (VR SH)."""
        return f"A-{self.digest('accession', number.strip()).hex()[:14]}"

    def file(self, path: str) -> str:
        """Return the name under which reports speak of a file: nothing of its path is in it."""
        return f"F-{self.digest('file', path).hex()[:16]}"

    def uid(self, uid: str) -> str:
        """Return the UID that stands for another: 2.25 and a UUID of version 8 as a whole number.

        Sources: DICOM PS3.5 B.2, RFC 9562 section 5.8.
        """
        number = int.from_bytes(self.digest("uid", uid.strip("\0 "))[:16], "big")
        number = number & ~(0xF << 76) | 8 << 76
        return f"2.25.{number & ~(3 << 62) | 2 << 62}"

    def shift_days(self, patient: str, *, most: int) -> int:
        """Return by how many days (1 to `most`) all dates of a patient go back."""
        return 1 + int.from_bytes(self.digest("shift", patient.strip())[:8], "big") % most


def open_secret(folder: Path) -> bytes:
    """Return the secret kept in `folder`, made on first use for its owner alone (mode 0600).

    Without it no pseudonym can be made again: back it up where the patients' data is. Raises `StorageError`
    when it can't be read, is damaged, or may be read by others.
    """
    path = folder / KEY_FILE
    try:
        if not path.exists():
            write_text(path, secrets.token_bytes(32).hex() + "\n")
            path.chmod(0o600)
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise StorageError(
                "the secret of the pseudonyms may be read by others",
                remedy=f"chmod 600 {KEY_FILE}, and ask who could have read it",
                file=KEY_FILE,
            )
        text = path.read_text(encoding="ascii").strip()
    except UnicodeDecodeError:
        text = ""
    except OSError as error:
        raise storage_error(path, error) from error
    if not _SECRET.fullmatch(text):
        raise StorageError(
            "the secret of the pseudonyms is damaged", remedy="restore it from a backup", file=KEY_FILE
        )
    return bytes.fromhex(text)
