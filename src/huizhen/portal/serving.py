"""The portal run: an office opened, its application served until it is stopped."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from huizhen.errors import InvalidInputError, StageError
from huizhen.portal.settings import Settings

if TYPE_CHECKING:
    from huizhen.portal.office import Told

__all__ = ["serve"]


def serve(settings: Settings, file: Path, *, told: Told) -> None:
    """Serve the portal whose settings `file` holds, until it is stopped.

    Raises `InvalidInputError` without the packages of the extra or the files of certificate and private_key,
    `StageError` when the address is taken, and what `Office.open` raises.
    """
    try:
        import uvicorn

        from huizhen.portal.app import build
        from huizhen.portal.office import Office
    except ImportError as error:
        raise InvalidInputError(
            "the portal needs packages that are not installed", remedy="run: pip install 'huizhen[portal]'"
        ) from error
    host, _, port = settings.portal.listen.rpartition(":")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # its lines hold whole addresses
    certificate, private = settings.portal.certificate, settings.portal.private_key
    home = file.parent
    for name, given in (("certificate", certificate), ("private_key", private)):
        if given is not None and not (home / given).is_file():
            raise InvalidInputError(
                "there is no such file", remedy="check that it is there", field=f"portal.{name}", file=given
            )
    office = Office.open(settings, home, told=told, file=file)
    try:
        uvicorn.run(
            build(office),
            host=host.strip("[]"),
            port=int(port),
            access_log=False,
            server_header=False,
            ssl_certfile=str(home / certificate) if certificate else None,
            ssl_keyfile=str(home / private) if private else None,
        )
    except (OSError, SystemExit) as error:
        raise StageError(
            "the portal can't listen there",
            remedy="free the address, or change listen; check certificate and private_key",
            field="portal.listen",
        ) from error
    finally:
        office.close()
