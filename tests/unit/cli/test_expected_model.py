"""Which model must be given: by its digest, or by a dossier that verifies."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from huizhen.cli.expected_model import expected_model
from huizhen.dossier import verification
from huizhen.errors import InvalidInputError, VerificationError
from huizhen.ledger.log import Log
from huizhen.ledger.signing import SigningKey

ONE, OTHER = "1" * 64, "2" * 64


@pytest.fixture
def dossier(tmp_path, monkeypatch):
    """A function that makes a dossier's ledger with models; its other checks have tests of their own."""
    key = SigningKey.generate()
    monkeypatch.setattr(
        verification, "verify_dossier", lambda *_, expected_key_id: SimpleNamespace(key_id=key.key_id)
    )

    def make(*digests):
        with Log.open(tmp_path / "d" / "ledger", key) as log:
            for digest in digests:
                log.append("model", {"card": {}, "digest": digest})
            log.append("end", {})
            log.commit()
        return tmp_path / "d"

    return make


def test_nothing_is_expected_where_nothing_is_given():
    assert expected_model(None, None) is None
    assert expected_model(ONE, None) == ONE


@pytest.mark.parametrize("digest", ["", "abc", ONE.replace("1", "G"), ONE + "1"])
def test_a_digest_that_is_none_is_refused(digest):
    with pytest.raises(InvalidInputError) as caught:
        expected_model(digest, None)
    assert caught.value.field == "--digest"


def test_the_dossiers_model_is_expected(dossier):
    folder = dossier(ONE)
    assert expected_model(None, folder) == expected_model(ONE, folder) == ONE
    with pytest.raises(VerificationError, match="another model"):
        expected_model(OTHER, folder)


@pytest.mark.parametrize("digests", [(), (ONE, OTHER)])
def test_a_dossier_without_one_model_is_refused(dossier, digests):
    with pytest.raises(VerificationError, match="not one"):
        expected_model(None, dossier(*digests))


def test_the_dossier_is_verified(tmp_path):
    with pytest.raises(VerificationError):
        expected_model(None, tmp_path)
