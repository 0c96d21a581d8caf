"""The inspector that a policy asks for."""

from __future__ import annotations

from huizhen.data.deidentify.pixels import PixelInspector
from huizhen.data.deidentify.policy import PixelPolicy

__all__ = ["inspector_of"]


def inspector_of(policy: PixelPolicy) -> PixelInspector | None:
    """Return the inspector that `policy` asks for, None where nobody is to look.

    Raises `PolicyError` where its engine isn't installed.

    >>> inspector_of(PixelPolicy()) is None
    True
    """
    if policy.inspect == "none":
        return None
    from huizhen.data.deidentify.looking import TextInspector
    from huizhen.data.deidentify.text_finders import RapidFinder

    return TextInspector(finder=RapidFinder(), policy=policy)
