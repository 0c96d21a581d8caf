"""The inspector that a policy asks for."""

from __future__ import annotations

from importlib.util import find_spec

from huizhen.data.deidentify.pixels import PixelInspector
from huizhen.data.deidentify.policy import PixelPolicy
from huizhen.errors import PolicyError

__all__ = ["check_engine", "inspector_of"]


def check_engine(policy: PixelPolicy) -> None:
    """Raise `PolicyError` where the engine that `policy` asks for isn't installed; nothing is loaded."""
    if policy.inspect == "ocr" and not _is_there("rapidocr_onnxruntime"):
        raise PolicyError(
            "the policy asks for OCR, and its engine isn't installed",
            remedy="pip install 'huizhen[deid]'",
            field="pixels.inspect",
        )


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ValueError:  # it was barred in this process
        return False


def inspector_of(policy: PixelPolicy) -> PixelInspector | None:
    """Return the inspector that `policy` asks for, None where nobody is to look.

    Raises `PolicyError` where its engine isn't installed.

    >>> inspector_of(PixelPolicy()) is None
    True
    """
    check_engine(policy)
    if policy.inspect == "none":
        return None
    from huizhen.data.deidentify.looking import TextInspector
    from huizhen.data.deidentify.text_finders import RapidFinder

    return TextInspector(finder=RapidFinder(), policy=policy)
